"""The runner against the network it runs: on random graphs, on every preset, in any batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortexsim import presets
from cortexsim.errors import CheckpointError, GraphError
from cortexsim.graph import Area, AreaGraph, Connection
from cortexsim.models import Network, calibrate
from cortexsim.models.inference import Runner

from .test_network import images, networks, small


def assert_same_run(network: Network, x: torch.Tensor, steps: int, *, tolerance: float,
                    **options) -> None:
    """Take both from index 0 to the last; areas, activity and scores must agree."""
    graph, runner = network.graph, Runner(network, **options)
    sustained = graph.input == "sustained"
    with torch.inference_mode():
        drive = runner.drive(x)
        expected, state = network.initial_state(x), network.initial_state(drive=drive)
        for t in range(steps + 1):
            if t:
                expected = network.step(expected, t, x if sustained else None)
                before = {area: value.clone() for area, value in state.items()}
                after = runner.step(state, t, drive=drive if sustained else None)
                again = runner.step(state, t, drive=drive if sustained else None)
                for area, value in before.items():
                    assert torch.equal(state[area], value), "a state is never changed"
                assert all(torch.equal(after[area], again[area]) for area in after)
                state = after
            assert set(state) == set(expected), f"populated at {t}"
            for area, activity in expected.items():
                torch.testing.assert_close(
                    state[area].to(activity), activity, rtol=tolerance,
                    atol=tolerance * float(activity.abs().max()),
                    msg=lambda m, at=area: f"{at}: {m}")
            if graph.last.name in state:
                scores = network.readout(expected, t)
                torch.testing.assert_close(runner.readout(state, t), scores, rtol=tolerance,
                                           atol=tolerance * float(scores.abs().max()))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.booleans(), st.sampled_from([0, 2_000, 10**9]))
def test_equals_the_network_on_random_graphs(network, beyond, memory):
    calibrate(network, images(6, seed=1), 3 if beyond else 5)
    network.eval().beyond = "last" if beyond else "error"
    try:
        network.scores(images(2), network.graph.readout_times(5))
    except CheckpointError:
        return  # what is populated late has no last statistics
    assert_same_run(network, images(4), 5, tolerance=1e-10, memory=memory)


@pytest.mark.parametrize("name", presets.names())
def test_equals_the_network_on_every_preset(name):
    graph = presets.get(name)
    narrow = replace(graph, areas=tuple(
        Area(a.name, 8, *a.shape[1:], activation=a.activation) for a in graph.areas),
        pre_net=replace(graph.pre_net, channels=None),
        connections=tuple(replace(c, middle=None) for c in graph.connections))
    network = Network(narrow, seed=1).double()
    x = images(4, graph.image[0], graph.image[1])
    calibrate(network, x, 6)
    assert_same_run(network, x[:2], 6, tolerance=1e-10)


def test_bf16_is_near():
    network, x = small(readout_time=5), images(16, size=16).float()
    calibrate(network, x, 8)
    assert_same_run(network, x, 8, tolerance=0.05, precision="bf16")


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_any_even_batch_has_the_same_bits(precision):
    network, x = small(readout_time=5), images(64, size=16).float()
    calibrate(network, x, 5)
    runner = Runner(network, precision)

    def scores(part: torch.Tensor) -> torch.Tensor:
        drive = runner.drive(part)
        state = {"V1": drive}
        for s in range(1, 6):
            state = runner.step(state, s, drive=drive)
        return torch.cat([runner.readout(state, 5), *(x.float().flatten(1)
                                                      for x in state.values())], 1)

    with torch.inference_mode():
        whole = scores(x)
        for size in (2, 8):
            assert torch.equal(torch.cat([scores(part) for part in x.split(size)]), whole), size


def test_memory_is_bounded_and_steps_with_the_same_weights_share_them():
    network, x = small(readout_time=5), images(8, size=16).float()
    calibrate(network, x, 5)
    one, none = Runner(network), Runner(network, memory=0)
    with torch.inference_mode():
        for runner in (one, none):
            state = {"V1": runner.drive(x)}
            for s in range(1, 6):
                state = runner.step(state, s)
    assert none._free == 0 and not none._steps and not none._joined
    assert len(one._steps) == 5
    # the last two steps fire alike: what is not normalized afterwards is one tensor
    (*_, before), (*_, after) = (step.last for step in list(one._steps.values())[-2:])
    assert before[1].weight is after[1].weight


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_memory_is_bounded_where_nothing_is_normalized(precision):
    areas = (Area("A", 8, 8, 8), Area("B", 8, 8, 8))
    network = Network(AreaGraph(areas, tuple(
        Connection(a.name, b.name, "conv") for a in areas for b in areas), image=(2, 8, 8),
        readout_time=2)).eval()
    calibrate(network, images(8).float(), 4)
    runner = Runner(network, precision, memory=0)
    with torch.inference_mode():
        state = {"A": runner.drive(images(4).float())}
        for s in range(1, 5):
            state = runner.step(state, s)
    assert not runner._steps and not runner._joined


def test_what_cannot_be_done_is_said_as_the_network_says_it():
    network = small(readout_time=4)
    x = images(20, size=16).float()
    calibrate(network, x, 4)
    runner = Runner(network)
    with torch.inference_mode():
        with pytest.raises(GraphError, match="takes images of shape"):
            runner.drive(x[:, :1])
        state = {"V1": runner.drive(x)}
        with pytest.raises(GraphError, match="IT is empty at t = 0"):
            runner.readout(state, 0)
        with pytest.raises(CheckpointError, match="up to 4"):
            runner.step(state, 6)

