"""Several processes that train one network together, as torchrun starts them.

Each is told by torchrun, in variables of its environment, which of them it is. What they
send each other are sums and statistics: through gloo between processors, through nccl
between GPUs. Where nothing is said there is one process, :data:`ALONE`, which sends nothing
and computes what it would if this module did not exist.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import SimulationError

if TYPE_CHECKING:
    from torch import Tensor

#: Bytes of a text that the first process sends: as long as a path may be.
LONGEST = 4096


class Lost(SimulationError):
    """Another process of the job has ended, or cannot be reached."""


@dataclass(frozen=True)
class Processes:
    """The processes that share a work, and which of them this one is.

    Attributes
    ----------
    rank
        This one's number, 0 for the first, which alone writes and speaks.
    count
        How many there are.
    local, here
        This one's number among those on its machine, and how many these are.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    here: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @property
    def program(self) -> str:
        """What to type before a command, for as many processes."""
        if self.count == 1:
            return "cortexsim"
        nodes = f"--nnodes {self.count // self.here} ... " if self.count > self.here else ""
        return f"torchrun {nodes}--nproc-per-node {self.here} -m cortexsim"

    def share(self, count: int) -> slice:
        """Return which of so many rows are this process's; one after another they are all."""
        return slice(count * self.rank // self.count, count * (self.rank + 1) // self.count)

    def sum(self, values: Tensor) -> Tensor:
        """Add up what each process has, which all then know.

        Parameters
        ----------
        values
            Of the same shape in each. Where there is one process, they are the result.
        """
        if self.count == 1:
            return values
        import torch.distributed as dist

        total = values.detach().clone()
        with reaching():
            dist.all_reduce(total)
        return total

    def gather(self, values: Tensor) -> Tensor:
        """Return what each process has, shape (processes, ...), in the order of their numbers."""
        import torch
        import torch.distributed as dist

        if self.count == 1:
            return values[None]
        parts = [torch.empty_like(values) for _ in range(self.count)]
        with reaching():
            dist.all_gather(parts, values)
        return torch.stack(parts)

    def totals(self, *values: float) -> Sequence[float]:
        """Add up numbers, each over all processes."""
        if self.count == 1:
            return values
        import torch

        found: list[float] = self.sum(torch.tensor(values, dtype=torch.float64)).tolist()
        return found

    def said(self, text: str = "") -> str:
        """Return the first process's text; what others give does not matter."""
        if self.count == 1:
            return text
        import torch
        import torch.distributed as dist

        letters = text.encode()[:LONGEST].ljust(LONGEST, b"\0")
        message = torch.frombuffer(bytearray(letters), dtype=torch.uint8)
        with reaching():
            dist.broadcast(message, 0)
        return bytes(message.tolist()).rstrip(b"\0").decode()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process of each machine go before the others: it may download."""
        if self.local:
            self.totals(0)
        yield
        if not self.local:
            self.totals(0)

    def device(self, name: str | None) -> str | None:
        """Return the name of this process's own device: of several GPUs, that of its number.

        Parameters
        ----------
        name
            As the user gives it to all processes, or None.

        Raises
        ------
        SimulationError
            If it is one GPU for all, or there are fewer GPUs than processes.
        """
        if self.count > 1 and name is not None and name.startswith("cuda:"):
            raise SimulationError(
                f"{self.count} processes on one device, '{name}'? Each takes the GPU of its own "
                "number: give --device cuda, or cpu")
        if self.count == 1 or name not in (None, "cuda"):
            return name
        import torch

        if name is None and not torch.cuda.is_available():
            return "cpu"
        if (there := torch.cuda.device_count()) < self.here:
            raise SimulationError(
                f"{self.here} processes, and {there} GPUs on this machine? Each takes one of its "
                "own: start as many as there are GPUs, or use --device cpu")
        return f"cuda:{self.local}"


#: The only process.
ALONE = Processes()


def started() -> Processes:
    """Return which process of how many this is, by what torchrun says.

    Raises
    ------
    SimulationError
        If what it says makes no sense.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    said = [os.environ.get(name) for name in names]
    if said[0] is None or said[1] in (None, "1"):
        return ALONE
    try:
        rank, count = int(said[0]), int(said[1] or "")
        found = Processes(rank, count, int(said[2] or rank), int(said[3] or count))
    except ValueError:
        found = None
    placed = found and 0 <= found.rank < found.count and 0 <= found.local < found.here
    if found is None or not placed or not all(said[4:]):
        shown = ", ".join(f"{name}={value}" for name, value in zip(names, said, strict=True))
        raise SimulationError(f"which of several processes is this? The environment says {shown}: "
                              "start them with torchrun, or unset these variables")
    return found


@contextmanager
def reaching() -> Iterator[None]:
    """Turn what torch raises if another process is gone into :class:`Lost`."""
    try:
        yield
    except RuntimeError as problem:
        if not _unreachable(problem):
            raise
        # nccl's may also be about how it is set up
        more = f" ({str(problem).splitlines()[0]})" if "NCCL" in str(problem) else ""
        raise Lost(f"another process of this training was killed, or cannot be reached{more}"
                   ) from None


def _unreachable(problem: RuntimeError) -> bool:
    import torch.distributed as dist

    # gloo's errors have no class of their own
    words = ("gloo", "Connection closed by peer", "Connection reset by peer", "NCCL")
    return isinstance(problem, dist.DistError) or any(word in str(problem) for word in words)
