"""A recording as a folder of CSV tables, one row per what was observed, for any program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ... import provenance, schema
from .. import recording as rec
from ..settings import settings
from .selection import Selection

#: Bytes of values that are read at a time: a line of a table takes far more than its value.
PORTION_BYTES = 2_000_000
#: The tables' columns: name, unit, meaning. Factors and scores are added when they are written.
COLUMNS = {
    schema.TRIAL: ("", "number of the trial, the same in all tables"),
    schema.STIMULUS: ("", "the image that is the target"),
    schema.LABEL: ("", "number of the target's class; -1 where there is none"),
    schema.CLASS: ("", "name of the target's class"),
    schema.CONDITION: ("", "what the trial was like, by the levels of the factors"),
    "area": ("", "name of the area"),
    schema.STEP: ("steps", "steps since the trial began: the state after so many"),
    "time_ms": ("ms", "time after image onset"),
    schema.POPULATED: ("", "1 where activity has reached the area, else 0"),
    schema.RMS: ("", "root mean square of the activity of all units of the area"),
    schema.MEAN: ("", "mean of the activity of all units of the area"),
    schema.NORM: ("", "L2 norm of the activity over units"),
    schema.SPARSENESS: ("", "Treves-Rolls sparseness of the rectified activity, 0 to 1"),
    schema.DISTANCE: ("", "L2 distance to the activity one step before"),
    schema.SHOWN: ("", "what was on"),
    schema.ASKED: ("", "what was to be named: target, another image, or nothing"),
    "asked_class": ("", "name of the class to be named; empty where nothing is"),
    "choice": ("", "name of the class with the highest score; empty where there are no scores"),
    "correct": ("", "1 where choice is asked_class, else 0; empty where there is nothing to say"),
    schema.UNIT: ("", "number of the unit among those recorded of the area"),
    schema.CHANNEL: ("", "the unit's channel (feature map)"),
    schema.ROW: ("", "the unit's row in the map, from the top"),
    schema.COLUMN: ("", "the unit's column in the map, from the left"),
    schema.ACTIVATION: ("", "the unit's activity, or the mean of its channel over space"),
}


def write(chosen: Selection, folder: Path, *, units: bool = False, gzip: bool = False) -> None:
    """Write a selection as tables, portion by portion.

    ``trials.csv``, one row per trial; ``timelines.csv``, one per trial, area and time;
    ``scores.csv``, one per trial and time; on request ``units.csv``, one per trial, area,
    time and unit; ``columns.csv``, what each column means; ``recording.json``, how the
    recording was made; ``provenance.json``, where these files come from. Cells are
    empty where there is nothing: an area that activity has not reached, a factor that a
    condition does not have.

    Parameters
    ----------
    chosen
        What to write.
    folder
        An empty folder.
    units
        Whether to write the activity of single units too.
    gzip
        Whether to compress the tables (``.csv.gz``).

    Raises
    ------
    RecordingError
        If units are asked for where activity is not recorded.
    """
    table = chosen.table()
    if units:
        for area in chosen.areas:
            chosen.places(area)  # says what is lacking before anything is written
    parts: dict[str, Iterator[pd.DataFrame]] = {
        "trials": iter([table.reset_index()]),
        "timelines": (part for area in chosen.areas for part in _timelines(chosen, area)),
        "scores": _scores(chosen),
    }
    if units:
        parts["units"] = (part for area in chosen.areas for part in _units(chosen, area))
    described: list[tuple[str, str, str, str]] = []
    meanings = {**COLUMNS, **_meanings(chosen)}
    for name, frames in parts.items():
        columns = _table(folder / f"{name}.csv{'.gz' if gzip else ''}", frames)
        described += [(name, column, *meanings[column]) for column in columns]
    pd.DataFrame(described, columns=["table", "column", "unit", "meaning"]).to_csv(
        folder / "columns.csv", index=False)
    about = {**chosen.attributes(), "readout_ms": settings(chosen.recording).readout_ms}
    (folder / "recording.json").write_text(
        json.dumps(about, indent=2, ensure_ascii=False, default=_number) + "\n", "utf-8")
    provenance.beside(folder, sorted(path.name for path in folder.iterdir()), chosen.origin())


def _table(path: Path, frames: Iterator[pd.DataFrame]) -> list[str]:
    columns: list[str] = []
    with path.open("wb") as file:
        for frame in frames:
            # portions of a gzip file may follow each other
            frame.to_csv(file, index=False, header=not columns, mode="ab",
                         compression="gzip" if path.suffix == ".gz" else None)
            columns = [str(name) for name in frame]
    return columns


def _number(value: object) -> object:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def _score(name: object) -> str:
    return f"score_{name}"


def _meanings(chosen: Selection) -> dict[str, tuple[str, str]]:
    found = {_score(name): ("", f"score of the class {name}") for name in chosen.classes}
    for name in rec.factors(chosen.recording):
        unit = "ms" if name.endswith("_ms") else ""
        found[name] = (unit, "a factor of the protocol; empty in the condition without a picture")
    return found


def _index(chosen: Selection, rows: slice) -> dict[str, np.ndarray]:
    """Return trial, step and time of the rows of a table of trials x times."""
    count, trials = len(chosen.steps), chosen.trials[rows]
    return {schema.TRIAL: np.repeat(trials, count),
            schema.STEP: np.tile(chosen.steps, len(trials)),
            "time_ms": np.tile(chosen.time_ms, len(trials))}


def _timelines(chosen: Selection, area: str) -> Iterator[pd.DataFrame]:
    group = chosen.recording.children[area]
    names = [name for name in (schema.POPULATED, schema.RMS, *schema.SUMMARIES)
             if name in group.data_vars]
    for rows in chosen.blocks(rec.variable(group, schema.RMS), size=PORTION_BYTES):
        index = _index(chosen, rows)
        values = {name: rec.variable(group, name).isel(
            {schema.TRIAL: chosen.trials[rows], schema.TIME: chosen.times}).values.ravel()
            for name in names}
        if schema.POPULATED in values:
            values[schema.POPULATED] = values[schema.POPULATED].astype(int)
        yield pd.DataFrame({schema.TRIAL: index.pop(schema.TRIAL), "area": area, **index,
                            **values})


def _scores(chosen: Selection) -> Iterator[pd.DataFrame]:
    scores, known = rec.variable(chosen.recording, schema.SCORES), chosen.classes
    words = [name for name in (schema.SHOWN, schema.ASKED) if name in chosen.recording.data_vars]
    for rows in chosen.blocks(scores, size=PORTION_BYTES):
        trials = chosen.trials[rows]
        at: dict[str, np.ndarray | slice] = {schema.TRIAL: trials, schema.TIME: chosen.times}
        block = scores.isel(at).values.reshape(-1, len(known))
        label = _asked(chosen, at).ravel()
        some, right = ~np.isnan(block).any(axis=-1), (label >= 0) & (label < len(known))
        choice = np.where(some[:, None], block, 0).argmax(axis=-1)
        correct = pd.Series(choice == label).astype("Int8").where(some & right)
        yield pd.DataFrame({
            **_index(chosen, rows),
            **{name: rec.variable(chosen.recording, name).isel(at).values.astype(object).ravel()
               for name in words},
            "asked_class": np.where(right, known[np.where(right, label, 0)], ""),
            "choice": np.where(some, known[choice], ""),
            "correct": correct,
            **{_score(name): block[:, i] for i, name in enumerate(known)},
        })


def _asked(chosen: Selection, at: dict[str, np.ndarray | slice]) -> np.ndarray:
    """Return the class to be named, ``(trial, time)``; -1 for none."""
    if schema.ASKED_LABEL in chosen.recording.data_vars:
        return np.asarray(rec.variable(chosen.recording, schema.ASKED_LABEL).isel(at).values)
    label = np.asarray(chosen.recording.coords[schema.LABEL].values)[at[schema.TRIAL]]
    return np.repeat(label[:, None], len(chosen.steps), axis=1)


def _units(chosen: Selection, area: str) -> Iterator[pd.DataFrame]:
    everywhere = {name for one in chosen.areas for name in chosen.places(one).coords}
    for rows in chosen.blocks(*chosen.activations(area), size=PORTION_BYTES):
        block = chosen.units(area, rows)
        index = _index(chosen, rows)
        size = block.sizes[schema.UNIT]
        places: dict[str, np.ndarray] = {schema.UNIT: np.arange(size)}
        for name in (schema.CHANNEL, schema.ROW, schema.COLUMN):
            if name in everywhere:
                places[name] = (block[name].values if name in block.coords
                                else np.full(size, np.nan))
        yield pd.DataFrame({
            schema.TRIAL: np.repeat(index.pop(schema.TRIAL), size), "area": area,
            **{name: np.repeat(values, size) for name, values in index.items()},
            **{name: np.tile(values, len(chosen.steps) * block.sizes[schema.TRIAL])
               for name, values in places.items()},
            schema.ACTIVATION: block.values.ravel(),
        })
