"""The picture of a protocol: what is on in every condition over time, and what it looks like.

Everything is placed in inches on one sheet, so that nothing moves with its neighbours.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import files, palette, provenance
from ...errors import ProtocolError
from ...schema import INPUT_MEAN, INPUT_SCALE
from .. import changes
from ..datasets import Dataset
from ..movie import Movie, check
from .core import GREY, OTHER, TARGET, Change, Condition, Picture, Protocol, drawn
from .sheet import (
    BAR,
    DONE,
    LETTER,
    LINE,
    LINE_ABOUT,
    MARGIN,
    PITCH,
    TITLE,
    Sheet,
    about,
    abreast,
    lay_out,
    time_axes,
)
from .strip import name_of, said
from .values import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
#: Conditions that are drawn, pictures that are, and of images of one source.
MAX_CONDITIONS, MAX_PICTURES, MAX_OF_SOURCE = 60, 24, 3

#: More other images than colours are told apart by turns.
_TURNS = ("#6699CC", "#B3CCE6")
_KINDS = {"lesion": "#A50F15", "noise": "#B8860B", "clamp": "#332288", "scale": "#117733",
          "delay": "#0072B2"}


def draw(
    protocol: Protocol, path: str | Path | None = None, *, images: Dataset | None = None,
    sources: Mapping[str, Dataset] | None = None, seed: int = 0, command: str = "",
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
    command
        The command that does this, if one does.

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
        sheet = lay_out(protocol, conditions, labels, bool(looks))
        figure = Figure(figsize=(sheet.width, sheet.height))
        page = figure.add_axes((0, 0, 1, 1))
        page.set(xlim=(0, sheet.width), ylim=(sheet.height, 0))
        page.set_axis_off()
        colors = _colors(protocol)
        _words(page, protocol, conditions, sheet)
        _bars(time_axes(figure, protocol, sheet), protocol, conditions, sheet, colors)
        for place, (picture, lines) in enumerate(zip(pictures, labels, strict=True)):
            _frame(figure, page, sheet, place, colors[name_of(picture)], lines,
                   looks.get(picture))
        if path is not None:
            _save(figure, path, protocol, seed, command)
    return figure


def _save(figure: Figure, path: Path, protocol: Protocol, seed: int, command: str) -> None:
    kind = path.suffix.lower()[1:]
    told = provenance.origin(command, protocol={
        "name": protocol.name, "sha256": provenance.sha256(protocol.text), "seed": seed})
    stream = io.BytesIO()
    # the same protocol gives the same bytes: no date
    figure.savefig(stream, format=kind,
                   metadata=provenance.metadata(kind, "CortexSim protocol", told))
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
    return {picture: np.clip(movie.gallery.render(picture, [0])[0] * INPUT_SCALE + INPUT_MEAN, 0, 1)
            for picture in _some(protocol)}


def _label(picture: Picture) -> list[str]:
    """Say what a picture is, and what is done to it, in short lines."""
    parts = [name_of(picture), *map(_in_short, picture.changes)]
    return [line for part in parts for line in textwrap.wrap(part, 18)]


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


def _words(
    page: Axes, protocol: Protocol, conditions: Sequence[Condition], sheet: Sheet,
) -> None:
    """Write the title, and the factors' levels where they are others than in the row above."""
    page.text(MARGIN, 0.22, protocol.name, fontsize=11, weight="bold", va="center")
    for row, line in enumerate(about(protocol, sheet.width)):
        page.text(MARGIN, TITLE + LINE_ABOUT * row, line, fontsize=8.5, va="center",
                  color=palette.FAINT)
    names = list(protocol.factors)
    for name, x in zip(names, sheet.columns, strict=True):
        page.text(x, sheet.rows[0] - 0.08, name, fontsize=8, weight="bold", va="bottom")
    before: Condition | None = None
    for condition, y in zip(conditions, sheet.rows, strict=True):
        middle = y + BAR / 2
        if names and not condition.factors:
            page.text(MARGIN, middle, condition.name, fontsize=8, va="center_baseline")
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
        page.text(sheet.width - MARGIN, 0.22, f"not drawn: {' and '.join(left_out)}",
                  fontsize=8, va="center", ha="right", color=palette.FAINT)


def _bars(
    ax: Axes, protocol: Protocol, conditions: Sequence[Condition], sheet: Sheet,
    colors: Mapping[str, str],
) -> None:
    """Draw what is on, and below it what is done to the network."""
    clock, end = protocol.clock, ax.get_xlim()[1]
    readout = None if protocol.summary is None else protocol.summary.readout_ms
    per_ms = (sheet.width - sheet.left - MARGIN) / (end - clock.ms(0))
    for condition, y in zip(conditions, sheet.rows, strict=True):
        for item in condition.presentations:
            first, stop = clock.ms(item.start), min(clock.ms(item.stop), end)
            name = name_of(item.picture)
            ax.barh(y + BAR / 2, stop - first, BAR, first, color=colors[name],
                    edgecolor="white", linewidth=0.6, zorder=2)
            fitting = _fitting(item.picture, (stop - first) * per_ms)
            room, pad = 7 * LETTER * len(fitting) / per_ms, 0.04 / per_ms
            x = first + pad
            if readout is not None and x - pad < readout < x + room < stop - room - 2 * pad:
                x = readout + 1.5 * pad  # beside the readout's line
            ax.text(x, y + BAR / 2, fitting, fontsize=7, ha="left", va="center_baseline",
                    color=_ink(colors[name]), zorder=6)
        for row, done in enumerate(condition.interventions):
            middle = y + BAR + DONE * (row + 0.5) + 0.01
            first, stop = clock.ms(done.start), min(clock.ms(done.stop), end)
            color = _KINDS[done.kind]
            ax.barh(middle, stop - first, DONE - 0.06, first, facecolor="white", edgecolor=color,
                    hatch="//////", linewidth=0.6, zorder=2)
            text = said(done)
            inside = (stop - first) * per_ms > 6.5 * LETTER * len(text) + 0.1
            after = (end - stop) * per_ms > 6.5 * LETTER * len(text) + 0.1
            x, align = ((first + stop) / 2, "center") if inside else (
                (stop + 0.05 / per_ms, "left") if after else (first - 0.05 / per_ms, "right"))
            ax.text(x, middle, text, fontsize=6.5, ha=align, va="center_baseline", color=color,
                    zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})


def _fitting(picture: Picture, inches: float) -> str:
    """Return the longest name of a picture that fits into its bar."""
    image = drawn(picture.show)
    short = str(image[1]) if image and image[0] == OTHER else ""
    names = (name_of(picture), picture.show, short)
    return next((name for name in names if 7 * LETTER * len(name) + 0.06 <= inches), "")


def _frame(
    figure: Figure, page: Axes, sheet: Sheet, place: int, color: str, lines: Sequence[str],
    look: NDArray[np.floating] | None,
) -> None:
    """Draw what a picture looks like in a frame of its colour, or a patch of that colour."""
    row, column = divmod(place, abreast(sheet.width))
    x, y = MARGIN + column * PITCH, sheet.pictures + row * sheet.deep
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
        page.text(x - 0.02, y + sheet.side + 0.06 + number * LINE, line, fontsize=6.5, va="top",
                  color=palette.INK)
