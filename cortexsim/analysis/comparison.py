"""A recording beside real cortex and real people: text, tables and a figure of each comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from .. import files, places, provenance
from ..errors import RecordingError, unknown

#: What can be compared, the function that does it, and the measurements that come along.
KINDS = {
    "latencies": ("latency.timing", "compare", "schmolesky1998"),
    "masking": ("psychometrics.humans", "masking", "tang2018_masking"),
    "speed_accuracy": ("psychometrics.humans", "speed_accuracy", "kumbhar2021_speed_accuracy"),
    "it": ("representations.kriegeskorte2008", "compare", None),
}


@dataclass(frozen=True)
class Comparison:
    """A recording beside measurements of cortex or of people.

    Attributes
    ----------
    name
        Short, for file names, such as ``latencies``.
    title
        What is compared with what.
    text
        The result in a few lines: numbers with their intervals, and what they do not show.
    tables
        Tidy tables by name, written as CSV files.
    figure
        The picture, to be written with :func:`cortexsim.analysis.save`.
    citation
        Of the measurements.
    recorded
        What tells the recording from others (:func:`cortexsim.provenance.recorded`).
    """

    name: str
    title: str
    text: str
    figure: Figure
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    citation: str = ""
    recorded: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return title, result and citation as text."""
        cited = f"\n({self.citation})" if self.citation else ""
        return f"{self.title}\n{self.text}{cited}"

    def write(self, folder: str | Path, command: str = "") -> list[Path]:
        """Write the figure, as PNG and PDF, the tables, as CSV, the text, and where they are from.

        Parameters
        ----------
        folder
            Of a run, for instance. Files of an earlier comparison of this name are replaced.
        command
            The command that does this, if one does.

        Returns
        -------
        list of pathlib.Path
            The figure first.
        """
        from .figures import save

        folder = places.place(folder)
        written = [save(self.figure, folder / f"{self.name}.{end}", command=command)
                   for end in ("png", "pdf")]
        texts = {"txt": f"{self}\n"}
        texts |= {f"{key}.csv": table.to_csv(index=False) for key, table in self.tables.items()}
        for end, text in texts.items():
            join = "." if end == "txt" else "-"
            path = folder / f"{self.name}{join}{end}"
            files.write(path, text, "the comparison")
            written.append(path)
        told = provenance.origin(command, recording=self.recorded, measurements={
            "citation": self.citation})
        provenance.beside(folder, [path.name for path in written], told)
        return written


def compare(recording: xr.DataTree, kind: str, reference: str | Path | None = None,
            **options: object) -> Comparison:
    """Set a recording beside measurements of cortex or of people.

    Parameters
    ----------
    recording
        An open recording.
    kind
        ``latencies`` (:func:`cortexsim.analysis.latency.timing.compare`), ``masking`` or
        ``speed_accuracy`` (:mod:`cortexsim.analysis.psychometrics.humans`), or ``it``
        (:func:`cortexsim.analysis.representations.kriegeskorte2008.compare`).
    reference
        The measurements: the name of a table that comes along, or a file; by default what
        comes along. For ``it`` the folder of the published files, which do not.
    **options
        As in that function.

    Raises
    ------
    RecordingError
        If the recording lacks what is compared.
    ReferenceFileError
        If the measurements are missing, or lack what is needed.
    """
    if kind not in KINDS:
        raise RecordingError(unknown("comparison", kind, KINDS))
    module, name, usual = KINDS[kind]
    if reference is None and usual is None:
        raise RecordingError("the RDMs of monkey and human IT do not come along: give the folder "
                             "with the published files of Kriegeskorte et al. 2008")
    function = getattr(import_module(f".{module}", __package__), name)
    found: Comparison = function(recording, usual if reference is None else reference, **options)
    from .figures import look

    look.mark(found.figure, recording)
    return replace(found, recorded=provenance.recorded(recording.attrs))
