"""Networks shown sequences, against what can be written down."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsim.errors import GraphError
from cortexsim.graph import AreaGraph, PreNet
from cortexsim.models import Network, calibrate
from cortexsim.stimuli.sequences import SequenceTask

from .test_mathematics import images, linear_network, operator


def small(input_mode: str = "sustained", **options) -> Network:
    graph = AreaGraph.chain(["V1", "V2", "IT"], channels=[4, 6, 8], sizes=[8, 4, 2], gain=0.5,
                            image=(3, 8, 8), input=input_mode, readout_time=6, **options)
    return Network(graph, seed=2).double()


def pictures(count: int, batch: int = 6) -> list[torch.Tensor]:
    return [images(batch, 3, 8, 8, seed=seed) for seed in range(count)]


@pytest.mark.parametrize("mode", ["sustained", "onset"])
@pytest.mark.parametrize("training", [True, False])
def test_a_sequence_of_one_image_is_that_image(mode, training):
    network = small(mode, pre_net=PreNet(3, 4))
    x, times = images(6, 3, 8, 8), [2, 3, 6]
    frames = SequenceTask.one_image(6).frames([x], mode, 6)
    calibrate(network, x, 6)
    by_image = {name: table.clone() for name, table in network.statistics.named_buffers()}
    calibrate(network, frames, 6)
    for name, table in network.statistics.named_buffers():
        assert torch.equal(table.nan_to_num(), by_image[name].nan_to_num())
    network.train(training)
    one, sequence = network.scores(x, times), network.scores(frames, times)
    assert all(torch.equal(one[t], sequence[t]) for t in times)


@settings(max_examples=12)
@given(st.lists(st.sampled_from([None, 0, 1, 2]), max_size=6))
def test_a_linear_area_sums_powers_of_its_operator_applied_to_each_frame(later):
    network = linear_network("sustained", "identity", 0.5).train()
    matrix = operator(network) + 0.5 * torch.eye(32)
    shown = [images(3, 2, 4, 4, seed=seed) for seed in range(3)]
    frames = [shown[0], *(None if k is None else shown[k] for k in later)]
    last = len(frames) + 1  # nothing follows the end of the list
    scores = network.scores(frames, range(last + 1))
    for t in range(last + 1):
        state = sum(frame.reshape(3, 32) @ torch.linalg.matrix_power(matrix, t - k).T
                    for k, frame in enumerate(frames[: t + 1]) if frame is not None)
        expected = network.readout({"V1": state.view(3, 2, 4, 4)}, t)
        torch.testing.assert_close(scores[t], expected, rtol=1e-6, atol=1e-6)


def test_scores_are_what_steps_give_and_pruning_changes_nothing():
    network, shown = small("onset"), pictures(3)
    task = SequenceTask(3, 2, "previous")
    frames = task.frames(shown, "onset", 7)
    calibrate(network, frames, 7)
    state, expected = network.initial_state(frames[0]), {}
    for t in range(1, 8):
        state = network.step(state, t, frames[t])
        if t >= 2:
            expected[t] = network.readout(state, t)
    for times in ([3, 5], [7], range(2, 8)):
        for t, scores in network.scores(frames, times).items():
            torch.testing.assert_close(scores, expected[t], rtol=1e-9, atol=1e-9)


def test_what_comes_later_changes_nothing_before_and_each_image_counts():
    network, shown = small(), pictures(4)
    task = SequenceTask(3, 3)
    calibrate(network, task.frames(shown[:3], "sustained", 8), 8)
    one = network.scores(task.frames(shown[:3], "sustained", 8), range(2, 9))
    other = network.scores(task.frames([*shown[:2], shown[3]], "sustained", 8), range(2, 9))
    # an image that comes at index 6 reaches the third area two steps later
    assert [t for t in range(2, 9) if not torch.allclose(one[t], other[t])] == [8]
    first = network.scores(task.frames([shown[3], *shown[1:3]], "sustained", 8), [8])
    assert not torch.allclose(first[8], one[8])  # the first is still there at the end


def test_a_feedforward_network_knows_nothing_of_the_image_before():
    network = small(self_transitions=False, feedback=False)
    task, shown = SequenceTask(4, 3, "previous"), pictures(5)
    calibrate(network, task.frames(shown[:4], "sustained", 11), 11)
    one = network.scores(task.frames(shown[:4], "sustained", 11), task.times())
    other = network.scores(task.frames([shown[4], *shown[1:4]], "sustained", 11), task.times())
    assert all(torch.equal(one[t], other[t]) for t in (5, 8, 11))


def test_a_trial_scores_the_same_in_any_batch():
    network = small().float()
    shown = [x.float() for x in pictures(3, batch=8)]
    frames = SequenceTask(3, 2).frames(shown, "sustained", 5)
    calibrate(network, frames, 5)
    with torch.inference_mode():
        whole = network.scores(frames, [2, 5])
        cut = {id(x): x[2:6] for x in shown}
        part = network.scores([cut[id(x)] for x in frames], [2, 5])
    assert all(torch.equal(whole[t][2:6], part[t]) for t in (2, 5))


def test_a_held_image_passes_the_pre_net_once(monkeypatch):
    network, passed = small(), []
    calibrate(network, pictures(1)[0], 8)
    drive = Network.drive
    monkeypatch.setattr(Network, "drive", lambda self, x: passed.append(x) or drive(self, x))
    shown = pictures(3)
    network.scores(SequenceTask(3, 3).frames(shown, "sustained", 8), [8])
    assert len(passed) == 3 and all(a is b for a, b in zip(passed, shown, strict=True))


def test_calibrated_statistics_are_those_of_the_sequences():
    network, shown = small(pre_net=PreNet(3, 4)), pictures(3, batch=30)
    frames = SequenceTask(3, 2).frames(shown, "sustained", 7)
    calibrate(network, frames, 7, batch=7)
    state = network.initial_state(frames[0])
    for t in range(8):
        if t:
            state = network.step(state, t, frames[t])
        for area, x in state.items():
            mean, variance = network.statistics.table(area)[:, t]
            torch.testing.assert_close(mean, x.mean((0, 2, 3)))
            torch.testing.assert_close(variance, x.var((0, 2, 3), correction=0))


@pytest.mark.parametrize("frames", [[], [None, torch.zeros(2, 3, 8, 8)]])
def test_a_sequence_begins_with_images(frames):
    with pytest.raises(GraphError, match="a sequence begins with images, at index 0"):
        small().scores(frames, [3])
