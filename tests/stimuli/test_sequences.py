"""Sequences: what is on and what is asked at each index, in tasks, protocols and movies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsim.errors import ProtocolError
from cortexsim.stimuli.datasets import Dataset, to_input
from cortexsim.stimuli.movie import Movie
from cortexsim.stimuli.protocol import Protocol
from cortexsim.stimuli.sequences import SequenceTask

tasks = st.builds(
    SequenceTask, st.integers(2, 6), st.integers(1, 5),
    st.sampled_from(["last", "first", "previous"]), st.sampled_from(["each", "end"]),
    st.integers(0, 4),
)

HEAD = "name: x\nms_per_step: 10\nduration_ms: 120\n"
SEQUENCE = "{show: sequence, images: 4, at_ms: 20, each_ms: $each, ask: previous}"
PROTOCOL = Protocol.from_text(
    f"{HEAD}factors: {{each: [10, 20]}}\ntimeline:\n  - {SEQUENCE}\n"
    "  - {show: white_noise, at_ms: 110, until: end}\n"
)
DATA = Dataset(
    np.random.default_rng(0).integers(0, 256, (9, 1, 4, 4), dtype=np.uint8),
    np.arange(9) % 4, [f"made-up-{n}" for n in range(9)], tuple("abcd"), "made-up", "test",
)


@given(tasks)
def test_what_is_asked_follows_from_what_was_on(task: SequenceTask) -> None:
    """Written out index by index, without a formula."""
    on = [k for k in range(task.images) for _ in range(task.steps)]
    on += [task.images - 1] * 20  # the last one stays
    for t in range(task.end + 10):
        assert task.shown(t) == on[t]
        seen = on[: t - task.delay + 1] if t >= task.delay else []
        if not seen or (task.answers == "end" and seen[-1] != task.images - 1):
            assert task.asked(t) is None
            continue
        distinct = sorted(set(seen))
        before = distinct[-2] if len(distinct) > 1 else None
        assert task.asked(t) == {"last": distinct[-1], "first": 0, "previous": before}[task.ask]


@given(tasks, st.integers(1, 5))
def test_each_image_that_is_asked_about_is_read_at_its_last_indices(
    task: SequenceTask, readouts: int
) -> None:
    times = task.times(readouts)
    assert times == sorted(set(times))
    assert times[-1] == task.end
    about = [task.shown(t - task.delay) for t in times]
    images = {"each": range(task.images), "end": [task.images - 1]}[task.answers]
    if task.ask == "previous" and task.answers == "each":
        images = images[1:]  # nothing came before the first
    assert sorted(set(about)) == list(images)
    assert {about.count(k) for k in about} == {min(readouts, task.steps)}


@given(tasks, st.integers(0, 12))
def test_onset_input_drives_at_each_images_first_index(task: SequenceTask, more: int) -> None:
    last = task.images * task.steps - 1 + more
    pictures = [f"image {k}" for k in range(task.images)]
    held = task.frames(pictures, "sustained", last)
    assert held == [pictures[task.shown(t)] for t in range(last + 1)]
    flashed = task.frames(pictures, "onset", last)
    assert [x for x in flashed if x is not None] == pictures
    assert [t for t, x in enumerate(flashed) if x] == [k * task.steps for k in range(task.images)]


def test_one_image_is_on_and_asked_throughout() -> None:
    task = SequenceTask.one_image(10)
    assert (task.end, task.times(3), task.times(99)) == (10, [8, 9, 10], list(range(11)))
    assert {task.asked(t) for t in range(70)} == {task.shown(t) for t in range(70)} == {0}


@pytest.mark.parametrize(("changes", "says"), [
    ({"ask": "lst"}, "did you mean 'last'"),
    ({"answers": "never"}, "known: each, end"),
    ({"images": 1, "ask": "previous"}, "2 images or more, not 1"),
    ({"images": 0}, "1 images or more, not 0"),
    ({"steps": 0}, "1 step or more"),
    ({"delay": -2}, "cannot come 2 steps before"),
    ({"images": 10**6}, "10,000 steps at most"),
])
def test_tasks_that_cannot_be(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        SequenceTask(**{"images": 4, "steps": 3, **changes})
    with pytest.raises(ProtocolError, match="t = 2 there is nothing to name.*from t = 3 on"):
        SequenceTask(4, 3, "previous").check_times([5, 2])


def test_a_protocol_shows_other_images_after_the_target() -> None:
    one, two = PROTOCOL.conditions
    names = ["target", "other_1", "other_2", "other_3"]
    assert PROTOCOL.timeline(one) == (
        ["nothing"] * 2 + names + ["nothing"] * 5 + ["white_noise"] * 2)
    assert PROTOCOL.timeline(two)[:10] == ["nothing"] * 2 + [n for n in names for _ in "ab"]
    assert one.asked == ("nothing",) * 3 + ("target", "other_1") + ("other_2",) * 8
    assert two.asked == ("nothing",) * 4 + ("target",) * 2 + ("other_1",) * 2 + ("other_2",) * 5
    onsets = [t for t, on in enumerate(PROTOCOL.drive(two, "onset")) if on]
    assert onsets == [2, 4, 6, 8, 11]
    assert PROTOCOL.others == 3
    assert "..TT11223333" not in PROTOCOL.describe() and "..TT112233." in PROTOCOL.describe()
    late = Protocol.from_text(HEAD + (
        "timeline: [{show: sequence, images: 3, at: {steps: 0}, each: {steps: 2}, "
        "delay: {steps: 3}}]\n"))
    task = SequenceTask(3, 2, delay=3)
    shown = late.timeline(late.conditions[0])[: task.end + 1]
    # as in training: the last image stays on until it is named
    assert shown == [names[task.shown(t)] for t in range(task.end + 1)]
    plain = Protocol.from_text(HEAD + "timeline: [{show: target, at_ms: 0, until: end}]\n")
    assert plain.others == 0 and set(plain.conditions[0].asked) == {"target"}


@settings(max_examples=30)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=6), st.integers(0, 2**40),
       st.sampled_from(PROTOCOL.conditions))
def test_other_images_depend_on_stimulus_and_seed_alone(
    stimuli: list[int], seed: int, condition: object
) -> None:
    movie = Movie(PROTOCOL, DATA, seed)
    shown, asked = movie.shown(condition), list(condition.asked)
    labels, answers = movie.labels(shown, stimuli), movie.labels(asked, stimuli)
    subset = Movie(PROTOCOL, DATA.take(stimuli), seed, pool=DATA)
    for t, name in enumerate(shown):
        frame = movie.frame(condition, t, stimuli)
        if name in ("nothing", "white_noise"):
            assert (labels[:, t] == -1).all()
            continue
        np.testing.assert_array_equal(
            frame, subset.frame(condition, t, range(len(stimuli))))
        for row, stimulus in enumerate(stimuli):
            (found,) = [k for k in range(9) if (to_input(DATA.images[k]) == frame[row]).all()]
            assert labels[row, t] == DATA.labels[found]
            assert (found == stimulus) == (name == "target")
    # what is to be named has been on, under the same label
    for t, name in enumerate(asked):
        if name != "nothing":
            np.testing.assert_array_equal(answers[:, t], labels[:, shown.index(name)])


def test_no_image_comes_twice_and_seeds_differ() -> None:
    one, two = (Movie(PROTOCOL, DATA, seed).labels(["other_1"], range(9)) for seed in (1, 2))
    assert (one != two).any()
    movie = Movie(PROTOCOL, DATA, 1)
    rows = np.stack([movie.gallery.rows("other", number, range(9), 1) for number in range(1, 9)])
    assert (np.sort(np.concatenate([rows, np.arange(9)[None]]), axis=0)
            == np.arange(9)[:, None]).all()


@pytest.mark.parametrize(("entry", "says"), [
    ("{show: sequence, at_ms: 0, each_ms: 10}", "p.yaml:5: timeline.0: give the number of images"),
    ("{show: sequence, at_ms: 0, images: 3}", "timeline.0: give how long each image is on"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10, until: end}", "leave out for_ms, for"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10, delay_ms: 10, delay: {steps: 1}}",
     "one of delay_ms and delay"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 15}",
     "p.yaml:5: timeline.0.each_ms: 15 ms"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 0}", "on for 1 step or more, not 0"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 50}",
     "timeline.0.each_ms: in the condition 'x' 'sequence' is on until 150 ms, past the end"),
    ("{show: sequence, at_ms: 0, images: 1, each_ms: 10, ask: previous}", "2 images or more"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10, ask: all}",
     "p.yaml:5: timeline.0: unknown thing to ask 'all'; known: last, first, previous"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10, answers: none}", "known: each, end"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: $rate}", "unknown factor '$rate'"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10, delay_ms: $wait}",
     "timeline.0.delay_ms: unknown factor '$wait'"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10, delay_ms: 200}",
     "p.yaml:5: timeline.0: the trial ends before anything is asked"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10, answers: end}\n"
     "summary: {readout_ms: 10}", "p.yaml:6: summary.readout_ms: nothing is to be named then; "
                                  "what is asked begins at 20 ms"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10, answers: end}\n"
     "summary: {readout_ms: 30, evidence_ms: [0, 10]}", "p.yaml:6: summary.evidence_ms: nothing "),
    ("{show: target, at_ms: 0, for_ms: 10, images: 3}",
     "images: for 'show: sequence' or 'show: stream' only"),
    ("{show: other_0, at_ms: 0, for_ms: 10}", "did you mean 'other_1'"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10}\n"
     "  - {show: sequence, at_ms: 50, images: 2, each_ms: 10}", "p.yaml:6: timeline.1: a timeline"),
    ("{show: sequence, at_ms: 0, images: 3, each_ms: 10}\n"
     "  - {show: grey, at_ms: 20, until: end}", "while 'other_2' is on until 30 ms"),
])
def test_sequences_that_cannot_be_shown(entry: str, says: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Protocol.from_text(f"{HEAD}timeline:\n  - {entry}\n", "p.yaml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("p.yaml:")
