"""The numbers behind latencies: means over stimuli, crossings, peaks, intervals.

Curves are arrays ``(stimuli, time)``, NaN where an area is empty; places are
positions on the axis of time, 1.5 being halfway from its second to its third index.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

#: Numbers drawn at a time in a bootstrap, so that memory stays small.
DRAWS = 2_000_000

#: A curve whose maximum is its last value is on a plateau, and not still rising, if that value
#: exceeds all before the last tenth of the recording by less than this share of it. On a plateau
#: the half-maximum does not depend on when the recording ends; the time of the maximum does.
PLATEAU, TAIL = 0.01, 0.1
#: Resamples without a place leave an interval out if they are more than this share of all.
UNPLACED = 0.05

NOT_SATURATED, ON_PLATEAU = "not saturated", "plateau"
AT_ARRIVAL = "from arrival on"
#: Of what is there at the first recorded index, if that is not the first of the trial.
NOT_RECORDED = "before the recording begins"


def average(rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Average over stimuli, without the empty ones.

    Parameters
    ----------
    rows
        Curves ``(stimuli, time)``.
    weights
        How often each stimulus counts, ``(..., stimuli)``; None for once.

    Returns
    -------
    numpy.ndarray
        Mean curves ``(..., time)``, NaN where every stimulus is empty.
    """
    weights = np.ones(len(rows)) if weights is None else weights
    some = np.isfinite(rows)
    total: np.ndarray = weights @ np.where(some, rows, 0.0)
    count: np.ndarray = weights @ some.astype(float)
    mean: np.ndarray = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean


def locate(rows: np.ndarray, measure: str, level: float, interpolate: bool) -> tuple[float, str]:
    """Find where the mean curve arrives, crosses the level or peaks.

    Parameters
    ----------
    rows
        Curves ``(stimuli, time)``.
    measure
        ``arrival``, ``onset`` or ``peak``.
    level
        Fraction of the maximum that is the onset.
    interpolate
        Whether an onset may lie between two populated indices.

    Returns
    -------
    float
        The place, NaN where there is none.
    str
        Why, or what to know about it.
    """
    mean = average(rows)
    some = np.flatnonzero(np.isfinite(mean))
    if not len(some):
        return np.nan, "never populated"
    if measure == "arrival":
        return float(some[0]), ""
    if np.nanmax(mean) <= 0:
        return np.nan, "silent"
    place = float(places(mean[None], measure, level, interpolate)[0])
    if np.isnan(place):
        return place, ON_PLATEAU if plateau(mean[None])[0] else NOT_SATURATED
    early = measure == "onset" and mean[some[0]] >= level * np.nanmax(mean)
    return place, AT_ARRIVAL if early else ""


def places(curves: np.ndarray, measure: str, level: float, interpolate: bool) -> np.ndarray:
    """Find the onset or peak of each curve ``(n, time)``.

    NaN where the maximum is at the end, unless an onset is asked for and the
    curve is on a plateau.
    """
    some = np.isfinite(curves)
    filled = np.where(some, curves, -np.inf)
    peak = filled.argmax(axis=1)
    places = peak.astype(float)
    if measure == "onset":
        n = np.arange(len(curves))
        goal = level * filled[n, peak]
        first = (filled >= goal[:, None]).argmax(axis=1)
        places = first.astype(float)
        before = np.maximum(first - 1, 0)
        if interpolate:
            between = (first > 0) & some[n, before]
            rise = np.where(between, filled[n, first] - filled[n, before], 1.0)
            part = (goal - np.where(between, filled[n, before], 0.0)) / rise
            places = np.where(between, before + part, places)
    length = curves.shape[1]
    last = length - 1 - some[:, ::-1].argmax(axis=1)
    # a network may be populated at every second index only: the maximum is at
    # the end if the next populated index lies past it
    common = np.flatnonzero(some.any(axis=0))
    gap = int(np.diff(common).max(initial=1))
    open_end = (peak == last) & (length - 1 - last < gap)
    if measure == "onset":
        open_end &= ~plateau(curves)
    return np.where(open_end | ~some.any(axis=1), np.nan, places)


def plateau(curves: np.ndarray) -> np.ndarray:
    """Whether each curve ``(n, time)`` grows by less than `PLATEAU` in the last tenth."""
    length = curves.shape[1]
    some = np.isfinite(curves)
    filled = np.where(some, curves, -np.inf)
    last = length - 1 - some[:, ::-1].argmax(axis=1)
    # a tenth is a step at least, and ends where the curve does
    cut = last - max(1, round(TAIL * (length - 1)))
    early = np.arange(length) <= cut[:, None]
    before = np.where(early, filled, -np.inf).max(axis=1)
    # a product and no difference: both are minus infinity where a curve is empty
    flat: np.ndarray = (1 - PLATEAU) * filled.max(axis=1) < before
    return flat


def interval(
    rows: np.ndarray,
    options: tuple[str, float, bool],
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[float, float, str]:
    """Bootstrap :func:`places` over stimuli: percentiles as places, and a note.

    Resamples without a place are left out and their share is noted; above
    `UNPLACED` there is no interval.
    """
    count = len(rows)
    if count < 2:
        return np.nan, np.nan, "one stimulus"

    def statistic(sample: np.ndarray, axis: int = -1) -> np.ndarray:
        # a resample is how often each stimulus was drawn: one matrix product
        draws = np.atleast_2d(sample).astype(np.int64)
        offset = count * np.arange(len(draws))[:, None]
        weights = np.bincount((draws + offset).ravel(), minlength=draws.size)
        sample_curves = average(rows, weights.reshape(draws.shape).astype(float))
        return places(sample_curves, *options).reshape(sample.shape[:-1])

    with warnings.catch_warnings():
        # resamples that are not saturated have no onset; said in the note
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (np.arange(count),),
            statistic,
            n_resamples=resamples,
            batch=max(1, DRAWS // count),
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    found = result.bootstrap_distribution
    placed = found[np.isfinite(found)]
    share = 1 - len(placed) / len(found)
    note = f"{_percent(share)} of resamples {NOT_SATURATED}" if share else ""
    if share > UNPLACED:
        return np.nan, np.nan, note
    tail = 50 * (1 - confidence)
    low, high = np.percentile(placed, [tail, 100 - tail])
    return float(low), float(high), note


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"


def value_at(place: float, axis: np.ndarray) -> float:
    """Return the value of an axis at a place; NaN for none."""
    return float(np.interp(place, np.arange(len(axis)), axis)) if np.isfinite(place) else np.nan
