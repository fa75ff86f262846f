"""Many workers for one run: processes of this machine, or those of any Dask cluster.

The only module that knows Dask, which is imported when workers are asked for.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from ..errors import CortexSimError, SimulationError
from . import worker
from .plan import Plan

#: Seconds within which a scheduler has to answer.
_PATIENCE = 10
_SAME_EVERYWHERE = "install the same CortexSim, with all that it needs, everywhere"


@dataclass(frozen=True)
class Cluster:
    """Where chunks are computed, if not in this process.

    Parameters
    ----------
    count
        So many processes of this machine; or else
    scheduler
        the address of a Dask scheduler (``tcp://host:8786``), or the file that it wrote for
        those who look for it.
    plan
        Plans a run again from the place of its recording; it can be imported by name.

    Raises
    ------
    SimulationError
        If both are given, or Dask is not installed.
    """

    count: int | None
    scheduler: str | None
    plan: Callable[[str], Plan]

    def __post_init__(self) -> None:
        """See that it can be had."""
        if self.count is not None and self.scheduler is not None:
            raise SimulationError("give --workers, for processes of this machine, or --scheduler, "
                                  "for a Dask cluster that is there; not both")
        if self.count is not None and self.count < 1:
            raise SimulationError(f"{self.count} workers? it must be 1 or more")
        # the second makes keys for processes here; a cluster that is there has its own
        needed = ("distributed", "cryptography") if self.here else ("distributed",)
        if None in map(find_spec, needed):
            raise SimulationError("to run on many workers takes Dask, which is not installed: "
                                  "pip install 'cortexsim[cluster]'")
        if self.scheduler is not None and _is_file(self.scheduler) and not (
                Path(self.scheduler).is_file()):
            raise SimulationError(f"there is no scheduler's file {self.scheduler}; give that, or "
                                  "an address such as tcp://host:8786")

    @property
    def here(self) -> bool:
        """Whether its workers are on this machine."""
        return self.scheduler is None

    @contextmanager
    def gather(self, most: int) -> Iterator[Team]:
        """Start workers, or get in touch with those that are there; let go of them at the end.

        Parameters
        ----------
        most
            More workers than that would have nothing to do.

        Raises
        ------
        SimulationError
            If there is no such scheduler.
        """
        with ExitStack() as stack:
            stack.enter_context(_quiet())
            if self.count is None:
                assert self.scheduler is not None
                client = _connect(self.scheduler)
                stack.callback(client.close)
                stack.callback(_let_go, client)
                yield Team(client, self.plan, None, None)
            else:
                count = min(self.count, most)
                client = stack.enter_context(_local(count))
                yield Team(client, self.plan, max(1, _cores() // count), stack.close)


class Lost(SimulationError):
    """Workers that are gone; what they have written is kept."""


class Team:
    """Workers that wait for something to do.

    Parameters
    ----------
    client
        Of Dask.
    plan, threads
        As of :class:`cortexsim.simulation.worker.Job`.
    end
        Ends the workers, None if they are not ours.
    """

    def __init__(self, client: Any, plan: Callable[[str], Plan], threads: int | None,
                 end: Callable[[], None] | None) -> None:
        self._client, self._plan, self._threads, self._end = client, plan, threads, end
        self._left: dict[Any, int] = {}

    def compute(self, store: str, chunks: Sequence[int]) -> Iterator[worker.Made]:
        """Have chunks of a store computed and written.

        Parameters
        ----------
        store
            Its place, laid out.
        chunks
            Their numbers.

        Yields
        ------
        Made
            What is said of each chunk, as soon as it is in the store.

        Raises
        ------
        Lost
            If there are no workers any more, or a chunk kills them.
        CortexSimError
            What went wrong on a worker.
        """
        from distributed import as_completed

        job = worker.Job(uuid.uuid4().hex, store, self._plan, self._threads)
        futures = self._client.map(partial(worker.compute, job), list(chunks), pure=False,
                                   key=f"cortexsim-{job.name}")
        self._left = dict(zip(futures, chunks, strict=True))
        for future in as_completed(self._left, loop=self._client.loop):
            yield self._result(future)

    def _result(self, future: Any) -> worker.Made:
        try:
            found = future.result()
        except Exception as problem:
            told = _told(problem, self._left[future])
            if told is None:
                raise
            raise told from None
        if isinstance(found, CortexSimError):
            raise found
        assert isinstance(found, worker.Made)
        return found

    @property
    def size(self) -> int:
        """How many workers there are now."""
        return _count(self._client)

    def stop(self) -> None:
        """Have no further chunk begun, and wait until no worker writes any more."""
        from distributed import as_completed

        if self._end is not None:
            self._end()
            return
        with suppress(Exception):  # if there is no cluster any more, nobody writes
            running = {key for keys in self._client.processing().values() for key in keys}
            under_way = [future for future in self._left if future.key in running]
            self._client.cancel([future for future in self._left if future.key not in running])
            for _ in as_completed(under_way, loop=self._client.loop, timeout=60):
                pass


def _told(problem: Exception, chunk: int) -> SimulationError | None:
    """Return what to tell the user of an error of the cluster, None of one that is a defect."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    if isinstance(problem, KilledWorker):
        return Lost(f"workers died again and again while they computed chunk {chunk}, most likely "
                    "because memory did not suffice: run fewer workers on a machine, or begin "
                    "again with a smaller --batch")
    if isinstance(problem, CancelledError | CommClosedError | TimeoutError):
        return Lost("the Dask scheduler was lost, or told to drop this run")
    text = str(problem)
    if "cortexsim" in text and (isinstance(problem, ImportError | AttributeError)
                                or "deserializ" in text):
        return SimulationError("a worker, or the scheduler, has no CortexSim, or another one: "
                               f"{_SAME_EVERYWHERE}")
    return None


def _connect(scheduler: str) -> Any:
    """Get in touch with a Dask cluster that is there."""
    from distributed import Client

    address = scheduler
    if _is_file(scheduler):
        try:
            address = str(json.loads(Path(scheduler).read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError, KeyError, TypeError):
            raise SimulationError(f"{scheduler} is not what a Dask scheduler writes with "
                                  "--scheduler-file") from None
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as problem:
        raise SimulationError(f"the Dask scheduler {address} does not answer within "
                              f"{_PATIENCE} s ({_reason(problem)}): is it running, and is this "
                              "its address?") from None
    if not _count(client):
        warnings.warn(f"the Dask scheduler {address} has no workers yet: the run begins when they "
                      "come", stacklevel=2)
    return client


def _let_go(client: Any) -> None:
    """Have workers that stay give back what they hold of a run."""
    with suppress(Exception):  # those that are gone hold nothing
        client.run(worker.forget, on_error="ignore")


def _count(client: Any) -> int:
    """Return how many workers there are now."""
    return len(client.scheduler_info(n_workers=-1)["workers"])


def _reason(problem: Exception) -> str:
    return str(problem).partition("\n")[0] or type(problem).__name__


#: A worker that died is started again, which takes a busy machine some time: it is not given up.
_DASK = {"distributed.worker.multiprocessing-method": "spawn",
         "distributed.deploy.lost-worker-timeout": "1 hour",
         "distributed.comm.timeouts.connect": "2 minutes"}


@contextmanager
def _local(count: int) -> Iterator[Any]:
    """Start processes of this machine, which end with this one however it ends."""
    import dask
    from distributed import Client, LocalCluster

    anywhere = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with _without_main(), dask.config.set(_DASK):
        try:
            with _deaf():
                cluster = LocalCluster(
                    # encrypted, with keys of its own: or anyone here could send it code
                    n_workers=count, threads_per_worker=1, processes=True, security=True,
                    scheduler_kwargs=anywhere, memory_limit=None, silence_logs=logging.CRITICAL)
        except (OSError, RuntimeError, TimeoutError) as problem:
            raise SimulationError(f"{count} workers cannot be started on this machine "
                                  f"({_reason(problem)}); try fewer") from None
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextmanager
def _deaf() -> Iterator[None]:
    """Let processes that start never hear Ctrl-C: this one does, and ends them.

    They, and those that take the place of one that died, get the signals that are blocked
    from the thread that starts them, and that one from this.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # which lets signals through again in the thread that first needs it: not in one of those
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the script that runs from processes that start: they would run it once more."""
    main = sys.modules["__main__"]
    was = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    vars(main).pop("__file__", None)
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(was)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log to itself: what matters of it comes as an error."""
    logger = logging.getLogger("distributed")
    was = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(was)


def _is_file(scheduler: str) -> bool:
    """Whether it is no address: those have a colon, and no scheduler writes another ending."""
    return scheduler.endswith(".json") or ":" not in scheduler


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
