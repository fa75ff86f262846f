"""Processes of their own, to be stopped and killed.

They come from a server that has imported everything once, so that each begins at once; apart
from that they are as real as any.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_CONTEXT = multiprocessing.get_context("forkserver")
# the optimizer imports torch._dynamo when it is first made
#: Seconds after which a process is taken to hang: many times what any takes on a busy machine.
_LONGEST = 300
_PRELOADED = ["pytest", "torch._dynamo", "torchvision", "sklearn.datasets", "scipy.ndimage",
              "xarray", "pandas", "zarr", "cortexsim.cli", "cortexsim.choices",
              "cortexsim.experiment", "cortexsim.training.sweep", "tests.simulation.conftest"]
_CONTEXT.set_forkserver_preload(_PRELOADED)


def preload(*names: str) -> None:
    """Have the server import more, before the first process is started."""
    _PRELOADED.extend(name for name in names if name not in _PRELOADED)
    _CONTEXT.set_forkserver_preload(_PRELOADED)


class Started:
    """A process that calls a function.

    Parameters
    ----------
    function
        What to call; it can be imported by name.
    arguments
        Its arguments.
    folder
        For what it says, in the files ``stdout`` and ``stderr``; it works in the present folder.
    """

    def __init__(self, folder: Path, function: Callable[..., object], *arguments: object) -> None:
        self._said = [folder / "stdout", folder / "stderr"]
        for path in self._said:
            path.touch()
        with contextlib.chdir(_ROOT):  # the server finds what it imports from here
            forkserver.ensure_running()
        self._process = _CONTEXT.Process(target=_call, daemon=True,
                                         args=(self._said, function, arguments))
        self._process.start()
        self._begun = time.monotonic()

    def wait_for(self, happened: Callable[[], object]) -> None:
        """Wait until something is so, while the process is at work."""
        deadline = time.monotonic() + _LONGEST
        while not happened():
            assert self._process.is_alive() and time.monotonic() < deadline, self.stderr
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self._process.pid, number)

    def send(self, number: int) -> int:
        """Send a signal and return the exit status: that of a signal is negative."""
        self.signal(number)
        return self.join()

    def work_for(self, seconds: float) -> None:
        """Wait until a processor has worked so long for it, or it has come to its end."""
        while self.running and (left := seconds - self.seconds) > 0:
            time.sleep(min(max(left / 2, 0.002), 0.2))

    def kill(self) -> int:
        """Kill it and all that it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has no group of its own yet, or has ended
            self._process.kill()
        return self.join()

    @property
    def running(self) -> bool:
        """Whether it has not come to its end."""
        return self._process.is_alive()

    @property
    def seconds(self) -> float:
        """How long a processor has worked for it; where the system does not say, all have."""
        try:
            # after its name, which may have blanks
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return time.monotonic() - self._begun
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def join(self) -> int:
        """Wait for the end and return the exit status."""
        self._process.join(_LONGEST)
        status = self._process.exitcode
        if status is None:
            self._process.kill()
            self._process.join()
        self._process.close()
        assert status is not None, f"it never ended: {self.stderr}"
        return status

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._said[0].read_text()

    @property
    def stderr(self) -> str:
        """What it has said of errors so far."""
        return self._said[1].read_text()


def _call(said: list[Path], function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    os.setpgid(0, 0)
    # a job in the background ignores Ctrl-C, and so would its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.flush()
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    function(*arguments)


def cortexsim(*line: str) -> None:
    """Run a command line."""
    from cortexsim.cli import main

    sys.argv = ["cortexsim", *line]
    main(list(line), prog_name="cortexsim")
