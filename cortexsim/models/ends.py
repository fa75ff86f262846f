"""What lies before the first area and behind the last: pre-net and post-net."""

from __future__ import annotations

from torch import ones, zeros
from torch.nn import Module, Parameter, ParameterList

from ..graph import AreaGraph
from .weights import seeded_normal


class PreNet(Module):
    """Image to drive: no layer, one convolution, or Conv-BN-ReLU-Conv-BN-ReLU-Conv.

    The last convolution carries the stride from the image's size to the first
    area's. Its statistics have no time.
    """

    def __init__(self, graph: AreaGraph, seed: int) -> None:
        super().__init__()
        count, channels = graph.pre_net.layers, graph.first.channels
        middle = graph.pre_net.channels or channels
        ends = [graph.image[0], *[middle] * (count - 1), channels] if count else []
        self.stride = graph.pre_net_stride
        self.weights = ParameterList(
            Parameter(seeded_normal((o, i, 3, 3), 9 * i, seed, f"pre_net:{k}"))
            for k, (i, o) in enumerate(zip(ends, ends[1:], strict=False), start=1)
        )

    def sites(self) -> dict[str, int]:
        """Return the sites of normalization and their channels."""
        return {f"pre_net:{k}": w.shape[1] for k, w in enumerate(self.weights, start=1) if k > 1}


class PostNet(Module):
    """BN-ReLU-global average pool-FC; the only normalization with scale and shift."""

    def __init__(self, channels: int, classes: int, seed: int) -> None:
        super().__init__()
        self.scale = Parameter(ones(channels))
        self.shift = Parameter(zeros(channels))
        # no ReLU behind it, so half of He's variance
        self.weight = Parameter(
            seeded_normal((classes, channels), channels, seed, "post_net") * 0.5**0.5)
        self.bias = Parameter(zeros(classes))
