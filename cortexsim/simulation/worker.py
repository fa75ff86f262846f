"""What a worker does: it makes a run ready from the store alone, then computes chunks of it.

A store's attributes hold all that a run is made of. So a task is little more than the place of
the store and the number of a chunk; the worker writes its own part of the store, and nothing
of size travels.
"""

from __future__ import annotations

import platform
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from .. import __version__
from ..errors import CortexSimError, RecordingError, SimulationError
from . import memory
from . import resume as resuming
from .batches import Batches, running
from .origin import computer
from .plan import Plan
from .recorder import Recorder


@dataclass(frozen=True)
class Job:
    """A run that is done by workers.

    Attributes
    ----------
    name
        Tells it from others that a worker did before.
    store
        The place of its recording, laid out.
    plan
        Plans the run again from that place; it can be imported by name.
    threads
        Of a worker; None for as many as Dask gives it.
    version
        Of CortexSim.
    """

    name: str
    store: str
    plan: Callable[[str], Plan]
    threads: int | None
    version: str = __version__


class Made(NamedTuple):
    """What a worker says of a chunk that is in the store.

    Attributes
    ----------
    chunk
        Its number.
    worker
        As :func:`cortexsim.simulation.origin.computer` says.
    warnings
        What was to be said meanwhile.
    """

    chunk: int
    worker: dict[str, str]
    warnings: list[str]


class _Ready(NamedTuple):
    """A job made ready, once in a process."""

    name: str
    plan: Plan
    batches: Batches
    recorder: Recorder


#: One chunk is computed at a time, however many threads Dask gives a worker; a further one
#: writes meanwhile, and no more: buffers are used again for the chunk after the next.
_COMPUTING, _WRITING = threading.Lock(), threading.Lock()
_ready: _Ready | None = None


def compute(job: Job, chunk: int) -> Made | CortexSimError:
    """Compute a chunk and write it into the store.

    Returns
    -------
    Made or CortexSimError
        An error is returned, not raised: Dask would tell it on each machine, with a traceback.
    """
    try:
        if job.version != __version__:
            raise _on_this_worker(f"CortexSim is {__version__} there and {job.version} here: "
                                  "install the same one everywhere")
        with _COMPUTING:
            torch.set_num_threads(job.threads or _given_threads())
            ready = _make_ready(job)
            with warnings.catch_warnings(record=True) as told, running(ready.plan):
                warnings.simplefilter("always")
                buffers = ready.batches.compute(chunk)
            # taken before the next chunk may begin, so that chunks are written in turn
            _WRITING.acquire()
        try:
            buffers.wait()
            ready.recorder.write(chunk, buffers.values)
        finally:
            _WRITING.release()
    except CortexSimError as problem:
        return problem
    return Made(chunk, computer(ready.plan.device), [str(one.message) for one in told])


def _make_ready(job: Job) -> _Ready:
    global _ready
    if _ready is None or _ready.name != job.name:
        _ready = None  # its memory is free before the next takes some
        try:
            path = resuming.store(job.store)
        except RecordingError as problem:
            raise _on_this_worker(
                f"{problem}; a recording has to be in a place that all workers share, on a disk "
                "under the same name or in an object store") from None
        try:
            with warnings.catch_warnings():
                # the process that asks has said them, and compares processors itself
                warnings.simplefilter("ignore")
                plan = job.plan(job.store)
        except CortexSimError as problem:
            raise _on_this_worker(str(problem)) from None
        recorder = Recorder(path, plan.layout, resuming.read(path), shared=True)
        _ready = _Ready(job.name, plan, Batches(plan), recorder)
    return _ready


def forget() -> None:
    """Give back the memory of a job that is over."""
    global _ready
    # not waited for: who asks holds up all that goes on in a worker
    if _COMPUTING.acquire(blocking=False):
        _ready = None
        memory.release()
        _COMPUTING.release()


def _on_this_worker(problem: str) -> SimulationError:
    return SimulationError(f"on the worker of {platform.node()}: {problem}")


def _given_threads() -> int:
    from distributed import get_worker

    return int(get_worker().state.nthreads)
