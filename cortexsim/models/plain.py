"""A network as a plain loop: one connection after another, nothing shared or left out.

What :mod:`cortexsim.models.engine` must equal, up to rounding; tests and the
benchmark run both. Slow, and short enough to be checked by reading.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..graph import AreaGraph, Connection
from .engine import State
from .network import Network
from .statistics import EPSILON
from .transitions import TRANSITIONS


def normalize(network: Network, x: Tensor, site: str, index: int) -> Tensor:
    """Normalize by the batch in training, by the statistics otherwise; then scale and shift."""
    rules = network.graph.normalization
    if network.training:
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = x.var((0, 2, 3), unbiased=False, keepdim=True)
    else:
        at = 0 if rules.statistics == "shared" else index
        mean, variance = network.statistics.table(site)[:, at][:, None, :, None, None]
    x = (x - mean) / (variance + EPSILON).sqrt()
    if rules.scale_shift == "none":
        return x
    name = site if rules.scale_shift == "shared" else f"{site}@{index}"
    learned = dict(network.affine.named_parameters())
    return x * learned[f"scale {name}"][:, None, None] + learned[f"shift {name}"][:, None, None]


def convolve(graph: AreaGraph, connection: Connection, layer: int, x: Tensor,
             weight: Tensor) -> Tensor:
    """Apply one layer; one of them carries the stride."""
    target, padding = graph.area(connection.target), weight.shape[-1] // 2
    stride = graph.stride(connection) if layer == connection.stride_layer else (1, 1)
    if layer == 1 and graph.grows(connection) and stride != (1, 1):
        extra = [n - ((m - 1) * k + 1)
                 for n, m, k in zip(target.shape[1:], x.shape[2:], stride, strict=True)]
        return F.conv_transpose2d(x, weight, stride=stride, padding=padding,
                                  output_padding=extra)
    return F.conv2d(x, weight, stride=stride, padding=padding)


def step(network: Network, state: State, s: int, frame: Tensor | None = None) -> State:
    """Take the state from index s-1 to index s; see :meth:`Network.step`."""
    graph = network.graph
    new: State = {}
    if frame is not None:
        new[graph.first.name] = network.drive(frame)
    for c in graph.connections:
        if not c.active(s) or c.source not in state:
            continue
        x = state[c.source]
        weights = [network.weights[graph.weight_key(c, layer, s)]
                   for layer in range(1, TRANSITIONS[c.transition].layers(c) + 1)]
        if c.transition in ("brc", "brd"):
            for layer, weight in enumerate(weights, start=1):
                site, index = (c.source, s - 1) if layer == 1 else (f"{c.name}:{layer}", s)
                x = convolve(graph, c, layer, F.relu(normalize(network, x, site, index)), weight)
        elif c.transition == "cbr":
            for layer, weight in enumerate(weights, start=1):
                x = F.relu(x) if layer > 1 else x
                x = normalize(network, convolve(graph, c, layer, x, weight),
                              f"{c.name}:{layer + 1}", s)
        elif c.transition == "conv":
            x = convolve(graph, c, 1, x, weights[0])
        elif c.transition == "max_pool":
            x = F.max_pool2d(x, graph.stride(c), graph.stride(c), ceil_mode=True)
        if c.shortcut == "identity":
            x = x + c.gain * state[c.source]
        elif c.has_map:
            weight, y = network.weights[graph.weight_key(c, 0, s)], state[c.source]
            before = c.shortcut == "projection" and c.transition != "cbr"
            after = c.shortcut == "projection" and c.transition == "cbr"
            y = F.relu(normalize(network, y, c.source, s - 1)) if before else y
            y = linear(graph, c, y, weight)
            x = x + (normalize(network, y, f"{c.name}:0", s) if after else y)
        new[c.target] = new[c.target] + x if c.target in new else x
    return {area: F.relu(x) if graph.area(area).activation == "relu" else x
            for area, x in new.items()}


def linear(graph: AreaGraph, connection: Connection, x: Tensor, weight: Tensor) -> Tensor:
    """Apply the map of a shortcut."""
    stride = graph.stride(connection)
    if not graph.grows(connection):
        return F.conv2d(x, weight, stride=stride)
    height, width = graph.area(connection.target).shape[1:]
    return F.conv_transpose2d(x, weight, stride=stride)[..., :height, :width]


def run(network: Network, images: Tensor, steps: int) -> list[State]:
    """Return the states at the indices 0 to ``steps``, in the graph's own input mode."""
    sustained = network.graph.input == "sustained"
    states = [network.initial_state(images)]
    for s in range(1, steps + 1):
        states.append(step(network, states[-1], s, images if sustained else None))
    return states
