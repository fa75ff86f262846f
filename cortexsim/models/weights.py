"""Which weights a graph has, how they start, and how many reach the readout."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..errors import GraphError
from ..graph import AreaGraph, Connection, sharing
from . import normalization
from .transitions import TRANSITIONS, is_deconvolution

if TYPE_CHECKING:
    from .network import Network

#: Parameters of a network at most: 2 GiB of them.
MOST = 2**29


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
    found: dict[str, nn.Parameter] = {}
    for key, shape, fan_in in _needed(graph, steps):
        if key not in found:
            found[key] = nn.Parameter(seeded_normal(shape, fan_in, seed, key.split("@")[0]))
    return dict(sorted(found.items()))


def _needed(graph: AreaGraph, steps: int) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Yield the key, shape and fan-in of each weight; the first of a key holds."""
    populated = graph.populated(steps, [True] * (steps + 1))
    # a tied kernel has another fan-in in a deconvolution: not the order given, the names decide
    for c in sorted(graph.connections, key=lambda c: (c.name, c.steps[0])):
        for layer in layers(c):
            shape = graph.kernel_shape(c, layer)
            # kernels of deconvolutions are stored with their inputs first
            inputs_first = graph.grows(c) if layer == 0 else (
                layer == 1 and is_deconvolution(graph, c))
            fan_in = shape[0 if inputs_first else 1] * shape[2] * shape[3]
            uses: Iterable[int] = sharing.starts(graph, c)
            if graph.weight_sharing(c) != "shared":
                uses = (s for s in range(1, steps + 1)
                        if c.active(s) and c.source in populated[s - 1])
            for s in uses:
                yield graph.weight_key(c, layer, s), shape, fan_in


def check_size(graph: AreaGraph, classes: int, steps: int, most: int = MOST) -> None:
    """Refuse a network of more numbers than there are, before memory is taken for any.

    Parameters
    ----------
    graph, classes, steps
        As for :class:`Network`.
    most
        Numbers that there are for its parameters, such as those of a file.

    Raises
    ------
    GraphError
        If it has more parameters.
    """
    first, net = graph.first.channels, graph.pre_net
    middle = net.channels or first
    ends = [graph.image[0], *[middle] * (net.layers - 1), first] if net.layers else []
    total = sum(i * o * net.kernel**2 for i, o in itertools.pairwise(ends))
    total += classes * graph.last.channels
    seen: set[str] = set()
    for key, shape, _ in _needed(graph, steps):
        if total > most:
            break
        if key not in seen:
            seen.add(key)
            total += math.prod(shape)
    if total > most:
        raise GraphError(
            f"the network that the graph describes has more than {most:,} parameters"
            + (", as many as its file holds numbers" if most < MOST else ", the most there can be"))


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
