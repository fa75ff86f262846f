"""When each area responds.

An area's timeline is the RMS over all its units, averaged over stimuli. Three
times are read from it: *arrival*, the first index at which the area is
populated, which is the graph's doing and no finding; *onset*, where the
timeline first reaches half its maximum; and *peak*, where it is largest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from .. import schema
from ..errors import RecordingError, unknown
from . import curves
from . import recording as rec

MEASURES = ("arrival", "onset", "peak")


def timelines(
    recording: xr.DataTree,
    areas: Sequence[str] | None = None,
    *,
    by: Sequence[str] = (),
    condition: rec.Condition | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return each area's timeline, averaged over stimuli.

    Parameters
    ----------
    recording
        An open recording.
    areas
        Areas to read; None for all.
    by
        Factors to keep apart (or ``"condition"``); all trials that have them are then
        used (blanks have none), unless a condition is given too.
    condition
        A condition's name or factor levels; None without ``by`` takes the
        plainest: unmasked and longest (see :func:`cortexsim.analysis.recording.select`).
    confidence
        Coverage of the interval of the mean over stimuli (Student's t).

    Returns
    -------
    pandas.DataFrame
        One row per area, group and time: ``area``, the factors of ``by``,
        ``step``, ``time_ms``, ``rms``, ``low``, ``high`` and ``n`` (stimuli).
        NaN where the area is empty, and in the interval of one stimulus.

    Raises
    ------
    RecordingError
        If an area, factor or condition is not in the recording.
    """
    frames = []
    for area, group, index in _groups(recording, areas, by, condition):
        rows = _by_stimulus(recording, area, index)
        count = np.isfinite(rows).sum(axis=0)
        mean = curves.average(rows)
        spread = np.nansum((rows - mean) ** 2, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.where(count > 1, np.sqrt(spread / (count - 1) / count), np.nan)
        margin = stats.t.ppf(0.5 + confidence / 2, np.maximum(count - 1, 1)) * error
        frames.append(
            pd.DataFrame(
                {
                    "area": area,
                    **group,
                    "step": rec.axis(recording, schema.STEP),
                    "time_ms": rec.axis(recording),
                    "rms": mean,
                    "low": mean - margin,
                    "high": mean + margin,
                    "n": count,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def response(
    recording: xr.DataTree,
    areas: Sequence[str] | None = None,
    *,
    by: Sequence[str] = (),
    condition: rec.Condition | None = None,
    level: float = 0.5,
    interpolate: bool = True,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure when each area responds, with intervals over stimuli.

    Parameters
    ----------
    recording
        An open recording.
    areas
        Areas to measure; None for all.
    by
        Factors to keep apart (or ``"condition"``); all trials that have them are then
        used (blanks have none), unless a condition is given too.
    condition
        A condition's name or factor levels; None without ``by`` takes the
        plainest: unmasked and longest (see :func:`cortexsim.analysis.recording.select`).
    level
        Fraction of the maximum that counts as the onset.
    interpolate
        Whether the crossing is placed between two indices in proportion, or
        at the first index at or above the level. An empty area is not zero:
        nothing is interpolated between empty and populated.
    confidence
        Coverage of the interval (percentiles of a bootstrap over stimuli).
    resamples
        Bootstrap samples; 0 leaves the intervals out.
    seed
        Seed of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row per area, group and measure (``arrival``, ``onset``,
        ``peak``): ``step`` and ``ms`` with ``step_low``, ``step_high``,
        ``ms_low`` and ``ms_high``; ``n`` trials, and a ``note``. Onset and
        peak are NaN, noted ``not saturated``, where the maximum is at the
        last index: a later one may be larger. On a plateau (less than 1 %
        growth in the last tenth of the recording) the onset is measured all
        the same, since it no longer depends on when the recording ends, and
        the peak alone is NaN, noted ``plateau``. Resamples without a maximum
        before the last index are left out of the interval and their share is
        noted; above 5 % there is no interval. In a recording thinned in time,
        arrival is the first *recorded* index at which the area is populated; in one that
        begins later than the trial, arrivals and onsets that may lie before it are NaN, and
        noted.

    Raises
    ------
    RecordingError
        If an area, factor or condition is not in the recording, or the level
        is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise RecordingError(f"the onset's level must lie between 0 and 1, got {level}")
    step, time = rec.axis(recording, schema.STEP), rec.axis(recording)
    table = []
    for area, group, index in _groups(recording, areas, by, condition):
        rows = _by_stimulus(recording, area, index)
        for measure in MEASURES:
            options = (measure, level, interpolate)
            place, note = curves.locate(rows, *options)
            if place == 0 and step[0] > 0 and measure != "peak":
                place, note = np.nan, curves.NOT_RECORDED
            low, high = np.nan, np.nan
            if resamples and measure != "arrival" and np.isfinite(place):
                low, high, doubt = curves.interval(rows, options, confidence, resamples, seed)
                note = "; ".join(filter(None, (note, doubt)))
            row: dict[str, object] = {"area": area, **group, "measure": measure}
            for end, at in (("", place), ("_low", low), ("_high", high)):
                row["step" + end] = curves.value_at(at, step)
                row["ms" + end] = curves.value_at(at, time)
            table.append({**row, "n": len(index), "note": note})
    return pd.DataFrame(table)


def _groups(
    recording: xr.DataTree,
    areas: Sequence[str] | None,
    by: Sequence[str],
    condition: rec.Condition | None,
) -> Iterator[tuple[str, dict[str, object], np.ndarray]]:
    """Yield area, levels of ``by`` and trial indices, areas in the graph's order."""
    by = [by] if isinstance(by, str) else list(by)
    table = rec.trials(recording)
    for factor in by:
        if factor not in table:
            raise RecordingError(unknown("factor", factor, [*rec.factors(recording), "condition"]))
    if condition is not None or not by:
        table = table.iloc[rec.select(recording, condition)]
    groups: list[tuple[dict[str, object], np.ndarray]] = [({}, table.index.to_numpy())]
    for factor in by:
        groups = [
            ({**group, factor: level}, index[chosen])
            for group, index in groups
            for level in rec.levels(table[factor])
            if (chosen := (table[factor].loc[index] == level).to_numpy()).any()
        ]
    names = rec.areas(recording, areas)
    if not names:
        raise RecordingError("the recording holds no area's timeline; record at least one area")
    for area in names:
        for group, index in groups:
            yield area, group, index


def _by_stimulus(recording: xr.DataTree, area: str, index: np.ndarray) -> np.ndarray:
    """Timelines ``(stimuli, time)``: what a stimulus did in several trials is one sample."""
    group = recording.children[area]
    rms = rec.variable(group, schema.RMS).isel({schema.TRIAL: index}).values.astype(np.float64)
    stimuli = rec.trials(recording)[schema.STIMULUS].to_numpy()[index]
    codes, names = pd.factorize(stimuli)
    if len(names) == len(index):
        return rms
    some = np.isfinite(rms)
    total = np.zeros((len(names), rms.shape[1]))
    count = np.zeros_like(total)
    np.add.at(total, codes, np.where(some, rms, 0.0))
    np.add.at(count, codes, some)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
