"""Weights that several transitions and steps share: which there are, and Eq. 6 of the paper."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings

from cortexsim.errors import CheckpointError
from cortexsim.graph import Area, AreaGraph, Connection, SharingSet, Use
from cortexsim.models import Network, parameter_count
from cortexsim.models.weights import layers

from .test_network import images, networks


def unshared(network: Network) -> tuple[Network, dict[str, set[str]]]:
    """Return equal copies at each step, and the names of the copies of each weight."""
    graph = network.graph
    free = replace(graph, weights="per-step", sharing=(), connections=tuple(
        replace(c, weights=None, tie=None) for c in graph.connections))
    made = Network(free, steps=network.steps).double()
    made.load_state_dict({key: value for key, value in network.state_dict().items()
                          if not key.startswith("weights.")}, strict=False)
    copies: dict[str, set[str]] = {}
    for c, own in zip(graph.connections, free.connections, strict=True):
        for s in range(1, network.steps + 1):
            for layer in layers(c):
                key, copy = graph.weight_key(c, layer, s), free.weight_key(own, layer, s)
                if copy in made.weights and c.active(s):
                    copies.setdefault(key, set()).add(copy)
                    made.weights[copy].data.copy_(network.weights[key])
    return made, copies


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_a_weights_gradient_is_the_sum_over_everything_that_shares_it(network):
    free, copies = unshared(network)
    time = network.graph.readout_times(5)[-1]
    x, y = images(4), torch.arange(4)
    for each in (network, free):
        F.cross_entropy(each.train().scores(x, [time])[time], y).backward()
    nothing = torch.zeros((), dtype=torch.float64)
    for key, weight in network.weights.items():
        parts = [grad for copy in copies.get(key, ())
                 if (grad := free.weights[copy].grad) is not None]
        largest = max((float(part.abs().max()) for part in parts), default=0.0)
        torch.testing.assert_close(weight.grad if weight.grad is not None else nothing,
                                   sum(parts, start=nothing).expand_as(weight.grad)
                                   if weight.grad is not None else nothing,
                                   rtol=0, atol=1e-12 * largest)


def two_states(*sets: SharingSet, weights: str = "per-step") -> AreaGraph:
    graph = AreaGraph.chain(["S1", "S2"], "full", channels=[4, 4], sizes=[8, 8], weights=weights,
                            image=(2, 8, 8), input="onset", readout_time=3)
    return replace(graph, sharing=sets)


EARLY = SharingSet("early", (Use("S1", "S1", (1, 2)), Use("S1", "S2", 3)))
ALWAYS = SharingSet("always", tuple(Use(a, b) for a in ("S1", "S2") for b in ("S1", "S2")))
CONVOLUTION = 4 * 4 * 9


@pytest.mark.parametrize(("graph", "transitions"), [
    # two transitions at step 1, from S1; all four at step 2; two at step 3, to S2
    (two_states(), 8),
    (two_states(weights="shared"), 4),
    (two_states(EARLY), 6),
    (two_states(EARLY, weights="shared"), 4),
    (two_states(ALWAYS), 1),
])
def test_parameter_counts_of_sets(graph, transitions):
    network = Network(graph)
    ends = sum(p.numel() for net in (network.pre_net, network.post_net) for p in net.parameters())
    assert parameter_count(network) == ends + transitions * 2 * CONVOLUTION


def test_what_reads_the_drive_itself_counts_no_transition():
    graph = AreaGraph((Area("A", 4, 8, 8),), (Connection("A", "A"),), image=(2, 8, 8),
                      readout_time=1)
    network = Network(graph)
    assert parameter_count(network, 1) - parameter_count(network, 0) == 2 * CONVOLUTION


def test_a_set_has_one_weight_and_lasts_as_long_as_its_uses():
    network = Network(two_states(EARLY))
    assert "early:1" in network.weights and "S1>S1:1@1" not in network.weights
    assert "S1>S1:1@3" in network.weights and network.weights_limit == 3
    forever = Network(two_states(ALWAYS))
    assert set(forever.weights) == {"always:1", "always:2"}
    assert forever.weights_limit == math.inf
    with torch.no_grad():
        assert forever.train().scores(images(2).float(), [9])[9].isfinite().all()
        with pytest.raises(CheckpointError, match="trained to step 3: step 4 has none"):
            network.train().scores(images(2).float(), [4])


def test_a_tied_kernel_starts_the_same_whatever_the_order_of_connections():
    """As a deconvolution it has another fan-in."""
    connections = (Connection("A", "B", layers=1, tie="t"),
                   Connection("B", "A", "brd", layers=1, tie="t"))
    one, two = (Network(AreaGraph((Area("A", 4, 8, 8), Area("B", 8, 4, 4)), order,
                                  image=(2, 8, 8), readout_time=1))
                for order in (connections, connections[::-1]))
    assert one.graph.sha256 == two.graph.sha256
    assert torch.equal(one.weights["t:1"], two.weights["t:1"])
