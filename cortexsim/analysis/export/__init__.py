"""Recordings for other programs: Brain-Score, rsatoolbox, CSV and netCDF4.

>>> from cortexsim.analysis import export
>>> export.export("runs/backward_mask-1", "brainscore")  # doctest: +SKIP
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ... import files, places, schema
from ...errors import RecordingError, unknown
from .. import recording as rec
from .selection import ALL, Selection, choose

__all__ = ["FORMATS", "Selection", "choose", "export"]

#: Bytes that a file of HDF5 has beside its values, about.
_OVERHEAD = 200_000
#: The module that writes each format, and the name of what it writes.
FORMATS = {
    "brainscore": ("brainscore", "brainscore.nc"),
    "rsatoolbox": ("rsa", "rsatoolbox.h5"),
    "csv": ("tables", "csv"),
    "netcdf": ("netcdf", "recording.nc"),
}


def export(run: str | Path, to: str, out: str | Path | None = None, *,
           areas: Sequence[str] | None = None, condition: rec.Condition | None = ALL,
           window_ms: tuple[float, float] | None = None, stimuli: int | None = None,
           seed: int = 0, pool: bool = False, units: bool = False, gzip: bool = False,
           command: str = "") -> Path:
    """Write a recording, or a part of it, for another program.

    Memory stays bounded whatever the recording's size, but for rsatoolbox, which holds a
    data set as a whole.

    Parameters
    ----------
    run
        The folder of a run, or of its recording.
    to
        ``brainscore``, ``rsatoolbox``, ``csv`` or ``netcdf``.
    out
        A new file, or folder for ``csv``; None for one in the run's folder: ``brainscore.nc``,
        ``rsatoolbox.h5``, ``csv`` or ``recording.nc``.
    areas, condition, window_ms, stimuli, seed, pool
        As in :func:`choose`.
    units, gzip
        For ``csv`` alone: see :func:`cortexsim.analysis.export.tables.write`.
    command
        The command that does this, if one does.

    Returns
    -------
    Path
        What was written, whole: nothing is left of what could not be finished.

    Raises
    ------
    RecordingError
        If there is no finished recording, if it lacks what was asked for or what the format
        needs, or if `out` is there already or cannot be written.
    """
    if to not in FORMATS:
        raise RecordingError(unknown("format", to, FORMATS))
    if to != "csv" and (units or gzip):
        raise RecordingError(f"{'units' if units else 'gzip'} is for tables (csv), not for {to}")
    if to == "netcdf" and pool:
        raise RecordingError("netcdf is the recording as it is: maps are not averaged (pool) there")
    path = rec.place(run)
    module, name = FORMATS[to]
    more = {"units": units, "gzip": gzip} if to == "csv" else {}
    alone = "" if path.name == schema.RECORDING else f"{path.stem}-"
    target = path.parent / f"{alone}{name}" if out is None else places.place(out)
    _check_free(target)
    with rec.open(path) as recording:
        chosen = choose(recording, areas=areas, condition=condition, window_ms=window_ms,
                        stimuli=stimuli, seed=seed, pool=pool)
        chosen = replace(chosen, command=command)
        if to != "csv":
            _check_room(target, chosen.bytes)
        write: Callable[..., Any] = import_module(f".{module}", __name__).write
        with _whole(target) as partial:
            if to == "csv":
                partial.mkdir()
            write(chosen, partial, **more)
    return target


def _check_free(target: Path) -> None:
    if places.exists(target):
        raise RecordingError(f"{target} is there already, and an export never overwrites; name "
                             "another place with --out")


def _check_room(target: Path, needed: int) -> None:
    """Refuse what a disk, or the system's limit on files, may have no room for.

    Where HDF5 cannot write the end of a file, it takes the whole program with it.
    """
    place = Path(tempfile.gettempdir()) if places.far(target) else next(
        parent for parent in target.absolute().parents if parent.exists())
    room = shutil.disk_usage(place).free
    with suppress(ImportError):  # other systems have no such limits
        import resource

        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        room = min(room, limit) if limit != resource.RLIM_INFINITY else room
    needed += _OVERHEAD
    if needed > room:
        raise RecordingError(
            f"{target}: the export may take up to {needed / 1e6:,.1f} MB, and there is room for "
            f"{room / 1e6:,.1f} MB in {place}; choose fewer areas, stimuli or times, or another "
            "disk with --out")


def _reason(problem: OSError) -> str:
    """Return what the system says, which HDF5 has as a number in the midst of its own words."""
    number = re.search(r"errno = (\d+)", str(problem))
    return os.strerror(int(number[1])) if number else places.reason(problem)


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Give a place beside the target to write to; what is whole there takes its place."""
    if places.far(target):
        with _sent(target) as partial:
            yield partial
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for rest in target.parent.iterdir():
            if rest.name.startswith(f".{target.name}-") and rest.suffix == ".partial":
                _take_away(rest)
        # in a folder of its own: two exports never meet
        around = Path(tempfile.mkdtemp(".partial", f".{target.name}-", target.parent))
        try:
            with files.Claim(around):
                yield around / target.name
                _check_free(target)
                os.replace(around / target.name, target)
        finally:
            shutil.rmtree(around, ignore_errors=True)
    except OSError as problem:
        raise RecordingError(
            f"{target}: the export cannot be written ({_reason(problem)})") from None


def _take_away(rest: Path) -> None:
    """Remove what an export left that was killed, not that of one at work."""
    with suppress(RecordingError), files.Claim(rest):
        shutil.rmtree(rest, ignore_errors=True)


@contextmanager
def _sent(target: Path) -> Iterator[Path]:
    """Give a place of this machine to write to; what is whole there is sent to an object store."""
    try:
        with tempfile.TemporaryDirectory() as around:
            partial = Path(around) / target.name
            yield partial
            _check_free(target)
            places.upload(partial, target)
    except OSError as problem:
        raise RecordingError(
            f"{target}: the export cannot be written ({_reason(problem)})") from None
