"""What a store has lost of its layout: coordinates and metadata, as they would be laid out now.

Checksums say that a coordinate is lost (:func:`cortexsim.checksums.bad_coords`), where they were
kept; here is what belongs there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from .. import checksums, places, stores
from ..errors import RecordingError
from .blank import objects_of
from .layout import Layout
from .recorder import METADATA

#: What metadata have to agree in; versions of zarr write the rest each in their own way.
_MEANING = ("node_type", "shape", "data_type", "dimension_names")


def lost_parts(path: Path, layout: Layout) -> dict[str, bytes]:
    """Find what is no longer in a store as it was laid out.

    Parameters
    ----------
    path
        The recording, laid out.
    layout
        Its layout.

    Returns
    -------
    dict
        By its path in the store, what belongs there; without the root's metadata, which hold
        the attributes.

    Raises
    ------
    RecordingError
        If an object store does not say.
    """
    whole = objects_of(layout)
    names = [name for name in whole if name != METADATA]
    there = stores.each(path, lambda name: _is_there(path / name, name, whole), names)
    return {name: whole[name] for name, is_there in zip(names, there, strict=True) if not is_there}


def _is_there(file: Path, name: str, whole: dict[str, bytes]) -> bool:
    try:
        with places.faults():
            found = file.read_bytes()
    except OSError as problem:
        if places.far(file) and not isinstance(problem, FileNotFoundError):
            # what cannot be asked for is not lost
            raise RecordingError(f"{file} cannot be read ({places.reason(problem)}); check the "
                                 "network, and your access to it") from problem
        return False
    if found == whole[name]:
        return True
    try:
        if name.endswith(METADATA):
            return _meaning(found) == _meaning(whole[name])
        return bool(np.array_equal(*(_array(name, data, whole) for data in (found, whole[name]))))
    except (*checksums.UNREADABLE, AttributeError):
        return False


def _meaning(metadata: bytes) -> dict[str, Any]:
    found = json.loads(metadata)
    # of recordings that are older no checksums of coordinates were kept
    attributes = {key: value for key, value in found.get("attributes", {}).items()
                  if key != checksums.COORDS}
    return {**{key: found.get(key) for key in _MEANING}, "attributes": attributes}


def _array(name: str, data: bytes, whole: dict[str, bytes]) -> Any:
    """Return the coordinate of which a chunk, its only one, holds these bytes."""
    path = name.rpartition("/c")[0]
    make = default_buffer_prototype().buffer.from_bytes
    store = MemoryStore({METADATA: make(whole[f"{path}/{METADATA}"]),
                         name.removeprefix(f"{path}/"): make(data)})
    return np.asarray(zarr.open_array(store, mode="r")[:])
