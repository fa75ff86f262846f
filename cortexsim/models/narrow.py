"""Batch normalization in training: of few channels, and of a batch that processes share.

With channels innermost in memory, torch normalizes as many numbers at once as there
are channels, so that 8 or 12 of them leave most of a processor's vector unused and take
up to ten times as long. Here several neighbouring pixels are taken together as if
they were further channels; their statistics are then put together. Each number is the
same up to the order of sums.

Where several processes train, each has some rows of the batch, and the statistics are of
all of them: means and variances are put together in the same way, and in the backward
pass the two sums that the gradient needs are added up. (torch's own, ``SyncBatchNorm``, is
for GPUs alone.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..processes import ALONE, Processes

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
                eps: float, processes: Processes) -> Tensor:
        wide = _widen(x, count)
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        zeros = torch.zeros(wide.shape[1], dtype=exact, device=x.device)
        # of each place among the pixels; the rate of 0 leaves `zeros` as they are
        means, variances = torch.batch_norm_update_stats(wide, zeros, zeros + 1, 0.0)
        means, variances = means.view(count, -1), variances.view(count, -1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        pixels = torch.full((1,), x.numel() // x.shape[1], dtype=exact, device=x.device)
        if processes.count > 1:
            mean, variance, pixels = _of_all(mean, variance, pixels, processes)
        scale = None if weight is None else weight.to(exact).repeat(count)
        shift = None if bias is None else bias.to(exact).repeat(count)
        if count == 1:
            y = F.batch_norm(x, mean, variance, scale, shift, eps=eps)
        else:
            y, none = torch.empty_like(x), torch.empty(0, dtype=exact)
            # written into its place, so that the ReLU behind it may work in place
            torch.native_batch_norm(
                wide, scale, shift, mean.repeat(count), variance.repeat(count), False, 0.0, eps,
                out=(_widen(y, count), none, none.clone()))
        ctx.save_for_backward(x, weight, mean, variance, pixels)
        ctx.count, ctx.eps, ctx.processes = count, eps, processes
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, pixels = ctx.saved_tensors
        count, inverse = ctx.count, torch.rsqrt(variance + ctx.eps)
        grad = grads[0]
        if count > 1 or x.is_cuda:
            grad = grad.contiguous(memory_format=_format(x))
        # sums over all pixels, of the gradient and of it times the normalized input
        total, along = _sums(grad, x, mean, variance, count, ctx.eps)
        own = (None, None) if weight is None else (along.to(weight), total.to(weight))
        total, along = ctx.processes.sum(torch.stack([total, along]))
        if x.is_cuda:  # in one pass
            by_cuda = torch.batch_norm_backward_elemt(
                grad, x, mean, inverse, None if weight is None else weight.to(mean), total,
                along / inverse, pixels.int())
            return by_cuda, *own, None, None, None
        by_grad = inverse if weight is None else inverse * weight
        by_input = -by_grad * inverse * along / pixels
        constant = -by_grad * total / pixels - by_input * mean
        result = _affine(_widen(grad, count), by_grad, constant, count).add_(
            _affine(_widen(x, count), by_input, None, count))
        return _narrow(result, x, count), *own, None, None, None


def batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float,
               processes: Processes = ALONE) -> Tensor:
    """Normalize by the batch, as :func:`torch.nn.functional.batch_norm` does.

    Parameters
    ----------
    x
        Shape (batch, channels, height, width).
    weight, bias
        Learned scale and shift, each of shape (channels,), or neither.
    eps
        Added to the variance.
    processes
        Those that have the rows of the batch, each at least one; gradients by `weight` and
        `bias` are those of this process's own rows.
    """
    count = together(x)
    if count == 1 and processes.count == 1:
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)
    if x.is_cuda:
        x = x.contiguous(memory_format=_format(x))
    normalize = _BatchNorm.apply if processes.count == 1 else _in_order()
    result: Tensor = normalize(x, weight, bias, count, eps, processes)
    return result


@cache
def _in_order() -> Callable[..., Any]:
    """Return what normalizes where the program says so.

    A compiler might let each process speak in an order of its own.
    """
    ordered: Callable[..., Any] = torch.compiler.disable(  # type: ignore[no-untyped-call]
        _BatchNorm.apply)
    return ordered


def _of_all(mean: Tensor, variance: Tensor, pixels: Tensor,
            processes: Processes) -> tuple[Tensor, Tensor, Tensor]:
    """Put means and variances of several processes together, each of so many pixels."""
    found = processes.gather(torch.cat([mean, variance, pixels]))
    means, variances, counts = found[:, :len(mean)], found[:, len(mean):-1], found[:, -1:]
    pixels = counts.sum(0)
    shares = counts / pixels
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0), pixels


def _sums(grad: Tensor, x: Tensor, mean: Tensor, variance: Tensor, count: int,
          eps: float) -> tuple[Tensor, Tensor]:
    """Sum the gradient over pixels, by itself and times the normalized input."""
    if x.is_cuda:
        inverse = torch.rsqrt(variance + eps)
        total, deviations, *_ = torch.batch_norm_backward_reduce(
            grad, x, mean, inverse, None, True, False, False)
        return total, deviations * inverse
    _, along, total = torch.ops.aten.native_batch_norm_backward(
        _widen(grad, count), _widen(x, count), None, mean.repeat(count), variance.repeat(count),
        None, None, False, eps, [False, True, True])
    return total.view(count, -1).sum(0), along.view(count, -1).sum(0)


def _widen(x: Tensor, count: int) -> Tensor:
    """View pixels as channels: (1, count * channels, pixels / count, 1), nothing copied."""
    if count == 1:
        return x
    channels = x.shape[1]
    return x.permute(0, 2, 3, 1).reshape(1, -1, 1, count * channels).permute(0, 3, 1, 2)


def _narrow(wide: Tensor, like: Tensor, count: int) -> Tensor:
    if count == 1:
        return wide
    batch, channels, height, width = like.shape
    return wide.permute(0, 2, 3, 1).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _affine(wide: Tensor, scale: Tensor, shift: Tensor | None, count: int) -> Tensor:
    """Multiply and add per channel, rounded once whatever the precision of the input."""
    zeros = torch.zeros(wide.shape[1], dtype=scale.dtype)
    return torch.native_batch_norm(wide, scale.repeat(count),
                                   None if shift is None else shift.repeat(count),
                                   zeros, zeros + 1, False, 0.0, 0.0)[0]


def _format(x: Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
