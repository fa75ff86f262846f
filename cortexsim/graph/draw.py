"""The picture of an area graph: areas and connections on the left, the matrix on the right.

Everything is placed in inches on one sheet, so that nothing moves with its neighbours.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import provenance
from ..errors import GraphError
from .matrix import cells, label, pre_net

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .core import AreaGraph
    from .parts import Connection

#: By kind, from the colour-blind-safe palette of Okabe and Ito (2008).
COLOURS = {
    "feedforward": "#0072B2",
    "feedback": "#D55E00",
    "lateral": "#009E73",
    "feedforward bypass": "#56B4E9",
    "feedback bypass": "#E69F00",
}
SUFFIXES = (".svg", ".png", ".pdf")

_INK, _FAINT = "#222222", "#777777"
_BOX = (1.75, 0.56)
_PITCH = 1.12
_ROW = 0.66
_MARGIN = 0.3
_TOP = 0.85


@dataclass(frozen=True)
class _Sheet:
    """Where things stand, in inches from the lower left corner."""

    width: float
    height: float
    x: float  # of the middle of the boxes
    y: float  # of the middle of the first box
    left: float  # of the matrix, without the names of its rows
    cell: float  # width of a cell of the matrix


def draw(graph: AreaGraph, path: str | Path | None = None, command: str = "") -> Figure:
    """Draw a graph, and save the picture if a path is given.

    Parameters
    ----------
    graph
        The graph.
    path
        Ends in ``.svg``, ``.png`` or ``.pdf``.
    command
        The command that does this, if one does.

    Returns
    -------
    matplotlib.figure.Figure
        Not known to pyplot, so it needs no closing.

    Raises
    ------
    GraphError
        If the path has another ending, or cannot be written.
    """
    path = Path(path) if path is not None else None
    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise GraphError(f"{path}: a picture ends in one of {', '.join(SUFFIXES)}")
    from matplotlib.figure import Figure

    sheet = _sheet(graph)
    figure = Figure(figsize=(sheet.width, sheet.height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, sheet.width), ylim=(0, sheet.height))
    axes.set_axis_off()
    _title(axes, graph, sheet)
    _areas(axes, graph, sheet)
    for connection in graph.connections:
        _arrow(axes, graph, sheet, connection)
    _matrix(axes, graph, sheet)
    _legend(axes, graph, sheet)
    if path is not None:
        try:
            _save(figure, path, path.suffix.lower()[1:], graph, command)
        except OSError as problem:
            raise GraphError(f"{path}: cannot be written ({problem.strerror})") from None
    return figure


def svg(graph: AreaGraph) -> str:
    """Return the picture as an ``<svg>`` element, to stand in a page."""
    stream = io.BytesIO()
    _save(draw(graph), stream, "svg", graph)
    text = stream.getvalue().decode()
    return text[text.index("<svg"):]


def _save(figure: Figure, target: Any, kind: str, graph: AreaGraph, command: str = "") -> None:
    import matplotlib

    told = provenance.origin(command, graph={"name": graph.name, "sha256": graph.sha256})
    # the same graph gives the same bytes: no date, and element names from a fixed salt
    with matplotlib.rc_context({"svg.hashsalt": "cortexsim"}):
        figure.savefig(target, format=kind, dpi=200,
                       metadata=provenance.metadata(kind, "CortexSim area graph", told))


def kind(graph: AreaGraph, connection: Connection) -> str:
    """Return the kind of a connection as the legend names it."""
    return " ".join(sorted(graph.kinds(connection), key=lambda word: word == "bypass"))


def _distance(graph: AreaGraph, connection: Connection) -> int:
    return graph.names.index(connection.target) - graph.names.index(connection.source)


def _bulge(distance: int) -> float:
    """Return how far the control points of a bypass stand off; its curve goes 3/4 as far."""
    return 0.6 + 0.34 * abs(distance)


def _sheet(graph: AreaGraph) -> _Sheet:
    count = len(graph.areas)
    distances = [_distance(graph, c) for c in graph.connections]
    up = max((0.75 * _bulge(d) for d in distances if d > 1), default=0)
    down = max((0.75 * _bulge(d) for d in distances if d < -1), default=0)
    down = max(down, 0.45 if 0 in distances else 0)
    x = _MARGIN + max(up, 0.3) + _BOX[0] / 2
    longest = max((len(line) for c in graph.connections for line in _lines(graph, c)), default=1)
    names = 0.11 * max(len(name) for name in graph.names)
    cell = max(0.85, 0.105 * longest + 0.1, names + 0.1)
    left = x + _BOX[0] / 2 + down + 0.9 + names
    # room for title and legend whatever the number of areas
    width = max(left + count * cell + _MARGIN, left + 2.6, 6.2)
    high = max(count * _PITCH + 0.8, count * _ROW + 0.5 + 0.24 * len(_entries(graph)) + 0.3)
    return _Sheet(width, high + _TOP + _MARGIN, x, _MARGIN + 0.95, left, cell)


def _title(axes: Axes, graph: AreaGraph, sheet: _Sheet) -> None:
    top = sheet.height - _MARGIN
    name = graph.name or "Area graph"
    # bold letters are about 0.7 of their size wide; a dollar sign is no formula
    size = min(15, 72 * (sheet.width - 2 * _MARGIN) / (0.7 * len(name)))
    axes.text(_MARGIN, top, name, size=size, weight="bold", va="top", color=_INK,
              parse_math=False)
    axes.text(_MARGIN, top - 0.31, f"{graph.input} input, {graph.weights} weights",
              size=10, va="top", color=_FAINT)


def _areas(axes: Axes, graph: AreaGraph, sheet: _Sheet) -> None:
    from matplotlib.patches import FancyBboxPatch

    width, height = _BOX
    for position, area in enumerate(graph.areas):
        y = sheet.y + position * _PITCH
        axes.add_patch(FancyBboxPatch(
            (sheet.x - width / 2 + 0.08, y - height / 2 + 0.08), width - 0.16, height - 0.16,
            boxstyle="round,pad=0.08", facecolor="#F3F3F1", edgecolor=_INK, linewidth=1.2,
            zorder=3,
        ))
        size = min(13, 13 * 14 / max(len(area.name), 1))
        axes.text(sheet.x, y + 0.1, area.name, size=size, weight="bold", ha="center",
                  va="center", color=_INK, zorder=4)
        axes.text(sheet.x, y - 0.13, _shape(area.shape) + ", ReLU" * (area.activation == "relu"),
                  size=9, ha="center", va="center", color=_FAINT, zorder=4)
    low, high = sheet.y, sheet.y + (len(graph.areas) - 1) * _PITCH
    _line(axes, [(sheet.x, low - 0.62), (sheet.x, low - height / 2)], _FAINT)
    _line(axes, [(sheet.x, high + height / 2), (sheet.x, high + 0.55)], _FAINT)
    axes.text(sheet.x, low - 0.66,
              f"image {_shape(graph.image)}\n" + pre_net(graph).replace(", ", ",\n", 1),
              size=9, ha="center", va="top", color=_FAINT, linespacing=1.35)
    axes.text(sheet.x, high + 0.59, f"readout at step {graph.readout_time}", size=9,
              ha="center", va="bottom", color=_FAINT)


def _shape(shape: Sequence[int]) -> str:
    if len(shape) == 1:
        return f"{shape[0]} channel{'s' * (shape[0] > 1)}"
    channels, height, width = shape
    return f"{channels} \N{MULTIPLICATION SIGN} {height}\N{MULTIPLICATION SIGN}{width}"


def _arrow(axes: Axes, graph: AreaGraph, sheet: _Sheet, connection: Connection) -> None:
    distance = _distance(graph, connection)
    y = sheet.y + graph.names.index(connection.source) * _PITCH
    end = y + distance * _PITCH
    half_width, half_height = _BOX[0] / 2, _BOX[1] / 2
    # feedforward on the left, feedback on the right, each arrow in its own lane
    side = -1 if distance > 0 else 1
    if distance == 0:
        edge = sheet.x + half_width
        points = [(edge, y + 0.08), (edge + 0.52, y + 0.28), (edge + 0.52, y - 0.28),
                  (edge, y - 0.08)]
    elif abs(distance) == 1:
        x = sheet.x + side * half_width / 2
        points = [(x, y - side * half_height), (x, end + side * half_height)]
    else:
        edge, bulge = sheet.x + side * half_width, side * _bulge(distance)
        leave, enter = y - side * 0.21, end + side * 0.21
        points = [(edge, leave), (edge + bulge, leave), (edge + bulge, enter), (edge, enter)]
    _line(axes, points, COLOURS[kind(graph, connection)], connection.steps != (1, None))


def _line(
    axes: Axes, points: list[tuple[float, float]], colour: str, dashed: bool = False,
) -> None:
    """Draw a straight (2 points) or curved (4 points) arrow."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Outline

    codes = [Outline.MOVETO, *[Outline.LINETO if len(points) == 2 else Outline.CURVE4]
             * (len(points) - 1)]
    axes.add_patch(FancyArrowPatch(
        path=Outline(points, codes), arrowstyle="-|>,head_length=5,head_width=2.6",
        mutation_scale=1, color=colour, linewidth=1.8, linestyle=(0, (3, 1.5)) if dashed else "-",
        shrinkA=0, shrinkB=0, zorder=2,
    ))


def _lines(graph: AreaGraph, connection: Connection) -> list[str]:
    """Return a cell's label: what it computes, when, and with whom it shares weights."""
    words, _, _ = re.sub(r"x(?=\d)", "\N{MULTIPLICATION SIGN}", label(connection)).partition(" @")
    tie = (connection.tie,) if isinstance(connection.tie, str) else connection.tie or ()
    tied = [f"tied: {', '.join(dict.fromkeys(tie))}"] if tie else []
    for shared in graph.sharing:
        for use in shared.uses:
            if use.name == connection.name and use.meets(connection.steps):
                when = [] if use.steps == connection.steps else _when(use.steps)
                tied.append(", ".join([f"tied: {shared.name}", *when]))
    return [words, *_when(connection.steps), *tied]


def _when(steps: tuple[int, int | None]) -> list[str]:
    first, last = steps
    if steps == (1, None):
        return []
    if last is None:
        return [f"from step {first}"]
    return [f"step {first}" if first == last else f"steps {first}\N{EN DASH}{last}"]


def _matrix(axes: Axes, graph: AreaGraph, sheet: _Sheet) -> None:
    from matplotlib.patches import Rectangle

    top = sheet.height - _TOP - 0.5
    middle = sheet.left + len(graph.areas) * sheet.cell / 2
    axes.text(middle, top + 0.42, "to", size=10, ha="center", color=_FAINT)
    axes.text(sheet.left - 0.12, top + 0.12, "from", size=10, ha="right", color=_FAINT)
    for position, name in enumerate(graph.names):
        axes.text(sheet.left + (position + 0.5) * sheet.cell, top + 0.12, name, size=11,
                  weight="bold", ha="center", color=_INK)
        axes.text(sheet.left - 0.12, top - (position + 0.5) * _ROW, name, size=11,
                  weight="bold", ha="right", va="center", color=_INK)
    for i, row in enumerate(cells(graph)):
        for j, cell in enumerate(row):
            corner = (sheet.left + j * sheet.cell, top - (i + 1) * _ROW)
            colour = COLOURS[kind(graph, cell[0])] if cell else "white"
            axes.add_patch(Rectangle(corner, sheet.cell, _ROW, facecolor=colour, zorder=1,
                                     alpha=0.22, linewidth=0))
            axes.add_patch(Rectangle(corner, sheet.cell, _ROW, facecolor="none", zorder=2,
                                     edgecolor="#BBBBBB", linewidth=0.8))
            lines = [line for connection in cell for line in _lines(graph, connection)]
            # 72 points to the inch; lines need a little more than their size
            size = min(10, 72 * (_ROW - 0.06) / (1.25 * max(len(lines), 1)))
            axes.text(corner[0] + sheet.cell / 2, corner[1] + _ROW / 2, "\n".join(lines),
                      size=size, ha="center", va="center", color=_INK, zorder=3)


def _entries(graph: AreaGraph) -> list[tuple[str, str, bool]]:
    """Return what the legend explains: text, colour, dashed."""
    present = {kind(graph, c) for c in graph.connections}
    entries = [(name, colour, False) for name, colour in COLOURS.items() if name in present]
    if any(c.steps != (1, None) for c in graph.connections):
        entries.append(("active only at the steps given", _FAINT, True))
    return entries


def _legend(axes: Axes, graph: AreaGraph, sheet: _Sheet) -> None:
    top = sheet.height - _TOP - 0.5 - len(graph.areas) * _ROW - 0.3
    for position, (text, colour, dashed) in enumerate(_entries(graph)):
        y = top - 0.24 * position
        _line(axes, [(sheet.left, y), (sheet.left + 0.42, y)], colour, dashed)
        axes.text(sheet.left + 0.54, y, text, size=9.5, va="center", color=_INK)
