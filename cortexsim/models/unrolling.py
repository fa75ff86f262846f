"""Unroll a network in time: a recurrent network is a feed-forward one with shared weights.

Each transition at each step becomes a module of ``torch.nn`` layers, and the whole
one straight line of code without a loop, in which a ResNet can be recognized
(Liao & Poggio 2016, figures 1 and 3).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, fx, nn

from ..errors import GraphError
from ..graph import Connection
from ..graph.validate import runs
from . import engine
from .modules import Crop, Leak, Rescale, Residual
from .network import Network
from .statistics import EPSILON
from .transitions import TRANSITIONS, added, is_deconvolution, layer_stride

#: torch's share of a new batch in the running statistics.
MOMENTUM = 0.1


def unroll(network: Network, time: int | None = None, *, copy: bool = False) -> fx.GraphModule:
    """Return a plain feed-forward module that does the same as a network up to a readout.

    It maps images of shape (batch, channels, height, width) to class scores, in the
    network's own input mode, and has only what can reach the readout: ``pre_net``, a
    module for each transition and step, such as ``V1_to_V2_at_3``, and ``post_net``.
    Its ``code`` can be printed.

    Parameters
    ----------
    network
        The network; in its mode, training or evaluation, the module begins.
    time
        The readout time; by default the graph's.
    copy
        Whether each module has a weight of its own, to be trained apart. By default
        they are the network's own parameters, so that a shared weight gets the sum
        of the gradients of its uses.

    Returns
    -------
    torch.fx.GraphModule
        Its normalizations begin with the network's statistics, if it has any. They keep
        them in training, unless weights are copies: then they follow the batches, as
        usual.

    Raises
    ------
    GraphError
        If the last area is empty at that time; says when it is not.
    CheckpointError
        If per-step weights end before that time, or, in evaluation mode, there are no
        statistics at a step.
    """
    graph = network.graph
    time = graph.readout_time if time is None else time
    first, last = graph.first.name, graph.last.name
    possible = graph.readout_times(max(time, 0) + 10)
    if time not in possible:
        raise GraphError(
            f"the last area '{last}' is empty at readout time {time}; with {graph.input} input it "
            f"can be read at {runs(possible)}"
        )
    parts, line = _Parts(network, copy), _Line(network)
    drive = line.call("pre_net", parts.pre_net(), line.images)
    state = {first: line.total(first, 0, [drive])}
    needed = graph.needed([*[()] * time, {last}])
    for s in range(1, time + 1):
        sums: dict[str, list[fx.Node]] = {}
        for c in engine.plan(graph, s, frozenset(state), needed[s]):
            made = line.call(f"{c.source}_to_{c.target}_at_{s}", parts.transition(c, s),
                             state[c.source])
            sums.setdefault(c.target, []).append(made)
        if graph.input == "sustained" and first in needed[s]:
            sums.setdefault(first, []).append(drive)
        state = {area: line.total(area, s, nodes) for area, nodes in sums.items()}
    line.graph.output(line.call("post_net", parts.post_net(time), state[last]))
    return fx.GraphModule(line.modules, line.graph, "Unrolled").train(network.training)


class _Line:
    """The straight line of code, and the modules that it calls."""

    def __init__(self, network: Network) -> None:
        self.graph, self.modules, self.areas = fx.Graph(), nn.Module(), network.graph
        self.images = self.graph.placeholder("images")

    def call(self, name: str, module: nn.Module, x: fx.Node) -> fx.Node:
        """Call a module, under a name made of letters, digits and ``_``."""
        name = re.sub(r"\W", "_", name)
        while hasattr(self.modules, name):  # of areas such as V-1 and V_1
            name += "_"
        self.modules.add_module(name, module)
        return self.graph.create_node("call_module", name, (x,), name=name)

    def total(self, area: str, index: int, nodes: Sequence[fx.Node]) -> fx.Node:
        """Sum what comes into an area, and apply its activation."""
        total, name = nodes[0], f"{area}_at_{index}"
        for node in nodes[1:]:
            total = self.graph.create_node("call_function", operator.add, (total, node), name=name)
        if self.areas.area(area).activation == "relu":
            total = self.graph.create_node("call_function", F.relu, (total,), name=name)
        return total


class _Parts:
    """The modules of an unrolled network, with its weights and statistics."""

    def __init__(self, network: Network, copy: bool) -> None:
        self.network, self.copy = network, copy

    def transition(self, c: Connection, s: int) -> nn.Module:
        """Return a connection as it is at a step, with its shortcut."""
        kind, parts = TRANSITIONS[c.transition].normalization, list[nn.Module]()
        if c.transition == "max_pool":
            stride = self.network.graph.stride(c)
            parts.append(nn.MaxPool2d(stride, stride, ceil_mode=True))
        for layer in range(1, c.layers + 1):
            if kind == "before":
                place, index = (c.source, s - 1) if layer == 1 else (engine.site(c, layer), s)
                parts += [self.norm(place, index), nn.ReLU()]
            elif kind == "after" and layer > 1:
                parts.append(nn.ReLU())
            parts.append(self.layer(c, layer, s))
            if kind == "after":
                parts.append(self.norm(engine.site(c, layer + 1), s))
        whole = _chain(parts)
        return whole if c.shortcut == "none" else Residual(whole, self.shortcut(c, s))

    def shortcut(self, c: Connection, s: int) -> nn.Module:
        """Return the shortcut of a connection at a step."""
        if c.shortcut == "identity":
            return nn.Identity() if c.gain == 1 else Leak(c.gain)
        graph, kind = self.network.graph, TRANSITIONS[c.transition].normalization
        stride, weight = graph.stride(c), self.network.weight(c, 0, s)
        parts: list[nn.Module] = []
        if c.shortcut == "projection" and kind == "before":
            parts += [self.norm(c.source, s - 1), nn.ReLU()]
        if graph.grows(c):
            _, height, width = graph.area(c.target).shape
            parts += [self.convolution(weight, stride, padding=0, up=(0, 0)), Crop(height, width)]
        else:
            parts.append(self.convolution(weight, stride))
        if c.shortcut == "projection" and kind == "after":
            parts.append(self.norm(engine.site(c, 0), s))
        return _chain(parts)

    def layer(self, c: Connection, layer: int, s: int) -> nn.Module:
        """Return one (de)convolution of a connection at a step."""
        graph, weight = self.network.graph, self.network.weight(c, layer, s)
        stride, up = layer_stride(graph, c, layer), None
        if layer == 1 and is_deconvolution(graph, c):
            up = added(graph.area(c.source).shape[1:], graph.area(c.target).shape[1:], stride)
        return self.convolution(weight, stride, up=up)

    def convolution(self, weight: Tensor, stride: tuple[int, int], *, padding: int | None = None,
                    up: tuple[int, int] | None = None) -> nn.Module:
        """Return a convolution, or, with rows and columns to add (`up`), a deconvolution."""
        kernel = (weight.shape[2], weight.shape[3])
        padding = kernel[0] // 2 if padding is None else padding
        made: nn.Conv2d | nn.ConvTranspose2d
        if up is None:
            outputs, inputs = weight.shape[:2]
            made = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False, device="meta")
        else:
            inputs, outputs = weight.shape[:2]
            made = nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, up, bias=False,
                                      device="meta")
        made.weight = self.own(weight)
        return made

    def norm(self, place: str, index: int) -> nn.BatchNorm2d:
        """Return the normalization of a site at an index."""
        network = self.network
        learned = network.affine.at(place, index, network.beyond)
        return self.batch_norm(place, index, learned)

    def batch_norm(self, place: str, index: int,
                   learned: tuple[Tensor, Tensor] | None) -> nn.BatchNorm2d:
        """Return a normalization with its statistics, and a scale and shift if it has them."""
        statistics = self.network.statistics
        table = statistics.table(place)
        made = nn.BatchNorm2d(table.shape[2], EPSILON, MOMENTUM, affine=learned is not None,
                              device=table.device, dtype=table.dtype)
        if learned is not None:
            made.weight, made.bias = map(self.own, learned)
        if not self.network.training or statistics.has(place, index, statistics.beyond):
            mean, variance = statistics.moments(place, index)
            made.running_mean, made.running_var = mean.clone(), variance.clone()
            made.momentum = MOMENTUM if self.copy else 0.0
        return made

    def own(self, parameter: Tensor) -> nn.Parameter:
        """Return the parameter, or a copy of it."""
        if self.copy or not isinstance(parameter, nn.Parameter):
            return nn.Parameter(parameter.detach().clone())
        return parameter

    def pre_net(self) -> nn.Module:
        """Return what turns images into drive."""
        net, parts = self.network.pre_net, list[nn.Module]()
        if net.own_range:
            parts.append(Rescale(net.factor, net.offset))
        for k, weight in enumerate(net.weights, start=1):
            if k > 1:
                parts += [self.norm(f"pre_net:{k}", 0), nn.ReLU()]
            parts.append(self.convolution(weight, net.stride if k == len(net.weights) else (1, 1)))
        if net.normalize:
            parts += [self.norm(f"pre_net:{len(net.weights) + 1}", 0), nn.ReLU()]
        if net.pool > 1:
            parts.append(nn.MaxPool2d(3, net.pool, padding=1))
        return _chain(parts)

    def post_net(self, time: int) -> nn.Module:
        """Return what turns the last area into class scores."""
        net, last = self.network.post_net, self.network.graph.last.name
        parts: list[nn.Module] = []
        if net.normalize:
            parts += [self.batch_norm(last, time, (net.scale, net.shift)), nn.ReLU()]
        classes, channels = net.weight.shape
        linear = nn.Linear(channels, classes, device="meta")
        linear.weight, linear.bias = self.own(net.weight), self.own(net.bias)
        return _chain([*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear])


def _chain(parts: Sequence[nn.Module]) -> nn.Module:
    if not parts:
        return nn.Identity()
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
