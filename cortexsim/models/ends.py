"""What lies before the first area and behind the last: pre-net and post-net."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, ones, tensor, zeros
from torch.nn import Module, Parameter, ParameterList

from ..graph import AreaGraph
from ..schema import INPUT_MEAN, INPUT_SCALE
from .transitions import resample
from .weights import seeded_normal


class PreNet(Module):
    """Image to drive: no layer, one convolution, or Conv-BN-ReLU-Conv-BN-ReLU-Conv.

    The last convolution carries the stride from the image's size to the first
    area's; BN-ReLU and a 3x3 maximum may follow. Its statistics have no time.
    """

    offset: Tensor
    factor: Tensor

    def __init__(self, graph: AreaGraph, seed: int) -> None:
        super().__init__()
        count, channels = graph.pre_net.layers, graph.first.channels
        middle = graph.pre_net.channels or channels
        ends = [graph.image[0], *[middle] * (count - 1), channels] if count else []
        kernel = graph.pre_net.kernel
        self.stride = graph.pre_net_stride
        self.weights = ParameterList(
            Parameter(seeded_normal((o, i, kernel, kernel), kernel**2 * i, seed, f"pre_net:{k}"))
            for k, (i, o) in enumerate(zip(ends, ends[1:], strict=False), start=1)
        )
        self.normalize, self.pool = graph.pre_net.normalize, graph.pre_net.pool
        mean, std = graph.pre_net.mean, graph.pre_net.std
        self.own_range = mean is not None
        if mean is not None and std is not None:
            # from the range of our input to that of (pixel - mean) / std
            scale = tensor(std)[:, None, None]
            offset = (INPUT_MEAN - tensor(mean)[:, None, None]) / scale
            self.register_buffer("factor", INPUT_SCALE / scale, persistent=False)
            self.register_buffer("offset", offset, persistent=False)

    def forward(self, frame: Tensor, normalize: Callable[[Tensor, list[str], int], Tensor],
                layers: int | None = None) -> Tensor:
        """Return the drive of images, or what is there after so many convolutions."""
        x = self.scaled(frame)
        for k, weight in enumerate(self.weights[:layers], start=1):
            x = x if k == 1 else F.relu(normalize(x, [f"pre_net:{k}"], 0))
            x = resample(x, weight, self.stride if k == len(self.weights) else (1, 1))
        if layers is None and self.normalize:
            x = F.relu(normalize(x, [f"pre_net:{len(self.weights) + 1}"], 0))
        if layers is None and self.pool > 1:
            x = F.max_pool2d(x, 3, self.pool, padding=1)
        return x

    def scaled(self, frame: Tensor) -> Tensor:
        """Return images in the range of pixels that the weights were trained with."""
        return torch.addcmul(self.offset, frame, self.factor) if self.own_range else frame

    def sites(self) -> dict[str, int]:
        """Return the sites of normalization and their channels."""
        found = {f"pre_net:{k}": w.shape[1] for k, w in enumerate(self.weights, start=1) if k > 1}
        if self.normalize:
            found[f"pre_net:{len(self.weights) + 1}"] = self.weights[-1].shape[0]
        return found


class PostNet(Module):
    """BN-ReLU-global average pool-FC, or the last two alone.

    In the paper's networks its normalization is the only one with scale and shift.
    """

    def __init__(self, channels: int, classes: int, seed: int, *, normalize: bool = True) -> None:
        super().__init__()
        self.normalize = normalize
        if normalize:
            self.scale = Parameter(ones(channels))
            self.shift = Parameter(zeros(channels))
        # no ReLU behind it, so half of He's variance
        self.weight = Parameter(
            seeded_normal((classes, channels), channels, seed, "post_net") * 0.5**0.5)
        self.bias = Parameter(zeros(classes))
