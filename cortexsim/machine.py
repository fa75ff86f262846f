"""What this process runs on, as the system tells it: processor, cores, memory. No torch."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

_CPUINFO, _MEMINFO, _CGROUP = Path("/proc/cpuinfo"), Path("/proc/meminfo"), Path("/sys/fs/cgroup")
#: Cgroup v2 and v1: the limit of memory, and what is used of it.
_LIMITS = (("memory.max", "memory.current"),
           ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def processor() -> str:
    """Return the processor's name, as far as the system tells it."""
    names = [line.partition(":")[2].strip() for line in _read(_CPUINFO).splitlines()
             if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def native_bf16() -> bool:
    """Say whether the processor computes in bf16; where not, it is emulated, and slow."""
    flags = _read(_CPUINFO)
    return "avx512_bf16" in flags or "amx_bf16" in flags


def cores() -> int | None:
    """Return how many logical cores this process may run on, None where nobody says."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def core_limit() -> float | None:
    """Return how many cores' time a container gives this process, None for no limit."""
    quota, _, period = _read(_CGROUP / "cpu.max").strip().partition(" ")
    if not quota:  # cgroup v1
        quota, period = (_read(_CGROUP / "cpu" / f"cpu.cfs_{name}_us").strip()
                         for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def total() -> int | None:
    """Return the bytes of main memory of the machine, None where the system does not say."""
    return _meminfo("MemTotal")


def available() -> int | None:
    """Return how many bytes of main memory can be taken, None where the system does not say."""
    found = [_meminfo("MemAvailable")]
    for limit, used in _LIMITS:
        # "max", or nothing at all, where there is no limit
        texts = [_read(_CGROUP / name).strip() for name in (limit, used)]
        if all(text.isdigit() for text in texts):
            found.append(max(0, int(texts[0]) - int(texts[1]) + _cache(limit)))
    return min((value for value in found if value is not None), default=None)


def memory_limit() -> int | None:
    """Return how many bytes of main memory a container may hold, None for no limit."""
    texts = [_read(_CGROUP / limit).strip() for limit, _ in _LIMITS]
    lowest = min((int(text) for text in texts if text.isdigit()), default=math.inf)
    # cgroup v1 has a huge number where there is no limit
    return int(lowest) if lowest < (total() or math.inf) else None


def _meminfo(field: str) -> int | None:
    for line in _read(_MEMINFO).splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None


def _cache(limit: str) -> int:
    """Return what a cgroup holds of files, which the system gives up when it is needed."""
    text = _read((_CGROUP / limit).with_name("memory.stat"))
    fields = (line.split() for line in text.splitlines())
    return sum(int(value) for name, value in fields if name == "inactive_file")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
