"""Where to compute, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from . import errors, machine
from .errors import SimulationError, unknown

PRECISIONS = ("float32", "bf16")


def device(name: str | torch.device | None = None, *, here: bool = True) -> torch.device:
    """Return a device, or that of a name; by default ``cuda`` where there is one, else ``cpu``.

    Parameters
    ----------
    name
        What the user asked for.
    here
        Whether it is to be on this machine: others may compute.

    Raises
    ------
    SimulationError
        If it is unknown or not there.
    """
    name = str(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise SimulationError(unknown("device", name, ["cpu", "cuda", "cuda:0"]))
    if here and kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise SimulationError(
            f"device '{name}' is not there ({torch.cuda.device_count()} CUDA devices found); "
            "use --device cpu"
        )
    return torch.device(name)


def precision(name: str | None, on: torch.device, lower: bool = False) -> str:
    """Return a precision's name; by default bf16 only if asked for and native to the device.

    Raises
    ------
    SimulationError
        If it is unknown.
    """
    if name is None:
        native = on.type == "cuda" or machine.native_bf16()
        return "bf16" if lower and native else "float32"
    if name not in PRECISIONS:
        raise SimulationError(unknown("precision", name, PRECISIONS))
    return name


def autocast(on: torch.device, name: str) -> torch.autocast:
    """Return the context in which convolutions run in this precision."""
    return torch.autocast(on.type, torch.bfloat16, enabled=name == "bf16")


@contextmanager
def exact(on: torch.device) -> Iterator[None]:
    """Compute the same numbers each time, and float32 that is float32.

    On a GPU, cuDNN is deterministic and picks its algorithms without trying them
    out, and neither convolutions nor matrix products round to TF32; a CPU does all
    that anyway. What was set before is set again afterwards.

    Parameters
    ----------
    on
        Where the computation runs.
    """
    if on.type != "cuda":
        yield
        return
    products = torch.backends.cuda.matmul
    rounded = products.allow_tf32
    products.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        products.allow_tf32 = rounded


def hardware(on: torch.device) -> str:
    """Describe the processor, and how much of it is used, in a few words."""
    name = processor(on)
    return name if on.type == "cuda" else f"{name}, {torch.get_num_threads()} threads"


def processor(on: torch.device) -> str:
    """Name the kind of processor or GPU."""
    if on.type == "cuda":
        return str(torch.cuda.get_device_name(on))
    return machine.processor()


def out_of_memory(problem: BaseException) -> bool:
    """Say whether an error means that memory was asked for that is not there."""
    if errors.out_of_memory(problem) or isinstance(problem, torch.OutOfMemoryError):
        return True
    # torch has no class of its own for main memory; the last is what oneDNN makes of it
    words = ("can't allocate memory", "not enough memory", "Cannot allocate memory",
             "could not create a primitive")
    return isinstance(problem, RuntimeError) and any(word in str(problem) for word in words)
