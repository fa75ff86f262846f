"""The engine against a plain loop, on random graphs; what it promises of batches and emptiness."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortexsim.errors import CheckpointError, GraphError
from cortexsim.graph import Area, AreaGraph, Connection, Normalization, PreNet
from cortexsim.models import Network, calibrate, plain

from ..graph.strategies import with_sharing

SHAPES = [(2, 8, 8), (4, 8, 8), (3, 5, 4), (4, 4, 4), (6, 2, 2), (4, 1, 1)]

PRE_NETS = [PreNet(0), PreNet(0, mean=(0.4, 0.6), std=(0.2, 0.3)), PreNet(1), PreNet(3),
            PreNet(1, kernel=5, normalize=True)]


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    return bool(torch.allclose(a, b, rtol=tolerance, atol=tolerance * float(b.abs().max())))


def images(count: int, channels: int = 2, size: int = 8, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, size, size, generator=generator, dtype=torch.float64)


@st.composite
def connections(draw, areas: list[Area], i: int, j: int) -> Connection | None:
    a, b = areas[i], areas[j]
    grows = b.height > a.height or b.width > a.width
    kinds = ["brd" if grows else "brc"] * 3 + ["conv"] + ([] if grows else ["cbr"] * 2)
    if a.shape == b.shape:
        kinds += ["identity", "brd"]
    if a.channels == b.channels and not grows:
        kinds.append("max_pool")
    kind = draw(st.sampled_from(kinds))
    weighted = kind in ("brc", "brd", "cbr", "conv")
    shortcuts = ["none", "linear"] + (["identity"] if a.shape == b.shape else [])
    first = draw(st.integers(1, 2))
    options = {}
    if kind in ("brc", "brd", "cbr"):
        shortcuts.append("projection")
        options["layers"] = layers = draw(st.integers(1, 3))
        options["kernel"] = draw(st.sampled_from([3, (1, 3, 1)[:layers], (5, 1, 3)[:layers]]))
        options["stride_layer"] = 1 if grows else draw(st.integers(1, layers))
        options["middle"] = draw(st.sampled_from([None, (5, 2)[:layers - 1]]))
    if weighted:
        options["shortcut"] = draw(st.sampled_from(shortcuts))
        if options["shortcut"] == "identity":
            options["gain"] = draw(st.sampled_from([1.0, 0.5]))
    return Connection(a.name, b.name, kind, steps=(first, draw(st.sampled_from([None, 3]))),
                      **options)


@st.composite
def networks(draw) -> Network:
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4))
    areas = [Area(f"A{i}", *shape, activation=draw(st.sampled_from(["none", "none", "relu"])))
             for i, shape in enumerate([(2, 8, 8), *shapes])]
    found = [draw(connections(areas, i, i + 1)) for i in range(len(areas) - 1)]
    # the chain itself always conducts
    found = [replace(c, steps=(1, None)) for c in found]
    for i in range(len(areas)):
        for j in range(len(areas)):
            if j != i + 1 and draw(st.booleans()):
                found.append(draw(connections(areas, i, j)))
    try:
        graph = AreaGraph(
            tuple(areas), tuple(draw(st.permutations(found))), image=(2, 8, 8),
            input=draw(st.sampled_from(["sustained", "onset"])), readout_time=len(areas) - 1,
            name="random", pre_net=draw(st.sampled_from(PRE_NETS)),
            weights=draw(st.sampled_from(["shared", "per-step"])),
            post_net=draw(st.sampled_from(["bn-relu-pool-fc", "pool-fc"])),
            normalization=Normalization(
                draw(st.sampled_from(["time-specific", "shared"])),
                draw(st.sampled_from(["none", "shared", "time-specific"]))),
        )
    except GraphError as problem:
        assert "stride" in str(problem), problem  # e.g. 5x4 to 4x4 cannot be joined
        return draw(networks())
    network = Network(draw(with_sharing(graph)), steps=6).double()
    for i, learned in enumerate(network.affine.parameters()):  # none must pass for another
        noise = torch.Generator().manual_seed(i)
        learned.data += 0.5 * torch.randn(learned.shape, generator=noise, dtype=torch.float64)
    return network


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.booleans())
def test_engine_equals_plain_loop(network, training):
    x = images(4)
    if training:
        network.train()
    else:
        calibrate(network, images(6, seed=1), 5)
        network.eval()
    with torch.no_grad():
        expected = plain.run(network, x, 5)
        sustained = network.graph.input == "sustained"
        state = network.initial_state(x)
        for t in range(1, 6):
            state = network.step(state, t, x if sustained else None)
            assert set(state) == set(expected[t]), f"populated at {t}"
            for area, activity in state.items():
                assert close(activity, expected[t][area], 1e-6), (t, area)
        # one pass for several readouts, leaving out what cannot reach them
        times = network.graph.readout_times(5)
        for t, scores in network.scores(x, times).items():
            assert close(scores, network.readout(expected[t], t), 1e-6), t


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.randoms(use_true_random=False))
def test_the_order_of_connections_changes_nothing(network, random):
    graph = network.graph
    shuffled = list(graph.connections)
    random.shuffle(shuffled)
    other = replace(graph, connections=tuple(shuffled))
    x = images(3)
    one, two = network.train(), Network(other, steps=6).double().train()
    two.load_state_dict(one.state_dict())
    with torch.no_grad():
        assert torch.equal(one(x), two(x))


def small(**options) -> Network:
    graph = AreaGraph.chain(["V1", "V2", "IT"], channels=[6, 8, 10], sizes=[8, 4, 2],
                            image=(2, 16, 16), **options)
    return Network(graph)


def test_batches_of_2_7_and_64_are_equal_bit_for_bit_and_of_1_to_1e_5():
    network = small(readout_time=5)
    x = images(64, size=16).float()
    calibrate(network, x, 5)
    with torch.inference_mode():
        whole = network(x)
        for size in (2, 7):
            parts = torch.cat([network(torch.cat([part, x[:size - len(part)]]))[:len(part)]
                               for part in x.split(size)])
            assert torch.equal(parts, whole), size
        single = torch.cat([network(part) for part in x.split(1)])
    torch.testing.assert_close(single, whole, rtol=1e-5, atol=1e-5)


def test_step_keeps_nothing_and_changes_nothing():
    network = small(readout_time=4).train()
    x = images(3, size=16).float()
    with torch.no_grad():
        state = network.initial_state(x)
        before = {area: value.clone() for area, value in state.items()}
        first, second = (network.step(state, 1, x) for _ in range(2))
    assert all(torch.equal(state[area], before[area]) for area in before)
    assert all(torch.equal(first[area], second[area]) for area in first)


def test_empty_is_not_zero():
    network = small(readout_time=2, input="onset", self_transitions=False).train()
    with torch.no_grad():
        state = network.initial_state(images(2, size=16).float())
        populated = [set(state)]
        for s in range(1, 5):
            state = network.step(state, s)
            populated.append(set(state))
    # parity: in a chain without self-transitions every second index
    assert populated == [{"V1"}, {"V2"}, {"V1", "IT"}, {"V2"}, {"V1", "IT"}]
    with pytest.raises(GraphError, match=r"IT is empty at t = 3.*2, 4"):
        network.readout({"V2": state["V1"]}, 3)


def test_past_the_statistics_is_an_error_or_the_last_ones():
    network = small(readout_time=4)
    x = images(20, size=16).float()
    calibrate(network, x, 4)
    with torch.no_grad():
        with pytest.raises(CheckpointError, match="up to 4"):
            network.scores(x, [6])
        network.beyond = "last"
        assert torch.isfinite(network.scores(x, [6])[6]).all()
    with pytest.raises(GraphError, match="'error' or 'last'"):
        network.beyond = "never"


def test_per_step_weights_end_at_the_trained_time():
    network = small(readout_time=4, weights="per-step").train()
    with torch.no_grad(), pytest.raises(CheckpointError, match="trained to step 4"):
        network.scores(images(3, size=16).float(), [5])


def test_seed_makes_the_weights():
    one, same, other = (Network(small().graph, seed=seed) for seed in (1, 1, 2))
    x = images(3, size=16).float()
    with torch.no_grad():
        assert torch.equal(one.train()(x), same.train()(x))
        assert not torch.equal(one(x), other.train()(x))


def test_calibration_stops_where_activity_overflows():
    graph = AreaGraph.chain(["A", "B"], channels=[2, 2], sizes=[4, 4], image=(2, 8, 8), gain=1e9,
                            readout_time=2)
    network = Network(graph)
    reached = calibrate(network, images(4).float(), 30)
    assert 2 <= reached < 30
    with torch.no_grad():
        assert torch.isfinite(network.scores(images(4).float(), [reached])[reached]).all()
        with pytest.raises(CheckpointError, match="no normalization statistics"):
            network.scores(images(4).float(), [reached + 2])
