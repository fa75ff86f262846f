"""How every figure looks, and its file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib import rc_context
from matplotlib.figure import Figure

from ... import files, palette, places
from ...errors import RecordingError, unknown

FORMATS = ("png", "svg", "pdf")


def style() -> Any:
    """Return the rcParams of every figure: seaborn's "ticks" with our overrides."""
    return {**sns.axes_style("ticks"), **palette.STYLE}


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
    path = places.place(path)
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
