"""Folders and files of results: never overwritten, never half there."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from . import places, schema
from .errors import Interrupted, RecordingError

#: What a kill leaves of the first files of a recording or a checkpoint, before there is one.
_REMAINS = re.compile(r"zarr\.[0-9a-f]{32}\.partial|network\.json\.partial"
                      r"|(weights|training)(-[0-9]+)*\.safetensors\.partial"
                      r"|(weights|training)(-[0-9]+)+\.safetensors")


def check_free(out: str | Path | None) -> None:
    """Refuse a folder for results in which something is already.

    An empty one will do, and one in which a run was killed before it had begun.

    Raises
    ------
    RecordingError
        If something is there.
    """
    if out is None:
        return
    where = places.place(out)
    if places.exists(where) and (places.far(where) or not unused(where)):
        raise RecordingError(
            f"{out} is there already, and a run never overwrites; name another folder with --out"
        )


def unused(folder: Path) -> bool:
    """Say whether nothing is in a folder but what a kill left before there was a result."""
    return folder.is_dir() and all(
        _REMAINS.fullmatch(item.name) or item.name == schema.RECORDING and unused(item)
        for item in folder.iterdir())


def make_folder(out: str | Path | None, stem: str, suffix: str = "") -> Path:
    """Make a folder for results, which no other run can then take.

    In an object store there are no folders. What is written first is to be made with
    :func:`cortexsim.places.create`, which two runs cannot both do.

    Parameters
    ----------
    out
        The folder, which must not exist; None for the first of ``stem-1``,
        ``stem-2``, ... that does not.
    stem, suffix
        What folders without a name have before and after their number.

    Returns
    -------
    Path
        The folder, empty; those above it are made too.

    Raises
    ------
    RecordingError
        If something is in it already or it cannot be made.
    """
    return _make(out, stem, suffix)[0]


@contextmanager
def new_folder(out: str | Path | None, stem: str) -> Iterator[Path]:
    """Make a folder for results, and take it away again if nothing gets into it.

    Parameters
    ----------
    out, stem
        As in :func:`taken`.

    Raises
    ------
    RecordingError
        As in :func:`taken`.
    Interrupted
        In place of a KeyboardInterrupt, with what is left.
    """
    with taken(out, stem) as folder:
        try:
            yield folder
        except KeyboardInterrupt:
            anything = places.exists(folder) if places.far(folder) else any(folder.iterdir())
            left = (f": {folder} is incomplete and of no use, remove it" if anything
                    else "; nothing was written")
            raise Interrupted(f"stopped{left}") from None


@contextmanager
def taken(out: str | Path | None, stem: str, claim: bool = True) -> Iterator[Path]:
    """Make a folder for results and have it alone; take it away if nothing got into it.

    Parameters
    ----------
    out, stem
        As in :func:`make_folder`.
    claim
        False where something else claims it.

    Raises
    ------
    RecordingError
        If something is in it already, it cannot be made, or another process has it.
    """
    folder, made = _make(out, stem)
    try:
        with Claim(folder, new=True) if claim else nullcontext():
            yield folder
    finally:
        for path in made:
            try:
                path.rmdir()
            except OSError:
                break  # something is in it, perhaps another run's, and so in those above


def _make(out: str | Path | None, stem: str, suffix: str = "") -> tuple[Path, list[Path]]:
    """Make the folder and those above it; return it and all that were made."""
    check_free(out)
    if out is not None and places.far(found := places.place(out)):
        return found, []
    number = 1
    while True:
        folder = places.place(f"{stem}-{number}{suffix}" if out is None else out)
        if out is not None and folder.is_dir():
            return folder, []
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True)  # exclusive: two runs never take the same one
            return folder, made
        except OSError as problem:
            if isinstance(problem, FileExistsError) and folder.parent.is_dir():
                check_free(out)  # another run was faster
                number += 1
                continue
            raise RecordingError(f"{folder}: this folder cannot be made ({problem.strerror}); "
                                 "name another one with --out") from None


class Claim:
    """A folder, or file, that this process has for itself; the system lets go if it dies.

    An object store has nothing of the kind, nor have some file systems that machines share:
    there two processes can go on with one recording.
    They write the same objects with the same numbers, each of them whole, so that time is lost
    and nothing else.

    Parameters
    ----------
    path
        Is there already.
    new
        Whether nothing may be in it: another process may have had it, and be done.

    Raises
    ------
    RecordingError
        If another process has it, or had it.
    """

    def __init__(self, path: Path, new: bool = False) -> None:
        self._place: int | None = None
        if sys.platform == "win32" or places.far(path):
            return  # nothing can be locked so there
        import fcntl

        # a folder itself is locked: nothing is left in it or beside it
        self._place = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(self._place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise RecordingError(f"{path}: another process is at work on it; wait until it is "
                                 "done, or stop it") from None
        except OSError:
            pass  # some network file systems have nothing of the kind: as in an object store
        if new:
            try:
                check_free(path)
            except RecordingError:
                self.close()
                raise

    def __enter__(self) -> Claim:
        """Return the claim."""
        return self

    def __exit__(self, *about: object) -> None:
        """Let go of the folder."""
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        if self._place is not None:
            os.close(self._place)
            self._place = None


def going_on(recording: Path, attrs: Mapping[Any, Any]) -> str:
    """Say what to type to go on with an incomplete recording.

    Parameters
    ----------
    recording
        Its folder.
    attrs
        Its attributes.
    """
    if schema.EXPERIMENT not in attrs:
        return f"simulate(..., out={str(recording)!r}, resume=True)"
    folder = recording.parent if recording.name == schema.RECORDING else recording
    return f"cortexsim run --resume {shlex.quote(str(folder))}"


def write(path: Path, data: bytes | str, kind: str | None = None) -> None:
    """Write a file whole or not at all, in place of the one before.

    Parameters
    ----------
    path
        The file; folders above it are made.
    data
        All that goes into it; text as UTF-8, its line ends as they are.
    kind
        What it is, for the message of a RecordingError: "the figure".

    Raises
    ------
    OSError
        If it cannot be written and has no ``kind``; the file before is intact.
    RecordingError
        In its place, where there is a ``kind``.
    """
    try:
        _replace(path, data.encode() if isinstance(data, str) else data)
    except OSError as problem:
        if kind is None:
            raise
        raise RecordingError(
            f"{path}: {kind} cannot be written ({problem.strerror or problem})") from None


def _replace(path: Path, data: bytes) -> None:
    if places.far(path):
        places.send(path, {"": data})
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # on disk before it takes the other one's place
        partial.replace(path)
        _keep_names(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _keep_names(folder: Path) -> None:
    """Have the names of a folder's files on disk, too, where the system can do so."""
    if sys.platform == "win32":
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    except OSError:
        pass  # some network file systems have nothing of the kind
    finally:
        os.close(place)
