"""What of a recording is exported, and in what portions it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import provenance, schema
from ...errors import RecordingError
from .. import activity
from .. import recording as rec
from ..settings import settings

#: Stands for every condition, the blank one included.
ALL = "all"
#: Bytes read at a time: large recordings never are in memory as a whole.
BLOCK_BYTES = 64_000_000


@dataclass(frozen=True)
class Selection:
    """The trials, times and areas of a recording that are exported.

    Parameters
    ----------
    recording
        It is open while the selection is used.
    areas
        In the order of the graph, or as they were asked for.
    trials
        Indices of trials, ascending.
    times
        Places on the axis of time, a row without gaps.
    pool
        Whether maps are averaged over space.
    chosen
        What was asked for, in words, where that is not everything.
    command
        The command that exports it, if one does.
    """

    recording: xr.DataTree
    areas: tuple[str, ...]
    trials: np.ndarray
    times: slice
    pool: bool = False
    chosen: str = ""
    command: str = ""

    @property
    def time_ms(self) -> np.ndarray:
        """Times in ms after image onset."""
        return rec.axis(self.recording)[self.times]

    @property
    def steps(self) -> np.ndarray:
        """Times in steps."""
        return rec.axis(self.recording, schema.STEP)[self.times]

    @property
    def classes(self) -> np.ndarray:
        """The classes' names, text."""
        return np.asarray(self.recording.coords[schema.CLASS].values.astype(object))

    @property
    def bytes(self) -> int:
        """Bytes of all that is exported, before compression, at most."""
        total = 0
        for node in (self.recording, *(self.recording.children[area] for area in self.areas)):
            data = node.to_dataset(inherit=False).isel({schema.TIME: self.times},
                                                       missing_dims="ignore")
            for array in data.variables.values():
                sizes = {**array.sizes}
                if schema.TRIAL in sizes:
                    sizes[schema.TRIAL] = len(self.trials)
                if self.pool:
                    sizes |= {dim: 1 for dim in (schema.ROW, schema.COLUMN) if dim in sizes}
                # half precision becomes single
                total += math.prod(sizes.values()) * max(array.dtype.itemsize, 4)
        return total

    def blocks(self, *arrays: xr.DataArray, size: int | None = None) -> Iterator[slice]:
        """Divide the trials into portions of what is read together.

        Parameters
        ----------
        arrays
            What is read, along trials.
        size
            Bytes of a portion, in single precision; None for :data:`BLOCK_BYTES`.
        """
        each = sum(4 * array.size // array.sizes[schema.TRIAL] for array in arrays)
        rows = max(1, (size or BLOCK_BYTES) // max(1, each))
        stored = max(array.encoding.get("preferred_chunks", {}).get(schema.TRIAL, 1)
                     for array in arrays)
        # whole chunks of the store, so that none is read twice
        rows -= rows % stored if rows > stored else 0
        for start in range(0, len(self.trials), rows):
            yield slice(start, min(start + rows, len(self.trials)))

    def activations(self, *areas: str) -> list[xr.DataArray]:
        """Return areas' activity as it is stored, not read."""
        return [rec.variable(self.recording.children[area], schema.ACTIVATION) for area in areas]

    def units(self, area: str, rows: slice) -> xr.DataArray:
        """Read an area's ``(trial, time, unit)`` of a portion of the trials.

        Raises
        ------
        RecordingError
            If the area's activity is not recorded.
        """
        return activity.units(self.recording, area, self.trials[rows], times=self.times,
                              pool=self.pool)

    def places(self, area: str) -> xr.DataArray:
        """Return an area's units at one moment: ``channel``, and ``y`` and ``x`` where known.

        Raises
        ------
        RecordingError
            If the area's activity is not recorded.
        """
        return activity.units(self.recording, area, self.trials[:1], times=[self.times.start],
                              pool=self.pool)

    def table(self) -> pd.DataFrame:
        """Return one row per trial: ``stimulus_id``, ``label``, ``class``, ``condition``, factors.

        A class that is not known is empty; so are factors of the condition ``blank``.
        """
        table = rec.trials(self.recording).iloc[self.trials]
        if schema.LABEL in table:
            known, label = self.classes, table[schema.LABEL].to_numpy()
            names = [known[i] if 0 <= i < len(known) else "" for i in label]
            table.insert(list(table).index(schema.LABEL) + 1, schema.CLASS, names)
        words = [str(name) for name in table if table[name].dtype.kind not in "biuf"]
        return table.assign(**{name: table[name].fillna("") for name in words})

    def repetitions(self) -> pd.DataFrame:
        """Return the table of trials with ``repetition`` (from 0) in place of the factor for it.

        Runs of a condition have the same ``condition`` here, so that they can be averaged:
        what tells one trial from all others is stimulus, condition and repetition.
        """
        table = self.table()
        text = table[schema.CONDITION].astype(str)
        if schema.REPEAT in table:
            whole = settings(self.recording).name
            text = text.str.replace(rf"(^|, ){schema.REPEAT}=\d+$", "", regex=True).replace(
                "", whole)
        table = table.assign(**{schema.CONDITION: text})
        counted = table.groupby([schema.STIMULUS, schema.CONDITION]).cumcount()
        if schema.REPEAT in table:
            # those of a part of the recording keep their numbers
            counted = (table[schema.REPEAT] - 1).fillna(counted).astype(int)
            table = table.drop(columns=schema.REPEAT)
        return table.assign(repetition=counted.to_numpy())

    def attributes(self) -> dict[str, Any]:
        """Return the recording's attributes as files of other kinds take them."""
        attrs = {str(name): plain(value) for name, value in self.recording.attrs.items()}
        return {**attrs, **({"exported": self.chosen} if self.chosen else {}),
                provenance.NAME: provenance.text(self.origin())}

    def origin(self) -> dict[str, Any]:
        """Return where a file that holds the selection comes from."""
        return provenance.origin(self.command,
                                 recording=provenance.recorded(self.recording.attrs))


def choose(recording: xr.DataTree, *, areas: Sequence[str] | None = None,
           condition: rec.Condition | None = ALL, window_ms: tuple[float, float] | None = None,
           stimuli: int | None = None, seed: int = 0, pool: bool = False) -> Selection:
    """Choose what to export.

    Parameters
    ----------
    recording
        An open recording.
    areas
        Names; None for all that are recorded.
    condition
        ``"all"``, or as in :func:`cortexsim.analysis.recording.select`.
    window_ms
        First and last time in ms after image onset, both included; None for all.
    stimuli
        The most stimuli, drawn from `seed`, the same ones in every condition; None for all.
    seed
        Of that draw.
    pool
        Whether to average maps over space.

    Raises
    ------
    RecordingError
        If something that was asked for is not in the recording.
    """
    named = rec.areas(recording, list(dict.fromkeys(areas)) if areas is not None else None)
    if condition == ALL:
        index = np.arange(recording.sizes[schema.TRIAL])
        if stimuli is not None:
            known = list(dict.fromkeys(rec.trials(recording)[schema.CONDITION]))
            index = np.sort(np.concatenate([
                activity.trials(recording, name, stimuli=stimuli, seed=seed) for name in known]))
    else:
        index = activity.trials(recording, condition, stimuli=stimuli, seed=seed)
    times = _window(rec.axis(recording), window_ms)
    words = [
        f"areas {', '.join(named)}" if areas is not None else "",
        f"condition {condition}" if condition != ALL else "",
        f"{window_ms[0]:g} to {window_ms[1]:g} ms" if window_ms else "",
        f"{stimuli} stimuli at most, seed {seed}" if stimuli is not None else "",
        "maps averaged over space" if pool else "",
    ]
    return Selection(recording, tuple(named), index, times, pool, "; ".join(filter(None, words)))


def _window(time: np.ndarray, window_ms: tuple[float, float] | None) -> slice:
    if window_ms is None:
        return slice(0, len(time))
    first, last = window_ms
    inside = np.flatnonzero((time >= first - rec.SAME_MS) & (time <= last + rec.SAME_MS))
    if not len(inside):
        raise RecordingError(f"nothing is recorded from {first:g} to {last:g} ms; the recording "
                             f"runs from {time[0]:g} to {time[-1]:g} ms")
    return slice(int(inside[0]), int(inside[-1]) + 1)


def plain(value: object) -> object:
    """Return an attribute as a number, a text or an array of numbers.

    None becomes an empty text, a truth value 0 or 1, anything with parts JSON.
    """
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (str, int, float, np.number)):
        return value
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False, default=str)
    values = np.asarray(value)
    if values.ndim == 1 and values.size and values.dtype.kind in "iuf":
        return values
    return json.dumps(value, ensure_ascii=False, default=str)
