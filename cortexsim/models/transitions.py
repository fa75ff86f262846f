"""The functions that connections apply.

To add a transition, write one class and put it into :data:`TRANSITIONS`.

Convolutions and deconvolutions have odd kernels, 3x3 unless a connection says
otherwise, padded by half a kernel, without bias. One of them matches sizes
whatever the ratio is: a convolution of stride ``k`` takes ``n`` rows to
``ceil(n / k)``, a deconvolution is its adjoint and takes ``ceil(n / k)`` rows back
to ``n``. A 3x3 deconvolution of stride 4 or more leaves holes between its
outputs. A deconvolution of stride 1 is a convolution with the kernel flipped, and
is kept as that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..graph import AreaGraph, Connection

#: Where a normalization stands, seen from its convolution.
Place = Literal["before", "after", "none"]


def resample(x: Tensor, weight: Tensor, stride: tuple[int, int], size: Sequence[int] = (),
             bias: Tensor | None = None) -> Tensor:
    """Apply one convolution, or deconvolution where the size grows.

    Parameters
    ----------
    x
        Input, shape (batch, in, height, width).
    weight
        Shape (out, in, k, k); (in, out, k, k) for a deconvolution of stride above 1.
    stride
        Ratio of the sizes, rows and columns.
    size
        Height and width of the result; without them it is a convolution.
    bias
        Shape (out,).

    Returns
    -------
    Tensor
        Shape (batch, out, *size).
    """
    height, width = x.shape[-2:]
    padding = weight.shape[-1] // 2
    if size and (size[0] > height or size[1] > width):
        extra = added((height, width), size, stride)
        return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding=extra)
    return F.conv2d(x, weight, bias, stride, padding)


def added(before: Sequence[int], after: Sequence[int], stride: tuple[int, int],
          ) -> tuple[int, int]:
    """Return the rows and columns that a deconvolution must add to come to a size."""
    rows, columns = (n - ((m - 1) * k + 1) for n, m, k in zip(after, before, stride, strict=True))
    return rows, columns


def layer_stride(graph: AreaGraph, connection: Connection, layer: int) -> tuple[int, int]:
    """Return the stride of one layer: the connection's, or 1."""
    return graph.stride(connection) if layer == connection.stride_layer else (1, 1)


def is_deconvolution(graph: AreaGraph, connection: Connection) -> bool:
    """Say whether the resizing layer of a connection is a strided deconvolution."""
    return graph.grows(connection) and graph.stride(connection) != (1, 1)


class Transition(Protocol):
    """What a kind of transition must say about itself."""

    #: Whether each convolution has its normalization before it, and a ReLU, so that the
    #: engine joins it with its neighbours; after it; or none.
    normalization: Place

    def layers(self, connection: Connection) -> int:
        """Return the number of weighted layers."""

    def apply(self, x: Tensor, weights: list[Tensor], stride: tuple[int, int],
              size: Sequence[int]) -> Tensor:
        """Apply the transition to a whole area; only used without normalization."""


class Normalized:
    """BN-ReLU-(De)Conv or Conv-BN(-ReLU), as many times as the connection has layers."""

    def __init__(self, normalization: Place) -> None:
        self.normalization: Place = normalization

    def layers(self, connection: Connection) -> int:
        """Return the connection's own number of layers."""
        return connection.layers

    def apply(self, x: Tensor, weights: list[Tensor], stride: tuple[int, int],
              size: Sequence[int]) -> Tensor:
        """Never called: normalization needs the time, which the engine knows."""
        raise AssertionError("the engine applies normalized transitions")


class Convolution:
    """One plain convolution, or deconvolution where the size grows."""

    normalization: Place = "none"

    def layers(self, connection: Connection) -> int:
        """Return 1."""
        return 1

    def apply(self, x: Tensor, weights: list[Tensor], stride: tuple[int, int],
              size: Sequence[int]) -> Tensor:
        """Convolve, shape (batch, in, h, w) to (batch, out, *size)."""
        return resample(x, weights[0], stride, size)


class MaxPool:
    """Maximum over windows of the stride's size, 2x2 for a ratio of two."""

    normalization: Place = "none"

    def layers(self, connection: Connection) -> int:
        """Return 0: it has no weights."""
        return 0

    def apply(self, x: Tensor, weights: list[Tensor], stride: tuple[int, int],
              size: Sequence[int]) -> Tensor:
        """Pool, shape (batch, channels, h, w) to (batch, channels, *size)."""
        return F.max_pool2d(x, stride, stride, ceil_mode=True)


class Identity:
    """Hand activity on as it is."""

    normalization: Place = "none"

    def layers(self, connection: Connection) -> int:
        """Return 0: it has no weights."""
        return 0

    def apply(self, x: Tensor, weights: list[Tensor], stride: tuple[int, int],
              size: Sequence[int]) -> Tensor:
        """Return the input."""
        return x


TRANSITIONS: dict[str, Transition] = {
    "brc": Normalized("before"),
    "brd": Normalized("before"),
    # the ReLU behind the last layer is the target area's, after the sum
    "cbr": Normalized("after"),
    "conv": Convolution(),
    "max_pool": MaxPool(),
    "identity": Identity(),
}


def shortcut(graph: AreaGraph, connection: Connection, x: Tensor, weight: Tensor | None) -> Tensor:
    """Apply a connection's shortcut: identity times its gain, or a linear map.

    The linear shortcut is a 1x1 convolution with the connection's stride, or,
    where the size grows, a deconvolution whose kernel is its stride.
    """
    if weight is not None:
        stride = graph.stride(connection)
        if graph.grows(connection):
            height, width = graph.area(connection.target).shape[1:]
            x = F.conv_transpose2d(x, weight, stride=stride)[..., :height, :width]
        else:
            x = F.conv2d(x, weight, stride=stride)
    return x if connection.gain == 1 else torch.mul(x, connection.gain)
