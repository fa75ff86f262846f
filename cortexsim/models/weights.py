"""Which weights a graph has, how they start, and how many reach the readout."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..graph import AreaGraph, Connection, sharing
from . import normalization
from .transitions import TRANSITIONS, is_deconvolution

if TYPE_CHECKING:
    from .network import Network


def seeded_normal(shape: Sequence[int], fan_in: int, seed: int, name: str) -> Tensor:
    """Draw a weight as He et al. 2015 do, from a stream of its own.

    Each weight has its own stream, named, so that neither the order of
    connections nor another weight's shape changes it, and copies that a weight
    has at several steps start equal.
    """
    digest = sha256(f"{seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    values: Tensor = torch.randn(*shape, generator=generator)
    return values * float((2 / fan_in) ** 0.5)


def layers(connection: Connection) -> range:
    """Return the layers of a connection that have weights; 0 is its shortcut's map."""
    first = 0 if connection.has_map else 1
    return range(first, TRANSITIONS[connection.transition].layers(connection) + 1)


def initial_weights(graph: AreaGraph, steps: int, seed: int) -> dict[str, nn.Parameter]:
    """Return all weights of a graph by their keys (:meth:`AreaGraph.weight_key`).

    Parameters
    ----------
    graph
        The graph.
    steps
        Per-step weights have a copy at each step to this one at which their
        connection can fire; all copies start equal.
    seed
        Of the values.
    """
    populated = graph.populated(steps, [True] * (steps + 1))
    found: dict[str, nn.Parameter] = {}
    # a tied kernel has another fan-in in a deconvolution: not the order given, the names decide
    for c in sorted(graph.connections, key=lambda c: (c.name, c.steps[0])):
        for layer in layers(c):
            shape = graph.kernel_shape(c, layer)
            # kernels of deconvolutions are stored with their inputs first
            inputs_first = graph.grows(c) if layer == 0 else (
                layer == 1 and is_deconvolution(graph, c))
            fan_in = shape[0 if inputs_first else 1] * shape[2] * shape[3]
            if graph.weight_sharing(c) == "shared":
                uses = sharing.starts(graph, c)
            else:
                uses = [s for s in range(1, steps + 1)
                        if c.active(s) and c.source in populated[s - 1]]
            for key in dict.fromkeys(graph.weight_key(c, layer, s) for s in uses):
                values = seeded_normal(shape, fan_in, seed, key.split("@")[0])
                found.setdefault(key, nn.Parameter(values))
    return dict(sorted(found.items()))


def parameter_count(network: Network, readout_time: int | None = None) -> int:
    """Count the parameters that can reach the readout at a time.

    Parameters
    ----------
    network
        The network.
    readout_time
        By default the graph's.

    Returns
    -------
    int
        Pre-net, post-net, and each weight, scale and shift of a transition that fires
        and whose result can reach the last area at that time, once.
    """
    graph = network.graph
    time = graph.readout_time if readout_time is None else readout_time
    sustained = graph.input == "sustained"
    populated = graph.populated(time, [True] + [sustained] * time)
    wanted: list[set[str]] = [set() for _ in range(time)]
    needed = graph.needed([*wanted, {graph.last.name}])
    firing = [(c, s) for s in range(1, time + 1)
              for c in graph.firing(s, populated[s - 1], needed[s])]
    keys = {graph.weight_key(c, layer, s) for c, s in firing for layer in layers(c)}
    places = {(place, 0) for place in network.pre_net.sites()}
    places |= {use for c, s in firing for use in normalization.uses(c, s)}
    # by identity: a shared one comes up at every index
    learned = {id(p): p for use in places for p in network.affine.at(*use) or ()}
    parts = [network.weights[key] for key in keys]
    return sum(p.numel() for p in [*parts, *learned.values(), *network.pre_net.parameters(),
                                   *network.post_net.parameters()])
