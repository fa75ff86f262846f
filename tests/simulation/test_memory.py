"""How much memory there is, and what is done when there is less."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from cortexsim import devices

from ..processes import Started


@pytest.mark.parametrize("problem, is_it", [
    (MemoryError(), True), (torch.OutOfMemoryError("x"), True),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
    (RuntimeError("shapes"), False), (ValueError("can't allocate memory"), False),
])
def test_what_means_that_memory_is_out(problem, is_it):
    assert devices.out_of_memory(problem) is is_it


def limited() -> None:
    """Ask for more memory than this process may have."""
    import resource

    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 2**28, held + 2**28))
    try:
        torch.empty(2**30)
    except Exception as problem:
        print(devices.out_of_memory(problem))


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of processes")
def test_what_torch_really_says(tmp_path):
    process = Started(tmp_path, limited)
    assert (process.join(), process.stdout) == (0, "True\n")
