"""Movies of changed pictures, masks of other images, categories, sources and repeats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsim.errors import ProtocolError
from cortexsim.stimuli import changes, masks
from cortexsim.stimuli.datasets import Dataset, to_input
from cortexsim.stimuli.gallery import is_random
from cortexsim.stimuli.movie import Movie, check
from cortexsim.stimuli.protocol import Change, Picture, Protocol

PROTOCOL = Protocol.from_text("""
name: everything
sources: {scenes: ./scenes}
ms_per_step: 10
duration_ms: 120
factors: {what: [target, other_2, phase_scrambled, checkerboard], sd: [0.1, 0.2],
          by: [none, bars]}
repeats: 2
timeline:
  - {show: $what, at_ms: 0, for_ms: 10, of: scenes_1, change: {occlude: {by: $by, hidden: 0.3}}}
  - {show: target, after_ms: 0, for_ms: 10, change: {contrast: 0.5, gaussian_noise: $sd}}
  - {show: same_category, after_ms: 0, for_ms: 10}
  - {show: other_category_2, after_ms: 0, for_ms: 10, change: {clutter: 2}}
  - {show: scenes_2, after_ms: 0, for_ms: 10, change: {blur: 1}}
  - {show: block_scrambled, of: other_1, after_ms: 0, for_ms: 10}
  - {show: phase_scrambled, of: set, after_ms: 0, for_ms: 10}
  - {show: stream, images: 3, target: 2, after_ms: 0, each_ms: 10}
  - {show: target, after_ms: 0, for_ms: 10, change: {greyscale: 1}}
""")


def images(seed: int, count: int, classes: tuple[str, ...], name: str) -> Dataset:
    pixels = np.random.default_rng(seed).integers(90, 166, (count, 3, 8, 8), dtype=np.uint8)
    return Dataset(pixels, np.arange(count) % len(classes), [f"{name}-{k}" for k in range(count)],
                   classes, name, "test")


DATA = images(0, 12, ("a", "b", "c"), "made-up")
SCENES = images(1, 5, ("b", "z"), "scenes")
conditions = st.sampled_from(PROTOCOL.conditions)
times = st.integers(0, 12)


def movie(seed: int = 0, data: Dataset = DATA, mode: str = "sustained") -> Movie:
    return Movie(PROTOCOL, data, seed, mode, DATA, {"scenes": SCENES})


@settings(max_examples=60)
@given(conditions, times, st.lists(st.integers(0, 11), max_size=4), st.integers(0, 99))
def test_a_batch_is_its_stimuli_one_by_one_in_any_subset(
    condition: object, t: int, stimuli: list[int], seed: int
) -> None:
    frame = movie(seed).frame(condition, t, stimuli)
    if frame is None:
        assert t > 10
        return
    assert frame.shape == (len(stimuli), 3, 8, 8) and frame.dtype == np.float32
    for row, stimulus in enumerate(stimuli):
        alone = movie(seed, DATA.take([stimulus])).frame(condition, t, [0])
        np.testing.assert_array_equal(frame[row], alone[0])


@settings(max_examples=150)
@given(conditions, conditions, times, st.sampled_from(["sustained", "onset"]))
def test_the_same_key_is_the_same_frame_and_another_another(
    first: object, second: object, t: int, mode: str
) -> None:
    shown = movie(3, mode=mode)
    keys = [shown.frame_key(condition, t) for condition in (first, second)]
    frames = [shown.frame(condition, t, [1, 4]) for condition in (first, second)]
    if None in keys:
        assert keys == [None, None] == [*frames]
        return
    assert np.array_equal(*frames) == (keys[0] == keys[1])


def test_what_is_random_is_new_in_each_repeat_and_nothing_else() -> None:
    shown = movie()
    one, two = PROTOCOL.conditions[:2]
    assert (one.repeat, two.repeat) == (1, 2) and one.presentations == two.presentations
    same = [np.array_equal(shown.frame(one, t, range(12)), shown.frame(two, t, range(12)))
            for t in range(11)]
    fixed = [not is_random(item.picture) for item in one.presentations]
    # target first, in the stream, and in grey at the end
    assert same == fixed == [True] + [False] * 7 + [True, False, True]


def test_levels_are_compared_on_the_same_noise() -> None:
    low, high = (c for c in PROTOCOL.conditions
                 if (c.factors["what"], c.factors["by"], c.repeat) == ("target", "none", 1))
    shown = movie(5)
    plain = to_input(DATA.images[[3]] * 0.5 + 255 / 4)
    one, two = shown.frame(low, 1, [3]) - plain, shown.frame(high, 1, [3]) - plain
    inside = (np.abs(one + plain) < 1.99) & (np.abs(two + plain) < 1.99)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(two[inside], 2 * one[inside], atol=1e-5)


def test_changes_act_in_their_order() -> None:
    shown = movie()
    first = Change("contrast", (("level", 0.0),))
    then = Change("gaussian_noise", (("sd", 0.2),))
    # contrast 0 after the noise leaves grey, before it the noise
    assert not shown.gallery.render(Picture("target", changes=(then, first)), [0]).any()
    noise = shown.gallery.render(Picture("target", changes=(first, then)), [0])
    assert noise.std() == pytest.approx(0.8, rel=0.2)
    for kind, told in changes.REGISTRY.items():
        values = tuple((name, one.default if one.default is not None else one.high / 2)
                       for name, one in told.parameters.items())
        frame = shown.gallery.render(Picture("grey", changes=(Change(kind, values),)), [0, 1])
        assert frame.shape == (2, 3, 8, 8) and np.abs(frame).max() <= 2.0001


def test_masks_are_made_of_what_is_said() -> None:
    shown = movie(2)
    rows = range(12)
    other = to_input(shown.pool.images[shown.gallery.rows("other", 1, rows, 1)])
    blocks = shown.gallery.render(Picture("block_scrambled", "other_1"), rows)
    np.testing.assert_allclose(np.sort(blocks.reshape(12, -1)), np.sort(other.reshape(12, -1)),
                               atol=1e-6)
    # the mean amplitude spectrum of the set, but for what is clipped
    mean = np.abs(np.fft.fft2(DATA.images / 255)).mean(axis=0)
    frames = shown.gallery.render(Picture("phase_scrambled", "set"), rows)
    found = np.abs(np.fft.fft2(frames / 4 + 0.5))
    np.testing.assert_allclose(found, np.broadcast_to(mean, found.shape), rtol=1e-4, atol=1e-4)
    # one made of the target is the one that it always was
    np.testing.assert_array_equal(
        shown.gallery.render(Picture("pink_noise"), [4]),
        to_input((masks.pink_noise(DATA.images[4] / 255, shown.gallery._generator(
            "made-up-4", "pink_noise", 1)) * 255).astype(np.float32))[None])


@settings(max_examples=30)
@given(st.integers(0, 99), st.integers(1, 2))
def test_categories_and_sources_have_the_classes_they_say(seed: int, repeat: int) -> None:
    names = ["target", "same_category_3", "other_category_8", "other_11", "scenes_5", "grey"]
    shown = movie(seed)
    labels = shown.labels(names, range(12), repeat)
    assert (labels[:, 0] == DATA.labels).all() and (labels[:, 1] == DATA.labels).all()
    assert (labels[:, 2] != DATA.labels).all() and (labels[:, 5] == -1).all()
    assert {*labels[:, 4].tolist()} <= {1, -1}  # of its classes b and z the data set has b
    for name, count in (("same_category", 3), ("other_category", 8), ("other", 11)):
        drawn = np.stack([shown.gallery.rows(name, k + 1, range(12), repeat) for k in range(count)])
        for row in range(12):
            assert len({row, *drawn[:, row].tolist()}) == count + 1
    for name in names[:5]:
        frame = shown.gallery.render(Picture(name), range(12), repeat)
        origin = SCENES if name == "scenes_5" else DATA
        told = [origin.classes[origin.labels[(to_input(origin.images) == one).all(
            axis=(1, 2, 3)).argmax()]] for one in frame]
        place = labels[:, names.index(name)]
        assert [DATA.classes[k] if k >= 0 else "z" for k in place] == told


def protocol(show: str, head: str = "") -> Protocol:
    return Protocol.from_text(f"name: x\n{head}ms_per_step: 10\nduration_ms: 50\n"
                              f"timeline: [{{show: {show}, at_ms: 0, until: end}}]\n")


SOURCE = "sources: {scenes: ./s}\n"


@pytest.mark.parametrize(("asked", "pool", "says"), [
    (protocol("other_12"), DATA, "shows 12 images besides the target, data set 'made-up' has 12"),
    (protocol("same_category_4"), DATA, "for an image of class 'a' data set 'made-up' has 3 others "
                                        "of the same class: show fewer"),
    (protocol("other_category_9"), DATA, "has 8 others of another class"),
    (protocol("other_category"), DATA.take([0, 3]), "has 0 others of another class"),
    (protocol("same_category"), DATA.told_by(("a", "b")), "not all images .* have a class"),
    (protocol("scenes_6", SOURCE), DATA, "source 'scenes' has 5 images: show fewer"),
    (protocol("scenes_5", SOURCE), DATA, None),
    (protocol("phase_scrambled, of: scenes_6", SOURCE), DATA, "source 'scenes' has 5 images"),
    (protocol("other_11"), DATA, None),
    (protocol("same_category_3"), DATA, None),
])
def test_enough_images_are_seen_to(asked: Protocol, pool: Dataset, says: str | None) -> None:
    if says is None:
        check(asked, pool, {"scenes": SCENES})
        return
    with pytest.raises(ProtocolError, match=says):
        check(asked, pool, {"scenes": SCENES})


def test_sources_fit_the_data_set() -> None:
    asked = protocol("scenes_1", SOURCE)
    with pytest.raises(ProtocolError, match="its source 'scenes' was not given"):
        check(asked, DATA)
    grey = Dataset(SCENES.images[:, :1], SCENES.labels, SCENES.ids, SCENES.classes, "grey", "test")
    with pytest.raises(ProtocolError, match="images of 'grey' are 1x8x8 .* 'made-up' are 3x8x8"):
        check(asked, DATA, {"scenes": grey})
    # the target itself is no further image
    with pytest.raises(ProtocolError, match="source 'scenes' has 11 images"):
        check(protocol("scenes_12", SOURCE), DATA, {"scenes": DATA})


def test_a_long_pool_is_put_in_order_once_for_a_stimulus(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = movie()
    shown.labels([f"other_{k}" for k in (1, 2)], range(12))
    monkeypatch.setattr(shown.gallery, "_generator", None)  # would fail if it was called again
    assert shown.labels(["other_2", "other_1"], range(12)).shape == (12, 2)
