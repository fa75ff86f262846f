"""Read recordings: latencies, psychometric curves, figures and tables.

Everything here reads a recording and nothing else: no network, no torch. The
names below are imported when they are first used.

>>> from cortexsim import analysis
>>> recording = analysis.open("runs/backward_mask-1/recording.zarr")  # doctest: +SKIP
>>> analysis.accuracy(recording, by=["soa_ms", "mask"])  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .figures import figure, save
    from .latency import response, timelines
    from .psychometrics import accuracy, accuracy_over_time
    from .recording import open, verify  # noqa: A004 - the name users expect of a reader
    from .summary import tables

__all__ = [
    "accuracy",
    "accuracy_over_time",
    "figure",
    "open",
    "response",
    "save",
    "tables",
    "timelines",
    "verify",
]

_HOME = {
    "accuracy": "psychometrics",
    "accuracy_over_time": "psychometrics",
    "figure": "figures",
    "open": "recording",
    "response": "latency",
    "save": "figures",
    "tables": "summary",
    "timelines": "latency",
    "verify": "recording",
}
#: Modules with more: what is varied, one function per figure, and what a recording holds.
_MODULES = ("design", "figures", "protocols", "recording")


def __getattr__(name: str) -> Any:
    # PEP 562: xarray, pandas and matplotlib take a second to import, and
    # `cortexsim --help` has no use for them
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
