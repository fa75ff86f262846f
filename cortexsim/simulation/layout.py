"""What a recording will hold: every array's dims, shape, type and coordinates.

A layout is known before anything is computed: the store is laid out from it,
the buffers of a chunk are cut from it, and a dry run counts its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import schema
from ..checksums import rows_of
from ..graph import Area
from ..stimuli.protocol import Condition
from .record import Record, sample_units

#: Variable-length text, which is what xarray reads without a warning.
TEXT = np.dtypes.StringDType()
#: How whole maps lie in memory and on disk: as convolutions leave them, so that recording
#: them moves nothing.
CHANNELS_LAST = (0, 1, 3, 4, 2)

Coords = dict[str, tuple[tuple[str, ...], NDArray[Any]]]


@dataclass(frozen=True)
class Spec:
    """One array along trials: its other dims and its type.

    Parameters
    ----------
    dims
        Names of all dims, ``trial`` first.
    shape
        Sizes of the dims after ``trial``.
    dtype
        Type of the values.
    fill
        What a chunk that was never written reads as.
    order
        The order in which the axes lie in memory and on disk, ``trial`` first; None for
        that of `dims`.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    order: tuple[int, ...] | None = None

    @property
    def lying(self) -> tuple[int, ...]:
        """Sizes of the dims after ``trial``, in the order in which they lie in memory."""
        order = self.order or range(len(self.dims))
        return tuple(self.shape[axis - 1] for axis in order if axis)

    def logical(self, lying: NDArray[Any]) -> NDArray[Any]:
        """Return an array with its axes in the order of `dims`, nothing being moved."""
        return lying if self.order is None else lying.transpose(np.argsort(self.order))

    @property
    def trial_bytes(self) -> int:
        """Bytes of one trial in memory."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


@dataclass(frozen=True)
class Layout:
    """The arrays and coordinates of a recording.

    Parameters
    ----------
    areas
        The recorded areas.
    indices
        The recorded state indices.
    stimuli, conditions
        How many there are; trials are their product, stimulus-major.
    microbatch
        Stimuli in a chunk; with all their conditions they are its trials.
    coords
        Coordinates every group carries: name to dims and values.
    classes
        Names of the classes.
    record
        What is kept of every area.
    seed
        Of the sampled units.
    others
        Whether other images than the target are shown, or anything but the target is asked,
        so that what is on, and what is to be named, has a class of its own at each index.
    """

    areas: tuple[Area, ...]
    indices: tuple[int, ...]
    stimuli: int
    conditions: int
    microbatch: int
    coords: Coords
    classes: tuple[str, ...]
    record: Record
    seed: int
    others: bool = False
    units: Mapping[str, NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        """Draw the units once."""
        count = self.record.unit_count
        chosen = {
            area.name: sample_units(area.name, area.shape, count, self.seed)
            for area in self.areas
        } if count else {}
        object.__setattr__(self, "units", chosen)

    @property
    def trials(self) -> int:
        """How many trials are recorded."""
        return self.stimuli * self.conditions

    @property
    def chunk_trials(self) -> int:
        """How many trials a whole chunk has."""
        return self.microbatch * self.conditions

    @property
    def chunks(self) -> int:
        """How many chunks there are, the last possibly not whole."""
        return -(-self.stimuli // self.microbatch)

    def trials_in(self, chunk: int) -> int:
        """Return how many trials a chunk has."""
        rows = rows_of(self.trials, self.chunk_trials, chunk)
        return int(rows.stop - rows.start)

    @property
    def arrays(self) -> dict[str, Spec]:
        """Every array along trials, by its path in the store."""
        leading, count = (schema.TRIAL, schema.TIME), len(self.indices)
        number, yes = np.dtype(np.float32), np.dtype(bool)
        found = {
            schema.SCORES: Spec((*leading, schema.CLASS), (count, len(self.classes)), number,
                                np.nan),
            schema.SHOWN: Spec(leading, (count,), TEXT, ""),
        }
        if self.others:
            label = Spec(leading, (count,), np.dtype(np.int64), -1)
            found |= {schema.ASKED: found[schema.SHOWN], schema.SHOWN_LABEL: label,
                      schema.ASKED_LABEL: label}
        for area in self.areas:
            at = f"{area.name}/"
            if self.record.reduce != "summary":
                dims, shape = self._kept(area)
                found[at + schema.ACTIVATION] = Spec(
                    (*leading, *dims), (count, *shape), np.dtype(self.record.dtype), np.nan,
                    CHANNELS_LAST if len(shape) == 3 else None)
            found[at + schema.POPULATED] = Spec(leading, (count,), yes, False)
            for name in (schema.RMS, *self.record.numbers):
                found[at + name] = Spec(leading, (count,), number, np.nan)
        return found

    @property
    def orders(self) -> dict[str, tuple[int, ...]]:
        """By its path, the order in which an array's axes lie on disk, if not the usual one."""
        return {name: spec.order for name, spec in self.arrays.items() if spec.order}

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one chunk's buffers."""
        return self.chunk_trials * sum(spec.trial_bytes for spec in self.arrays.values())

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all arrays, before compression (activity hardly compresses)."""
        coords = sum(values.nbytes for _, values in self.coords.values())
        whole = self.trials * sum(spec.trial_bytes for spec in self.arrays.values())
        return whole + (1 + len(self.areas)) * coords

    def groups(self) -> Iterator[tuple[str, Coords]]:
        """Yield every group's path and its own copy of all coordinates."""
        yield "", {
            **self.coords,
            schema.CLASS: ((schema.CLASS,), text(self.classes)),
        }
        for area in self.areas:
            yield area.name, {**self.coords, **self._area_coords(area)}

    def _kept(self, area: Area) -> tuple[tuple[str, ...], tuple[int, ...]]:
        if area.name in self.units:
            return (schema.UNIT,), (len(self.units[area.name]),)
        if self.record.reduce == "mean":
            return (schema.CHANNEL,), (area.channels,)
        return (schema.CHANNEL, schema.ROW, schema.COLUMN), area.shape

    def _area_coords(self, area: Area) -> Coords:
        if self.record.reduce == "summary":
            return {}
        dims, shape = self._kept(area)
        own: Coords = {
            dim: ((dim,), np.arange(size)) for dim, size in zip(dims, shape, strict=True)
        }
        if area.name in self.units:
            names = (schema.CHANNEL, schema.ROW, schema.COLUMN)
            for name, values in zip(names, self.units[area.name].T, strict=True):
                own[name] = ((schema.UNIT,), values)
        return own


def trial_coords(
    ids: Sequence[str], labels: NDArray[np.int64], conditions: Sequence[Condition],
) -> Coords:
    """Return the coordinates along trials, stimulus-major.

    Parameters
    ----------
    ids, labels
        Name and class index of every stimulus. Where a condition asks nothing, the label is -1.
    conditions
        A level of a factor that a condition lacks is NaN among numbers and ``none`` among words.
    """
    count = len(conditions)

    def along(values: Any, dtype: Any = None) -> tuple[tuple[str, ...], NDArray[Any]]:
        return (schema.TRIAL,), np.tile(np.array(values, dtype=dtype), len(ids))

    asks = np.array([{*one.asked} != {schema.NOTHING} for one in conditions])
    label = np.where(asks, np.asarray(labels, dtype=np.int64)[:, None], -1)
    found: Coords = {
        schema.TRIAL: ((schema.TRIAL,), np.arange(len(ids) * count)),
        schema.STIMULUS: ((schema.TRIAL,), np.repeat(text(ids), count)),
        schema.LABEL: ((schema.TRIAL,), label.reshape(-1)),
        schema.CONDITION: along([one.name for one in conditions], TEXT),
    }
    for name in dict.fromkeys(key for one in conditions for key in one.factors):
        levels = [one.factors.get(name) for one in conditions]
        given = [level for level in levels if level is not None]
        numbers = all(isinstance(level, int | float) for level in given)
        found[name] = along(
            [np.nan if level is None else level for level in levels] if numbers
            else [schema.NONE if level is None else str(level) for level in levels],
            np.float64 if numbers else TEXT,
        )
    return found


def text(values: Sequence[str]) -> NDArray[Any]:
    """Return names as an array of variable-length text."""
    return np.array(list(values), dtype=TEXT)

