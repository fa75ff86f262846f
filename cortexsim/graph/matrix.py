"""The transition matrix as text and as HTML: rows are sources, columns targets."""

from __future__ import annotations

import html
from collections.abc import Sized
from typing import TYPE_CHECKING

from . import geometry

if TYPE_CHECKING:
    from .core import AreaGraph
    from .parts import Connection

EMPTY = "."
_WORDS = {"brc": "BRC", "brd": "BRD", "cbr": "CBR", "conv": "Conv", "max_pool": "MaxPool",
          "identity": "I"}


def label(connection: Connection) -> str:
    """Return the paper's name of a transition, such as ``BRCx2+0.5I @4``."""
    identity = "I" if connection.gain == 1 else f"{connection.gain:g}I"
    word = _WORDS[connection.transition]
    if connection.transition in ("brc", "brd", "cbr") and connection.layers > 1:
        word += f"x{connection.layers}"
    if connection.shortcut == "identity":
        word += f"+{identity}"
    elif connection.has_map:
        word += f"+{connection.shortcut.capitalize()}"
    return word if connection.steps == (1, None) else f"{word} @{geometry.span(connection)}"


def cells(graph: AreaGraph) -> list[list[list[Connection]]]:
    """Return the connections of each cell, in the order of their windows."""
    found: dict[tuple[str, str], list[Connection]] = {}
    for connection in sorted(graph.connections, key=lambda c: c.steps[0]):
        found.setdefault((connection.source, connection.target), []).append(connection)
    return [[found.get((row, column), []) for column in graph.names] for row in graph.names]


def as_text(graph: AreaGraph) -> str:
    """Return the matrix as an aligned table of text."""
    rows = [["from\\to", *graph.names]]
    for name, row in zip(graph.names, cells(graph), strict=True):
        rows.append([name, *(", ".join(map(label, cell)) or EMPTY for cell in row)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def describe(graph: AreaGraph) -> str:
    """Say in a few lines what the matrix does not show."""
    areas = ", ".join(
        f"{a.name} {geometry.by(a.shape)}" + (" ReLU" if a.activation == "relu" else "")
        for a in graph.areas)
    image = (geometry.by(graph.image) if len(graph.image) > 1
             else f"{_count(range(graph.image[0]), 'channel')}, any size")
    lines = [
        f"{graph.name or 'area graph'}: {_count(graph.areas, 'area')}, "
        f"{_count(graph.connections, 'connection')}",
        f"areas    {areas}",
        f"image    {image}, {graph.input} input, {pre_net(graph)}",
        f"weights  {graph.weights}, readout at step {graph.readout_time}"
        + ("" if graph.post_net == type(graph).post_net else f" by {graph.post_net}"),
    ]
    return "\n".join(lines + [f"note     {note}" for note in notes(graph)])


def pre_net(graph: AreaGraph) -> str:
    """Say in a few words what the pre-net is."""
    net = graph.pre_net
    if not net.layers:
        return "no pre-net"
    words = f"pre-net of {net.layers} convolution{'s' if net.layers > 1 else ''}"
    if net.kernel != 3:
        words += f" {net.kernel}x{net.kernel}"
    words += ", BN-ReLU" if net.normalize else ""
    return words + (", max-pool" if net.pool > 1 else "")


def _count(parts: Sized, word: str) -> str:
    return f"{len(parts)} {word}{'s' * (len(parts) != 1)}"


def notes(graph: AreaGraph) -> list[str]:
    """Return remarks on what is out of the ordinary, in sentences."""
    ties: dict[str, list[str]] = {}
    leaks: dict[float, list[str]] = {}
    found = []
    for connection in graph.connections:
        words = connection.tie if isinstance(connection.tie, tuple) else (connection.tie,)
        for word in dict.fromkeys(words):
            if word:
                ties.setdefault(word, []).append(connection.name)
        if 0 < connection.time_constant_steps < float("inf"):
            leaks.setdefault(connection.time_constant_steps, []).append(connection.name)
        if graph.grows(connection) and max(graph.stride(connection)) > 3:
            found.append(
                f"{connection.name}: a 3x3 deconvolution of stride "
                f"{max(graph.stride(connection))} leaves holes between its outputs"
            )
        if graph.weight_sharing(connection) != graph.weights:
            found.append(f"{connection.name}: {connection.weights} weights")
    found += [f"tied as {tie}: {', '.join(names)}" for tie, names in ties.items()]
    found += [f"shared as {shared}" for shared in graph.sharing]
    found += [
        f"leak with a time constant of {steps:.3g} steps: {', '.join(names)}"
        for steps, names in leaks.items()
    ]
    found += [f"normalization: {value} {key.replace('_', ' and ')}"
              for key, value in graph.normalization.to_dict().items()]
    return found


def as_html(graph: AreaGraph) -> str:
    """Return a description, the matrix as a table, and the picture as SVG."""
    from . import draw

    head = "".join(f"<th>{html.escape(name)}</th>" for name in graph.names)
    body = ""
    for name, row in zip(graph.names, cells(graph), strict=True):
        words = "".join(
            f"<td>{'<br>'.join(html.escape(label(c)) for c in cell) or '&middot;'}</td>"
            for cell in row
        )
        body += f"<tr><th>{html.escape(name)}</th>{words}</tr>"
    return (
        f"<div class='cortexsim-graph'><pre>{html.escape(describe(graph))}</pre>"
        f"<table><thead><tr><th>from \\ to</th>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{draw.svg(graph)}</div>"
    )
