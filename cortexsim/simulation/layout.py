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
from ..graph import Area
from .record import Record, sample_units

#: Variable-length text, which is what xarray reads without a warning.
TEXT = np.dtypes.StringDType()
#: Stimuli in a batch unless told otherwise.
MICROBATCH = 32
#: A chunk's buffers should stay below this.
CHUNK_BYTES = 256 * 2**20

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
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any

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
        Whether other images than the target are shown, so that what is on, and what is to be
        named, has a class of its own at each index.
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
            dims, shape = self._kept(area)
            at = f"{area.name}/"
            found[at + schema.ACTIVATION] = Spec((*leading, *dims), (count, *shape), number, np.nan)
            found[at + schema.POPULATED] = Spec(leading, (count,), yes, False)
            found[at + schema.RMS] = Spec(leading, (count,), number, np.nan)
        return found

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

    def buffers(self) -> dict[str, NDArray[Any]]:
        """Return empty buffers for one chunk, by path."""
        return {
            path: np.full((self.chunk_trials, *spec.shape), spec.fill, spec.dtype)
            for path, spec in self.arrays.items()
        }

    def _kept(self, area: Area) -> tuple[tuple[str, ...], tuple[int, ...]]:
        if area.name in self.units:
            return (schema.UNIT,), (len(self.units[area.name]),)
        if self.record.reduce == "mean":
            return (schema.CHANNEL,), (area.channels,)
        return (schema.CHANNEL, schema.ROW, schema.COLUMN), area.shape

    def _area_coords(self, area: Area) -> Coords:
        dims, shape = self._kept(area)
        own: Coords = {
            dim: ((dim,), np.arange(size)) for dim, size in zip(dims, shape, strict=True)
        }
        if area.name in self.units:
            names = (schema.CHANNEL, schema.ROW, schema.COLUMN)
            for name, values in zip(names, self.units[area.name].T, strict=True):
                own[name] = ((schema.UNIT,), values)
        return own


def fitting_microbatch(wanted: int | None, stimuli: int, stimulus_bytes: int) -> int:
    """Choose how many stimuli a chunk has.

    Parameters
    ----------
    wanted
        The user's choice, taken as it is; ``None`` to choose.
    stimuli
        How many there are.
    stimulus_bytes
        What one stimulus in all its conditions takes in the buffers.
    """
    if wanted is not None:
        return min(wanted, stimuli)
    most = min(MICROBATCH, max(1, CHUNK_BYTES // stimulus_bytes))
    # batches of one size, so that little of the last one is padding
    return -(-stimuli // -(-stimuli // most))


def trial_coords(
    ids: Sequence[str], labels: NDArray[np.int64], conditions: Sequence[str],
    factors: Sequence[Mapping[str, Any]],
) -> Coords:
    """Return the coordinates along trials, stimulus-major.

    Parameters
    ----------
    ids, labels
        Name and class index of every stimulus.
    conditions
        Name of every condition.
    factors
        Every condition's levels: factor to level.
    """
    count = len(conditions)

    def along(values: Any, dtype: Any = None) -> tuple[tuple[str, ...], NDArray[Any]]:
        return (schema.TRIAL,), np.tile(np.array(values, dtype=dtype), len(ids))

    found: Coords = {
        schema.TRIAL: ((schema.TRIAL,), np.arange(len(ids) * count)),
        schema.STIMULUS: ((schema.TRIAL,), np.repeat(text(ids), count)),
        schema.LABEL: ((schema.TRIAL,), np.repeat(np.asarray(labels, dtype=np.int64), count)),
        schema.CONDITION: along(conditions, TEXT),
    }
    for name in dict.fromkeys(key for levels in factors for key in levels):
        levels: list[Any] = [each.get(name) for each in factors]
        numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in levels)
        found[name] = along(
            [float(x) for x in levels] if numbers else [_text(x) for x in levels],
            np.float64 if numbers else TEXT,
        )
    return found


def text(values: Sequence[str]) -> NDArray[Any]:
    """Return names as an array of variable-length text."""
    return np.array(list(values), dtype=TEXT)


def _text(level: object) -> str:
    return "none" if level is None else str(level)
