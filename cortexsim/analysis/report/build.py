"""Put a report together: sections and explorer into one page, and the page into a file."""

from __future__ import annotations

import base64
import hashlib
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import xarray as xr
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from tqdm import tqdm

from ... import __version__, files, places, provenance, schema
from ...errors import CortexSimError, RecordingError, out_of_memory
from .. import protocols
from .. import recording as rec
from ..figures.look import style
from . import explorer
from .pieces import Section
from .sections import SECTIONS
from .source import Source

#: By this a file is known to be a report, which may be made anew.
GENERATOR = "CortexSim report"
#: The report of a run, in its folder.
REPORT = "report.html"
_HERE = Path(__file__).parent
Part = TypeVar("Part")


def write(run: str | Path, out: str | Path | None = None, *, root: str | Path | None = None,
          it: str | Path | None = None, seed: int = 0, progress: bool = False,
          command: str = "") -> Path:
    """Write the report of a run as one HTML file that needs nothing else.

    Parameters
    ----------
    run
        A run's folder, or a recording.
    out
        The file; by default ``report.html`` in the run's folder, or, of a recording in no
        such folder, the recording's name with ``.html`` beside it. A report that is there
        already is replaced, since it can be made anew; any other file is not.
    root
        Where data sets are that do not come along; by default where the run found them.
    it
        The folder with the published RDMs of monkey and human IT, for a recording of the 92
        objects (:func:`cortexsim.analysis.representations.load_it`).
    seed
        Of the choice of stimuli where not all are used.
    progress
        Whether to show progress, on a terminal only.
    command
        The command that makes it, if one does.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    RecordingError
        If there is no complete recording, or the file is there and no report, or cannot be
        written.
    """
    place = rec.place(run)
    path = _free(places.place(out) if out is not None else _beside(place))
    with rec.open(place) as recording:
        text = page(recording, root=root, it=it, seed=seed, progress=progress, command=command)
    files.write(path, text, "the report")
    return path


def page(recording: xr.DataTree, *, root: str | Path | None = None,
         it: str | Path | None = None, seed: int = 0, progress: bool = False,
         command: str = "") -> str:
    """Return the report of a recording as HTML; the same recording gives the same text.

    Parameters
    ----------
    recording
        An open recording.
    root, it, seed, progress, command
        As in :func:`write`.
    """
    source = Source(recording, None if root is None else Path(root), seed,
                    None if it is None else Path(it))
    with rc_context(style()):
        parts: list[Callable[[], Any]] = [partial(_made, *part, source) for part in SECTIONS]
        parts.insert(-1, partial(_explorer, source))
        bar = tqdm(parts, desc="report", unit="section", disable=None if progress else True,
                   leave=False)
        made: list[Any] = [part() for part in bar]
        explored: tuple[str, str] = made.pop(-2)
        script = (_HERE / "explorer.js").read_text()
        return _environment().get_template("page.html.jinja").render(
            title=_name(source), generator=f"{GENERATOR} {__version__}", lead=_lead(source),
            provenance=provenance.text(provenance.origin(
                command, recording=provenance.recorded(recording.attrs))),
            sections=made[:-1], last=made[-1], data=Markup(explored[0]), missing=explored[1],
            style=Markup((_HERE / "style.css").read_text()), script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())


def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)


def _beside(place: Path) -> Path:
    return (place.parent / REPORT if place.name == schema.RECORDING
            else place.with_name(f"{place.stem or place.name}.html"))


def _free(path: Path) -> Path:
    """Refuse a place at which there is anything but a report."""
    if path.is_dir():
        raise RecordingError(f"{path} is a folder; give --out the name of a file")
    if path.exists():
        with path.open("rb") as file:
            if GENERATOR.encode() not in file.read(2000):
                raise RecordingError(f"{path} is there already and is no report of CortexSim; "
                                     "name another file with --out")
    return path


def _made(key: str, title: str, make: Callable[[Source], Section], source: Source) -> Section:
    """Make a section, or say in one sentence why there is none."""
    made, missing = _attempt(title, partial(_drawn, make, source))
    return made or Section(key, title, missing=missing)


def _drawn(make: Callable[[Source], Section], source: Source) -> Section:
    section = make(source)
    for picture in section.pictures:
        assert picture.source  # drawn here, where a failure is told
    return section


def _attempt(title: str, make: Callable[[], Part]) -> tuple[Part | None, str]:
    """Return a part of the page, or None and why in one sentence."""
    try:
        return make(), ""
    except CortexSimError as problem:
        return None, _sentence(str(problem))
    except Exception as problem:  # one part's defect must not take the others with it
        if out_of_memory(problem):
            raise  # there is none for the others either
        about = f"{type(problem).__name__}: {problem}"
        warnings.warn(f"the report's section '{title}' could not be made ({about})", stacklevel=2)
        return None, f"It could not be made, which is a defect of CortexSim ({about})."


def _explorer(source: Source) -> tuple[str, str]:
    """Return the explorer's data as JSON for a script element, or why there is none."""
    text, missing = _attempt("Explore the activity", partial(_data, source))
    return text or "", missing


def _data(source: Source) -> str:
    if not rec.areas(source.recording):
        raise RecordingError("no area is recorded, the scores alone are")
    found = explorer.data(source.recording, root=source.root, seed=source.seed)
    text = json.dumps(found, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    # within a script element, the only letters that could end it
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _name(source: Source) -> str:
    found = protocols.protocol(source.recording)
    return found.name if found else str(source.recording.attrs.get("model", "A recording"))


def _lead(source: Source) -> list[tuple[str, str]]:
    attrs, table = source.recording.attrs, rec.trials(source.recording)
    facts = [("network", str(attrs.get("model", ""))), ("images", str(attrs.get("dataset", ""))),
             ("stimuli", f"{table[schema.STIMULUS].nunique():,}"),
             ("conditions", f"{table[schema.CONDITION].nunique():,}"),
             ("trials", f"{len(table):,}"),
             ("a step", f"{float(attrs['ms_per_step']):g} ms" if "ms_per_step" in attrs else ""),
             ("areas", ", ".join(rec.areas(source.recording)))]
    return [fact for fact in facts if fact[1]]
