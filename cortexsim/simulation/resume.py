"""Going on with a recording that was stopped or killed: what it was, and whether this is it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import metadata, places, schema
from ..checksums import rows_of
from ..errors import RecordingError
from .layout import Layout
from .recorder import COMPLETE, METADATA

#: What has to be the same, and what to call it where it is not.
_SAME = {
    "model": "another network", "weights_sha256": "other weights", "state_sha256": "other weights",
    "graph": "another graph", "protocol": "another protocol", "dataset": "another data set",
    "split": "another split", "images_sha256": "other images", "seed": "another seed",
    "precision": "another precision", "beyond": "another rule for steps past the calibration",
    "record": "another choice of what to record",
}
#: Without these nothing can be computed again.
_NEEDED = ("protocol", "trials", "seed", "device", "precision", "microbatch", "record", "beyond")


def store(folder: str | Path) -> Path:
    """Return the place of the recording in the folder of a run, or the folder if it is one itself.

    Raises
    ------
    RecordingError
        If there is none.
    """
    folder = places.place(folder)
    there = places.exists(folder)
    for place in (folder, folder / schema.RECORDING):
        if (place / METADATA).is_file():
            return place
    what = ("nothing was recorded there before it stopped; run it again"
            if there else "no such folder")
    raise RecordingError(f"{folder}: there is no recording to go on with ({what})")


def read(path: Path) -> dict[str, Any]:
    """Return the attributes of a recording, complete or not.

    Parameters
    ----------
    path
        From :func:`store`.

    Raises
    ------
    RecordingError
        If it is none of ours, incomplete and of another format, or does not say what it is of.
    """
    attrs = metadata.read(path)["attributes"]
    try:
        complete, version = attrs[COMPLETE], attrs["format"]
    except KeyError:
        raise RecordingError(f"{path} is not a recording of CortexSim") from None
    if not complete:
        _check_format(path, version)
    lacking = [key for key in _NEEDED if attrs.get(key) is None]
    if lacking and version == schema.FORMAT_VERSION:
        raise RecordingError(f"{path} is damaged: its attributes do not say its "
                             f"{', '.join(lacking)}")
    return dict(attrs)


def check(path: Path, begun: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with a recording of something else.

    Parameters
    ----------
    path
        The recording.
    begun
        Its attributes.
    now
        Those of what is to be run.

    Raises
    ------
    RecordingError
        Naming the first thing that differs.
    """
    _check_format(path, begun["format"])
    if begun["trials"] != now["trials"]:
        raise RecordingError(f"{path} was begun with {begun['trials']} trials, not "
                             f"{now['trials']}: ask for as many")
    for key, word in _SAME.items():
        if begun.get(key) != now.get(key):
            raise RecordingError(
                f"{path} was begun with {word}{_values(begun.get(key), now.get(key))}: "
                "go on with what it was begun with, or run it again into another folder"
            )


def going_on_with(now: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a recording says of its being resumed."""
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "device": now["device"],
            "versions": now["versions"], **{k: now[k] for k in ("command",) if now.get(k)}}


def damaged(path: Path, chunks: Sequence[int], parts: Collection[str], layout: Layout) -> str:
    """Say what of a recording that was complete is made anew: chunks, and parts of its layout."""
    found = []
    if chunks:
        first = rows_of(layout.trials, layout.chunk_trials, chunks[0])
        found.append(f"chunk {chunks[0]} of {layout.chunks} (trials {first.start} to "
                     f"{first.stop - 1}){_more(chunks)}")
    if parts:
        found.append(f"{min(parts)}{_more(parts)}")
    are = ("is not as it was written" if len(chunks) + len(parts) == 1
           else "are not as they were written")
    return f"{path} is damaged: {', and '.join(found)} {are}; computing anew what is lost"


def _more(found: Collection[object]) -> str:
    return f" and {len(found) - 1} more" if len(found) > 1 else ""


def _check_format(path: Path, version: object) -> None:
    if version != schema.FORMAT_VERSION:
        raise RecordingError(
            f"{path} was begun in recording format {version}, and this CortexSim writes format "
            f"{schema.FORMAT_VERSION}: go on with the version that began it, or run it again"
        )


def _values(before: object, after: object) -> str:
    """Say what it was and is, where that is short."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in after if before.get(key) != after[key]]
        before, after = ({key: one.get(key) for key in keys} for one in (before, after))
    said = f" ({before}, now {after})"
    return said if len(said) < 120 and "\n" not in said else ""
