"""Networks made from trained ones: equal at first, then free."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings

from cortexsim.errors import CheckpointError, GraphError
from cortexsim.graph import Area, AreaGraph, Connection, Normalization, PreNet
from cortexsim.models import Network, calibrate, parameter_count, unshare
from cortexsim.models.derive import carried

from .test_network import close, images, networks


def made(**options) -> Network:
    graph = AreaGraph.chain(["V1", "IT"], channels=[4, 6], sizes=[8, 4], image=(2, 8, 8),
                            **{"readout_time": 4, "pre_net": PreNet(3, 5)} | options)
    network = Network(graph, seed=2).double()
    for i, p in enumerate(network.parameters()):
        p.data += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(i))
    return network


@pytest.mark.parametrize("scale_shift", ["none", "shared", "time-specific"])
@pytest.mark.parametrize("statistics", ["shared", "time-specific"])
def test_unshared_scores_are_equal_at_every_readout_time(scale_shift, statistics):
    network, x = made(normalization=Normalization(statistics, scale_shift)), images(6)
    calibrate(network, x, 4)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    own = unshare(network)
    assert own.graph.weights == "per-step" and own.graph.normalization.statistics == statistics
    assert own.graph.normalization.scale_shift == {"shared": "time-specific"}.get(scale_shift,
                                                                                 scale_shift)
    times = network.graph.readout_times(4)
    for training in (False, True):
        one, two = network.train(training).scores(x, times), own.train(training).scores(x, times)
        assert all(torch.equal(one[t], two[t]) for t in times)
    assert parameter_count(own) > parameter_count(network)
    # free to differ, and the first network never hears of it
    with torch.no_grad():
        for p in own.parameters():
            p.zero_()
    assert all(torch.equal(network.state_dict()[key].nan_to_num(), value.nan_to_num())
               for key, value in before.items())
    with pytest.raises(CheckpointError, match="trained to step 4"):
        own.train().scores(x, [5])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_unsharing_any_graph(network):
    x, own = images(3), unshare(network)
    times = network.graph.readout_times(6)
    with torch.no_grad():
        before, after = network.train().scores(x, times), own.train().scores(x, times)
    assert all(torch.equal(before[t], after[t]) for t in times)
    assert all("@" in key for key in own.weights)


@pytest.mark.parametrize("tie", [None, "w"])
def test_a_shared_weights_gradient_is_the_sum_of_its_copies(tie):
    """Equation 6, right after unsharing; also for a weight that connections share."""
    areas = (Area("A", 4, 8, 8), Area("B", 4, 8, 8))
    graph = AreaGraph(areas, (Connection("A", "B", tie=tie), Connection("B", "B", tie=tie),
                              Connection("A", "A", "identity")),
                      image=(2, 8, 8), input="onset", readout_time=5,
                      normalization=Normalization(scale_shift="shared"))
    network, x, y = Network(graph).double().train(), images(8), torch.arange(8) % 10
    own = unshare(network).train()
    for each in (network, own):
        F.cross_entropy(each(x), y).backward()
    copies = [*own.weights.items(), *own.affine.named_parameters()]
    for name, parameter in [*network.weights.items(), *network.affine.named_parameters()]:
        parts = [p.grad for key, p in copies if key.split("@")[0] == name and p.grad is not None]
        assert len(parts) > 2
        torch.testing.assert_close(parameter.grad, sum(parts), rtol=1e-12, atol=1e-12)


def test_a_sharing_set_dissolves_into_copies():
    graph = AreaGraph.from_text("""
areas: {A: [4, 8, 8], B: [4, 8, 8]}
connections: [{from: A, to: B}, {from: B, to: B}, {from: A, to: A, transition: identity}]
sharing: {early: [{from: A, to: B, steps: [1, 2]}, {from: B, to: B}]}
image: [2, 8, 8]
input: onset
readout_time: 4
""")
    network, x, y = Network(graph).double().train(), images(8), torch.arange(8) % 10
    own = unshare(network).train()
    early = [f"{name}:1@{s}" for name, s in (("A>B", 1), ("A>B", 2), ("B>B", 2), ("B>B", 3),
                                             ("B>B", 4))]
    late = [f"A>B:1@{s}" for s in (3, 4)]
    assert sorted(key for key in own.weights if ":1@" in key) == sorted(early + late)
    for each in (network, own):
        F.cross_entropy(each(x), y).backward()
    for weight, copies in (("early:1", early), ("A>B:1", late)):
        total = sum(own.weights[key].grad for key in copies)
        torch.testing.assert_close(network.weights[weight].grad, total, rtol=1e-12, atol=1e-12)


def test_there_is_no_way_back():
    network = made()
    with pytest.raises(GraphError, match="not to 'shared': copies that have come apart cannot"):
        unshare(network, "shared")
    own = unshare(network)
    with pytest.raises(GraphError, match=r"IT>IT:1@2, IT>IT:1@3.*cannot be one weight"):
        carried(own, network.graph, 4)
    scaled = made(normalization=Normalization(scale_shift="time-specific"))
    for rule in ("shared", "none"):
        graph = replace(scaled.graph, normalization=Normalization(scale_shift=rule))
        with pytest.raises(GraphError, match=f"which '{rule}' has no place for"):
            carried(scaled, graph, 4)


def test_weights_in_a_graph_of_other_rules():
    network, x = made(), images(3)
    graph = replace(network.graph, readout_time=6, input="onset",
                    normalization=Normalization("shared", "time-specific"))
    other = carried(network, graph, 6)
    assert other.statistics_limit == -1 and other.statistics.shared and not other.origin
    fresh = Network(graph, seed=2).double()
    fresh.load_state_dict(network.state_dict() | {
        key: value for key, value in fresh.state_dict().items() if key.startswith("affine.")})
    with torch.no_grad():
        assert close(other.train()(x), fresh.train()(x), 1e-12)
    with pytest.raises(GraphError, match="belong to the steps 1 to 4"):
        carried(unshare(network), replace(unshare(network).graph, readout_time=5), 5)
    assert carried(unshare(network), replace(unshare(network).graph, readout_time=3), 3)
    narrow = AreaGraph.chain(["V1", "IT"], channels=[4, 5], sizes=[8, 4], image=(2, 8, 8))
    with pytest.raises(GraphError, match="those of another graph"):
        carried(network, narrow, 4)
