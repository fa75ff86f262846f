"""Changes: nothing where nothing is asked, exact levels, and levels that compare."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cortexsim.stimuli import changes, occlusion, placing, tone

pictures = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)),
    elements=st.floats(0, 1, width=16),
)
seeds = st.integers(0, 2**32)
fractions = st.floats(0, 1)
#: The level of each change that changes nothing.
NOTHING = {
    "contrast": {"level": 1.0}, "greyscale": {"amount": 0.0}, "gaussian_noise": {"sd": 0.0},
    "salt_and_pepper": {"fraction": 0.0}, "blur": {"sd": 0.0}, "low_pass": {"cycles": "all"},
    "high_pass": {"cycles": 0.0}, "occlude": {"hidden": 0.0}, "translate": {"x": 0, "y": 0},
    "scale": {"factor": 1.0}, "clutter": {"pieces": 0},
}


def others_of(picture: np.ndarray, seed: int = 0, most: int = 100):
    """Draw images of a picture's shape; the first are the same whatever the count."""
    def draw(count: int) -> np.ndarray:
        return np.random.default_rng(seed).random((min(count, most), *picture.shape))
    return draw


def change(name: str, picture: np.ndarray, seed: int = 0, **values: object) -> np.ndarray:
    kind = changes.REGISTRY[name]
    full = {key: told.default for key, told in kind.parameters.items()} | values
    return kind.apply(picture, np.random.default_rng(seed), others_of(picture), **full)


def values_of(name: str) -> st.SearchStrategy[dict[str, object]]:
    def one(told: changes.Parameter) -> st.SearchStrategy[object]:
        # small enough that a change of a small picture can be seen
        low, high = max(told.low, -20), min(told.high, 20)
        number = st.integers(int(low), int(high)) if told.whole else st.floats(low, high)
        words = st.sampled_from(told.words) if told.words else st.nothing()
        return number | words if told.number else words
    return st.fixed_dictionaries(
        {key: one(told) for key, told in changes.REGISTRY[name].parameters.items()})


@pytest.mark.parametrize("name", changes.REGISTRY)
@settings(max_examples=30, deadline=None)
@given(st.data(), pictures, seeds)
def test_every_change(name: str, data: st.DataObject, picture: np.ndarray, seed: int) -> None:
    values = data.draw(values_of(name))
    before = picture.copy()
    changed = change(name, picture, seed, **values)
    assert changed.shape == picture.shape
    assert np.isrealobj(changed) and np.isfinite(changed).all()
    assert 0 <= changed.min() <= changed.max() <= 1
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(changed, change(name, picture, seed, **values))
    if not changes.REGISTRY[name].random:
        np.testing.assert_array_equal(changed, change(name, picture, seed + 1, **values))
    np.testing.assert_array_equal(change(name, picture, seed, **NOTHING[name]), picture)


@pytest.mark.parametrize("name", [n for n, kind in changes.REGISTRY.items() if kind.random])
def test_what_is_random(name: str) -> None:
    picture = np.random.default_rng(0).random((3, 12, 12))
    main = changes.REGISTRY[name].main
    level = 5 if changes.REGISTRY[name].parameters[main].whole else 0.4
    assert (change(name, picture, 1, **{main: level})
            != change(name, picture, 2, **{main: level})).any()


def test_every_parameter_is_described() -> None:
    assert NOTHING.keys() == changes.REGISTRY.keys()
    for name, kind in changes.REGISTRY.items():
        assert next(iter(kind.parameters)) == kind.main == next(iter(NOTHING[name]))
        assert kind.identity == (math.inf if name == "low_pass" else NOTHING[name][kind.main])
        for told in kind.parameters.values():
            assert told.unit or not told.number
            assert told.low < told.high
            if told.default is not None and told.number:
                assert told.low <= told.default <= told.high
            elif not told.number:
                assert told.default in told.words


# --- tone ---


@given(pictures, fractions, fractions)
def test_contrasts_multiply(picture: np.ndarray, first: float, second: float) -> None:
    np.testing.assert_allclose(
        change("contrast", change("contrast", picture, level=first), level=second),
        change("contrast", picture, level=first * second), atol=1e-12)


@given(pictures, fractions)
def test_greyscale(picture: np.ndarray, amount: float) -> None:
    grey = change("greyscale", picture)
    np.testing.assert_allclose(grey, np.broadcast_to(grey[:1], grey.shape), atol=1e-15)
    part = change("greyscale", picture, amount=amount)
    np.testing.assert_allclose(part, picture + amount * (grey - picture), atol=1e-12)
    # luminance stays whatever the amount
    np.testing.assert_allclose(change("greyscale", part), grey, atol=1e-12)


def test_luminance_of_the_primaries() -> None:
    primaries = np.eye(3)[:, None, :]  # a red, a green and a blue pixel side by side
    np.testing.assert_allclose(change("greyscale", primaries)[0, 0], [0.299, 0.587, 0.114])


def test_noise_has_its_sd_and_scales() -> None:
    grey = np.full((3, 64, 64), 0.5)
    weak, strong = (change("gaussian_noise", grey, sd=sd) - 0.5 for sd in (0.04, 0.08))
    assert weak.std() == pytest.approx(0.04, rel=0.03)
    assert weak.mean() == pytest.approx(0, abs=0.002)
    np.testing.assert_allclose(2 * weak, strong, atol=1e-12)
    assert abs(np.corrcoef(weak[0].ravel(), weak[1].ravel())[0, 1]) < 0.05


@given(pictures, seeds, fractions, fractions)
def test_salt_and_pepper(picture: np.ndarray, seed: int, one: float, two: float) -> None:
    picture = 0.25 + picture / 2  # so that what was hit can be told
    few, many = (change("salt_and_pepper", picture, seed, fraction=fraction)
                 for fraction in sorted((one, two)))
    hit = few != picture
    assert hit.all(axis=0).sum() == hit.any(axis=0).sum() == pytest.approx(
        min(one, two) * hit[0].size, abs=0.5)
    assert set(np.unique(few[hit])) <= {0, 1}
    np.testing.assert_array_equal(few[hit], many[hit])


def test_salt_is_as_frequent_as_pepper() -> None:
    noise = change("salt_and_pepper", np.full((1, 64, 64), 0.5), fraction=1)
    assert noise.mean() == pytest.approx(0.5, abs=0.03)


@given(st.floats(0, 1), st.floats(0, 50))
def test_a_flat_picture_cannot_be_blurred(level: float, sd: float) -> None:
    flat = np.full((2, 7, 9), level)
    np.testing.assert_allclose(change("blur", flat, sd=sd), flat, atol=1e-12)


def test_a_blurred_point_is_a_gaussian() -> None:
    point = np.zeros((2, 41, 41))
    point[0, 20, 20] = 1
    blurred = change("blur", point, sd=2.5)
    offset = np.arange(41) - 20
    assert blurred[0].sum() == pytest.approx(1)
    assert (blurred[0].sum(axis=0) * offset**2).sum() == pytest.approx(2.5**2, rel=0.01)
    assert not blurred[1].any()


@given(pictures, st.floats(0.1, 50))
def test_low_and_high_frequencies_are_the_picture(picture: np.ndarray, cycles: float) -> None:
    low, high = tone._lower(picture, cycles), tone._higher(picture, cycles)
    mean = picture.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(low + high - mean, picture, atol=1e-12)
    for part in (low, high):
        np.testing.assert_allclose(part.mean(axis=(1, 2), keepdims=True), mean, atol=1e-12)
    np.testing.assert_array_equal(change("low_pass", picture, cycles=cycles),
                                  np.clip(low, 0, 1))
    np.testing.assert_array_equal(change("high_pass", picture, cycles=cycles),
                                  np.clip(high, 0, 1))


@pytest.mark.parametrize(("frequency", "share"), [(4, 0.5), (2, 2**-0.25), (8, 2**-4)])
@pytest.mark.parametrize("axis", [1, 2])
def test_the_cut_off_halves_the_amplitude(frequency: float, share: float, axis: int) -> None:
    size = [1, 32, 48]
    wave = np.cos(2 * np.pi * frequency * (np.arange(size[axis]) + 0.5) / 32)
    shape = [1, 1, 1]
    shape[axis] = size[axis]
    grating = np.broadcast_to(0.5 + 0.5 * wave.reshape(shape), size)
    np.testing.assert_allclose(change("low_pass", grating, cycles=4) - 0.5,
                               share * (grating - 0.5), atol=1e-12)
    np.testing.assert_allclose(change("high_pass", grating, cycles=4) - 0.5,
                               (1 - share) * (grating - 0.5), atol=1e-12)


@pytest.mark.parametrize("tiny", [0, 5e-324, 1e-200, 1e-9])
def test_levels_near_nothing(tiny: float) -> None:
    picture = np.random.default_rng(0).random((2, 7, 8))
    mean = picture.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(change("low_pass", picture, cycles=tiny) - mean, 0, atol=1e-12)
    for name, values in (("high_pass", {"cycles": tiny}), ("blur", {"sd": tiny}),
                         ("gaussian_noise", {"sd": tiny}), ("occlude", {"hidden": tiny}),
                         ("salt_and_pepper", {"fraction": tiny}), ("greyscale", {"amount": tiny})):
        np.testing.assert_allclose(change(name, picture, **values), picture, atol=1e-7)


# --- occlusion ---


@pytest.mark.parametrize("by", occlusion.OCCLUDERS)
@settings(max_examples=40)
@given(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20), seeds, fractions, fractions)
def test_what_is_hidden(by: str, channels: int, height: int, width: int, seed: int,
                        one: float, two: float) -> None:
    less, more = sorted((one, two))
    white = np.ones((channels, height, width))
    # white under black: what is left of white is how clear a pixel is
    clear, dim = (change("occlude", white, seed, hidden=hidden, by=by, shade=0)
                  for hidden in (less, more))
    allowed = 1e-9 if by == "bubbles" else 0.5 / (height * width) + 1e-9
    assert 1 - clear.mean() == pytest.approx(less, abs=allowed)
    assert (dim <= clear + 1e-12).all()
    np.testing.assert_array_equal(clear, np.broadcast_to(clear[:1], clear.shape))
    if by != "bubbles":
        assert set(np.unique(clear)) <= {0, 1}
    picture = np.random.default_rng(seed).random(white.shape)
    np.testing.assert_allclose(
        change("occlude", picture, seed, hidden=less, by=by, shade=0.3),
        clear * picture + (1 - clear) * 0.3, atol=1e-12)


@pytest.mark.parametrize("by", occlusion.OCCLUDERS)
def test_occluders_favour_no_place(by: str) -> None:
    white = np.ones((1, 24, 24))
    clear = np.mean([change("occlude", white, n, hidden=0.5, by=by, shade=0)[0]
                     for n in range(200)], axis=0)
    # the middle and the edge, each to about four standard errors of objects
    assert clear[6:18, 6:18].mean() == pytest.approx(0.5, abs=0.08)
    assert clear[:, :3].mean() == pytest.approx(0.5, abs=0.1)


def test_a_bubble_is_a_gaussian() -> None:
    # so much is hidden that the only bubble is a faint one
    clear = change("occlude", np.ones((1, 64, 64)), 3, hidden=0.995, by="bubbles", shade=0)[0]
    middle = np.unravel_index(clear.argmax(), clear.shape)
    away = np.hypot(*(np.indices(clear.shape) - np.reshape(middle, (2, 1, 1))))
    expected = np.exp(-0.5 * (away / (64 * occlusion.BUBBLE)) ** 2)
    np.testing.assert_allclose(clear, clear.max() * expected, atol=1e-12)


def test_there_are_four_bars() -> None:
    white = np.ones((1, 64, 64))
    for seed in range(20):
        clear = change("occlude", white, seed, hidden=0.5, by="bars", shade=0)[0]
        # waves along both axes, counted by where clear turns to dark
        waves = [np.count_nonzero(np.diff(lines, axis=1), axis=1).mean() / 2
                 for lines in (clear, clear.T)]
        assert np.hypot(*waves) == pytest.approx(occlusion.BARS, abs=0.5)


# --- place, size and surroundings ---

shifts = st.integers(-5, 5)


@given(pictures, shifts, shifts)
def test_moving_there_and_back(picture: np.ndarray, x: int, y: int) -> None:
    _, height, width = picture.shape
    moved = change("translate", picture, x=x, y=y)
    for row, column in np.ndindex(height, width):
        from_row, from_column = row - y, column - x
        inside = 0 <= from_row < height and 0 <= from_column < width
        expected = picture[:, from_row, from_column] if inside else 0.5
        assert (moved[:, row, column] == expected).all()
    again = change("translate", moved, x=-x, y=-y)
    kept = again != 0.5
    np.testing.assert_array_equal(again[kept], picture[kept])


@given(st.floats(0.1, 10), st.integers(1, 12), st.integers(1, 12))
def test_grey_of_any_size_is_grey(factor: float, height: int, width: int) -> None:
    grey = np.full((1, height, width), 0.5)
    np.testing.assert_allclose(change("scale", grey, factor=factor), grey, atol=1e-12)


@given(pictures, st.floats(0.1, 10))
def test_scaling_is_about_the_centre(picture: np.ndarray, factor: float) -> None:
    turned = change("scale", picture[:, ::-1, ::-1], factor=factor)
    np.testing.assert_allclose(
        turned, change("scale", picture, factor=factor)[:, ::-1, ::-1], atol=1e-9)


def test_a_scaled_square_has_its_area() -> None:
    square = np.full((1, 32, 32), 0.5)
    square[:, 10:22, 8:24] = 1
    for factor in (0.25, 0.5, 1.3, 1.9):
        scaled = change("scale", square, factor=factor)
        assert (scaled - 0.5).sum() == pytest.approx(0.5 * 12 * 16 * factor**2, rel=0.03)
    whole = change("scale", np.ones((1, 32, 32)), factor=0.5)[0]
    assert (whole[9:23, 9:23] == 1).all()
    assert (whole[:7] == 0.5).all() and (whole[:, 25:] == 0.5).all()


@given(pictures, seeds, st.integers(0, 40), st.integers(0, 40), st.floats(0.01, 1))
def test_clutter(picture: np.ndarray, seed: int, one: int, two: int, side: float) -> None:
    few, many = (change("clutter", picture, seed, pieces=pieces, side=side)
                 for pieces in sorted((one, two)))
    contrast = [np.abs(shown - 0.5).sum(axis=0) for shown in (picture, few, many)]
    # what stands out stays, and more pieces only add
    assert (contrast[0] <= contrast[1]).all() and (contrast[1] <= contrast[2]).all()
    same = contrast[1] == contrast[2]
    np.testing.assert_array_equal(few[:, same], many[:, same])
    length = max(1, round(side * min(picture.shape[1:])))
    assert (few != picture).any(axis=0).sum() <= min(one, two) * length**2


@given(pictures, seeds)
def test_clutter_of_digits_is_the_brightest(picture: np.ndarray, seed: int) -> None:
    bright = 0.5 + picture / 2

    def draw(count: int) -> np.ndarray:
        return 0.5 + others_of(picture)(count)[:, :1].repeat(len(picture), axis=1) / 2

    bright = bright[:1].repeat(len(picture), axis=0)
    shown = placing.clutter(bright, np.random.default_rng(seed), draw, pieces=4, side=0.5)
    assert (shown >= bright).all()


def test_background_in_a_piece_hides_nothing() -> None:
    picture = np.random.default_rng(0).random((3, 16, 16))
    shown = placing.clutter(picture, np.random.default_rng(0),
                            lambda count: np.full((count, 3, 16, 16), 0.5), pieces=9, side=0.4)
    np.testing.assert_array_equal(shown, picture)


@pytest.mark.parametrize("most", [1, 3])
def test_clutter_makes_do_with_few_images(most: int) -> None:
    picture = np.full((1, 16, 16), 0.5)
    shown = [placing.clutter(picture, np.random.default_rng(0), others_of(picture, most=most),
                             pieces=pieces, side=0.2) for pieces in (2, 20)]
    assert (shown[0] != 0.5).sum() < (shown[1] != 0.5).sum()


def test_debris_falls_everywhere() -> None:
    picture = np.full((1, 16, 16), 0.5)
    hit = np.mean([change("clutter", picture, n, pieces=4) != 0.5 for n in range(300)], axis=0)
    assert hit.min() > 0.1
    assert hit[:, 4:12, 4:12].std() < 0.06


# --- what a file may say ---


@pytest.mark.parametrize(("kind", "parameter", "value", "said"), [
    ("contrast", "level", 1.5,
     "'level' of 'contrast' must be a number from 0 to 1 (of the picture's own), got 1.5"),
    ("occlude", "hidden", 80, "from 0 to 1 (of the picture), got 80"),
    ("occlude", "by", "bubble", "unknown 'by' of 'occlude' 'bubble'; did you mean 'bubbles'?"),
    ("occlude", "by", 3, "must be 'bubbles' or 'bars' or 'objects', got 3"),
    ("translate", "x", 2.5, "must be a whole number from -1000 to 1000 (pixels to the right)"),
    ("clutter", "pieces", -1, "must be a whole number from 0 to 1000 (pieces), got -1"),
    ("low_pass", "cycles", "al",
     "must be a number from 0 to 1000 (cycles per picture), or 'all', got 'al'"),
    ("low_pass", "cycles", -1, "or 'all', got -1"),
    ("blur", "sd", float("nan"), "got nan"),
    ("blur", "sd", float("inf"), "from 0 to 100 (pixels), got inf"),
    ("blur", "sd", 10**400, "got 1000"),
    ("blur", "sd", True, "got True"),
    ("blur", "sd", None, "got None"),
    ("blur", "sd", "2", "got '2'"),
    ("blurr", "sd", 1, "unknown change 'blurr'; did you mean 'blur'?"),
    ("blur", "width", 1, "unknown parameter of 'blur' 'width'"),
])
def test_wrong_values(kind: str, parameter: str, value: object, said: str) -> None:
    message = changes.problem(kind, parameter, value)
    assert message is not None
    assert re.search(re.escape(said), message), message


@given(st.data())
def test_every_value_in_range_is_right(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(changes.REGISTRY)))
    for parameter, value in data.draw(values_of(name)).items():
        assert changes.problem(name, parameter, value) is None
        told = changes.REGISTRY[name].parameters[parameter]
        outside = data.draw(st.floats(told.high, exclude_min=True)
                            | st.floats(max_value=told.low, exclude_max=True))
        assert changes.problem(name, parameter, outside) is not None
