"""What a recording has lost: chunk files that are gone, chunks that are not as they were written.

A chunk file that is gone would read as NaN, which is what an empty area reads
as; so its absence has to be looked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from .. import checksums, files, places, schema, stores
from ..errors import RecordingError

#: Lost chunks that are looked for; of more, it is said that there are more.
MOST = 1000


def check_files(tree: xr.DataTree, path: Path) -> None:
    """Refuse a recording of which a chunk file is gone or a chunk was never done.

    No data are read but ``done``, so this takes no longer for larger chunks.

    Raises
    ------
    RecordingError
        Naming the first array and chunk, and how many more there are.
    """
    done = tree.dataset[schema.DONE]
    per_chunk, count = int(done.attrs["chunk_trials"]), done.size
    trials = tree.sizes[schema.TRIAL]
    size = _sizes(path)
    lost = [*itertools.islice((where for array in _arrays(path) for where in _lost(array, size)),
                              MOST + 1)]
    if lost:
        others = f"over {MOST}" if len(lost) > MOST else str(len(lost) - 1)
        more = f" (and {others} more like it)" if len(lost) > 1 else ""
        raise RecordingError(f"{path}/{lost[0]} is missing{more}: {_mend(tree.attrs, path)}")
    if places.far(path):
        return  # what was never written is not listed either, and reading 'done' takes long
    codes = checksums.written(checksums.array_at(
        zarr.open_group(stores.store(path), mode="r"), schema.DONE))
    unwritten = np.flatnonzero(codes == checksums.NOT_DONE).tolist()
    if unwritten:
        where = _chunk(unwritten[0], count, trials, per_chunk)
        raise RecordingError(f"{path} is damaged: {where} was never written: "
                             f"{_mend(tree.attrs, path)}")


def check_values(tree: xr.DataTree, path: Path) -> None:
    """Refuse a recording of which a chunk does not agree with its checksum.

    Raises
    ------
    RecordingError
        Naming the first chunk, and how many more there are.
    """
    done = tree.dataset[schema.DONE]
    check_coords(path)
    bad = checksums.bad_chunks(path)
    if bad:
        per_chunk = int(done.attrs["chunk_trials"])
        where = _chunk(bad[0], done.size, tree.sizes[schema.TRIAL], per_chunk)
        more = f" (nor are {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise RecordingError(
            f"{path} is damaged: {where} is not as it was written{more}: "
            f"{_mend(tree.attrs, path)}"
        )


def check_coords(path: Path) -> None:
    """Refuse a recording of which a coordinate does not agree with its checksum, if it has one.

    Raises
    ------
    RecordingError
        Naming the first one.
    """
    try:
        bad = checksums.bad_coords(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return  # no recording: others say so
    if bad:
        more = f" (nor are {len(bad) - 1} more)" if len(bad) > 1 else ""
        attrs = dict(zarr.open_group(stores.store(path), mode="r").attrs)
        raise RecordingError(f"{path} is damaged: its coordinate {bad[0]} is not as it was written"
                             f"{more}: {_mend(attrs, path)}")


def _mend(attrs: Mapping[Any, Any], path: Path) -> str:
    return f"run it again, or have only that done: {files.going_on(path, attrs)}"


def _arrays(path: Path) -> Iterator[zarr.Array[Any]]:
    """Yield the arrays of all groups, coordinates too: a label that is lost reads as 0."""
    members = zarr.open_group(stores.store(path), mode="r").members(max_depth=None)
    found = {name: item for name, item in members if isinstance(item, zarr.Array)}
    # the root's first, and of those the scores: what is named first matters most
    for name in sorted(found, key=lambda name: (name.count("/"), name != schema.SCORES, name)):
        yield found[name]


def _sizes(path: Path) -> Callable[[str], int]:
    """Return what says of a file of a recording how large it is, 0 if it is not there."""
    if places.far(path):
        # a list of everything is some requests, a question for each file very many
        listed = places.sizes(path)
        return lambda name: listed.get(name, 0)

    def size(name: str) -> int:
        file = path / name
        return file.stat().st_size if file.is_file() else 0

    return size


def _lost(array: zarr.Array[Any], size: Callable[[str], int]) -> Iterator[str]:
    """Yield what to call each chunk of an array whose file is gone or holds nothing."""
    chunks = array.shards or array.chunks
    counts = [-(-long // chunk) for long, chunk in zip(array.shape, chunks, strict=True)]
    names: tuple[str | None, ...] = getattr(array.metadata, "dimension_names", None) or ()
    for place in np.ndindex(*counts):
        if size(f"{array.path}/{array.metadata.encode_chunk_key(place)}"):
            continue
        where = f"chunk {place[0]} of {counts[0]}" if place else "its only chunk"
        if names[:1] == (schema.TRIAL,):
            where = _chunk(place[0], counts[0], array.shape[0], chunks[0])
        yield f"{array.path} is damaged: {where}"


def _chunk(chunk: int, count: int, trials: int, chunk_trials: int) -> str:
    rows = checksums.rows_of(trials, chunk_trials, chunk)
    return f"chunk {chunk} of {count} (trials {rows.start} to {rows.stop - 1})"
