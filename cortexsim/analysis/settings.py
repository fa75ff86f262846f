"""What a protocol fixed before any result was seen, and what part each of its axes plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from .. import schema
from ..errors import RecordingError, unknown
from . import recording as rec
from .design import Axis, asked, axes
from .protocols import protocol


@dataclass(frozen=True)
class Settings:
    """The readout a protocol fixed beforehand, and the parts of its axes.

    Parameters
    ----------
    readout_ms
        Time of the summary's readout, or None for the last possible one.
    evidence_ms
        First and last readout time over which evidence is summed, or None.
    by
        The axis of the summary, or None if nothing is varied.
    split
        The axis that sets curves apart: the mask, or else the first other axis with
        words, or else the first other one; None if nothing else is varied.
    others
        Further axes: the first makes panels, the rest are held at their plainest level.
    name
        The protocol's name.
    """

    readout_ms: float | None = None
    evidence_ms: tuple[float, float] | None = None
    by: Axis | None = None
    split: Axis | None = None
    others: tuple[Axis, ...] = ()
    name: str = ""

    @property
    def axes(self) -> list[Axis]:
        """All axes, that of the curves last: the order of the rows of tables."""
        return [axis for axis in (*self.others, self.by, self.split) if axis]

    @property
    def factors(self) -> list[str]:
        """The factors whose levels tell conditions apart, in the order of the axes."""
        return [factor for axis in self.axes for factor in axis.factors]


def settings(recording: xr.DataTree) -> Settings:
    """Read the summary's settings from the recorded protocol, and find its axes.

    Returns
    -------
    Settings
        ``by`` is the axis of the factor that the protocol names, or else the first with
        numbers, or else the first.

    Raises
    ------
    RecordingError
        If the protocol names a factor the recording does not have.
    """
    readout: float | None = None
    evidence: tuple[float, float] | None = None
    factor, name = None, ""
    text = protocol(recording)
    if text is not None:
        name = text.name
        factor = text.summary.by if text.summary else None
        # by index: at 60 Hz the file says 183 ms and the axis 183.333
        if text.readout_index is not None:
            readout = text.clock.ms(text.readout_index)
        if text.evidence_indices:
            first, last = text.evidence_indices[0], text.evidence_indices[-1]
            evidence = (text.clock.ms(first), text.clock.ms(last))
    # where the network could not be read at the protocol's time
    readout = recording.attrs.get("readout_ms", readout)
    known = rec.factors(recording)
    if factor is not None and factor not in known:
        raise RecordingError(unknown("factor", factor, known))
    by, split, *others = *_parts(axes(recording), factor), None, None
    return Settings(readout, evidence, by, split, tuple(filter(None, others)), name)


def _parts(found: Sequence[Axis], factor: str | None) -> list[Axis]:
    """Sort axes: that of the summary, that of the curves, and further ones."""
    rest = [axis for axis in found if len(axis.levels) > 1 or factor in axis.factors]
    named = [axis for axis in rest if factor in axis.factors]
    numbers = [axis for axis in rest if axis.numeric]
    # a factor may be named that others stand for
    first = [*named, *numbers, *rest][:1]
    rest.sort(key=lambda axis: (axis.name != "mask", axis.numeric))
    return first + [axis for axis in rest if axis not in first]


def labels(frame: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Give rows a column of the axis's name with its values, in the order of its levels.

    Parameters
    ----------
    frame
        With a column for each of the axis's factors.
    axis
        One of :func:`cortexsim.analysis.design.axes`.
    """
    places = axis.places(frame)
    frame = frame.assign(**{axis.name: [axis.values[place] for place in places]})
    return frame.iloc[np.argsort(places.to_numpy(), kind="stable")].reset_index(drop=True)


def in_order(frame: pd.DataFrame, found: Sequence[Axis]) -> pd.DataFrame:
    """Sort rows by their axes' levels, those of the last axis fastest."""
    places = [axis.places(frame).to_numpy() for axis in reversed(found)]
    order = np.lexsort(places) if places else np.arange(len(frame))
    return frame.iloc[order].reset_index(drop=True)


def pooled(recording: xr.DataTree, factors: Sequence[str]) -> int:
    """Return how many trials of one stimulus there are at most in a combination of levels."""
    table = rec.trials(recording)[asked(recording)]
    return int(table.groupby([schema.STIMULUS, *factors]).size().max()) if len(table) else 1
