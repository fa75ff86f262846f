"""Networks made from trained ones: the same weights under other rules of sharing over time."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..errors import GraphError
from ..graph import AreaGraph, Normalization, sharing
from .network import Network
from .normalization import ScaleShift
from .weights import initial_weights, layers

#: What of a graph may change while its weights stay what they are.
_RULES = ("weights", "sharing", "readout_time", "input", "normalization", "name")


def with_statistics(network: Network, statistics: str) -> Network:
    """Return a copy of a network whose statistics of normalization follow the other rule.

    Training uses the statistics of the batch under either rule, so that the same
    trained weights serve both.

    Parameters
    ----------
    network
        Not changed.
    statistics
        ``"time-specific"`` or ``"shared"``; see :class:`Normalization`.

    Returns
    -------
    Network
        Without statistics: to be calibrated, see :func:`calibrate`.

    Raises
    ------
    GraphError
        If there is no such rule.
    """
    rule = Normalization(statistics, network.graph.normalization.scale_shift)
    made = copy.deepcopy(network)
    made.graph = replace(network.graph, normalization=rule)
    _forget(made)
    made.statistics.shared = statistics == "shared"
    return made


def unshare(network: Network, weights: str = "per-step") -> Network:
    """Return a network with a weight of its own at each step, all equal to the shared one.

    So are its scales and shifts, where the network learned shared ones. Sharing sets
    dissolve; connections that are tied stay so, at each step. Statistics are kept: the
    scores are equal at every readout time to the trained one, past which weights per
    step end. Training can then move the copies apart.

    Parameters
    ----------
    network
        Not changed.
    weights
        ``"per-step"``: there is no way back, since copies that have come apart cannot
        be one weight again.

    Raises
    ------
    GraphError
        If `weights` is another word; if a sharing set kept connections apart that are tied.
    """
    if weights != "per-step":
        raise GraphError(f"a network can be unshared to weights 'per-step', not to {weights!r}: "
                         "copies that have come apart cannot be one weight again")
    made = carried(network, unshared(network.graph), network.steps)
    made.statistics = copy.deepcopy(network.statistics)
    made.calibration = dict(network.calibration)
    return made


def unshared(graph: AreaGraph) -> AreaGraph:
    """Return a graph whose weights, and scales and shifts if it has any, are all per step."""
    connections = tuple(replace(c, weights=None) for c in graph.connections)
    rules = graph.normalization
    if rules.scale_shift == "shared":
        rules = replace(rules, scale_shift="time-specific")
    return replace(graph, weights="per-step", connections=connections, normalization=rules,
                   sharing=())


def carried(network: Network, graph: AreaGraph, steps: int) -> Network:
    """Return a network of another graph with the weights of this one, and no statistics.

    Parameters
    ----------
    network
        Not changed.
    graph
        Differs at most in what is shared over time, in readout time, input mode,
        normalization and name.
    steps
        The longest time to be trained.

    Raises
    ------
    GraphError
        If the graph differs in more; if weights, scales or shifts of steps would have
        to become one, or be dropped; or if they do not reach to the last step.
    """
    if _structure(network.graph) != _structure(graph):
        raise GraphError(
            "the weights are those of another graph: only what is shared over time, readout "
            "time, input mode and normalization may differ from the graph they were trained in")
    if steps > network.weights_limit:
        raise GraphError(f"weights, or scales and shifts, belong to the steps 1 to "
                         f"{network.steps}: there are none for a training to {steps}")
    made = copy.deepcopy(network)
    made.graph, made.steps = graph, steps
    made.weights = nn.ParameterDict({
        key: nn.Parameter(network.weights[source].detach().clone())
        for key, source in _sources(network, graph, steps).items()})
    made.affine = _affine(network, graph, steps)
    made.statistics.shared = graph.normalization.statistics == "shared"
    _forget(made)
    return made


def _structure(graph: AreaGraph) -> dict[str, Any]:
    data = {key: value for key, value in graph.to_dict().items() if key not in _RULES}
    data["connections"] = [{key: value for key, value in c.items() if key != "weights"}
                           for c in data["connections"]]
    return data


def _sources(network: Network, graph: AreaGraph, steps: int) -> dict[str, str]:
    """Return, for each weight of a graph, the weight of the network that it starts from."""
    found: dict[str, set[str]] = {key: set() for key in initial_weights(graph, steps, seed=0)}
    for new, old in zip(graph.connections, network.graph.connections, strict=True):
        for layer in layers(new):
            for s in {*filter(new.active, range(1, max(steps, network.steps) + 1)),
                      *sharing.starts(graph, new), *sharing.starts(network.graph, old)}:
                key = graph.weight_key(new, layer, s)
                source = network.graph.weight_key(old, layer, s)
                if key in found and source in network.weights:
                    found[key].add(source)
    for key, sources in found.items():
        if len(sources) > 1:
            raise GraphError(f"{', '.join(sorted(sources))} have come apart and cannot be one "
                             f"weight '{key}' again, by a tie, a sharing set or over time")
    return {key: sources.pop() for key, sources in found.items()}


def _affine(network: Network, graph: AreaGraph, steps: int) -> ScaleShift:
    """Return the scales and shifts of a graph, started from those of the network."""
    before, after = network.graph.normalization.scale_shift, graph.normalization.scale_shift
    if before != after and (before, after) not in (
            ("none", "shared"), ("none", "time-specific"), ("shared", "time-specific")):
        raise GraphError(f"{before} scales and shifts were trained, which '{after}' has no place "
                         "for")
    made = ScaleShift(graph, steps, network.pre_net.sites())
    made.to(next(network.parameters()))
    with torch.no_grad():
        for place, indices in made.indices.items():
            for index in [0] if indices is None else indices:
                start, target = network.affine.at(place, index), made.at(place, index)
                for value, copied in zip(target or (), start or (), strict=False):
                    value.copy_(copied)
    return made


def _forget(network: Network) -> None:
    network.statistics.forget()
    network.origin, network.calibration = {}, {}
