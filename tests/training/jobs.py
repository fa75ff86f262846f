"""Processes of a job, as torchrun starts them, but at once (see tests/processes.py)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.distributed import TCPStore

from ..processes import Started


@contextmanager
def started(folder: Path, count: int, function: Callable[..., object],
            *arguments: object) -> Iterator[list[Started]]:
    """Start a job of several processes that call a function.

    Parameters
    ----------
    folder
        For what each says, in folders ``0``, ``1``, ...
    count
        How many.
    function, arguments
        What each calls.
    """
    # as in torchrun, it outlives the processes that find each other through it
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    members = []
    for rank in range(count):
        place = folder / str(rank)
        place.mkdir(parents=True)
        members.append(Started(place, _member, rank, count, store.port, function, arguments))
    yield members
    del store


def _member(rank: int, count: int, port: int, function: Callable[..., object],
            arguments: tuple[object, ...]) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank),
                   "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test",
                   "TORCHELASTIC_USE_AGENT_STORE": "True"}
    torch.set_num_threads(1)
    function(*arguments)
