"""An empty store: all that a recording has before its first chunk."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import zarr
from zarr.abc.buffer import Buffer
from zarr.abc.store import Store
from zarr.codecs import TransposeCodec
from zarr.storage import MemoryStore

from .. import schema
from ..checksums import COORDS, NOT_DONE, checksum
from .layout import Coords, Layout

#: Zarr's word on what the layout needs and xarray reads: nothing for a user to act on.
_KNOWN_WARNINGS = ("Consolidated metadata", "The data type .* does not have a Zarr V3 spec")


@contextmanager
def known_warnings() -> Iterator[None]:
    """Silence what zarr says of every store of ours."""
    with warnings.catch_warnings():
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


def make(store: str | Store, layout: Layout, attrs: Mapping[str, Any]) -> zarr.Group:
    """Make all groups, coordinates and empty arrays of a store."""
    root = zarr.create_group(store, attributes=dict(attrs))
    for name, coords in layout.groups():
        group = root.create_group(name) if name else root
        # xarray's way to tell coordinates from data
        others = [key for key, (dims, _) in coords.items() if dims != (key,)]
        group.attrs["coordinates"] = " ".join(others)
        _write_coords(group, coords)
    for path, spec in layout.arrays.items():
        root.create_array(
            path,
            shape=(layout.trials, *spec.shape),
            chunks=(layout.chunk_trials, *spec.shape),
            dtype=spec.dtype,
            fill_value=spec.fill,
            dimension_names=spec.dims,
            filters=[TransposeCodec(order=spec.order)] if spec.order else "auto",
            # activity hardly gets smaller, and compressing it takes longer than computing it
            compressors=None if path.endswith(schema.ACTIVATION) else "auto",
        )
    root.create_array(
        schema.DONE, shape=(layout.chunks,), chunks=(1,), dtype="int64",
        fill_value=NOT_DONE, dimension_names=(schema.CHUNK,),
        attributes={
            "checksum": "CRC-32 of the chunk's arrays in this order, without padding",
            "arrays": sorted(layout.arrays),
            "chunk_trials": layout.chunk_trials,
            COORDS: {f"{group}/{name}".lstrip("/"): checksum({"": values})
                     for group, coords in layout.groups() for name, (_, values) in coords.items()},
        },
    )
    return root


def objects_of(layout: Layout) -> dict[str, bytes]:
    """Return all that a store holds once it is laid out, by path."""
    objects: dict[str, Buffer] = {}
    with known_warnings():
        make(MemoryStore(objects), layout, {})
    return {name: item.to_bytes() for name, item in objects.items()}


def _write_coords(group: zarr.Group, coords: Coords) -> None:
    for name, (dims, values) in coords.items():
        group.create_array(
            name, data=values, chunks=values.shape, dimension_names=dims,
            attributes={"units": "ms"} if name == schema.TIME else {},
            config={"write_empty_chunks": True},
        )
