"""The job of several processes that torchrun starts: how it begins, and how it ends.

Whatever ends it is said once: each process leaves a note of it for the others, in the store
through which torch brings them together.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .errors import CortexSimError, Interrupted
from .processes import Lost, Processes, reaching, started

#: Seconds in which the first process says what ends the job, before another one does.
PATIENCE = 5.0
#: Seconds after a signal in which a process should have ended; torchrun kills it after 30.
GRACE = 25.0
#: In which each process of the job leaves a note of what ends it, for the others.
_notes: Any = None


def check_command(name: str | None) -> None:
    """Refuse to do by torchrun what is not done by several processes together.

    Raises
    ------
    CortexSimError
        If torchrun started several for anything but a training.
    """
    if name != "train" and "TORCHELASTIC_RUN_ID" in os.environ and started().count > 1:
        problem = CortexSimError(f"torchrun is for 'cortexsim train', of which each process does a "
                                 f"part; each would do all of 'cortexsim {name}': start it without")
        problem.told = not speaks()  # type: ignore[attr-defined]
        raise problem


def speaks() -> bool:
    """Say whether this process is to say what is wrong with the command line.

    torchrun gives all processes the same one, and the first says it. The others give it
    time, since torchrun ends all when one ends: the signal for that ends them without a word.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK") == "0":
        return True
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    time.sleep(PATIENCE)
    return False


@contextmanager
def running() -> Iterator[Processes]:
    """Work as one of the processes that torchrun started, or alone.

    What ends all of them alike is told once: an error has then an attribute ``told``. SIGTERM,
    by which torchrun ends those that are left when one of them fails, is as Ctrl-C, and as
    often as it comes: from the terminal, and from torchrun once more.

    Raises
    ------
    Lost
        If the others cannot be reached.
    """
    mine = started()
    if mine.count == 1:
        yield mine
        return
    _begin(mine)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            if not mine.first:
                warnings.simplefilter("ignore")
            yield mine
    except (CortexSimError, OSError, KeyboardInterrupt) as problem:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # it ends now anyway
        raise _agreed(mine, problem) from None
    import torch.distributed as dist

    dist.destroy_process_group()


@contextmanager
def not_forever(mine: Processes, message: Callable[[], str]) -> Iterator[None]:
    """End this process some time after it was told to, if it waits for one that is gone.

    gloo notices when another process ends, but a GPU may wait for ever, and as long Python
    cannot act upon a signal.

    Parameters
    ----------
    mine
        Nothing is done if this is the only process.
    message
        What to say then.
    """
    if mine.count == 1:
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    ended = threading.Event()

    def watch() -> None:
        # one byte for each signal that comes, and none at the end
        if not os.read(reading, 1) or ended.wait(GRACE):
            return
        problem = _agreed(mine, Lost(message()))
        if not getattr(problem, "told", False):
            print(f"cortexsim: {problem}", file=sys.stderr, flush=True)
        os._exit(1)

    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(writing)


def _begin(mine: Processes) -> None:
    """Find the other processes."""
    global _notes
    import torch
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    gpu = torch.cuda.is_available() and dist.is_nccl_available()
    if gpu and mine.local < torch.cuda.device_count():
        torch.cuda.set_device(mine.local)
    with reaching():
        store, *_ = next(rendezvous("env://"))
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo",
                                store=PrefixStore(f"torch/{attempt}", store), rank=mine.rank,
                                world_size=mine.count)
    _notes = PrefixStore(f"cortexsim/{attempt}", store)


def _agreed(mine: Processes, problem: BaseException) -> BaseException:
    """Leave a note of what ends this process, and see whether another one says it."""
    if isinstance(problem, KeyboardInterrupt):
        problem = Interrupted("stopped")
    # what follows from the end of another process, or comes to all of them
    weak = isinstance(problem, Lost | Interrupted)
    note = f"{'weak' if weak else 'strong'} {problem}"
    try:
        _notes.set(str(mine.rank), note)
        deadline = time.monotonic() + PATIENCE
        while not _notes.check(["0"]) and time.monotonic() < deadline:
            time.sleep(0.02)
        found = {rank: _notes.get(str(rank)).decode() for rank in range(mine.count)
                 if rank != mine.rank and _notes.check([str(rank)])}
    except RuntimeError:
        return problem  # whoever kept the notes is gone
    before = [text for rank, text in found.items() if rank < mine.rank]
    told = note in before or (weak and bool(before))
    told = told or (weak and any(text.startswith("strong") for text in found.values()))
    if not told and not weak and not mine.first and not isinstance(problem, OSError):
        problem.args = (f"process {mine.rank + 1} of {mine.count}: {problem}",)
    problem.told = told  # type: ignore[attr-defined]
    return problem
