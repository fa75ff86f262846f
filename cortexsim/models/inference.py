"""A network made ready for a run: what does not change while it runs is computed once.

Equals :meth:`Network.step` outside training, up to the order of floating-point sums.
Kept from one step to the next: joined weights with the normalizations behind them
folded in (in the network's own precision, then rounded to the run's), and the memory in
which the inputs of a joined convolution lie side by side. Activity and weights are in
the precision of the run, channels innermost, so no convolution converts its operands.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ..graph import Connection
from . import engine
from .engine import State, site
from .network import Network
from .transitions import TRANSITIONS, is_deconvolution, layer_stride, resample, shortcut

#: Bytes of prepared weights that a runner keeps; what does not fit is prepared at each use.
MEMORY = 256_000_000


@dataclass(frozen=True)
class _Layer:
    """A convolution, or deconvolution where there is a size and it is larger."""

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int]
    size: Sequence[int] = ()

    def __call__(self, x: Tensor) -> Tensor:
        return resample(x, self.weight, self.stride, self.size, self.bias)


@dataclass
class _Step:
    """What the connections that fire at a step need.

    Attributes
    ----------
    affine
        Area to the normalization that all connections which leave it read.
    first
        First layers: source, the joined convolution, and whose its channels are.
    inner
        Layers that are neither first nor last, all layers of connections that normalize
        afterwards, and their projections (layer 0).
    last
        Last layers: what is joined, and the convolution.
    maps
        Weights of linear shortcuts, and of transitions without normalization.
    size
        Bytes that belong to this step alone.
    """

    affine: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    first: list[tuple[str, _Layer, list[tuple[Connection, int]]]] = field(default_factory=list)
    inner: dict[tuple[Connection, int], _Layer] = field(default_factory=dict)
    last: list[tuple[list[Connection], _Layer]] = field(default_factory=list)
    maps: dict[tuple[Connection, int], Tensor] = field(default_factory=dict)
    size: int = 0


class Runner:
    """Runs a network that stays as it is.

    Call it under :func:`torch.inference_mode`. What is changed in the network after
    a step was first taken may or may not be seen.

    Parameters
    ----------
    network
        In evaluation mode, on its device.
    precision
        ``"float32"``: the network's own; ``"bf16"``: weights and activity in bf16,
        statistics, what is folded, and the readout as ever.
    memory
        Bytes of prepared weights to keep.
    """

    def __init__(self, network: Network, precision: str = "float32", *,
                 memory: int = MEMORY) -> None:
        self.network, self.graph = network, network.graph
        own = network.post_net.weight
        self.dtype = torch.bfloat16 if precision == "bf16" else own.dtype
        self._free = memory
        self._steps: dict[tuple[int, tuple[Connection, ...]], _Step] = {}
        self._joined: dict[tuple[tuple[str, ...], int], Tensor] = {}
        self._readouts: dict[int, tuple[Tensor, Tensor]] = {}
        self._room = torch.empty(0, dtype=self.dtype, device=own.device)
        self._pre_net = self._prepare_pre_net()
        self._fully_connected = (own.detach().double(), network.post_net.bias.detach().double())

    # --- what a run calls

    def drive(self, frame: Tensor) -> Tensor:
        """Return what the pre-net makes of images, as :meth:`Network.drive`."""
        self.network.check_images(frame)
        net = self.network.pre_net
        x = self._ready(net.scaled(frame))
        for k, layer in enumerate(self._pre_net):
            x = layer(x if k == 0 else x.relu_())
        if net.normalize:
            x = x.relu_()
        return F.max_pool2d(x, 3, net.pool, padding=1) if net.pool > 1 else x

    def arrivals(self, state: State, s: int,
                 firing: Sequence[Connection]) -> dict[str, list[Tensor]]:
        """Apply all connections that fire at a step, as :func:`engine.transitions`.

        Parameters
        ----------
        state
            Area to activity at index s-1, shape (batch, channels, height, width).
        s
            The step.
        firing
            From :func:`engine.plan`.

        Returns
        -------
        dict
            Target to what is to be summed there.
        """
        step = self._step(s, tuple(firing))
        active = {area: _normalized(state[area], affine) for area, affine in step.affine.items()}
        sums: dict[str, Tensor] = {}  # made here, so added to in place
        inputs = self._first_layers(step, active, sums)
        for members, layer in step.last:
            parts = [inputs[c] for c in members]
            _add(sums, members[0].target, layer(self._joined_relu(parts)))
        others: dict[str, list[Tensor]] = {}
        for c in firing:
            self._apply_others(step, c, state, active, sums, others)
        for area, total in sums.items():
            others.setdefault(area, []).insert(0, total)
        return others

    def step(self, state: State, s: int, *, drive: Tensor | None = None,
             areas: Collection[str] | None = None) -> State:
        """Take the state from index s-1 to index s, as :meth:`Network.step`."""
        return engine.step(self.graph, self.arrivals, state, s, drive, areas)

    def readout(self, state: State, t: int) -> Tensor:
        """Return class scores from the state at index t, as :meth:`Network.readout`.

        In the network's own precision.
        """
        self.network.check_readable(state, t)
        last, net = self.graph.last.name, self.network.post_net
        x = state[last].to(net.weight.dtype)
        if net.normalize:
            if t not in self._readouts:
                scale, shift = self.network.readout_scale_shift(t)
                self._readouts[t] = (scale.detach()[:, None, None], shift.detach()[:, None, None])
            scale, shift = self._readouts[t]
            x = torch.addcmul(shift, x, scale).relu_()
        pooled = x.mean(dim=(2, 3))
        # in float64, as Network.readout does
        return F.linear(pooled.double(), *self._fully_connected).to(pooled)

    # --- one step

    def _first_layers(self, step: _Step, active: State,
                      sums: dict[str, Tensor]) -> dict[Connection, Tensor]:
        """Return the inputs of the last layers, before ReLU; one-layer transitions are added."""
        inputs: dict[Connection, Tensor] = {}
        for source, layer, parts in step.first:
            x = layer(active[source])
            split = torch.split(x, [width for _, width in parts], 1) if len(parts) > 1 else (x,)
            for (c, _), part in zip(parts, split, strict=True):
                if c.layers == 1:
                    _add(sums, c.target, part)
                else:
                    for k in range(2, c.layers):
                        part = step.inner[c, k](F.relu(part))
                    inputs[c] = part
        return inputs

    def _apply_others(self, step: _Step, c: Connection, state: State, active: State,
                      sums: dict[str, Tensor], others: dict[str, list[Tensor]]) -> None:
        """Apply what a connection does besides BN-ReLU-Conv: its shortcut, or all of it."""
        x, kind = state[c.source], TRANSITIONS[c.transition]
        if kind.normalization == "after":
            y = step.inner[c, 1](x)
            for layer in range(2, c.layers + 1):
                y = step.inner[c, layer](y.relu_())
            _add(sums, c.target, y)
        elif kind.normalization == "none":
            weights = [step.maps[c, k] for k in range(1, kind.layers(c) + 1)]
            y = kind.apply(x, weights, self.graph.stride(c), self.graph.area(c.target).shape[1:])
            others.setdefault(c.target, []).append(y)
        if c.shortcut == "none":
            return
        if (c, 0) in step.inner:
            _add(sums, c.target, step.inner[c, 0](x))
        elif c.has_map:
            x = active[c.source] if c.shortcut == "projection" else x
            others.setdefault(c.target, []).append(shortcut(self.graph, c, x, step.maps[c, 0]))
        elif c.target in sums:
            sums[c.target].add_(x, alpha=c.gain)
        else:
            others.setdefault(c.target, []).append(shortcut(self.graph, c, x, None))

    def _affine(self, scale: Tensor, shift: Tensor) -> tuple[Tensor, ...]:
        """Return what :func:`_normalized` takes to scale and shift."""
        scale, shift = scale.detach(), shift.detach()
        if self.dtype == torch.bfloat16:
            # bf16 times float32: torch's own normalization, of mean 0 and variance 1
            return torch.zeros_like(scale), torch.ones_like(scale), scale, shift
        return scale[:, None, None], shift[:, None, None]

    def _joined_relu(self, parts: list[Tensor]) -> Tensor:
        """Return ReLU of tensors side by side, in memory that the next call uses again."""
        if len(parts) == 1:
            return parts[0].relu_()
        batch, _, height, width = parts[0].shape
        widths = [part.shape[1] for part in parts]
        shape = (batch, height, width, sum(widths))
        wanted = batch * height * width * sum(widths)
        if self._room.numel() < wanted:
            self._room = self._room.new_empty(wanted)
        joined = self._room[:wanted].view(shape).permute(0, 3, 1, 2)
        for part, place in zip(parts, torch.split(joined, widths, 1), strict=True):
            torch.clamp_min(part, 0, out=place)
        return joined

    # --- preparation

    def _step(self, s: int, firing: tuple[Connection, ...]) -> _Step:
        key = (s, firing)
        found = self._steps.get(key)
        if found is None:
            found = self._prepare(s, firing)
            if found.size <= self._free:
                self._free -= found.size
                self._steps[key] = found
        return found

    def _prepare(self, s: int, firing: tuple[Connection, ...]) -> _Step:
        network, graph, step = self.network, self.graph, _Step()
        before = [c for c in firing if TRANSITIONS[c.transition].normalization == "before"]
        for area in dict.fromkeys(c.source for c in before):
            step.affine[area] = self._affine(*network.scale_shift([area], s - 1))
        for group in engine.first_groups(graph, firing):
            c, up = group[0], is_deconvolution(graph, group[0])
            sites = [site(c, 2) for c in group] if c.layers > 1 else []
            step.first.append((
                c.source,
                self._layer(step, [(c, 1) for c in group], s, 1 if up else 0, sites,
                            graph.area(c.target).shape[1:]),
                [(c, graph.channels(c)[1]) for c in group]))
        for c in before:
            for layer in range(2, c.layers):
                step.inner[c, layer] = self._layer(step, [(c, layer)], s, 0, [site(c, layer + 1)])
        deep = tuple(c for c in before if c.layers > 1)
        # ordered as their outputs come
        for group in engine.last_groups(graph, deep):
            step.last.append((group, self._layer(step, [(c, c.layers) for c in group], s, 1)))
        for c in firing:
            kind = TRANSITIONS[c.transition]
            if kind.normalization == "after":
                for layer in range(0 if c.shortcut == "projection" else 1, c.layers + 1):
                    place = site(c, layer + 1 if layer else 0)
                    step.inner[c, layer] = self._layer(step, [(c, layer)], s, 0, [place])
            elif kind.normalization == "none":
                for layer in range(1, kind.layers(c) + 1):
                    step.maps[c, layer] = self._weight(step, [(c, layer)], s, 0)
            if c.has_map and (c, 0) not in step.inner:
                step.maps[c, 0] = self._weight(step, [(c, 0)], s, 0)
        return step

    def _layer(self, step: _Step, layers: list[tuple[Connection, int]], s: int, dim: int,
               sites: Sequence[str] = (), size: Sequence[int] = ()) -> _Layer:
        """Join layers along a dimension of their weights, and fold in what normalizes them."""
        c, layer = layers[0]
        stride = layer_stride(self.graph, c, layer) if layer else self.graph.stride(c)
        if not sites:
            return _Layer(self._weight(step, layers, s, dim), None, stride, size)
        scale, bias = self.network.scale_shift(list(sites), s)
        # of a deconvolution, outputs are the second dimension
        scale = scale[:, None, None] if dim == 1 else scale[:, None, None, None]
        weight = self._ready(self._raw(layers, s, dim) * scale.detach())
        bias = self._ready(bias.detach())
        step.size += (weight.numel() + bias.numel()) * weight.element_size()
        return _Layer(weight, bias, stride, size)

    def _weight(self, step: _Step, layers: list[tuple[Connection, int]], s: int,
                dim: int) -> Tensor:
        """Return joined weights, the same at every step that has the same keys if kept."""
        key = tuple(self.graph.weight_key(c, layer, s) for c, layer in layers), dim
        found = self._joined.get(key)
        if found is None:
            found = self._ready(self._raw(layers, s, dim))
            size = found.numel() * found.element_size()
            if size <= self._free:
                self._free -= size
                self._joined[key] = found
            else:
                step.size += size
        return found

    def _raw(self, layers: list[tuple[Connection, int]], s: int, dim: int) -> Tensor:
        weights = [self.network.weight(c, layer, s).detach() for c, layer in layers]
        return weights[0] if len(weights) == 1 else torch.cat(weights, dim)

    def _prepare_pre_net(self) -> list[_Layer]:
        net, layers = self.network.pre_net, []
        count = len(net.weights)
        for k, weight in enumerate(net.weights, start=1):
            bias = None
            if k < count or net.normalize:
                scale, bias = self.network.scale_shift([f"pre_net:{k + 1}"], 0)
                weight = weight * scale[:, None, None, None]
                bias = self._ready(bias.detach())
            stride = net.stride if k == count else (1, 1)
            layers.append(_Layer(self._ready(weight.detach()), bias, stride))
        return layers

    def _ready(self, x: Tensor) -> Tensor:
        """Return a tensor in the precision of the run, channels innermost."""
        if x.dim() != 4:
            return x.to(self.dtype)
        return x.to(self.dtype, memory_format=torch.channels_last)


def _add(sums: dict[str, Tensor], area: str, x: Tensor) -> None:
    """Add to what is summed in an area; what is added first must be nobody else's."""
    if area in sums:
        sums[area].add_(x)
    else:
        sums[area] = x


def _normalized(x: Tensor, affine: tuple[Tensor, ...]) -> Tensor:
    """Return BN-ReLU of an area, as new memory."""
    if len(affine) == 4:
        return F.batch_norm(x, *affine, eps=0.0).relu_()
    scale, shift = affine
    return torch.addcmul(shift, x, scale).relu_()
