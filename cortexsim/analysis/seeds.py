"""Figures of several seeds: every seed a point, their mean a line, and the verdicts beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .. import palette
from .compose import PANEL, style
from .verdict import HELD, NOT_HELD, UNDECIDED, Verdict

#: Of an outcome: green, vermillion, grey.
OUTCOME = {HELD: "#117733", NOT_HELD: "#A50F15", UNDECIDED: palette.FAINT}
#: Of curves that are not areas.
COLORS = ("#0072B2", "#D55E00", "#117733", "#882255", "#999933", "#6699CC")
#: Inches of the column of verdicts, of one of its lines, and letters in a line.
COLUMN, LINE, LETTERS = 4.6, 0.165, 62


@contextmanager
def sheet(title: str, verdicts: Sequence[Verdict], panels: int = 1) -> Iterator[
        tuple[Figure, list[Axes]]]:
    """Lay out panels in a row with a column of verdicts on their right.

    Parameters
    ----------
    title
        Stands above all.
    verdicts
        What the seeds say of each claim.
    panels
        How many to draw on.

    Yields
    ------
    tuple
        The figure, which pyplot does not know, and its axes.
    """
    blocks = [_block(verdict) for verdict in verdicts]
    lines = sum(len(text) + 1.6 for text, _ in blocks)
    height = max(PANEL[1], lines * LINE + 0.7)
    width = 0.86 * PANEL[0] * panels + COLUMN
    with rc_context(style()):
        figure = Figure((width, height))
        figure.suptitle(title, x=0.2 / width, y=1 - 0.12 / height, ha="left", va="top",
                        fontsize=11, weight="bold")
        pitch = (width - COLUMN) / panels
        axes = [figure.add_axes(((0.65 + i * pitch) / width, 0.55 / height,
                                 (pitch - 0.85) / width, (height - 1.3) / height))
                for i in range(panels)]
        y = height - 0.55
        for (text, numbers), verdict in zip(blocks, verdicts, strict=True):
            x = (width - COLUMN + 0.1) / width
            figure.text(x, y / height, verdict.outcome, va="top", fontsize=8.5, weight="bold",
                        color=OUTCOME[verdict.outcome])
            split = len(text) - len(numbers)
            figure.text(x, (y - LINE) / height, "\n".join(text[:split]), va="top", fontsize=8.5,
                        linespacing=1.25)
            figure.text(x, (y - LINE * (1 + split)) / height, "\n".join(numbers), va="top",
                        fontsize=8.5, color=palette.FAINT, linespacing=1.25)
            y -= LINE * (len(text) + 1.6)
        yield figure, axes


def _block(verdict: Verdict) -> tuple[list[str], list[str]]:
    """Wrap a verdict: all its lines, and the last of them, which are numbers."""
    claim = verdict.claim[:1].upper() + verdict.claim[1:]
    numbers = textwrap.wrap(verdict.numbers, LETTERS)
    return textwrap.wrap(claim, LETTERS) + numbers, numbers


def curves(ax: Axes, data: pd.DataFrame, x: str, y: str, group: str, *,
           labels: Mapping[str, str], colors: Mapping[str, str] | None = None,
           dashed: Sequence[str] = ()) -> Axes:
    """Draw the mean of the seeds as a line through every seed's points.

    Parameters
    ----------
    ax
        Axes to draw on.
    data
        One row for each seed and place.
    x, y
        Columns of the axes, numbers.
    group
        Column that sets curves apart.
    labels
        The groups to draw, in order, and what they are called.
    colors
        By group; by default one after another.
    dashed
        Groups whose line is dashed.
    """
    colors = colors or dict(zip(labels, COLORS * 9, strict=False))
    for name, label in labels.items():
        rows = data[data[group] == name]
        mean = rows.groupby(x)[y].mean()
        ax.plot(rows[x], rows[y], "o", ms=3, alpha=0.5, mew=0, color=colors[name])
        ax.plot(mean.index, mean, color=colors[name], label=label, lw=1.6,
                ls="--" if name in dashed else "-")
    _finish(ax)
    low, high = ax.get_ylim()
    # room for the legend above all curves
    ax.set_ylim(low, high + 0.07 * len(labels) * (high - low))
    ax.legend(fontsize=8, loc="upper right", labelspacing=0.25)
    return ax


def points(ax: Axes, data: pd.DataFrame, y: str, group: str, *, labels: Mapping[str, str],
           color: str = COLORS[0]) -> Axes:
    """Draw each seed as a point and their mean as a bar, one column for each group.

    Parameters
    ----------
    ax
        Axes to draw on.
    data
        One row for each seed.
    y
        Column of numbers.
    group
        Column that sets columns apart.
    labels
        The groups to draw, in order, and what they are called.
    color
        Of all.
    """
    for place, name in enumerate(labels):
        values = data.loc[data[group] == name, y].dropna().to_numpy()
        beside = (np.arange(len(values)) - (len(values) - 1) / 2) * 0.09
        ax.plot(place + beside, values, "o", ms=4, alpha=0.7, mew=0, color=color)
        if len(values):
            ax.hlines(values.mean(), place - 0.28, place + 0.28, color=palette.INK, lw=1.6)
    ax.set_xticks(range(len(labels)), list(labels.values()), fontsize=8)
    ax.set_xlim(-0.6, len(labels) - 0.4)
    _finish(ax, whole=False)
    return ax


def _finish(ax: Axes, whole: bool = True) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    if whole:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
