"""Where a file of results comes from: said in one form, in the file itself or beside it.

An origin is a JSON object::

    {"made_by": "CortexSim 0.1.0",
     "command": "cortexsim compare runs/x --latencies schmolesky1998",
     "recording": {"created": "2026-11-21T18:00:00+00:00", "protocol": "backward_mask",
                   "model": "digits-leaky", "weights_sha256": ..., "seed": 0, ...}}

Pictures hold it as metadata, pages as a meta element, netCDF and HDF5 files as an attribute,
each called ``provenance`` where the format leaves the name open. Tables are left as they are:
``provenance.json`` in their folder has the origin of each. No date but the recording's own
gets in: the same recording and command give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from . import __version__, files

#: In the folder of tables.
FILE = "provenance.json"
#: What an origin is called where a format lets us choose.
NAME = "provenance"
#: Attributes of a recording that say where it comes from itself.
_RECORDED = ("created", "command", "format", "model", "weights_sha256", "state_sha256", "dataset",
             "split", "images_sha256", "trials", "seed", "device", "precision", "ms_per_step")


def origin(command: str = "", **sources: Mapping[str, Any]) -> dict[str, Any]:
    """Return the origin of what this CortexSim makes.

    Parameters
    ----------
    command
        The command line, empty where there is none.
    **sources
        What it is made from, such as ``recording=recorded(attrs)``.
    """
    return {"made_by": f"CortexSim {__version__}", **({"command": command} if command else {}),
            **sources}


def recorded(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what tells a recording from others.

    Parameters
    ----------
    attrs
        The attributes of its root.
    """
    versions, protocol = attrs.get("versions"), str(attrs.get("protocol") or "")
    name = next((line.partition(":")[2].strip() for line in protocol.splitlines()
                 if line.startswith("name:")), "")
    found = {
        **{key: attrs[key] for key in _RECORDED if isinstance(attrs.get(key), (str, int, float))},
        "versions": dict(versions) if isinstance(versions, Mapping) else {},
        "protocol": name,
        "protocol_sha256": sha256(protocol) if protocol else "",
    }
    return {key: value for key, value in found.items() if value not in ("", {})}


def sha256(text: str) -> str:
    """Return the sha256 of a text, as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def text(told: Mapping[str, Any]) -> str:
    """Return an origin as one line of JSON in ASCII, which every format can hold."""
    return json.dumps(told, default=str)


def metadata(kind: str, title: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return an origin as matplotlib's ``metadata`` of a picture.

    Parameters
    ----------
    kind
        ``png``, ``svg`` or ``pdf``.
    title
        What the picture is, in a few words.
    told
        The origin; its recording's date becomes the picture's.
    """
    made_by, said = str(told.get("made_by", "CortexSim")), text(told)
    day = str(told.get("recording", {}).get("created", ""))
    if kind == "png":
        dated = {"Creation Time": day} if day else {}
        return {"Title": title, "Description": said, "Software": made_by, **dated}
    if kind == "svg":
        return {"Title": title, "Description": said, "Creator": made_by, "Date": day or None}
    return {"Title": title, "Subject": said, "Creator": made_by, "CreationDate": _date(day)}


def beside(folder: Path, names: Iterable[str], told: Mapping[str, Any]) -> None:
    """Write the origin of files into ``provenance.json`` in their folder.

    What it says of other files stays.

    Parameters
    ----------
    folder
        Of the files.
    names
        Of the files, within the folder.
    told
        Their origin.

    Raises
    ------
    RecordingError
        If it cannot be written.
    """
    path = folder / FILE
    known = _known(path)
    known.update({name: dict(told) for name in names})
    files.write(path, json.dumps(dict(sorted(known.items())), indent=1, default=str) + "\n",
                "the origin of the tables")


def _known(path: Path) -> dict[str, Any]:
    """Return what a folder's file says; nothing where there is none of ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
