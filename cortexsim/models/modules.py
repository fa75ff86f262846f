"""The small modules that an unrolled network has beside those of ``torch.nn``."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """A transition and the shortcut around it, summed."""

    def __init__(self, transition: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.transition, self.shortcut = transition, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Apply both, shape (batch, in, h, w) to (batch, out, h', w')."""
        result: Tensor = self.transition(x) + self.shortcut(x)
        return result


class Leak(nn.Module):
    """What an area keeps of its activity from step to step."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the gain."""
        return x * self.gain

    def extra_repr(self) -> str:
        """Return the gain."""
        return f"gain={self.gain:g}"


class Crop(nn.Module):
    """The first rows and columns, where a deconvolution makes more than the area has."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (batch, channels, height, width)."""
        return x[..., : self.height, : self.width]


class Rescale(nn.Module):
    """Images from CortexSim's range to the one a network was trained on."""

    def __init__(self, factor: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor.clone())
        self.register_buffer("offset", offset.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Apply the factor and the offset of each channel."""
        return torch.addcmul(self.get_buffer("offset"), x, self.get_buffer("factor"))
