"""How often the network is right: per condition, per readout, over time.

Intervals are Wilson's. They take trials as independent: pool the conditions of
one stimulus (``by`` without a factor) and they come out too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import log_softmax
from scipy.stats import binomtest

from .. import schema
from ..errors import RecordingError, unknown
from . import design
from . import recording as rec
from .settings import settings as read_settings

EVIDENCE = "evidence"
#: Trials read at a time, so that memory does not grow with the recording.
BLOCK = 4096

#: A time in ms, the protocol's evidence window, or a window in ms.
Readout = float | str | tuple[float, float]


def accuracy(
    recording: xr.DataTree,
    readout_ms: Readout | None = None,
    by: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the accuracy of each condition at one readout.

    Right is who names the target, or at each time what a sequence asks for then.

    Parameters
    ----------
    recording
        An open recording.
    readout_ms
        Time of the readout in ms after image onset; ``"evidence"`` or a
        window ``(first, last)`` sums log-probabilities (the log-softmax of
        the scores) over the protocol's or the given window, ends included;
        None takes the readout the protocol fixed, or else the last time at
        which the last area is populated.
    by
        Factors to keep apart (``"condition"`` works too); None for all.

    Returns
    -------
    pandas.DataFrame
        One row per combination of levels in which something is to be named (catch trials
        and blanks have none): the factors, ``readout_ms`` and
        ``readout_stop_ms`` (equal for a single readout), ``k`` correct of
        ``n`` trials, ``accuracy``, and Wilson's 95 % interval ``low`` and
        ``high``. Trials whose last area is empty at the readout do not count;
        where none is left, ``n`` is 0 and the rest NaN.

    Raises
    ------
    RecordingError
        If the readout was asked for and is not recorded, or at it the last area is
        empty, or nothing is asked, in every trial (the message names the possible times); if
        the protocol has no evidence window; if a factor is unknown.
    """
    factors = _factors(recording, by)
    index, asked = _readouts(recording, readout_ms)
    right, known = _answers(recording, index, summed=len(index) > 1 or not _single(readout_ms))
    if asked and not known.any():
        raise RecordingError(_empty(recording, index))
    time = rec.axis(recording)[index]
    table = _count(recording, factors, right, known)
    place = {"readout_ms": float(time[0]), "readout_stop_ms": float(time[-1])}
    for column, value in reversed(place.items()):
        table.insert(len(factors), column, value)
    return table.drop(columns="index")


def accuracy_over_time(
    recording: xr.DataTree, by: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the accuracy of each condition at every recorded time.

    Parameters
    ----------
    recording
        An open recording.
    by
        Factors to keep apart (``"condition"`` works too); None for all.

    Returns
    -------
    pandas.DataFrame
        One row per combination of levels and time: the factors, ``step``,
        ``time_ms``, ``k``, ``n``, ``accuracy``, ``low`` and ``high`` as in
        :func:`accuracy`. ``n`` is 0 and the rest NaN where the last area is
        empty.

    Raises
    ------
    RecordingError
        If a factor is unknown.
    """
    factors = _factors(recording, by)
    index = np.arange(recording.sizes[schema.TIME])
    right, known = _answers(recording, index, summed=False)
    table = _count(recording, factors, right, known)
    at = table.pop("index").to_numpy()
    table.insert(len(factors), "time_ms", rec.axis(recording)[at])
    table.insert(len(factors), "step", rec.axis(recording, schema.STEP)[at])
    return table


def labelled(recording: xr.DataTree) -> bool:
    """Return whether any trial has a class to be named."""
    label = schema.ASKED_LABEL if schema.ASKED_LABEL in recording.data_vars else schema.LABEL
    return bool((recording[label] >= 0).any())


def evidence_window(recording: xr.DataTree) -> tuple[float, float] | None:
    """Return first and last ms of the protocol's evidence; None without, or if nothing is in it.

    A folded ResNet, for one, may have nothing to read any more by then.
    """
    window = read_settings(recording).evidence_ms
    if window is None or not any(window[0] <= time <= window[1]
                                 for time in readout_times(recording)):
        return None
    return window


def readout_times(recording: xr.DataTree) -> list[float]:
    """Return the times in ms at which some trial's last area is populated, and is asked for.

    Nothing is asked at times of some sequences; where no image has a label all times count.
    """
    scores = rec.variable(recording, schema.SCORES).isel({schema.CLASS: 0})
    asked = _asked(recording, np.arange(recording.sizes[schema.TIME])) >= 0
    some = np.zeros(recording.sizes[schema.TIME], bool)
    for start in range(0, recording.sizes[schema.TRIAL], BLOCK):
        rows = slice(start, start + BLOCK)
        block = ~np.isnan(scores.isel({schema.TRIAL: rows}).values)
        some |= (block & asked[rows] if asked.any() else block).any(axis=0)
    return [float(time) for time in rec.axis(recording)[some]]


@lru_cache(maxsize=65536)
def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of ``k`` in ``n``; NaN for ``n`` of 0."""
    if n == 0:
        return float("nan"), float("nan")
    interval = binomtest(k, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def _single(readout_ms: Readout | None) -> bool:
    return readout_ms is None or isinstance(readout_ms, (int, float))


def _factors(recording: xr.DataTree, by: Sequence[str] | None) -> list[str]:
    known = rec.factors(recording)
    factors = known if by is None else [by] if isinstance(by, str) else list(by)
    for factor in factors:
        if factor not in (*known, schema.CONDITION, schema.LABEL, schema.STIMULUS):
            raise RecordingError(unknown("factor", factor, [*known, schema.CONDITION]))
    return factors


def _readouts(recording: xr.DataTree, readout_ms: Readout | None) -> tuple[np.ndarray, bool]:
    """Find the indices on the time axis to read, and whether they were asked for."""
    time = rec.axis(recording)
    if isinstance(readout_ms, str):
        if readout_ms != EVIDENCE:
            raise RecordingError(unknown("readout", readout_ms, [EVIDENCE]))
        window = read_settings(recording).evidence_ms
        if window is None:
            raise RecordingError(
                "the protocol has no evidence_ms in its summary; give a window (first, last) in ms"
            )
        return _window(time, *window), True
    if isinstance(readout_ms, tuple):
        return _window(time, *readout_ms), True
    asked = readout_ms is not None
    if readout_ms is None:
        readout_ms = read_settings(recording).readout_ms
    if readout_ms is None:
        readout_ms = max(readout_times(recording), default=float(time[-1]))
    near = np.argsort(np.abs(time - readout_ms), kind="stable")
    if abs(time[near[0]] - readout_ms) > rec.SAME_MS:
        nearest = " and ".join(f"{time[i]:g}" for i in sorted(near[:2]))
        whose = "" if asked else "the protocol's readout at "
        raise RecordingError(
            f"{whose}{readout_ms:g} ms is not a recorded readout time; the nearest are {nearest} ms"
        )
    return near[:1], asked


def _window(time: np.ndarray, first: float, last: float) -> np.ndarray:
    index = np.flatnonzero((time >= first - rec.SAME_MS) & (time <= last + rec.SAME_MS))
    if not len(index):
        raise RecordingError(
            f"no readout was recorded from {first:g} to {last:g} ms; the recording runs from "
            f"{time[0]:g} to {time[-1]:g} ms"
        )
    return index


def _empty(recording: xr.DataTree, index: np.ndarray) -> str:
    """Say why there is no answer, and when there is one."""
    times = rec.axis(recording)[index]
    asked = (_asked(recording, index[-1:]) >= 0).any()
    why = "the last area is empty" if asked or not labelled(recording) else "nothing is asked"
    span = f"at {times[0]:g} ms" if len(times) == 1 else f"from {times[0]:g} to {times[-1]:g} ms"
    possible = [f"{time:g}" for time in readout_times(recording)]
    if not possible:
        return f"{why} {span}, and at every other recorded time"
    if len(possible) > 12:
        possible = [*possible[:6], "...", *possible[-3:]]
    return f"{why} {span}; possible readout times: {', '.join(possible)} ms"


def _answers(
    recording: xr.DataTree, index: np.ndarray, *, summed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each trial was right, and whether it answered: both ``(trial, readout)``.

    Summed over several readouts, the answer is to what the last of them asks.
    """
    labels = _asked(recording, index[-1:] if summed else index)
    scores = rec.variable(recording, schema.SCORES).isel({schema.TIME: index})
    right, known = [], []
    for start in range(0, len(labels), BLOCK):
        rows = slice(start, start + BLOCK)
        block = scores.isel({schema.TRIAL: rows}).values
        some = ~np.isnan(block).any(axis=-1)
        if summed:
            logp = log_softmax(np.where(some[..., None], block, 0.0).astype(np.float64), axis=-1)
            block = np.where(some[..., None], logp, 0.0).sum(axis=1, keepdims=True)
            some = some.any(axis=1, keepdims=True)
        # an image without a label (-1) can be neither right nor wrong
        label = labels[rows]
        some &= (label >= 0) & (label < block.shape[-1])
        choice = np.where(some[..., None], block, 0.0).argmax(axis=-1)
        right.append(some & (choice == label))
        known.append(some)
    return np.concatenate(right), np.concatenate(known)


def _asked(recording: xr.DataTree, index: np.ndarray) -> np.ndarray:
    """Return the class to be named, ``(trial, readout)``; -1 for none."""
    if schema.ASKED_LABEL in recording.data_vars:
        at = rec.variable(recording, schema.ASKED_LABEL).isel({schema.TIME: index})
        return np.asarray(at.values)
    label = np.asarray(recording.coords[schema.LABEL].values)
    return np.repeat(label[:, None], len(index), axis=1)


def _count(
    recording: xr.DataTree, factors: list[str], right: np.ndarray, known: np.ndarray
) -> pd.DataFrame:
    """Count right answers per combination of levels and readout (``index``)."""
    table = rec.trials(recording)
    asked = design.asked(recording)
    used = (asked | ~asked.any()) & table[factors].notna().all(axis=1).to_numpy()
    table, right, known = table[used], right[used], known[used]
    order = {factor: rec.levels(table[factor]) for factor in factors}
    codes = [
        table[factor].map({level: i for i, level in enumerate(order[factor])}).to_numpy()
        for factor in factors
    ]
    combined = np.stack(codes, axis=1) if codes else np.zeros((len(table), 0), int)
    groups, member = np.unique(combined, axis=0, return_inverse=True)
    rows = []
    for g, combination in enumerate(groups):
        here = member.reshape(-1) == g
        named = {f: order[f][code] for f, code in zip(factors, combination, strict=True)}
        hits, counts = right[here].sum(axis=0), known[here].sum(axis=0)
        for i, (k, n) in enumerate(zip(hits.tolist(), counts.tolist(), strict=True)):
            low, high = wilson(k, n)
            share = k / n if n else np.nan
            rows.append(
                {**named, "index": i, "k": k, "n": n, "accuracy": share, "low": low, "high": high}
            )
    return pd.DataFrame(rows)
