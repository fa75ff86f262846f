"""The checksum of each chunk of a recording, and whether a store still agrees with it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import TransposeCodec

from . import schema, stores

#: What ``done`` holds for a chunk that was not written; a checksum is never negative.
NOT_DONE = -1
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
    written = entries(done)
    return [
        chunk for chunk, code in enumerate(written)
        if code == NOT_DONE or code != _read(path, arrays, rows_of(trials, per_chunk, chunk))
    ]


def _read(path: Path, arrays: Mapping[str, zarr.Array[Any]], rows: slice) -> int | None:
    """Return the checksum of what is on disk, None where that cannot be decoded."""
    try:
        orders = {name: order for name, array in arrays.items() if (order := order_of(array))}
        values = stores.each(path, lambda array: np.asarray(array[rows]), arrays.values())
        return checksum(dict(zip(arrays, values, strict=True)), orders)
    except UNREADABLE:
        return None


def entries(done: zarr.Array[Any]) -> list[int]:
    """Return the checksum that stands in ``done`` for each chunk, NOT_DONE if it is unreadable."""
    try:
        return list(map(int, np.asarray(done[:]).tolist()))
    except UNREADABLE:
        return [_entry(done, chunk) for chunk in range(done.shape[0])]


def _entry(done: zarr.Array[Any], chunk: int) -> int:
    try:
        return int(np.asarray(done[chunk]))
    except UNREADABLE:
        return NOT_DONE


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
