"""The Zarr store at a place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import xarray as xr
from zarr.abc.store import Store
from zarr.storage import FsspecStore

from . import (
    codecs,  # noqa: F401  Zarr then decodes by these
    places,
)
from .errors import RecordingError

#: Requests to an object store that are on their way at a time; each takes 10 to 100 ms.
_TOGETHER = 16
Item = TypeVar("Item")
Found = TypeVar("Found")


def opened(where: Path) -> xr.DataTree:
    """Open the recording at a place; arrays are read when they are used."""
    found: Any = store(where)  # xarray takes a store of zarr's too
    # chunks would need dask; xarray's own lazy arrays read what is indexed
    return xr.open_datatree(found, engine="zarr", chunks=None)


def store(where: Path) -> str | Store:
    """Return the store at a place, for zarr and xarray.

    Parameters
    ----------
    where
        From :func:`cortexsim.places.place`.

    Returns
    -------
    str or zarr.abc.store.Store
        The folder's name, or the store that asks the object store.
    """
    if not places.far(where):
        return str(where)
    options = dict(cast(Any, where).storage_options)
    found = FsspecStore.from_url(str(where), storage_options=options)
    return _Remote(found.fs, path=found.path)


class _Remote(FsspecStore):
    """A store whose failures are told as those of a disk are.

    What cannot be asked for is not taken for what is not there, or is damaged.
    """

    async def get(self, *about: Any, **more: Any) -> Any:
        """Read an object."""
        try:
            with places.faults():
                return await super().get(*about, **more)
        except OSError as problem:
            place = self.fs.unstrip_protocol(self.path)
            raise RecordingError(f"{place} cannot be read ({places.reason(problem)}); check the "
                                 "network, and your access to it") from problem

    async def set(self, *about: Any, **more: Any) -> None:
        """Write an object."""
        with places.faults():
            await super().set(*about, **more)


def each(where: Path, job: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
    """Do a job that reads or writes at a place for each of some items.

    On this machine one after another; where each takes a request, several at a time.
    """
    if not places.far(where):
        return [job(item) for item in items]
    with ThreadPoolExecutor(_TOGETHER) as pool:
        return list(pool.map(job, items))
