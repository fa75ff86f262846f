"""Batch normalization of few channels, for training on a processor.

With channels innermost in memory, torch normalizes as many numbers at once as there
are channels, so that 8 or 12 of them leave most of a processor's vector unused and take
up to ten times as long. Here several neighbouring pixels are taken together as if
they were further channels; their statistics are then put together. Each number is the
same up to the order of sums.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

#: Numbers that torch takes at once, and the most pixels that are put together for it.
WIDTH, MOST = 32, 32
#: Channels beyond which torch's own way was as quick.
WIDEST = 40


def together(x: Tensor) -> int:
    """Return how many pixels to take together; 1 where torch's own way is as good."""
    if (x.device.type != "cpu" or x.shape[1] % 16 == 0 or x.shape[1] > WIDEST
            or not x.is_contiguous(memory_format=torch.channels_last)):
        return 1
    pixels = x.numel() // max(x.shape[1], 1)
    count = 1
    while x.shape[1] * count % WIDTH and count < MOST and pixels % (2 * count) == 0:
        count *= 2
    return count


class _BatchNorm(torch.autograd.Function):
    """Normalization by the batch, with `count` pixels as if they were one of more channels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, count: int,
                eps: float) -> Tensor:
        wide = _widen(x, count)
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        zeros = torch.zeros(wide.shape[1], dtype=exact)
        # of each place among the pixels; the rate of 0 leaves `zeros` as they are
        means, variances = torch.batch_norm_update_stats(wide, zeros, zeros + 1, 0.0)
        means, variances = means.view(count, -1), variances.view(count, -1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        scale = None if weight is None else weight.to(exact).repeat(count)
        shift = None if bias is None else bias.to(exact).repeat(count)
        y, none = torch.empty_like(x), torch.empty(0, dtype=exact)
        # written into its place, so that the ReLU behind it may work in place
        torch.native_batch_norm(
            wide, scale, shift, mean.repeat(count), variance.repeat(count), False, 0.0, eps,
            out=(_widen(y, count), none, none.clone()))
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.count, ctx.eps = count, eps
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        count, eps = ctx.count, ctx.eps
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        wide, slope = _widen(x, count), _widen(grad, count)
        _, along, total = torch.ops.aten.native_batch_norm_backward(
            slope, wide, None, mean.repeat(count), variance.repeat(count), None, None, False,
            eps, [False, True, True])
        # sums over all pixels, of the gradient and of it times the normalized input
        along, total = along.view(count, -1).sum(0), total.view(count, -1).sum(0)
        inverse = torch.rsqrt(variance + eps)
        by_grad = inverse if weight is None else inverse * weight
        pixels = x.numel() // x.shape[1]
        by_input = -by_grad * inverse * along / pixels
        constant = -by_grad * total / pixels - by_input * mean
        result = _affine(slope, by_grad, constant, count).add_(_affine(wide, by_input, None, count))
        if weight is None:
            return _narrow(result, x), None, None, None, None
        return _narrow(result, x), along.to(weight), total.to(weight), None, None


def batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Normalize by the batch, as :func:`torch.nn.functional.batch_norm` does.

    Parameters
    ----------
    x
        Shape (batch, channels, height, width).
    weight, bias
        Learned scale and shift, each of shape (channels,), or neither.
    eps
        Added to the variance.
    """
    count = together(x)
    if count == 1:
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)
    result: Tensor = _BatchNorm.apply(x, weight, bias, count, eps)
    return result


def _widen(x: Tensor, count: int) -> Tensor:
    """View pixels as channels: (1, count * channels, pixels / count, 1), nothing copied."""
    channels = x.shape[1]
    return x.permute(0, 2, 3, 1).reshape(1, -1, 1, count * channels).permute(0, 3, 1, 2)


def _narrow(wide: Tensor, like: Tensor) -> Tensor:
    batch, channels, height, width = like.shape
    return wide.permute(0, 2, 3, 1).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _affine(wide: Tensor, scale: Tensor, shift: Tensor | None, count: int) -> Tensor:
    """Multiply and add per channel, rounded once whatever the precision of the input."""
    zeros = torch.zeros(wide.shape[1], dtype=scale.dtype)
    return torch.native_batch_norm(wide, scale.repeat(count),
                                   None if shift is None else shift.repeat(count),
                                   zeros, zeros + 1, False, 0.0, 0.0)[0]
