"""What is kept of a state: maps, means, units, and numbers that describe a whole area."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import schema
from ..models.engine import State
from .layout import Layout


class Keep:
    """Reduces states to what is recorded.

    Every sum runs over one trial, in the order in which its activity lies in memory: a
    trial has the same bits in any batch, and nothing is moved to compute it.

    Parameters
    ----------
    layout
        What is recorded.
    device
        Where the states are.
    """

    def __init__(self, layout: Layout, device: torch.device) -> None:
        self._layout = layout
        self._numbers = layout.record.numbers
        #: By area, the places of sampled units among its units as they lie in memory.
        self._units = {}
        for area in layout.areas:
            if area.name in layout.units:
                channel, y, x = layout.units[area.name].T
                flat = (y * area.shape[2] + x) * area.channels + channel
                self._units[area.name] = torch.from_numpy(flat).to(device)

    def __call__(self, state: State, before: State) -> dict[str, Tensor]:
        """Reduce a state.

        Parameters
        ----------
        state
            Area to activity, shape (batch, channels, height, width).
        before
            The state one step before.

        Returns
        -------
        dict
            Path in the store to values of shape (batch, ...), of the populated areas; whole
            maps with channels last, and not copied.
        """
        found: dict[str, Tensor] = {}
        for area in self._layout.areas:
            x = state.get(area.name)
            if x is None:
                continue
            flat = _flat(x)
            norm = _norm(flat)
            values = {schema.RMS: norm / math.sqrt(flat.shape[1])}
            values |= {name: self._number(name, flat, norm, before.get(area.name))
                       for name in self._numbers}
            if area.name in self._units:
                values[schema.ACTIVATION] = flat.index_select(1, self._units[area.name])
            elif self._layout.record.reduce == "mean":
                values[schema.ACTIVATION] = x.mean(dim=(2, 3), dtype=torch.float32)
            elif self._layout.record.reduce == "none":
                values[schema.ACTIVATION] = x.permute(0, 2, 3, 1)
            found |= {f"{area.name}/{name}": value for name, value in values.items()}
        return found

    @staticmethod
    def _number(name: str, flat: Tensor, norm: Tensor, before: Tensor | None) -> Tensor:
        """Return one summary of each trial, as :class:`Record` defines it."""
        if name == schema.NORM:
            return norm
        if name == schema.MEAN:
            return flat.mean(dim=1, dtype=torch.float32)
        if name == schema.SPARSENESS:
            active, count = flat.relu(), flat.shape[1]
            square = _norm(active).square()
            evenness = active.sum(dim=1, dtype=torch.float32).square() / (count * square)
            # rounding may lead a little out of the range; NaN stays
            sparseness = (1 - evenness) / (1 - 1 / count if count > 1 else math.nan)
            return sparseness.clamp(0, 1)
        assert name == schema.DISTANCE
        if before is None:
            return torch.full_like(norm, math.nan)
        return _norm(flat.float() - _flat(before))


def _norm(flat: Tensor) -> Tensor:
    """Return the L2 norm of each trial, in float32."""
    norm: Tensor = torch.linalg.vector_norm(flat, dim=1, dtype=torch.float32)
    return norm


def _flat(x: Tensor) -> Tensor:
    """Return activity as (batch, units) with channels innermost, as convolutions leave it."""
    return x.permute(0, 2, 3, 1).flatten(1)
