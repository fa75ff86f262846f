"""A chunk's arrays in memory: filled where the network runs, read where they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import schema
from .layout import TEXT, Layout, Spec

#: Kept values of some conditions: path in the store to (position in time, values) pairs.
Kept = Mapping[str, Sequence[tuple[int, Tensor]]]


class Buffers:
    """The arrays of one chunk in main memory.

    What no chunk ever fills (an area that is still empty) stays as it is here at first.

    Parameters
    ----------
    layout
        What is recorded.
    pinned
        Whether memory is locked in place, so that a GPU can copy into it by itself.

    Attributes
    ----------
    tensors
        By path, shape (stimuli, conditions, time, ...), further axes as they lie in memory.
    values
        By path the same memory and the arrays of text, shape (trials, time, ...) in the
        order of the store's dims; trials past the end hold nothing of meaning.
    """

    def __init__(self, layout: Layout, pinned: bool = False) -> None:
        self.tensors = _tensors(layout, torch.device("cpu"), pinned)
        self.values: dict[str, NDArray[Any]] = {}
        for path, spec in layout.arrays.items():
            if path in self.tensors:
                lying = self.tensors[path].flatten(0, 1).numpy()
                self.values[path] = spec.logical(lying)
            else:
                self.values[path] = np.full((layout.chunk_trials, *spec.shape), spec.fill, TEXT)
        self._copied: torch.cuda.Event | None = None

    def copy_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Begin to copy from a GPU; :meth:`wait` says when it is done."""
        for path, tensor in tensors.items():
            self.tensors[path].copy_(tensor, non_blocking=True)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._copied.record()

    def wait(self) -> None:
        """Wait until what was being copied is there."""
        if self._copied is not None:
            self._copied.synchronize()


class Chunk:
    """What the network fills: a chunk's arrays on its own device.

    On a processor these are the buffers in main memory themselves; on a GPU they are
    copied there when all is computed.

    Parameters
    ----------
    layout
        What is recorded.
    device
        Where the network runs.
    """

    def __init__(self, layout: Layout, device: torch.device) -> None:
        self._own = None if device.type == "cpu" else _tensors(layout, device)
        self._sets = [Buffers(layout, pinned=self._own is not None)
                      for _ in range(min(2, layout.chunks))]

    def begin(self) -> Buffers:
        """Return the buffers of the next chunk, which are not those of the one before."""
        self._sets.reverse()
        return self._sets[0]

    def put(self, conditions: Sequence[int], kept: Kept, first: int, count: int) -> None:
        """Take in what is kept of some conditions.

        Parameters
        ----------
        conditions
            Their numbers.
        kept
            The same for all of them.
        first, count
            Which stimuli of the chunk they are; batches may be longer than `count`.
        """
        tensors, rows = self._tensors, slice(first, first + count)
        for path, pairs in kept.items():
            target = tensors[path]
            positions, values = zip(*pairs, strict=True)
            if target.ndim == 6:
                # whole maps: each is brought to its place and type in one pass
                for position, value in pairs:
                    for number in conditions:
                        place = target[rows, number, position]
                        place.copy_(value[:count])
                        value = place
                continue
            stacked, at = torch.stack(values, dim=1)[:count], _at(positions)
            area, _, name = path.rpartition("/")
            for number in conditions:
                target[rows, number, at] = stacked.to(target.dtype)
                if name == schema.RMS:
                    tensors[f"{area}/{schema.POPULATED}"][rows, number, at] = True

    def end(self) -> None:
        """Hand over to the buffers that :meth:`begin` returned."""
        if self._own is not None:
            self._sets[0].copy_from(self._own)

    @property
    def _tensors(self) -> dict[str, Tensor]:
        return self._sets[0].tensors if self._own is None else self._own


def _tensors(layout: Layout, device: torch.device, pinned: bool = False) -> dict[str, Tensor]:
    leading = (layout.microbatch, layout.conditions)
    return {
        path: torch.full((*leading, *spec.lying), spec.fill, dtype=_dtype(spec), device=device,
                         pin_memory=pinned)
        for path, spec in layout.arrays.items() if spec.dtype != TEXT
    }


def _dtype(spec: Spec) -> torch.dtype:
    return torch.from_numpy(np.empty(0, spec.dtype)).dtype


def _at(positions: Sequence[int]) -> slice | list[int]:
    """Return an index for positions: a slice where they are in a row, which is faster."""
    row = slice(positions[0], positions[0] + len(positions))
    return row if list(positions) == list(range(row.start, row.stop)) else list(positions)
