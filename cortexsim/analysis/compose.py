"""The figure of a run, put together from its parts, and its file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import seaborn as sns
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import files, palette, schema
from ..errors import RecordingError, unknown
from . import figures, latency, psychometrics
from . import recording as rec
from .labels import factor_label, level_label, words
from .settings import Settings
from .settings import settings as read_settings

FORMATS = ("png", "svg", "pdf")
#: Inches of one panel, with its labels and legend.
PANEL = (4.9, 3.4)
#: Points between axes and title: a line of legend stands there.
PAD = 19
#: Attributes of a recording that say where a figure comes from.
ORIGIN = ("model", "weights_sha256", "dataset", "seed", "ms_per_step")


def style() -> Any:
    """Return the rcParams of every figure: seaborn's "ticks" with our overrides."""
    return {**sns.axes_style("ticks"), **palette.STYLE}


def compose(recording: xr.DataTree, readout_ms: float | None = None) -> Figure:
    """Draw the panels that apply; see :func:`cortexsim.analysis.figures.figure`."""
    settings = read_settings(recording)
    by, split = settings.by or settings.split, settings.split if settings.by else None
    curves = _curve_conditions(recording, split)
    chance = 1 / recording.sizes[schema.CLASS]
    readout = psychometrics.accuracy(recording, readout_ms, by=[])["readout_ms"].iloc[0]
    if not rec.areas(recording):
        curves = []
    panels = ["timelines"] * len(curves)
    if psychometrics.labelled(recording) or not panels:
        panels += ["time"] + ["factor"] * bool(by)
    columns = 2 if len(panels) in (2, 4) else len(panels)
    rows = -(-len(panels) // columns)
    with rc_context(style()):
        figure = Figure((PANEL[0] * columns, PANEL[1] * rows + 0.3), layout="constrained")
        engine = figure.get_layout_engine()
        assert engine is not None
        engine.set(w_pad=0.12, h_pad=0.1)  # type: ignore[call-arg]
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for place, (ax, kind) in enumerate(zip(axes, panels, strict=True)):
            if kind == "timelines":
                _timelines(ax, recording, curves[place], curves)
            elif kind == "time":
                _over_time(ax, recording, settings, by, split, readout, chance)
            elif by:
                data = psychometrics.accuracy(recording, readout, [by, *([split] if split else [])])
                figures.accuracy_against_factor(ax, data, by, split=split, chance=chance)
                ax.set_title(f"Accuracy at {readout:g} ms", pad=PAD)
        timed = axes[: len(curves)]
        for ax in timed:
            # one scale, so that masked and unmasked heights can be compared
            ax.set_ylim(min(x.get_ylim()[0] for x in timed), max(x.get_ylim()[1] for x in timed))
        figure.suptitle(_headline(recording, settings), x=0.01, ha="left", fontsize=9,
                        color=palette.FAINT)
        # laid out once: every file of the figure then looks the same
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    origin = {key: str(recording.attrs[key]) for key in ORIGIN if key in recording.attrs}
    # a figure carries where it comes from; `save` writes it into the file
    figure.set_label(json.dumps({"protocol": settings.name, **origin}))
    return figure


def write(figure: Figure, path: Path) -> Path:
    """Write a figure; see :func:`cortexsim.analysis.figures.save`."""
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise RecordingError(unknown("figure format", path.suffix or path.name, FORMATS))
    origin = str(figure.get_label() or "")
    title = "CortexSim recording"
    metadata = {
        "png": {"Title": title, "Description": origin, "Software": "CortexSim"},
        "svg": {"Title": title, "Description": origin, "Creator": "CortexSim", "Date": None},
        "pdf": {"Title": title, "Subject": origin, "Creator": "CortexSim", "CreationDate": None},
    }[ending]
    buffer = io.BytesIO()
    with rc_context(style()):
        figure.savefig(buffer, format=ending, metadata=metadata)
    files.write(path, buffer.getvalue(), "the figure")
    return path


def _curve_conditions(recording: xr.DataTree, split: str | None) -> list[dict[str, object]]:
    """Conditions whose timelines are drawn: the plainest, and the same one masked."""
    table = rec.trials(recording).loc[rec.select(recording)]
    names = rec.factors(recording)
    plain: dict[str, object] = {name: table[name].iloc[0] for name in names}
    found = [plain]
    if split and plain[split] == rec.NONE:
        masked = [level for level in rec.levels(rec.trials(recording)[split]) if level != rec.NONE]
        found += [{**plain, split: masked[0]}] if masked else []
    return found


def _timelines(
    ax: Axes,
    recording: xr.DataTree,
    condition: dict[str, object],
    curves: list[dict[str, object]],
) -> None:
    data = latency.timelines(recording, condition=condition)
    # the panels share one unit, that of the plainest condition
    tallest = latency.timelines(recording, condition=curves[0]).groupby("area")["rms"].max()
    scale = dict(zip(map(str, tallest.index), tallest.tolist(), strict=True))
    figures.activation_timelines(
        ax,
        data,
        onsets=latency.response(recording, condition=condition),
        presentations=rec.presentations(recording, condition),
        normalize=scale,
    )
    if condition != curves[0]:
        ax.set_ylabel("RMS / unmasked maximum")
    ax.set_title(_condition_title(condition) or "Activity of each area", pad=PAD)


def _condition_title(condition: dict[str, object]) -> str:
    parts = []
    for factor, level in condition.items():
        if isinstance(level, str):
            parts.append(level_label(factor, level))
        else:
            label = factor_label(factor)
            unit = " ms" if label.endswith(" (ms)") else ""
            parts.append(f"{label.removesuffix(' (ms)')} {words(level)}{unit}")
    text = ", ".join(parts)
    return text[:1].upper() + text[1:]


def _over_time(
    ax: Axes,
    recording: xr.DataTree,
    settings: Settings,
    by: str | None,
    split: str | None,
    readout: float,
    chance: float,
) -> None:
    data = psychometrics.accuracy_over_time(recording, [x for x in (by, split) if x])
    title = "Accuracy over readout time"
    if split:
        masked = next((x for x in dict.fromkeys(data[split]) if x != rec.NONE), rec.NONE)
        data = data[data[split] == masked]
        title += f", {level_label(split, masked)}"
    asked = None
    if schema.ASKED in recording.data_vars and not by:
        asked = rec.presentations(recording, of=schema.ASKED)
    figures.accuracy_over_time(
        ax, data, by, chance=chance, readout_ms=readout,
        evidence_ms=psychometrics.evidence_window(recording), asked=asked,
    )
    ax.set_title(title, pad=PAD)


def _headline(recording: xr.DataTree, settings: Settings) -> str:
    attrs = recording.attrs
    table = rec.trials(recording)
    parts = [
        settings.name,
        str(attrs.get("model", "")),
        str(attrs.get("dataset", "")),
        f"{table[schema.STIMULUS].nunique()} images",
        f"{attrs['ms_per_step']:g} ms per step" if "ms_per_step" in attrs else "",
        "bands and bars: 95 % intervals",
    ]
    return "  ·  ".join(part for part in parts if part)
