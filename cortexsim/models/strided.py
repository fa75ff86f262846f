"""Convolutions whose stride is not below their kernel, as matrix products, for training.

Their windows do not overlap, so that a convolution is a product with the windows laid
side by side, and a deconvolution a product whose results are laid out with gaps. Each
number is the same sum as in torch's own strided convolutions, whose CPU code spends most
of its time on the gaps: at a stride of 8 this takes a fifth of the time, backward
included. Only training uses it: outside, results must not depend on the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from . import transitions


def resample(x: Tensor, weight: Tensor, stride: tuple[int, int], size: Sequence[int]) -> Tensor:
    """Apply one convolution, or deconvolution where the size grows.

    Equals :func:`transitions.resample` up to the order of sums.

    Parameters
    ----------
    x, weight, stride, size
        As there.

    Returns
    -------
    Tensor
        Shape (batch, out, *size).
    """
    kernel = weight.shape[-1]
    # on a GPU torch's own have no such weakness; without sizes only torch knows the result's
    if x.device.type != "cpu" or not size or min(stride) < max(kernel, 2):
        return transitions.resample(x, weight, stride, size)
    grows = size[0] > x.shape[2] or size[1] > x.shape[3]
    return (_spread if grows else _gather)(x, weight, stride, size)


def _gather(x: Tensor, weight: Tensor, stride: tuple[int, int], size: Sequence[int]) -> Tensor:
    """Convolve: lay the window of each output side by side, and multiply."""
    (batch, channels, height, width), (out, _, kernel, _) = x.shape, weight.shape
    (rows, columns), before = size, kernel // 2
    # one block of stride x stride inputs for each output, which begins with its window
    blocks = F.pad(x.permute(0, 2, 3, 1), (
        0, 0, before, columns * stride[1] - width - before,
        before, rows * stride[0] - height - before,
    )).view(batch, rows, stride[0], columns, stride[1], channels)
    windows = blocks[:, :, :kernel, :, :kernel].transpose(2, 3)
    result = torch.mm(windows.reshape(batch * rows * columns, kernel * kernel * channels),
                      weight.permute(2, 3, 1, 0).reshape(-1, out))
    return result.view(batch, rows, columns, out).permute(0, 3, 1, 2)


def _spread(x: Tensor, weight: Tensor, stride: tuple[int, int], size: Sequence[int]) -> Tensor:
    """Deconvolve: multiply, and lay the window that each input writes into its place."""
    (batch, channels, rows, columns), (_, out, kernel, _) = x.shape, weight.shape
    before = kernel // 2
    product = F.conv2d(x, weight.permute(2, 3, 1, 0).reshape(-1, channels, 1, 1))
    windows = product.permute(0, 2, 3, 1).reshape(batch, rows, columns, kernel, kernel, out)
    blocks = F.pad(windows.transpose(2, 3), (
        0, 0, 0, stride[1] - kernel, 0, 0, 0, stride[0] - kernel,
    )).reshape(batch, rows * stride[0], columns * stride[1], out)
    result = F.pad(blocks, (0, 0, -before, size[1] - columns * stride[1] + before,
                            -before, size[0] - rows * stride[0] + before))
    return result.permute(0, 3, 1, 2)
