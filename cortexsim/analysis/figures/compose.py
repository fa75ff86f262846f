"""The figure of a run, put together from its parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import pandas as pd
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import palette, schema
from .. import design, latency, protocols, psychometrics
from .. import recording as rec
from ..design import Axis
from ..labels import TIME_LABEL, TRIAL_TIME_LABEL, capital, ms
from ..settings import Settings, labels, pooled
from ..settings import settings as read_settings
from .accuracy import accuracy_against_factor, accuracy_over_time
from .activity import activation_timelines
from .look import mark, style

#: Inches of one panel, with its labels and legend.
PANEL = (4.9, 3.4)
#: Points between axes and title: a line of legend stands there.
PAD = 19
#: Panels beside each other at most, and letters in a line of a title above half a figure.
PANELS, TITLE = 4, 48


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
    settings = read_settings(recording)
    rows = _rows(recording, settings, readout_ms)
    columns = math.lcm(*map(len, rows))
    with rc_context(style()):
        widest = 2 if len(rows) > 1 else len(rows[0])
        sheet = Figure((PANEL[0] * widest, PANEL[1] * len(rows) + 0.3), layout="constrained")
        engine = sheet.get_layout_engine()
        assert engine is not None
        engine.set(w_pad=0.12, h_pad=0.1)  # type: ignore[call-arg]
        grid = sheet.add_gridspec(len(rows), columns)
        timed = []
        for i, row in enumerate(rows):
            width = columns // len(row)
            for j, panel in enumerate(row):
                ax = sheet.add_subplot(grid[i, j * width : (j + 1) * width])
                panel(ax)
                if panel.func is _timelines:
                    timed.append(ax)
        for ax in timed:
            # one scale, so that masked and unmasked heights can be compared
            ax.set_ylim(min(x.get_ylim()[0] for x in timed), max(x.get_ylim()[1] for x in timed))
        sheet.suptitle(_headline(recording, settings), x=0.01, ha="left", fontsize=9,
                        color=palette.FAINT)
        # laid out once: every file of the figure then looks the same
        sheet.draw_without_rendering()
        sheet.set_layout_engine("none")
    mark(sheet, recording)
    return sheet


def panels(recording: xr.DataTree, readout_ms: float | None = None) -> list[tuple[str, Figure]]:
    """Draw the parts of :func:`figure` each as a figure of its own, for a narrow page.

    Parameters
    ----------
    recording
        An open recording.
    readout_ms
        As in :func:`figure`.

    Returns
    -------
    list of (str, matplotlib.figure.Figure)
        ``timelines``, ``over_time`` or ``against``, and the part, as the figure has them.

    Raises
    ------
    RecordingError
        If the readout is not in the recording.
    """
    rows = _rows(recording, read_settings(recording), readout_ms)
    found = []
    with rc_context(style()):
        for panel in (panel for row in rows for panel in row):
            sheet = Figure(PANEL, layout="constrained")
            panel(sheet.add_subplot())
            found.append((panel.func.__name__.removeprefix("_"), sheet))
        timed = [sheet.axes[0] for kind, sheet in found if kind == "timelines"]
        for ax in timed:
            ax.set_ylim(min(x.get_ylim()[0] for x in timed), max(x.get_ylim()[1] for x in timed))
    return found


def _rows(
    recording: xr.DataTree, settings: Settings, readout_ms: float | None
) -> list[list[partial[None]]]:
    """Choose the panels and their places: each a function of its axes."""
    timed: list[partial[None]] = []
    if rec.areas(recording):
        curves = _curve_conditions(recording, settings)
        timed = [partial(_timelines, recording=recording, settings=settings, condition=one,
                         curves=curves) for one in curves]
    if timed and not psychometrics.labelled(recording):
        return [timed]
    data = psychometrics.accuracy(recording, readout_ms, by=settings.factors)
    readout = float(data["readout_ms"].iloc[0])
    over_time = psychometrics.accuracy_over_time(recording, settings.factors)
    places = _panel_places(settings)
    ends = places[:1] + places[1:][-1:]
    over = [partial(_over_time, data=over_time, recording=recording, settings=settings,
                    readout=readout, place=place, last=place == ends[-1]) for place in ends]
    against = [partial(_against, data=data, recording=recording, settings=settings,
                       place=place, first=place == places[0]) for place in places]
    if settings.by is None:
        against = []
    if len(places) > 1:
        return [row for row in (timed, over, against) if row]
    panels = [*timed, *over, *against]
    return [panels[:2], panels[2:]] if len(panels) == 4 else [panels]


def _panel_places(settings: Settings) -> list[int]:
    """Places on the axis that makes panels: all of a few levels, else the first and last."""
    if not settings.others:
        return [0]
    count = len(settings.others[0].levels)
    return list(range(count)) if count <= PANELS else [0, count - 1]


def _curve_conditions(recording: xr.DataTree, settings: Settings) -> list[dict[str, object]]:
    """Conditions whose timelines are drawn: the plainest, and one to compare with it."""
    plain = design.plainest(recording)
    axis = settings.split or settings.by
    if axis is None or len(axis.levels) < 2:
        return [plain]
    return [plain, {**plain, **axis.condition(axis.contrast)}]


def _timelines(
    ax: Axes, *, recording: xr.DataTree, settings: Settings, condition: dict[str, object],
    curves: list[dict[str, object]],
) -> None:
    data = latency.timelines(recording, condition=condition)
    # the panels share one unit, that of the plainest condition
    tallest = latency.timelines(recording, condition=curves[0]).groupby("area")["rms"].max()
    scale = dict(zip(map(str, tallest.index), tallest.tolist(), strict=True))
    without = design.baseline(recording, condition)
    activation_timelines(
        ax,
        data,
        onsets=latency.response(recording, condition=condition),
        presentations=rec.presentations(recording, condition),
        done=protocols.interventions(recording, condition),
        baseline=latency.timelines(recording, condition=without) if without else None,
        normalize=scale,
        time_label=_time_label(recording, settings),
    )
    if condition != curves[0]:
        masked = settings.split is not None and settings.split.name == "mask"
        ax.set_ylabel("RMS / unmasked maximum" if masked else "RMS / maximum on the left")
    parts = [axis.words(axis.levels.index(tuple(condition[name] for name in axis.factors)))
             for axis in design.axes(recording) if len(axis.levels) > 1]
    _title(ax, *(parts or ["activity of each area"]))


def _over_time(
    ax: Axes, *, data: pd.DataFrame, recording: xr.DataTree, settings: Settings,
    readout: float, place: int, last: bool,
) -> None:
    by = settings.by
    fixed = _fixed(settings, place)
    if settings.split:
        fixed[settings.split] = settings.split.contrast
    data = _only(data, fixed)
    if by:
        data = labels(data, by)
    asked = None
    if schema.ASKED in recording.data_vars and not by:
        asked = rec.presentations(recording, of=schema.ASKED)
    accuracy_over_time(
        ax, data, by.name if by else None, chance=1 / recording.sizes[schema.CLASS],
        readout_ms=readout, evidence_ms=psychometrics.evidence_window(recording), asked=asked,
        legend=last,
    )
    if asked is None:
        label = _time_label(recording, settings).removeprefix("Time ")
        ax.set_xlabel(f"Readout time, {label}")
    _title(ax, "accuracy over readout time", *_words(settings, fixed))


def _against(
    ax: Axes, *, data: pd.DataFrame, recording: xr.DataTree, settings: Settings, place: int,
    first: bool,
) -> None:
    by, split = settings.by, settings.split
    assert by is not None
    fixed = _fixed(settings, place)
    readout = float(data["readout_ms"].iloc[0])
    data = labels(_only(data, fixed), by)
    if split:
        data = labels(data, split)
    accuracy_against_factor(
        ax, data, by.name, split=split.name if split else None,
        plain=split.values[split.plain] if split else None,
        chance=1 / recording.sizes[schema.CLASS], legend=first,
    )
    if not first:
        ax.set_ylabel("")
        ax.tick_params(axis="y", labelleft=False)
    _title(ax, f"accuracy at {ms(readout)} ms", *_words(settings, fixed))


def _fixed(settings: Settings, place: int) -> dict[Axis, int]:
    """Return the places of the axes that a panel holds: its own, and the plainest."""
    return {axis: axis.plain if i else place for i, axis in enumerate(settings.others)}


def _only(data: pd.DataFrame, fixed: Mapping[Axis, int]) -> pd.DataFrame:
    for axis, place in fixed.items():
        data = data[axis.places(data) == place]
    return data


def _words(settings: Settings, fixed: Mapping[Axis, int]) -> list[str]:
    """Say at which levels a panel is, and of how many levels it shows the first and last."""
    words = []
    for axis, place in fixed.items():
        left_out = axis in settings.others[:1] and len(axis.levels) > PANELS
        which = "first" if place == 0 else "last"
        words.append(axis.words(place) + f" ({which} of {len(axis.levels)})" * left_out)
    return words


def _time_label(recording: xr.DataTree, settings: Settings) -> str:
    """Return the label of time, the same in all panels."""
    shown = (rec.presentations(recording, one) for one in _curve_conditions(recording, settings))
    return TIME_LABEL if all(map(rec.begins_with_target, shown)) else TRIAL_TIME_LABEL


def _title(ax: Axes, *parts: str) -> None:
    """Set a title, on several lines if it is longer than its share of the figure's width."""
    place = ax.get_subplotspec()
    count = place.get_gridspec().ncols // len(place.colspan) if place else 1
    most = TITLE * 2 // max(2, count)
    lines = [capital(parts[0])]
    for part in parts[1:]:
        if len(f"{lines[-1]}, {part}") > most:
            lines.append(part)
        else:
            lines[-1] += f", {part}"
    ax.set_title(",\n".join(lines), pad=PAD)


def _headline(recording: xr.DataTree, settings: Settings) -> str:
    attrs = recording.attrs
    table = rec.trials(recording)
    trials = pooled(recording, settings.factors)
    parts = [
        settings.name,
        str(attrs.get("model", "")),
        str(attrs.get("dataset", "")),
        f"{table[schema.STIMULUS].nunique()} images",
        f"{trials} trials of each pooled" if trials > 1 else "",
        f"{ms(attrs['ms_per_step'])} ms per step" if "ms_per_step" in attrs else "",
        "bands and bars: 95 % intervals",
    ]
    return "  ·  ".join(part for part in parts if part)
