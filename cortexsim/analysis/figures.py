"""Figures of a recording: tidy tables in, matplotlib axes out.

Every axis of time is in ms, every curve has its 95 % interval. Figures are
plain :class:`matplotlib.figure.Figure` objects; pyplot and its state are not
used, so a machine without a display draws them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .. import palette
from . import marks
from .labels import COMBINED, PLAIN, TIME_LABEL, factor_label, level_label, phrase

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: From this ratio of largest to smallest level on, the axis is logarithmic.
WIDE = 12
#: What sets curves of words apart; colour is kept for areas and numbers.
MARKERS, DASHES = "osD^v", ("-", "-", "--", ":", "-.")
#: Timelines of trials without a picture.
DASHED: dict[str, Any] = {"linewidth": 1.0, "linestyle": (0, (3, 2))}


def figure(recording: xr.DataTree, readout_ms: float | None = None) -> Figure:
    """Draw what applies to a recording: timelines, accuracy over time and per factor.

    Parameters
    ----------
    recording
        An open recording.
    readout_ms
        Time of the readout; None for the one the protocol fixed.

    Returns
    -------
    matplotlib.figure.Figure
        To be written with :func:`save`.

    Raises
    ------
    RecordingError
        If the readout is not in the recording.
    """
    from .compose import compose

    return compose(recording, readout_ms)


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure with its origin as metadata; the ending chooses the format.

    Parameters
    ----------
    figure
        From :func:`figure`, or any other.
    path
        File to write: ``.png``, ``.svg`` or ``.pdf``.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    RecordingError
        If the ending is none of these, or the file cannot be written.
    """
    from .compose import write

    return write(figure, Path(path))


def activation_timelines(
    ax: Axes,
    data: pd.DataFrame,
    *,
    onsets: pd.DataFrame | None = None,
    presentations: pd.DataFrame | None = None,
    done: pd.DataFrame | None = None,
    baseline: pd.DataFrame | None = None,
    normalize: bool | Mapping[str, float] = True,
    time_label: str = TIME_LABEL,
    legend: bool = True,
) -> Axes:
    """Draw each area's timeline, its onset as a tick, and the stimulus below.

    Parameters
    ----------
    ax
        Axes to draw on.
    data
        From :func:`cortexsim.analysis.timelines`, one group.
    onsets
        From :func:`cortexsim.analysis.response`: half-maximum onsets with
        their intervals, drawn at the foot; those that are NaN are left out.
    presentations
        From :func:`cortexsim.analysis.recording.presentations`.
    done
        What was done to the network, from
        :func:`cortexsim.analysis.protocols.interventions`.
    baseline
        As `data`, of trials without a picture: drawn thin and dashed.
    normalize
        Whether to divide by each area's maximum in `data`, or by the values
        given (area to maximum); False draws the RMS as it is.
    time_label
        What time counts from.
    legend
        Whether to name the areas.

    Returns
    -------
    matplotlib.axes.Axes
        The axes given.
    """
    names = list(dict.fromkeys(data["area"]))
    colors = palette.area_colors(names)
    scale: dict[str, float] = {}
    if isinstance(normalize, Mapping):
        scale.update(normalize)
    elif normalize:
        scale = {name: float(data.loc[data["area"] == name, "rms"].max()) for name in names}
    for name in names:
        rows = data[data["area"] == name]
        unit = scale.get(name, 1.0) or 1.0
        label = name if rows["rms"].notna().any() else f"{name} (empty)"
        heights = [rows[column] / unit for column in ("rms", "low", "high")]
        marks.curve(ax, rows["time_ms"], *heights, color=colors[name], label=label)
    for name, rows in baseline.groupby("area") if baseline is not None else ():
        ax.plot(rows["time_ms"], rows["rms"] / (scale.get(str(name), 1.0) or 1.0),
                color=colors[str(name)], **DASHED)
    ax.set_ylabel("RMS activity / maximum" if normalize else "RMS activity")
    low, high = 0.0, ax.get_ylim()[1]
    if onsets is not None:
        low = -marks.GUTTER * high
        marks.onset_ticks(ax, onsets[onsets["measure"] == "onset"], colors)
    ax.set_ylim(low, high)
    if legend:
        handles = ax.get_legend_handles_labels()[0]
        if baseline is not None:
            handles.append(Line2D([], [], color=palette.FAINT, label="no picture", **DASHED))
        marks.name_curves(ax, handles)
    marks.time_axis(ax, data["time_ms"], time_label)
    if presentations is not None and (len(presentations) or (done is not None and len(done))):
        # with a retinal delay the image is on before the first recorded time
        ax.set_xlim(left=min([ax.get_xlim()[0], *presentations["start_ms"]]))
        marks.stimulus_bar(ax, presentations, done)
    return ax


def accuracy_against_factor(
    ax: Axes,
    data: pd.DataFrame,
    factor: str,
    *,
    split: str | None = None,
    plain: object = None,
    chance: float | None = None,
    legend: bool = True,
) -> Axes:
    """Draw accuracy against a factor, one curve per level of another.

    Parameters
    ----------
    ax
        Axes to draw on.
    data
        From :func:`cortexsim.analysis.accuracy`, by `factor` and `split`.
    factor
        Column of the horizontal axis: numbers, or words.
    split
        Column that sets curves apart, e.g. the mask; None for one curve. Numbers run
        from dark to light.
    plain
        The word of `split` whose curve is grey; ``none`` or ``grey`` by default.
    chance
        Accuracy of guessing, drawn as a line; None for no line.
    legend
        Whether to name the curves.

    Returns
    -------
    matplotlib.axes.Axes
        The axes given.
    """
    known = list(dict.fromkeys(data[factor]))
    number = pd.api.types.is_numeric_dtype(data[factor])
    curves = list(dict.fromkeys(data[split])) if split else [None]
    place = {level: float(level) if number else float(i) for i, level in enumerate(known)}
    wide = number and min(known) > 0 and max(known) / min(known) >= WIDE
    spread = marks.span(list(place.values())) * 0.006
    shades = (palette.sequential(len(curves))
              if split and pd.api.types.is_numeric_dtype(data[split]) else [])
    for i, curve in enumerate(curves):
        rows = data[data[split] == curve] if split else data
        # curves of equal height would hide each other's intervals
        shift = 0.0 if wide else spread * (2 * i - len(curves) + 1)
        x = rows[factor].map(place).to_numpy(float) + shift
        height = rows["accuracy"].to_numpy(float)
        bars = np.stack([height - rows["low"], rows["high"] - height]).clip(min=0)
        light = curve in ([*PLAIN] if plain is None else [plain])
        color = shades[i] if shades else palette.FAINT if light else palette.INK
        ax.errorbar(
            x, height, yerr=bars, color=color, linestyle=DASHES[i % 5] if number else "none",
            marker=MARKERS[i % 5], markerfacecolor="white" if light or not split else color,
            markeredgewidth=1.5, capsize=2.5, elinewidth=1.2, linewidth=1.5, clip_on=False,
            label=phrase(split, curve) if split else None,
        )
    marks.level_axis(ax, place, number, wide)
    ax.set_xlabel(factor_label(factor))
    marks.accuracy_axis(ax, chance)
    if legend and split:
        marks.name_curves(ax, ax.get_legend_handles_labels()[0], _legend_title(split),
                          [level_label(None, curve) for curve in curves])
    return ax


def accuracy_over_time(
    ax: Axes,
    data: pd.DataFrame,
    factor: str | None = None,
    *,
    chance: float | None = None,
    readout_ms: float | None = None,
    evidence_ms: tuple[float, float] | None = None,
    asked: pd.DataFrame | None = None,
    legend: bool = True,
) -> Axes:
    """Draw accuracy over readout time, one curve per level of a factor.

    Parameters
    ----------
    ax
        Axes to draw on.
    data
        From :func:`cortexsim.analysis.accuracy_over_time`, by `factor`.
    factor
        Column that sets curves apart; numbers run from dark to light.
    chance
        Accuracy of guessing, drawn as a line; None for no line.
    readout_ms
        The readout that was fixed beforehand, drawn as a vertical line.
    evidence_ms
        First and last readout of the summed evidence, shaded.
    asked
        What is to be named from when to when, from
        :func:`cortexsim.analysis.recording.presentations`: drawn below, and the curve
        begins anew where it changes.
    legend
        Whether to name the curves.

    Returns
    -------
    matplotlib.axes.Axes
        The axes given.
    """
    known: Sequence[Any] = list(dict.fromkeys(data[factor])) if factor else [None]
    for color, level in zip(palette.sequential(len(known)), known, strict=True):
        rows = data[data[factor] == level] if factor else data
        changes = [] if asked is None else asked["start_ms"].tolist()
        for _, part in rows.groupby(np.searchsorted(changes, rows["time_ms"], side="right")):
            marks.curve(
                ax, part["time_ms"], part["accuracy"], part["low"], part["high"],
                color=color if factor else palette.INK,
                label=level_label(factor, level) if factor else None,
            )
    marks.time_axis(ax, data["time_ms"])
    ax.set_xlabel("Readout time, from image onset (ms)")
    if asked is not None:
        ax.set_xlabel("Readout time (ms); above it, what is to be named")
        marks.stimulus_bar(ax, asked)
    marks.accuracy_axis(ax, chance)
    handles = marks.readout_marks(ax, readout_ms, evidence_ms)
    if handles:
        # a second legend takes the first one's place unless that is kept
        ax.add_artist(ax.legend(handles=handles, **marks.ABOVE))
    if legend and factor:
        ax.legend(title=_legend_title(factor), **marks.BESIDE)
    elif handles:
        ax.legend_ = None
    return ax


def _legend_title(factor: str) -> str | None:
    """Return the factor's label; levels of factors that go together need none."""
    return None if COMBINED in factor else factor_label(factor)
