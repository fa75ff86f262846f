"""The store: laid out first, written chunk by chunk, marked complete last of all."""

from __future__ import annotations

import errno
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zarr
from numpy.typing import NDArray

from .. import files, schema
from ..checksums import NOT_DONE, array_at, bad_chunks, checksum, rows_of
from ..errors import RecordingError
from .layout import Coords, Layout

__all__ = ["Recorder", "bad_chunks", "check_space", "checksum"]

COMPLETE = "complete"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: Zarr's word on what the layout needs and xarray reads: nothing for a user to act on.
_KNOWN_WARNINGS = ("Consolidated metadata", "The data type .* does not have a Zarr V3 spec")


class Recorder:
    """A recording that is being written.

    Parameters
    ----------
    path
        Folder of the store; there already, and empty.
    layout
        What the store holds.
    attrs
        Attributes of the root, plain JSON.

    Raises
    ------
    RecordingError
        If it cannot be written.
    """

    def __init__(self, path: Path, layout: Layout, attrs: Mapping[str, Any]) -> None:
        self.path = path
        self.layout = layout
        with _told(path), warnings.catch_warnings():
            for message in _KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            self._root = self._lay_out({**attrs, COMPLETE: False})

    def _lay_out(self, attrs: Mapping[str, Any]) -> zarr.Group:
        root = zarr.create_group(str(self.path), attributes=dict(attrs))
        for name, coords in self.layout.groups():
            group = root.create_group(name) if name else root
            # xarray's way to tell coordinates from data
            others = [key for key, (dims, _) in coords.items() if dims != (key,)]
            group.attrs["coordinates"] = " ".join(others)
            _write_coords(group, coords)
        for path, spec in self.layout.arrays.items():
            root.create_array(
                path,
                shape=(self.layout.trials, *spec.shape),
                chunks=(self.layout.chunk_trials, *spec.shape),
                dtype=spec.dtype,
                fill_value=spec.fill,
                dimension_names=spec.dims,
                config={"write_empty_chunks": True},
            )
        root.create_array(
            schema.DONE, shape=(self.layout.chunks,), chunks=(1,), dtype="int64",
            fill_value=NOT_DONE, dimension_names=(schema.CHUNK,),
            attributes={
                "checksum": "CRC-32 of the chunk's arrays in this order, without padding",
                "arrays": sorted(self.layout.arrays),
                "chunk_trials": self.layout.chunk_trials,
            },
        )
        zarr.consolidate_metadata(str(self.path))
        self._rewrite(self._order)
        return root

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
        """
        rows = rows_of(self.layout.trials, self.layout.chunk_trials, chunk)
        kept = {path: values[path][: rows.stop - rows.start] for path in self.layout.arrays}
        with _told(self.path):
            for path, part in kept.items():
                array_at(self._root, path)[rows] = part
            array_at(self._root, schema.DONE)[chunk] = checksum(kept)

    def finish(self) -> None:
        """Mark the recording complete, in one move.

        Raises
        ------
        RecordingError
            If the disk is full or fails; the recording stays incomplete.
        """
        def mark(metadata: dict[str, Any]) -> None:
            metadata["attributes"][COMPLETE] = True

        with _told(self.path):
            self._rewrite(mark)

    def _rewrite(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the root's metadata on disk, in one move."""
        file = self.path / "zarr.json"
        metadata = json.loads(file.read_text(encoding="utf-8"))
        change(metadata)
        files.write(file, json.dumps(metadata, indent=2))

    def _order(self, metadata: dict[str, Any]) -> None:
        """List areas in the graph's order, where zarr sorts them by name."""
        rank = {name: place for place, (name, _) in enumerate(self.layout.groups())}
        members = metadata["consolidated_metadata"]["metadata"]
        ordered = sorted(members, key=lambda path: rank.get(path.split("/")[0], 0))
        metadata["consolidated_metadata"]["metadata"] = {path: members[path] for path in ordered}


def check_space(path: Path, needed: int) -> None:
    """Refuse a disk without room.

    Raises
    ------
    RecordingError
        With what to do.
    """
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


def _write_coords(group: zarr.Group, coords: Coords) -> None:
    for name, (dims, values) in coords.items():
        group.create_array(
            name, data=values, chunks=values.shape, dimension_names=dims,
            attributes={"units": "ms"} if name == schema.TIME else {},
            config={"write_empty_chunks": True},
        )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the disk says into one sentence."""
    try:
        yield
    except OSError as problem:
        if problem.errno in _FULL:
            raise RecordingError(
                f"the disk is full: {path} is incomplete and of no use; remove it, make room or "
                "record fewer areas, units, steps or trials, and run again"
            ) from problem
        raise RecordingError(
            f"{path} cannot be written ({problem.strerror or problem}); what is there is incomplete"
        ) from problem
