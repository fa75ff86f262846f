"""The transitions of one step, together: what can be computed once is computed once.

All savings are exact up to the order of floating-point sums:

- transitions that leave one area share its normalization and ReLU, and those of
  one stride share one wider convolution;
- the last layers of all transitions into one area are one convolution over their
  joined inputs, except over large maps in training on a processor;
- outside training, a normalization is folded into the convolution before it;
- in training, convolutions of large strides skip the gaps (see ``strided``), and few
  channels are normalized several pixels at a time (see ``narrow``).

The first two are for transitions that normalize before they convolve (``brc``,
``brd``); those that normalize afterwards (``cbr``) are applied one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..graph import AreaGraph, Connection
from . import strided
from .transitions import TRANSITIONS, is_deconvolution, layer_stride, resample, shortcut

if TYPE_CHECKING:
    from .network import Network

State = dict[str, Tensor]

#: Takes a state, a step and the connections that fire; see :func:`transitions`.
Arrivals = Callable[[State, int, Sequence[Connection]], dict[str, list[Tensor]]]

#: Bytes of activity above which joining costs a processor more than one wide convolution saves.
LARGE = 4_000_000


@lru_cache(maxsize=4096)
def plan(graph: AreaGraph, s: int, sources: frozenset[str],
         targets: frozenset[str]) -> tuple[Connection, ...]:
    """Return the connections that fire, in an order that does not depend on the graph's."""
    return tuple(sorted(graph.firing(s, sources, targets), key=lambda c: c.name))


def site(connection: Connection, layer: int) -> str:
    """Name the place where the input of a layer is normalized, for layers 2 and later.

    With normalization after convolutions, one more layer than there are stands for
    the output of the last, and layer 0 for the projection's.
    """
    return f"{connection.name}:{layer}"


def activate(graph: AreaGraph, area: str, x: Tensor) -> Tensor:
    """Apply an area's activation to what was summed in it."""
    return F.relu(x) if graph.area(area).activation == "relu" else x


def add(tensors: Sequence[Tensor]) -> Tensor:
    """Sum in the order given."""
    total = tensors[0]
    for k, tensor in enumerate(tensors[1:]):
        # the first sum is new, so that the next ones may go into it
        total = total.add_(tensor) if k and not torch.is_grad_enabled() else total + tensor
    return total


def step(graph: AreaGraph, arrivals: Arrivals, state: State, s: int, drive: Tensor | None,
         areas: Collection[str] | None) -> State:
    """Take the state from index s-1 to index s, by what is to be summed in each area.

    Parameters
    ----------
    graph
        The graph.
    arrivals
        What connections hand on.
    state, s, drive, areas
        As in :meth:`Network.step`.
    """
    wanted = frozenset(graph.names if areas is None else areas)
    sums = arrivals(state, s, plan(graph, s, frozenset(state), wanted))
    first = graph.first.name
    if drive is not None and first in wanted:
        sums.setdefault(first, []).append(drive)
    return {area: activate(graph, area, add(sums[area])) for area in graph.names if area in sums}


def transitions(network: Network, state: State, s: int,
                firing: Sequence[Connection]) -> dict[str, list[Tensor]]:
    """Apply all connections that fire at step s.

    Parameters
    ----------
    network
        Owner of weights and statistics.
    state
        Area to activity at index s-1, shape (batch, channels, height, width).
    s
        The step.
    firing
        From :func:`plan`.

    Returns
    -------
    dict
        Target to what is to be summed there.
    """
    sums: dict[str, list[Tensor]] = {}
    graph = network.graph
    active = activated(network, state, s, firing)
    for c in firing:
        x, kind = state[c.source], TRANSITIONS[c.transition]
        if kind.normalization == "after":
            for layer in range(1, c.layers + 1):
                x = convolve(network, x if layer == 1 else F.relu(x), c, layer, s)
            sums.setdefault(c.target, []).append(x)
        elif kind.normalization == "none":
            weights = [network.weight(c, layer, s) for layer in range(1, kind.layers(c) + 1)]
            result = kind.apply(x, weights, graph.stride(c), graph.area(c.target).shape[1:])
            sums.setdefault(c.target, []).append(result)
        if c.shortcut == "projection" and kind.normalization == "after":
            sums.setdefault(c.target, []).append(convolve(network, state[c.source], c, 0, s))
        elif c.shortcut != "none":
            weight = network.weight(c, 0, s) if c.has_map else None
            x = (active if c.shortcut == "projection" else state)[c.source]
            sums.setdefault(c.target, []).append(shortcut(graph, c, x, weight))
    direct, inputs = first_layers(network, active, s, firing)
    for target, parts in direct.items():
        sums.setdefault(target, []).extend(parts)
    for layer in range(2, max((c.layers for c in inputs), default=2)):
        inputs = {c: middle_layer(network, x, c, layer, s) if layer < c.layers else x
                  for c, x in inputs.items()}
    for group in last_groups(graph, tuple(inputs)):
        sums.setdefault(group[0].target, []).extend(_last_layers(network, inputs, group, s))
    return sums


def convolve(network: Network, x: Tensor, connection: Connection, layer: int, s: int, *,
             normalize: bool = True) -> Tensor:
    """Apply one layer of a ``cbr`` transition, or its projection (0), and its normalization.

    Parameters
    ----------
    network, s
        As in :func:`transitions`.
    x
        Shape (batch, channels, height, width).
    connection, layer
        Which.
    normalize
        Whether to normalize the result (calibration measures it before).
    """
    place, graph = site(connection, layer + 1 if layer else 0), network.graph
    weight, bias = network.weight(connection, layer, s), None
    stride = layer_stride(graph, connection, layer) if layer else graph.stride(connection)
    if normalize and not network.training:
        scale, bias = network.scale_shift([place], s)
        weight = weight * scale[:, None, None, None]
    x = resample(x, weight, stride, bias=bias)
    return network.normalize(x, [place], s) if normalize and network.training else x


def activated(network: Network, state: State, s: int, firing: Sequence[Connection]) -> State:
    """Return BN-ReLU of every area that a transition reads so, at index s-1."""
    sources = dict.fromkeys(c.source for c in firing
                            if TRANSITIONS[c.transition].normalization == "before")
    return {area: F.relu(network.normalize(state[area], [area], s - 1), inplace=True)
            for area in sources}


def first_layers(
    network: Network, active: State, s: int, firing: Sequence[Connection], *,
    fold: bool | None = None,
) -> tuple[dict[str, list[Tensor]], dict[Connection, Tensor]]:
    """Apply the first layer of all transitions that normalize before.

    Parameters
    ----------
    network, s, firing
        As in :func:`transitions`.
    active
        From :func:`activated`.
    fold
        Whether to normalize the outputs too; by default outside training.

    Returns
    -------
    tuple
        What one-layer transitions add to their targets, and the outputs of the others.
    """
    fold = not network.training if fold is None else fold
    direct: dict[str, list[Tensor]] = {}
    inputs: dict[Connection, Tensor] = {}
    for group in first_groups(network.graph, tuple(firing)):
        up = is_deconvolution(network.graph, group[0])
        outputs = 1 if up else 0
        weights = [network.weight(c, 1, s) for c in group]
        sizes = [w.shape[outputs] for w in weights]
        weight, bias = _join(weights, outputs), None
        if fold and group[0].layers > 1:
            scale, bias = network.scale_shift([site(c, 2) for c in group], s)
            weight = weight * (scale[:, None, None] if up else scale[:, None, None, None])
        size = network.graph.area(group[0].target).shape[1:]
        stride = layer_stride(network.graph, group[0], 1)
        x = active[group[0].source]
        x = (strided.resample(x, weight, stride, size) if network.training
             else resample(x, weight, stride, size, bias))
        for connection, part in zip(group, torch.split(x, sizes, 1), strict=True):
            if connection.layers == 1:
                direct.setdefault(connection.target, []).append(part)
            else:
                inputs[connection] = part
    return direct, inputs


def middle_layer(network: Network, x: Tensor, connection: Connection, layer: int, s: int, *,
                 fold: bool | None = None) -> Tensor:
    """Apply a layer that is neither first nor last.

    Parameters
    ----------
    network, s
        As in :func:`transitions`.
    x
        Its input; outside training, normalized already.
    connection, layer
        Which.
    fold
        Whether to normalize the output too; by default outside training.
    """
    fold = not network.training if fold is None else fold
    if network.training:
        x = network.normalize(x, [site(connection, layer)], s)
    weight, bias = network.weight(connection, layer, s), None
    if fold:
        scale, bias = network.scale_shift([site(connection, layer + 1)], s)
        weight = weight * scale[:, None, None, None]
    stride = layer_stride(network.graph, connection, layer)
    return resample(F.relu(x), weight, stride, bias=bias)


def _last_layers(network: Network, inputs: dict[Connection, Tensor], group: list[Connection],
                 s: int) -> list[Tensor]:
    """Apply the last layers of several transitions into one area, as one convolution.

    Not so for large maps in training on a processor; what is returned is to be summed.
    """
    parts = [inputs[c] for c in group]
    if (len(group) > 1 and network.training and parts[0].device.type == "cpu"
            and sum(x.numel() * x.element_size() for x in parts) > LARGE):
        return [x for c in group for x in _last_layers(network, inputs, [c], s)]
    x = _join(parts, 1)
    if network.training:
        x = network.normalize(x, [site(c, c.layers) for c in group], s)
    weight = _join([network.weight(c, c.layers, s) for c in group], 1)
    stride = layer_stride(network.graph, group[0], group[0].layers)
    # in training x is fresh, and the backward pass of its normalization needs only its input
    inplace = network.training or not torch.is_grad_enabled()
    return [resample(F.relu(x, inplace=inplace), weight, stride)]


@lru_cache(maxsize=4096)
def first_groups(graph: AreaGraph, firing: tuple[Connection, ...]) -> list[list[Connection]]:
    """Group normalized connections whose first layers are one wider convolution."""
    groups: dict[tuple[object, ...], list[Connection]] = {}
    for c in firing:
        if TRANSITIONS[c.transition].normalization == "before":
            kind = (c.source, layer_stride(graph, c, 1), graph.grows(c), c.kernel_size(1),
                    graph.area(c.target).shape[1:], c.layers == 1)
            groups.setdefault(kind, []).append(c)
    return list(groups.values())


@lru_cache(maxsize=4096)
def last_groups(graph: AreaGraph, connections: tuple[Connection, ...]) -> list[list[Connection]]:
    """Group connections whose last layers are one convolution over their joined inputs."""
    groups: dict[tuple[object, ...], list[Connection]] = {}
    for c in connections:
        stride = layer_stride(graph, c, c.layers)
        # maps of different sizes can only be joined once they are brought to one
        area = graph.area(c.source)
        size: object = (area.shape[1:] or area.name) if stride != (1, 1) else ()
        groups.setdefault((c.target, c.kernel_size(c.layers), stride, size), []).append(c)
    return list(groups.values())


def _join(tensors: list[Tensor], dim: int) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim)
