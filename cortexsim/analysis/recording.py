"""Open a recording and say what is in it.

A recording is plain xarray: ``open`` checks it and returns an
:class:`xarray.DataTree` whose arrays are read from disk when they are used.
The other functions answer the questions every analysis asks first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .. import files, formats, metadata, places, schema, stores
from ..errors import RecordingError, out_of_memory, unknown
from . import damage
from .labels import PLAIN

#: Two times closer than this are the same: at 60 Hz nobody types 183.33333333333334.
SAME_MS = 1e-3

#: A condition by its name, or by levels of some factors.
Condition = str | Mapping[str, object]


def open(path: str | Path) -> xr.DataTree:
    """Open a finished recording; arrays are read when they are used.

    Parameters
    ----------
    path
        The recording's folder (a Zarr store), or the folder of the run that made it, on this
        machine or in an object store (``s3://...``).

    Returns
    -------
    xarray.DataTree
        ``scores (trial, time, class)`` and ``shown (trial, time)`` at the
        root, one group per area. Times are in ms after image onset.

    Raises
    ------
    RecordingError
        If there is nothing at the path, if it is not a recording of
        CortexSim, if a newer CortexSim wrote it, if it is incomplete, or if
        it has lost a chunk. What the chunks hold is not compared with what
        was written; :func:`verify` does that.
    """
    path = place(path)
    metadata.check(path)
    try:
        with warnings.catch_warnings():
            # of a store whose run ended while it was laid out; the check below says so
            warnings.filterwarnings("ignore", message="Failed to open Zarr store")
            tree = stores.opened(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as problem:
        if out_of_memory(problem):
            raise  # zarr, asked again, would wait for the thread that it could not start
        damage.check_coords(path)
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise RecordingError(f"{path} is not a recording of CortexSim ({reason})") from None
    try:
        _check(tree, path)
    except RecordingError:
        tree.close()
        raise
    return tree


def place(path: str | Path) -> Path:
    """Return where a recording is, given it or the folder of the run that made it.

    Raises
    ------
    RecordingError
        If there is nothing at the path, or the folder holds no recording.
    """
    path = places.place(path)
    if not places.exists(path):
        raise RecordingError(f"there is no recording at {path}")
    within = path / schema.RECORDING
    if within.is_dir():
        return within
    # '.' has no name and is its own parent: what is put beside it would be put into it
    return path if path.name not in ("", "..") or places.far(path) else path.resolve()


def verify(path: str | Path) -> None:
    """Read a whole recording and compare each chunk with its checksum.

    The checksums cover every array along trials, not the coordinates. This
    takes as long as reading everything; :func:`open` looks for the files only.

    Parameters
    ----------
    path
        As in :func:`open`.

    Raises
    ------
    RecordingError
        As :func:`open`, and if a chunk is not as it was written.
    """
    with open(path) as recording:
        damage.check_values(recording, place(path))


def _check(tree: xr.DataTree, path: Path) -> None:
    expected = (schema.SCORES, schema.SHOWN, schema.DONE)
    missing = [name for name in expected if name not in tree.data_vars]
    if "complete" not in tree.attrs or "format" not in tree.attrs:
        raise RecordingError(f"{path} is a Zarr store, but not a recording of CortexSim")
    formats.check_recording(path, tree.attrs["format"])
    if not tree.attrs["complete"]:
        raise RecordingError(
            f"{path} is incomplete: its run was stopped or failed; go on with: "
            f"{files.going_on(path, tree.attrs)}"
        )
    if missing:
        raise RecordingError(f"{path} is damaged: it lacks {' and '.join(missing)}")
    damage.check_files(tree, path)
    metadata.check_coordinates(tree, path)
    formats.upgrade(tree)


def variable(node: xr.DataTree, name: str) -> xr.DataArray:
    """Return an array of a group, not yet read from disk."""
    return node.dataset[name]


def axis(recording: xr.DataTree, name: str = schema.TIME) -> np.ndarray:
    """Return the values of the axis of time: ``time`` in ms, or ``step``."""
    return np.asarray(recording.coords[name].values)


def areas(recording: xr.DataTree, names: Sequence[str] | None = None) -> list[str]:
    """Return the recorded areas in the order of their graph.

    Parameters
    ----------
    recording
        An open recording.
    names
        Areas asked for; None for all.

    Raises
    ------
    RecordingError
        If an area that was asked for is not recorded.
    """
    stored = [name for name, group in recording.children.items() if schema.RMS in group.data_vars]
    stored = _in_order(recording, "graph", "areas", stored)
    for name in names or ():
        if name not in stored:
            raise RecordingError(unknown("area", name, stored))
    return stored if names is None else list(names)


def _in_order(recording: xr.DataTree, attr: str, key: str, names: list[str]) -> list[str]:
    """Sort names as a recorded YAML text has them; a Zarr store lists them alphabetically."""
    order = _order(str(recording.attrs.get(attr) or "{}"), key)
    return sorted(names, key=lambda name: order.get(name, len(order)))


@lru_cache(maxsize=16)
def _order(text: str, key: str) -> dict[str, int]:
    from .. import yamlio

    try:
        data = yamlio.loads(text, RecordingError, source=key).data
    except RecordingError:
        return {}
    listed = data.get(key) if isinstance(data, Mapping) else None
    return {str(name): i for i, name in enumerate(listed or ())}


def factors(recording: xr.DataTree) -> list[str]:
    """Return the factors varied between conditions, in the order of the protocol."""
    fixed = {schema.TRIAL, schema.STIMULUS, schema.LABEL, schema.CONDITION}
    found = [
        str(name)
        for name, coord in recording.coords.items()
        if coord.dims == (schema.TRIAL,) and name not in fixed
    ]
    return _in_order(recording, "protocol", "factors", found)


def numeric(recording: xr.DataTree, factor: str) -> bool:
    """Whether a factor's levels are numbers (an SOA) and not words (a mask)."""
    return recording.coords[factor].dtype.kind in "iuf"


def trials(recording: xr.DataTree) -> pd.DataFrame:
    """Return one row per trial: stimulus, label, condition and factors.

    Returns
    -------
    pandas.DataFrame
        Indexed by trial, in the order of the recording. The condition ``blank`` has no
        factors: they are NaN there.
    """
    varied = factors(recording)
    columns = [schema.STIMULUS, schema.LABEL, schema.CONDITION, *varied]
    values = {name: _plain(recording.coords[name]) for name in columns if name in recording.coords}
    index = pd.RangeIndex(recording.sizes[schema.TRIAL], name=schema.TRIAL)
    table = pd.DataFrame(values, index=index)
    blank = table[schema.CONDITION] == schema.BLANK
    # recordings hold 'none' for its words, which is a level of other conditions too
    return table.assign(**{name: table[name].where(~blank) for name in varied}) if blank.any(
        ) else table


def stimuli(recording: xr.DataTree, index: np.ndarray) -> np.ndarray:
    """Return the names of the stimuli of trials, ``(trial,)``."""
    return np.asarray(recording.coords[schema.STIMULUS].values[index].astype(object))


def _plain(array: xr.DataArray) -> np.ndarray:
    # text comes back as numpy's StringDType, which pandas does not take
    values = array.values
    return values if values.dtype.kind in "biuf" else values.astype(object)


def levels(values: pd.Series) -> list[Any]:
    """Return a factor's levels: numbers ascending, ``none`` and ``grey`` before other words."""
    unique = list(dict.fromkeys(values.dropna()))
    if pd.api.types.is_numeric_dtype(values):
        return sorted(unique)
    return sorted(unique, key=lambda word: PLAIN.index(word) if word in PLAIN else len(PLAIN))


def select(recording: xr.DataTree, condition: Condition | None = None) -> np.ndarray:
    """Choose the trials of a condition.

    Parameters
    ----------
    recording
        An open recording.
    condition
        A condition's name, or levels of factors such as ``{"mask": "none"}``.
        None chooses the plainest condition, in which something is to be named if there is any
        such: ``none`` (or ``grey``) where a factor has that level, else its first word; of
        numbers that change pictures or the network the one that leaves them as they are, of
        others the largest (the longest). See :func:`cortexsim.analysis.design.axes`.

    Returns
    -------
    numpy.ndarray
        Indices of trials, ascending.

    Raises
    ------
    RecordingError
        If no trial has that condition.
    """
    table = trials(recording)
    if condition is None:
        from . import design

        asked = design.asked(recording)
        table = table[asked] if asked.any() else table
        condition = design.plainest(recording)
    if isinstance(condition, str):
        known = list(dict.fromkeys(table[schema.CONDITION]))
        if condition not in known:
            raise RecordingError(unknown("condition", condition, known))
        table = table[table[schema.CONDITION] == condition]
    else:
        for factor, level in condition.items():
            if factor not in table:
                raise RecordingError(unknown("factor", factor, factors(recording)))
            known = levels(table[factor])
            table = table[table[factor] == level]
            if table.empty:
                raise RecordingError(unknown(f"level of {factor}", level, known))
    return table.index.to_numpy()


def begins_with_target(presentations: pd.DataFrame) -> bool:
    """Whether times of a condition count from the target's onset: it comes first, at once."""
    first = presentations.head(1)
    return first.empty or bool((first["shown"] == "target").all() and
                               (first["start_ms"] <= 0).all())


def presentations(recording: xr.DataTree, condition: Condition | None = None, *,
                  of: str = schema.SHOWN) -> pd.DataFrame:
    """Say what was on, from when to when, in a condition.

    Parameters
    ----------
    recording
        An open recording.
    condition
        As in :func:`select`; of several conditions the first is taken.
    of
        ``asked`` for what was to be named, in place of what was on.

    Returns
    -------
    pandas.DataFrame
        ``shown`` (name), ``start_ms`` and ``stop_ms`` on the screen (before
        the delay ``arrival_ms``; of what was to be named, after it), without
        the spans in which there was nothing. What is on when the recording
        begins starts where the recorded protocol says; the last span ends with
        the recording. In one thinned in time, spans are seen at the recorded
        indices only.
    """
    first = int(select(recording, condition)[0])
    shown = _plain(variable(recording, of).isel({schema.TRIAL: first}))
    time = axis(recording)
    if of == schema.SHOWN:
        time = time - float(recording.attrs.get("arrival_ms", 0))
    starts = [0, *(i for i in range(1, len(shown)) if shown[i] != shown[i - 1])]
    stops = [*starts[1:], len(shown) - 1]
    # what is on when the recording begins may have come before
    begins = min(float(time[0]), _onset(recording, first)) if of == schema.SHOWN else float(time[0])
    rows = [
        (str(shown[a]), float(time[a]) if a else begins, float(time[b]))
        for a, b in zip(starts, stops, strict=True)
        if shown[a] != schema.NOTHING
    ]
    return pd.DataFrame(rows, columns=["shown", "start_ms", "stop_ms"])


def _onset(recording: xr.DataTree, trial: int) -> float:
    """Return when, in ms, that began which a trial shows at the first recorded index."""
    from .protocols import protocol

    text, at = protocol(recording), int(axis(recording, schema.STEP)[0])
    if text is None:
        return math.inf
    name = str(recording.coords[schema.CONDITION].values[trial])
    starts = (item.start for one in text.conditions if one.name == name
              for item in one.presentations if item.start <= at < item.stop)
    return min((float(start * text.clock.ms_per_step) for start in starts), default=math.inf)
