"""The checksum of each chunk of a recording, and whether a store still agrees with it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import TransposeCodec

from . import schema, stores

#: What ``done`` holds for a chunk that was not written; a checksum is never negative.
NOT_DONE = -1
#: The attribute of ``done`` with the checksum of each coordinate, by its path.
COORDS = "coords"
#: What the codecs make of bytes that are not theirs.
UNREADABLE = (OSError, ValueError, RuntimeError, TypeError)


def checksum(values: Mapping[str, NDArray[Any]],
             orders: Mapping[str, tuple[int, ...]] | None = None) -> int:
    """Return the CRC-32 of arrays, taken in the order of their paths.

    Parameters
    ----------
    values
        Arrays by their path.
    orders
        Of arrays that do not lie on disk in the order of their axes, the order in which
        they do (see :func:`order_of`).
    """
    code = 0
    for path in sorted(values):
        array = values[path]
        if array.dtype == np.dtypes.StringDType():
            code = zlib.crc32("\n".join(array.ravel().tolist()).encode(), code)
        else:
            order = (orders or {}).get(path)
            # as they lie on disk, and so in memory before: there is nothing to bring in order
            lying = array if order is None else array.transpose(order)
            code = zlib.crc32(np.ascontiguousarray(lying).data, code)
    return code


def bad_chunks(path: Path) -> list[int]:
    """Return the chunks of a store that are missing or not as they were written.

    Parameters
    ----------
    path
        Of a recording, complete or not; from :func:`cortexsim.places.place`.

    Returns
    -------
    list of int
        Positions in ``done``; empty if all is well.
    """
    root = zarr.open_group(stores.store(path), mode="r")
    done = array_at(root, schema.DONE)
    attrs: dict[str, Any] = dict(done.attrs)
    arrays = {name: array_at(root, name) for name in attrs["arrays"]}
    trials, per_chunk = arrays[schema.SCORES].shape[0], attrs["chunk_trials"]
    return [
        chunk for chunk, code in enumerate(written(done).tolist())
        if code == NOT_DONE or code != _read(path, arrays, rows_of(trials, per_chunk, chunk))
    ]


def written(done: zarr.Array[Any]) -> NDArray[np.int64]:
    """Return what ``done`` holds of each chunk; NOT_DONE where that cannot be decoded."""
    try:
        return np.asarray(done[:], np.int64)
    except UNREADABLE:
        found = np.full(done.shape, NOT_DONE)
        for chunk in range(len(found)):
            with suppress(*UNREADABLE):
                found[chunk] = np.asarray(done[chunk])
        return found


def bad_coords(path: Path) -> list[str]:
    """Return the coordinates of a store that are missing or not as they were written.

    Parameters
    ----------
    path
        As in :func:`bad_chunks`.

    Returns
    -------
    list of str
        Their paths, such as ``V1/label``; none where no checksums of them were kept, which
        older recordings lack.
    """
    root = zarr.open_group(stores.store(path), mode="r")
    attrs: dict[str, Any] = dict(array_at(root, schema.DONE).attrs)
    kept: dict[str, int] = attrs.get(COORDS) or {}
    found = {name: array_at(root, name) for name in kept if name in root}
    codes = stores.each(path, lambda array: _read(path, {array.path: array}, slice(None)),
                        found.values())
    known = dict(zip(found, codes, strict=True))
    return [name for name, code in kept.items() if known.get(name) != code]


def is_whole(path: Path) -> bool:
    """Say whether everything in a store that was laid out is there, as it was written."""
    return not bad_chunks(path) and not bad_coords(path)


def _read(path: Path, arrays: Mapping[str, zarr.Array[Any]], rows: slice) -> int | None:
    """Return the checksum of what is on disk, None where that cannot be decoded."""
    try:
        orders = {name: order for name, array in arrays.items() if (order := order_of(array))}
        values = stores.each(path, lambda array: np.asarray(array[rows]), arrays.values())
        return checksum(dict(zip(arrays, values, strict=True)), orders)
    except UNREADABLE:
        return None


def rows_of(trials: int, chunk_trials: int, chunk: int) -> slice:
    """Return the trials of a chunk; the last may have fewer."""
    return slice(chunk * chunk_trials, min((chunk + 1) * chunk_trials, trials))


def order_of(array: zarr.Array[Any]) -> tuple[int, ...] | None:
    """Return the order in which an array's axes lie on disk, None for the usual one."""
    return next((codec.order for codec in array.filters if isinstance(codec, TransposeCodec)),
                None)


def array_at(group: zarr.Group, path: str) -> zarr.Array[Any]:
    """Return the array at a path of a group."""
    found = group[path]
    assert isinstance(found, zarr.Array)
    return found
