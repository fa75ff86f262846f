"""The store: laid out first, written chunk by chunk, marked complete last of all."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.buffer import Buffer
from zarr.storage import MemoryStore

from .. import files, places, schema, stores
from ..checksums import NOT_DONE, array_at, checksum, rows_of, written
from ..errors import RecordingError, SimulationError
from .blank import known_warnings, make
from .layout import Layout

COMPLETE, RESUMED = "complete", "resumed"
METADATA = "zarr.json"
#: The largest number of float16.
LARGEST = float(np.finfo(np.float16).max)
_HALF = f"{LARGEST:g}, the largest number of float16: record in float32 (--dtype float32)"
_SQUARE = "1e19, whose square is no number of float32, so it has no norm: a gain below 1 may help"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Recorder:
    """A recording that is being written.

    Parameters
    ----------
    path
        Folder of the store; there already, and empty unless `resumed`. In an object store
        nothing is there before.
    layout
        What the store holds.
    attrs
        Attributes of the root, plain JSON.
    resumed
        To go on with what is there: what is added to the list of that name among the
        attributes. None for a new store.
    shared
        Whether the store was laid out, and is claimed, by another process, which has this one
        write some of its chunks.

    Raises
    ------
    RecordingError
        If it cannot be written, or another process writes it.
    """

    def __init__(self, path: Path, layout: Layout, attrs: Mapping[str, Any],
                 resumed: Mapping[str, Any] | None = None, shared: bool = False) -> None:
        self.path = path
        self.layout = layout
        self.going_on = files.going_on(path, attrs)
        new = resumed is None and not shared
        self._lock = None if shared else files.Claim(path, new=new)
        try:
            with _told(path, "" if new else self.going_on), known_warnings():
                if shared:
                    self._root = zarr.open_group(stores.store(path), mode="r+")
                elif resumed is None:
                    self._root = self._lay_out({**attrs, COMPLETE: False})
                else:
                    self._root = self._go_on(resumed)
                # a chunk without anything in it is written, too, to be told from a lost one;
                # an array does so only if it was opened under this setting
                with zarr.config.set({"array.write_empty_chunks": True}):
                    self._arrays = {name: array_at(self._root, name) for name in layout.arrays}
        except BaseException:
            if new and not places.far(path):
                places.remove(path)  # no number is in it yet
            self.close()
            raise

    def _go_on(self, resumed: Mapping[str, Any]) -> zarr.Group:
        attrs = json.loads((self.path / METADATA).read_text(encoding="utf-8"))["attributes"]
        attrs[RESUMED] = [*attrs.get(RESUMED, ()), dict(resumed)]
        attrs[COMPLETE] = False  # it may have been, and was damaged
        if not laid_out(self.path):
            places.clear(self.path)
            return self._lay_out(attrs)
        self.tidy()
        self._rewrite(lambda metadata: metadata.update(attributes=attrs))
        return zarr.open_group(stores.store(self.path), mode="r+")

    def _lay_out(self, attrs: Mapping[str, Any]) -> zarr.Group:
        if not places.far(self.path):
            for rest in self.path.glob("*.partial"):
                rest.unlink()  # of a run that was killed before it had begun
            root = make(str(self.path), self.layout, attrs)
            zarr.consolidate_metadata(str(self.path))
            self._rewrite(self._order)
            return root
        # some hundred small objects, each made by several requests: they are put together here
        objects: dict[str, Buffer] = {}
        store = MemoryStore(objects)
        make(store, self.layout, attrs)
        try:
            places.create(self.path / METADATA, objects[METADATA].to_bytes())
        except FileExistsError:
            raise RecordingError(f"{self.path} is another run's, which was faster; name another "
                                 "place with --out") from None
        zarr.consolidate_metadata(store)
        ready = {name: item.to_bytes() for name, item in objects.items()}
        metadata = json.loads(ready.pop(METADATA))
        places.send(self.path, ready)
        self._order(metadata)
        files.write(self.path / METADATA, json.dumps(metadata, indent=2))
        return zarr.open_group(stores.store(self.path), mode="r+")

    def write(self, chunk: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Write one chunk of every array, then its entry in ``done``.

        Parameters
        ----------
        chunk
            Which one, 0 for the first.
        values
            Path of every array of the layout to its values; trials past the
            end, those of the padding, are dropped.

        Raises
        ------
        RecordingError
            If the disk is full or fails; the recording stays incomplete.
        SimulationError
            If activity is out of the range of the numbers it is kept in.
        """
        check_range(self.layout, values)
        rows = rows_of(self.layout.trials, self.layout.chunk_trials, chunk)
        kept = {path: values[path][: rows.stop - rows.start] for path in self.layout.arrays}
        with _told(self.path, self.going_on):
            def put(path: str) -> None:
                self._arrays[path][rows] = kept[path]

            stores.each(self.path, put, kept)
            array_at(self._root, schema.DONE)[chunk] = checksum(kept, self.layout.orders)

    def tidy(self) -> None:
        """Take away what was being written when a process was killed, if none writes any more."""
        if not places.far(self.path):  # an object is there whole or not at all
            # a file takes its name when it is whole
            for item in self.path.rglob("*.partial"):
                item.unlink(missing_ok=True)

    def put_back(self, parts: Mapping[str, bytes]) -> None:
        """Write parts of the layout that were lost, by their path.

        Raises
        ------
        RecordingError
            If the disk is full or fails.
        """
        with _told(self.path, self.going_on):
            for name, data in parts.items():
                files.write(self.path / name, data)

    def finish(self) -> None:
        """Mark the recording complete, in one move, and let go of it.

        Raises
        ------
        RecordingError
            If the disk is full or fails; the recording stays incomplete.
        """
        self.note({COMPLETE: True})
        self.close()

    def note(self, attrs: Mapping[str, Any]) -> None:
        """Set attributes of the root, in one move.

        Raises
        ------
        RecordingError
            If the disk is full or fails; they are as before.
        """
        with _told(self.path, self.going_on):
            self._rewrite(lambda metadata: metadata["attributes"].update(attrs))

    @property
    def trials_done(self) -> int:
        """How many trials are on disk."""
        done = written(array_at(self._root, schema.DONE)) != NOT_DONE
        return sum(self.layout.trials_in(int(chunk)) for chunk in np.flatnonzero(done))

    def close(self) -> None:
        """Let go of the store, so that another process can go on with it."""
        if self._lock is not None:
            self._lock.close()

    def _rewrite(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the root's metadata on disk, in one move."""
        file = self.path / METADATA
        metadata = json.loads(file.read_text(encoding="utf-8"))
        change(metadata)
        files.write(file, json.dumps(metadata, indent=2))

    def _order(self, metadata: dict[str, Any]) -> None:
        """List areas in the graph's order, where zarr sorts them by name."""
        rank = {name: place for place, (name, _) in enumerate(self.layout.groups())}
        members = metadata["consolidated_metadata"]["metadata"]
        ordered = sorted(members, key=lambda path: rank.get(path.split("/")[0], 0))
        metadata["consolidated_metadata"]["metadata"] = {path: members[path] for path in ordered}


def laid_out(path: Path) -> bool:
    """Say whether a store was laid out to the end, which is when its metadata are joined."""
    metadata = json.loads((path / METADATA).read_text(encoding="utf-8"))
    members = (metadata.get("consolidated_metadata") or {}).get("metadata", {})
    return schema.DONE in members


def check_range(layout: Layout, values: Mapping[str, NDArray[Any]]) -> None:
    """Refuse activity that cannot be held: in float16, or, squared, in float32.

    Parameters
    ----------
    layout
        What is recorded.
    values
        Of one chunk, by path.

    Raises
    ------
    SimulationError
        Naming the first step, and an area.
    """
    beyond: list[tuple[int, str, str]] = []
    for area in layout.areas:
        rms, path = values[f"{area.name}/{schema.RMS}"], f"{area.name}/{schema.ACTIVATION}"
        beyond += [(layout.indices[place], area.name, _SQUARE)
                   for place in np.flatnonzero(np.isinf(rms).any(axis=0)).tolist()]
        if layout.record.dtype != "float16" or path not in values:
            continue
        # no unit is beyond the norm of all, which is at hand: most often nothing is searched
        norm = rms * np.sqrt(np.prod(area.shape))
        beyond += [(layout.indices[place], area.name, _HALF)
                   for trial, place in np.argwhere(norm > LARGEST).tolist()
                   if np.isinf(values[path][trial, place]).any()]
    if beyond:
        step, name, what = min(beyond)
        raise SimulationError(f"activity of {name} at step {step} is beyond {what}")


def check_space(path: Path, needed: int) -> None:
    """Refuse a disk without room.

    Raises
    ------
    RecordingError
        With what to do.
    """
    if places.far(path):
        return  # an object store has no end that it would tell
    above = next(parent for parent in path.absolute().parents if parent.exists())
    with _told(path):
        free = shutil.disk_usage(above).free
    if needed > free:
        raise RecordingError(
            f"the recording would take up to {_megabytes(needed)} and the disk has "
            f"{_megabytes(free)} left; record fewer areas, units, steps or trials, or choose "
            "another disk"
        )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


@contextmanager
def _told(path: Path, go_on: str = "") -> Iterator[None]:
    """Turn what the disk says into one sentence, and how to go on, if there is anything yet."""
    try:
        yield
    except OSError as problem:
        if not go_on:
            what = ("the disk is full" if problem.errno in _FULL
                    else f"{path} cannot be written ({problem.strerror or problem})")
            raise RecordingError(f"{what}; nothing was recorded") from problem
        if problem.errno in _FULL:
            raise RecordingError(
                f"the disk is full: {path} is incomplete; make room and go on with: {go_on}"
            ) from problem
        raise RecordingError(
            f"{path} cannot be written ({problem.strerror or problem}); what is there is "
            f"incomplete; go on with: {go_on}"
        ) from problem
