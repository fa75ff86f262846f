"""The picture of a protocol: what is on in every condition over time, and what it looks like.

Everything is placed in inches on one sheet, so that nothing moves with its neighbours.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import files, palette
from ..errors import ProtocolError
from ..schema import INPUT_MEAN, INPUT_SCALE
from . import changes
from .datasets import Dataset
from .movie import Movie, check
from .protocol import GREY, OTHER, TARGET, Change, Condition, Picture, Protocol, drawn
from .protocolvalues import plain
from .strip import name_of, said

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
#: Conditions that are drawn, pictures that are, and of images of one source.
MAX_CONDITIONS, MAX_PICTURES, MAX_OF_SOURCE = 60, 24, 3

_WIDTH, _LEAST, _MARGIN, _TITLE, _HEAD, _FOOT = 7.2, 3.8, 0.2, 0.4, 0.46, 0.5
_BAR, _GAP, _DONE = 0.2, 0.07, 0.15
_SIDE, _PITCH, _LINE, _LINE_ABOUT = 0.66, 0.98, 0.115, 0.15
#: An average letter's width in inches for each point of its size.
_LETTER = 0.0082
#: More other images than colours are told apart by turns.
_TURNS = ("#6699CC", "#B3CCE6")
_KINDS = {"lesion": "#A50F15", "noise": "#B8860B", "clamp": "#332288", "scale": "#117733",
          "delay": "#0072B2"}


@dataclass(frozen=True)
class _Sheet:
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


def draw(
    protocol: Protocol, path: str | Path | None = None, *, images: Dataset | None = None,
    sources: Mapping[str, Dataset] | None = None, seed: int = 0,
) -> Figure:
    """Draw a protocol's timelines, and save the picture if a path is given.

    One row a condition: a labelled bar for each picture that is on, below it hatched bars
    for what is done to the network; the summary's readout is dashed and its evidence
    shaded. Then, if there are images, what each picture looks like for the first of them.

    Parameters
    ----------
    protocol
        The protocol; of more than 60 conditions the first are drawn.
    path
        Ends in ``.svg``, ``.png`` or ``.pdf``.
    images
        The data set that targets are taken from.
    sources
        The protocol's further sources of images.
    seed
        Of masks, noise and other images.

    Returns
    -------
    matplotlib.figure.Figure
        Not known to pyplot, so it needs no closing.

    Raises
    ------
    ProtocolError
        If the path has another ending, or there are too few images.
    RecordingError
        If the file cannot be written.
    """
    path = None if path is None else Path(path)
    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise ProtocolError(f"{path}: a picture ends in one of {', '.join(SUFFIXES)}")
    looks = _looks(protocol, images, sources, seed) if images is not None else {}
    import matplotlib
    from matplotlib.figure import Figure

    conditions = protocol.conditions[:MAX_CONDITIONS]
    style: dict[Any, Any] = palette.STYLE | {"hatch.linewidth": 0.6}
    with matplotlib.rc_context(style):
        pictures = [*looks] or [Picture(show, of) for show, of in dict.fromkeys(
            (one.show, one.of) for one in _some(protocol))]
        labels = [_label(picture) for picture in pictures]
        sheet = _sheet(protocol, conditions, labels, bool(looks))
        figure = Figure(figsize=(sheet.width, sheet.height))
        page = figure.add_axes((0, 0, 1, 1))
        page.set(xlim=(0, sheet.width), ylim=(sheet.height, 0))
        page.set_axis_off()
        colors = _colors(protocol)
        _words(page, protocol, conditions, sheet)
        _bars(_time_axes(figure, protocol, sheet), protocol, conditions, sheet, colors)
        for place, (picture, lines) in enumerate(zip(pictures, labels, strict=True)):
            _frame(figure, page, sheet, place, colors[name_of(picture)], lines,
                   looks.get(picture))
        if path is not None:
            _save(figure, path)
    return figure


def _save(figure: Figure, path: Path) -> None:
    kind = path.suffix.lower()[1:]
    # the same protocol gives the same bytes: no date
    dated: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=dated.get(kind))
    files.write(path, stream.getvalue(), "the picture")


def _some(protocol: Protocol) -> list[Picture]:
    """Return the pictures to draw: of many images of one source the first ones."""
    found = []
    for picture in protocol.pictures:
        numbers = [image[1] for name in (picture.show, picture.of) if (image := drawn(name))]
        if all(number <= MAX_OF_SOURCE for number in numbers):
            found.append(picture)
    return found[:MAX_PICTURES]


def _looks(
    protocol: Protocol, images: Dataset, sources: Mapping[str, Dataset] | None, seed: int,
) -> dict[Picture, NDArray[np.floating]]:
    """Render pictures for the first image, pixels 0 to 1 (C, H, W)."""
    check(protocol, images, sources)
    movie = Movie(protocol, images, seed, sources=sources)
    return {picture: np.clip(movie.render(picture, [0])[0] * INPUT_SCALE + INPUT_MEAN, 0, 1)
            for picture in _some(protocol)}


def _label(picture: Picture) -> list[str]:
    """Say what a picture is, and what is done to it, in short lines."""
    parts = [name_of(picture), *map(_in_short, picture.changes)]
    return [line for part in parts for line in textwrap.wrap(part, 19)]


def _in_short(change: Change) -> str:
    """Say the main value, and of others what is not as usual: ``occlude 0.8, by objects``."""
    known, values = changes.REGISTRY[change.kind], dict(change.values)
    said = f"{change.kind} {plain(values.pop(known.main))}"
    return ", ".join([said, *(f"{name} {plain(value)}" for name, value in values.items()
                              if value != known.parameters[name].default)])


def _colors(protocol: Protocol) -> dict[str, str]:
    """Choose a colour for each picture, whatever is done to it."""
    found = {TARGET: palette.TARGET, GREY: palette.GREY}
    spare = [color for color in palette.SPARE_COLORS if color not in _TURNS]
    many = protocol.others > MAX_OF_SOURCE
    for name in dict.fromkeys(name_of(picture) for picture in protocol.pictures):
        image = drawn(name)
        if image and image[0] == OTHER and many:
            found[name] = _TURNS[image[1] % 2]
        elif name not in found:
            found[name] = spare[(len(found) - 2) % len(spare)]
    return found


def _ink(color: str) -> str:
    """Return a colour that can be read on another."""
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return palette.INK if 0.3 * red + 0.59 * green + 0.11 * blue > 140 else "white"


def _sheet(
    protocol: Protocol, conditions: Sequence[Condition], labels: Sequence[list[str]], looks: bool,
) -> _Sheet:
    left, columns = _MARGIN, []
    for factor in protocol.factors:
        texts = [factor, *(plain(c.factors[factor]) for c in conditions if factor in c.factors)]
        columns.append(left)
        left += 8 * _LETTER * max(map(len, texts)) + 0.14
    left = max(left, 0.75 if protocol.conditions[-1].factors != protocol.conditions[0].factors
               else 0.4)
    width = max(_WIDTH, left + _LEAST + _MARGIN)
    y, rows = _TITLE + _LINE_ABOUT * len(_about(protocol, width)) + _HEAD, []
    for condition in conditions:
        rows.append(y)
        done = len(condition.interventions)
        y += _BAR + _GAP + _DONE * done + 0.04 * (done > 0)
    deep = -(-len(labels) // _abreast(width))
    lines = max(map(len, labels), default=0)
    side = _SIDE if looks else 0.14
    row = side + lines * _LINE + 0.16
    return _Sheet(width, y + _FOOT + deep * row, left, tuple(columns), tuple(rows), y, y + _FOOT,
                  row, side)


def _about(protocol: Protocol, width: float) -> list[str]:
    """Return the description in lines."""
    return textwrap.wrap(protocol.description or "",
                         int((width - 2 * _MARGIN) / (8.5 * _LETTER)))


def _abreast(width: float) -> int:
    """Return how many pictures stand in a row."""
    return int((width - 2 * _MARGIN) // _PITCH)


def _words(
    page: Axes, protocol: Protocol, conditions: Sequence[Condition], sheet: _Sheet,
) -> None:
    """Write the title, and the factors' levels where they are others than in the row above."""
    page.text(_MARGIN, 0.22, protocol.name, fontsize=11, weight="bold", va="center")
    for row, line in enumerate(_about(protocol, sheet.width)):
        page.text(_MARGIN, _TITLE + _LINE_ABOUT * row, line, fontsize=8.5, va="center",
                  color=palette.FAINT)
    names = list(protocol.factors)
    for name, x in zip(names, sheet.columns, strict=True):
        page.text(x, sheet.rows[0] - 0.08, name, fontsize=8, weight="bold", va="bottom")
    before: Condition | None = None
    for condition, y in zip(conditions, sheet.rows, strict=True):
        middle = y + _BAR / 2
        if names and not condition.factors:
            page.text(_MARGIN, middle, condition.name, fontsize=8, va="center_baseline")
        changed = False
        for name, x in zip(names, sheet.columns, strict=True):
            level = condition.factors.get(name)
            changed = changed or before is None or before.factors.get(name) != level
            if changed and level is not None:
                page.text(x, middle, plain(level), fontsize=8, va="center_baseline")
        before = condition
    left_out = [f"{len(protocol.conditions) - len(conditions)} more conditions"
                ] if len(protocol.conditions) > len(conditions) else []
    hidden = len(protocol.pictures) - len(_some(protocol))
    left_out += [f"{hidden} more pictures"] if hidden else []
    if left_out:
        page.text(sheet.width - _MARGIN, 0.22, f"not drawn: {' and '.join(left_out)}",
                  fontsize=8, va="center", ha="right", color=palette.FAINT)


def _time_axes(figure: Figure, protocol: Protocol, sheet: _Sheet) -> Axes:
    """Return axes over the rows, in ms and in inches, with the readout's marks above them."""
    from matplotlib.ticker import MaxNLocator

    top = sheet.rows[0]
    width = sheet.width - sheet.left - _MARGIN
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
    room = len(f"readout {readout:g} ms") * 7 * _LETTER / 2 / width
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


def _bars(
    ax: Axes, protocol: Protocol, conditions: Sequence[Condition], sheet: _Sheet,
    colors: Mapping[str, str],
) -> None:
    """Draw what is on, and below it what is done to the network."""
    clock, end = protocol.clock, ax.get_xlim()[1]
    per_ms = (sheet.width - sheet.left - _MARGIN) / (end - clock.ms(0))
    for condition, y in zip(conditions, sheet.rows, strict=True):
        for item in condition.presentations:
            first, stop = clock.ms(item.start), min(clock.ms(item.stop), end)
            name = name_of(item.picture)
            ax.barh(y + _BAR / 2, stop - first, _BAR, first, color=colors[name],
                    edgecolor="white", linewidth=0.6, zorder=2)
            fitting = _fitting(item.picture, (stop - first) * per_ms)
            # on a ground that keeps the readout's line from crossing it
            ax.text((first + stop) / 2, y + _BAR / 2, fitting, fontsize=7, ha="center",
                    va="center_baseline", color=_ink(colors[name]), zorder=6,
                    bbox={"facecolor": colors[name], "edgecolor": "none", "pad": 0.8})
        for row, done in enumerate(condition.interventions):
            middle = y + _BAR + _DONE * (row + 0.5) + 0.01
            first, stop = clock.ms(done.start), min(clock.ms(done.stop), end)
            color = _KINDS[done.kind]
            ax.barh(middle, stop - first, _DONE - 0.06, first, facecolor="white", edgecolor=color,
                    hatch="//////", linewidth=0.6, zorder=2)
            text = said(done)
            inside = (stop - first) * per_ms > 6.5 * _LETTER * len(text) + 0.1
            after = (end - stop) * per_ms > 6.5 * _LETTER * len(text) + 0.1
            x, align = ((first + stop) / 2, "center") if inside else (
                (stop + 0.05 / per_ms, "left") if after else (first - 0.05 / per_ms, "right"))
            ax.text(x, middle, text, fontsize=6.5, ha=align, va="center_baseline", color=color,
                    zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})


def _fitting(picture: Picture, inches: float) -> str:
    """Return the longest name of a picture that fits into its bar."""
    image = drawn(picture.show)
    short = str(image[1]) if image and image[0] == OTHER else ""
    names = (name_of(picture), picture.show, short)
    return next((name for name in names if 7 * _LETTER * len(name) + 0.05 <= inches), "")


def _frame(
    figure: Figure, page: Axes, sheet: _Sheet, place: int, color: str, lines: Sequence[str],
    look: NDArray[np.floating] | None,
) -> None:
    """Draw what a picture looks like in a frame of its colour, or a patch of that colour."""
    row, column = divmod(place, _abreast(sheet.width))
    x, y = _MARGIN + column * _PITCH, sheet.pictures + row * sheet.deep
    ax = figure.add_axes((x / sheet.width, 1 - (y + sheet.side) / sheet.height,
                          (0.3 if look is None else sheet.side) / sheet.width,
                          sheet.side / sheet.height))
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=color, linewidth=2.2)
    if look is None:
        ax.set_facecolor(color)
    else:
        shown = look[0] if look.shape[0] == 1 else look.transpose(1, 2, 0)
        ax.imshow(shown, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for number, line in enumerate(lines):
        page.text(x - 0.02, y + sheet.side + 0.06 + number * _LINE, line, fontsize=6.5, va="top",
                  color=palette.INK)
