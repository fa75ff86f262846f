"""Where things stand in the picture of a protocol, in inches, and its axis of time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ... import palette
from .core import Condition, Protocol
from .values import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Around the sheet; the title and a line of the description; a bar and what is below it; a
#: picture, from one to the next, and a line below it.
MARGIN, TITLE, LINE_ABOUT, BAR, DONE, SIDE, PITCH, LINE = (
    0.2, 0.4, 0.15, 0.2, 0.15, 0.66, 0.97, 0.115)
_WIDTH, _LEAST, _HEAD, _FOOT, _GAP = 7.2, 3.8, 0.46, 0.5, 0.07
#: An average letter's width for each point of its size.
LETTER = 0.0082


@dataclass(frozen=True)
class Sheet:
    """Where things stand, in inches from the upper left corner."""

    width: float
    height: float
    left: float  # of the axis of time
    columns: tuple[float, ...]  # of the factors
    rows: tuple[float, ...]  # upper ends of the conditions
    bottom: float  # of the last of them
    pictures: float  # upper end of the first pictures' frames
    deep: float  # a row of pictures with their names
    side: float  # a frame's height


def lay_out(
    protocol: Protocol, conditions: Sequence[Condition], labels: Sequence[list[str]], looks: bool,
) -> Sheet:
    """Return where things stand.

    Parameters
    ----------
    protocol, conditions
        What is drawn, and of which conditions.
    labels
        The lines below each picture.
    looks
        Whether it is seen what pictures look like.
    """
    left, columns = MARGIN, []
    for factor in protocol.factors:
        texts = [factor, *(plain(c.factors[factor]) for c in conditions if factor in c.factors)]
        columns.append(left)
        left += 8 * LETTER * max(map(len, texts)) + 0.14
    left = max(left, 0.4 if len(conditions) == 1 else 0.75)  # room for 'blank'
    width = max(_WIDTH, left + _LEAST + MARGIN)
    y, rows = TITLE + LINE_ABOUT * len(about(protocol, width)) + _HEAD, []
    for condition in conditions:
        rows.append(y)
        done = len(condition.interventions)
        y += BAR + _GAP + DONE * done + 0.04 * (done > 0)
    deep = -(-len(labels) // abreast(width))
    lines = max(map(len, labels), default=0)
    side = SIDE if looks else 0.14
    row = side + lines * LINE + 0.16
    return Sheet(width, y + _FOOT + deep * row, left, tuple(columns), tuple(rows), y, y + _FOOT,
                  row, side)


def abreast(width: float) -> int:
    """Return how many pictures stand in a row."""
    return int((width - 2 * MARGIN) // PITCH)


def about(protocol: Protocol, width: float) -> list[str]:
    """Return the description in lines."""
    return textwrap.wrap(protocol.description or "",
                         int((width - 2 * MARGIN) / (8.5 * LETTER)))


def time_axes(figure: Figure, protocol: Protocol, sheet: Sheet) -> Axes:
    """Return axes over the rows, in ms and in inches, with the readout's marks above them."""
    from matplotlib.ticker import MaxNLocator

    top = sheet.rows[0]
    width = sheet.width - sheet.left - MARGIN
    ax = figure.add_axes((sheet.left / sheet.width, 1 - sheet.bottom / sheet.height,
                          width / sheet.width, (sheet.bottom - top) / sheet.height))
    clock, last = protocol.clock, protocol.duration_steps
    late = any(item.start == last for one in protocol.conditions for item in one.presentations)
    ax.set(xlim=(clock.ms(0), clock.ms(last + late)), ylim=(sheet.bottom, top), yticks=[])
    ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
    ax.tick_params(labelsize=8, length=3)
    ax.set_xlabel("Time (ms)", fontsize=8.5, labelpad=2)
    ax.spines[["top", "right", "left"]].set_visible(False)
    summary = protocol.summary
    if summary is not None:
        _readout(ax, summary.readout_ms, summary.evidence_ms, top, width)
    return ax


def _readout(
    ax: Axes, readout: float, evidence: tuple[float, float] | None, top: float, width: float,
) -> None:
    from matplotlib import patheffects

    around = [patheffects.withStroke(linewidth=2.6, foreground="white")]
    ax.plot([readout, readout], [top - 0.05, ax.get_ylim()[0]], color=palette.INK, linewidth=1.1,
            linestyle=(0, (4, 3)), zorder=5, path_effects=around, clip_on=False)
    low, high = ax.get_xlim()
    # what is written keeps within the axis
    share = (readout - low) / (high - low)
    room = len(f"readout {readout:g} ms") * 7 * LETTER / 2 / width
    ax.text(readout, top - 0.08, f"readout {readout:g} ms", fontsize=7, va="bottom",
            ha="left" if share < room else "right" if share > 1 - room else "center")
    if evidence is None:
        return
    first, last = evidence
    ax.axvspan(first, last, color=palette.GREY, alpha=0.6, linewidth=0, zorder=0)
    ax.plot([first, last], [top - 0.23, top - 0.23], color=palette.FAINT, linewidth=2,
            solid_capstyle="butt", clip_on=False)
    ax.text(first, top - 0.26, f"evidence {first:g}\u2013{last:g} ms", fontsize=7, va="bottom",
            ha="left" if (first - low) / (high - low) < 0.7 else "center", color=palette.FAINT)
