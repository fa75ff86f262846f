"""The same network as a plain loop: one connection after another, nothing shared or left out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cortexsim.graph import AreaGraph
from cortexsim.models import Network
from cortexsim.models.transitions import TRANSITIONS


def norm(network: Network, x: Tensor, site: str, index: int) -> Tensor:
    if network.training:
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = x.var((0, 2, 3), unbiased=False, keepdim=True)
    else:
        mean, variance = network.statistics.table(site)[:, index][:, None, :, None, None]
    return (x - mean) / (variance + 1e-5).sqrt()


def convolve(graph: AreaGraph, connection, layer: int, x: Tensor, weight: Tensor) -> Tensor:
    target = graph.area(connection.target)
    stride = graph.stride(connection) if layer == 1 else (1, 1)
    if layer == 1 and graph.grows(connection) and stride != (1, 1):
        extra = [n - ((m - 1) * k + 1)
                 for n, m, k in zip(target.shape[1:], x.shape[2:], stride, strict=True)]
        return F.conv_transpose2d(x, weight, stride=stride, padding=1, output_padding=extra)
    return F.conv2d(x, weight, stride=stride, padding=1)


def step(network: Network, state: dict[str, Tensor], s: int, frame: Tensor | None = None):
    graph, new = network.graph, {}
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
                x = convolve(graph, c, layer, F.relu(norm(network, x, site, index)), weight)
        elif c.transition == "conv":
            x = convolve(graph, c, 1, x, weights[0])
        elif c.transition == "max_pool":
            x = F.max_pool2d(x, graph.stride(c), graph.stride(c), ceil_mode=True)
        if c.shortcut == "identity":
            x = x + c.gain * state[c.source]
        elif c.shortcut == "linear":
            weight = network.weights[graph.weight_key(c, 0, s)]
            _, height, width = graph.area(c.target).shape
            if graph.grows(c):
                y = F.conv_transpose2d(state[c.source], weight, stride=graph.stride(c))
                x = x + c.gain * y[..., :height, :width]
            else:
                x = x + c.gain * F.conv2d(state[c.source], weight, stride=graph.stride(c))
        new[c.target] = new[c.target] + x if c.target in new else x
    return new


def run(network: Network, images: Tensor, steps: int) -> list[dict[str, Tensor]]:
    sustained = network.graph.input == "sustained"
    states = [network.initial_state(images)]
    for s in range(1, steps + 1):
        states.append(step(network, states[-1], s, images if sustained else None))
    return states


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return bool(torch.allclose(a, b, rtol=tolerance, atol=tolerance * float(b.abs().max())))
