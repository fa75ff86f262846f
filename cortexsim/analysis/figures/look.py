"""How every figure looks, and its file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import seaborn as sns
import xarray as xr
from matplotlib import rc_context
from matplotlib.figure import Figure

from ... import files, palette, places, provenance
from ...errors import RecordingError, unknown

FORMATS = ("png", "svg", "pdf")


def style() -> Any:
    """Return the rcParams of every figure: seaborn's "ticks" with our overrides."""
    return {**sns.axes_style("ticks"), **palette.STYLE}


def mark(figure: Figure, recording: xr.DataTree) -> None:
    """Let a figure carry the origin of what it shows, which :func:`save` writes into the file."""
    figure.set_label(provenance.text(provenance.recorded(recording.attrs)))


def save(figure: Figure, path: str | Path, *, recording: xr.DataTree | None = None,
         command: str = "") -> Path:
    """Write a figure with its origin as metadata; the ending chooses the format.

    Parameters
    ----------
    figure
        From :func:`figure`, or any other.
    path
        File to write: ``.png``, ``.svg`` or ``.pdf``.
    recording
        What it shows, where the figure does not carry that: those of :func:`figure` and of
        comparisons do.
    command
        The command that makes it, if one does.

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
    if recording is not None:
        mark(figure, recording)
    told = provenance.origin(command, **_carried(figure))
    metadata = provenance.metadata(ending, "CortexSim recording", told)
    buffer = io.BytesIO()
    with rc_context(style()):
        figure.savefig(buffer, format=ending, metadata=metadata)
    files.write(path, buffer.getvalue(), "the figure")
    return path


def _carried(figure: Figure) -> dict[str, Any]:
    """Return the recording whose origin a figure carries; a label of the user's own is none."""
    try:
        found = json.loads(str(figure.get_label() or ""))
    except ValueError:
        return {}
    return {"recording": found} if isinstance(found, dict) else {}
