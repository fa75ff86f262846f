"""One input at a time, watched: what may come of it, in which time, and in how much memory."""

from __future__ import annotations

import json
import resource
import signal
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cortexsim.errors import CortexSimError

from .targets import Target

#: Most seconds for an input (of the processor's time, since others may be at work on it, too), and
#: most memory that it may take, in bytes; and seconds on the clock after which it surely waits.
SECONDS, BYTES, WAITING = 5.0, 2**30, 60.0
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
#: Letters of a message at most.
LETTERS = 2000


class TooSlow(BaseException):
    """An input took longer than it may; no ``except Exception`` holds it up."""


@dataclass
class Watch:
    """What came of the inputs so far.

    ``slowest_ms`` is the longest that one took, ``growth_mb`` by how much the process's peak
    of memory grew over all of them.
    """

    target: str
    fuzzer: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    growth_mb: float = 0.0

    def run(self, target: Target, data: bytes, place: Path) -> bool:
        """Read an input; return whether it was accepted.

        Whatever is neither accepted nor refused in a sentence comes through as it is.
        """
        before, began = _peak(), time.process_time()
        try:
            target.run(data, place)
        except CortexSimError as problem:
            accepted = False
            _check(str(problem))
        else:
            accepted = True
        took, grown = time.process_time() - began, _peak() - before
        self.inputs += 1
        self.accepted += accepted
        self.refused += not accepted
        self.seconds += took
        self.slowest_ms = max(self.slowest_ms, 1000 * took)
        self.growth_mb += grown / 2**20
        assert grown <= BYTES, f"memory grew by {grown / 2**20:.0f} MiB"
        assert took <= SECONDS, f"took {took:.1f} s"
        return accepted

    def save(self, path: Path | None) -> None:
        """Put the numbers as JSON into a file, if there is one."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            rounded = {key: round(value, 1) if isinstance(value, float) else value
                       for key, value in asdict(self).items()}
            path.write_text(json.dumps(rounded, indent=1) + "\n")

    def line(self) -> str:
        """Return the numbers in a line."""
        return (f"{self.target:10s} {self.fuzzer:10s} {self.inputs:7,d} inputs in "
                f"{self.seconds:7.1f} s, slowest {self.slowest_ms:6.0f} ms, memory "
                f"+{self.growth_mb:4.0f} MiB, {self.accepted:,} accepted, {self.refused:,} refused")


@contextmanager
def limits() -> Iterator[None]:
    """Raise TooSlow after the time of one input, and MemoryError beyond its memory."""
    def stop(number: int, frame: object) -> None:
        raise TooSlow(f"still at it after {SECONDS:g} s, or {WAITING:g} s of waiting")

    before = {kind: signal.signal(kind, stop) for kind in (signal.SIGALRM, signal.SIGPROF)}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, hard))
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        for kind, handler in before.items():
            signal.signal(kind, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _check(message: str) -> None:
    """See that a message is one short paragraph of text that a terminal only shows."""
    assert message.strip(), "says nothing"
    assert len(message) <= LETTERS, f"{len(message)} letters"
    # controls, halves of letters, and what turns the direction of writing
    strange = [letter for letter in message if unicodedata.category(letter) in ("Cc", "Cs") and
               letter not in "\n\t" or unicodedata.bidirectional(letter) in TURNS]
    assert not strange, f"not printable: {strange[:5]!r}"
    assert message.count("\n") <= 5, "more than a paragraph"
