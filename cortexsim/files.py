"""Folders and files of results: never overwritten, never half there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Interrupted, RecordingError


def check_free(out: str | Path | None) -> None:
    """Refuse a folder for results that is there already.

    Raises
    ------
    RecordingError
        If it is.
    """
    if out is not None and (Path(out).exists() or Path(out).is_symlink()):
        raise RecordingError(
            f"{out} is there already, and a run never overwrites; name another folder with --out"
        )


@contextmanager
def new_folder(out: str | Path | None, stem: str) -> Iterator[Path]:
    """Make a folder for results, and take it away again if nothing gets into it.

    Parameters
    ----------
    out
        The folder, which must not exist; None for the first of ``stem-1``,
        ``stem-2``, ... that does not.
    stem
        Where folders without a name go.

    Raises
    ------
    RecordingError
        If it cannot be made.
    Interrupted
        In place of a KeyboardInterrupt, with what is left.
    """
    check_free(out)
    folder, made = _make(out, stem)
    try:
        yield folder
    except KeyboardInterrupt:
        left = (f": {folder} is incomplete and of no use, remove it" if any(folder.iterdir())
                else "; nothing was written")
        raise Interrupted(f"stopped{left}") from None
    finally:
        for path in made:
            if any(path.iterdir()):
                break
            path.rmdir()


def _make(out: str | Path | None, stem: str) -> tuple[Path, list[Path]]:
    """Make the folder and those above it; return it and all that were made."""
    number = 1
    while True:
        folder = Path(f"{stem}-{number}" if out is None else out)
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True)  # exclusive: two runs never take the same one
            return folder, made
        except FileExistsError:
            if out is not None:
                check_free(out)
            number += 1
        except OSError as problem:
            raise RecordingError(f"{folder}: this folder cannot be made ({problem.strerror}); "
                                 "name another one with --out") from None


def write(path: Path, data: bytes, kind: str) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path
        The file; folders above it are made.
    data
        All that goes into it.
    kind
        What it is, for the message: "the figure".

    Raises
    ------
    RecordingError
        If it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as problem:
        raise RecordingError(
            f"{path}: {kind} cannot be written ({problem.strerror or problem})") from None
