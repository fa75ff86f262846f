"""CortexSim: trained recurrent vision networks run as cortex-like dynamical systems.

>>> import cortexsim
>>> trained = cortexsim.load_network("digits-leaky")            # doctest: +SKIP
>>> protocol = cortexsim.Protocol.from_yaml("protocols/backward_mask.yaml")  # doctest: +SKIP
>>> images = cortexsim.load_dataset("digits", "test")           # doctest: +SKIP
>>> recording = cortexsim.simulate(trained.network, protocol, images)  # doctest: +SKIP

The names below are imported when they are first used, so that importing the
package, and ``cortexsim --help``, take no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import analysis
    from .errors import CortexSimError
    from .experiment import run
    from .graph import Area, AreaGraph, Connection, Normalization, PreNet
    from .models import Network, calibrate
    from .models import load as load_network
    from .simulation import Record, simulate
    from .stimuli.datasets import load as load_dataset
    from .stimuli.protocol import Protocol
    from .training import evaluate, train

__version__ = "0.1.0"

#: Public name to its module and its name there.
_HOME = {
    "Area": ("graph", "Area"),
    "AreaGraph": ("graph", "AreaGraph"),
    "Connection": ("graph", "Connection"),
    "CortexSimError": ("errors", "CortexSimError"),
    "Network": ("models", "Network"),
    "Normalization": ("graph", "Normalization"),
    "PreNet": ("graph", "PreNet"),
    "Protocol": ("stimuli.protocol", "Protocol"),
    "Record": ("simulation", "Record"),
    "analysis": ("analysis", ""),
    "calibrate": ("models", "calibrate"),
    "evaluate": ("training", "evaluate"),
    "load_dataset": ("stimuli.datasets", "load"),
    "load_network": ("models", "load"),
    "run": ("experiment", "run"),
    "simulate": ("simulation", "simulate"),
    "train": ("training", "train"),
}

__all__ = [
    "Area",
    "AreaGraph",
    "Connection",
    "CortexSimError",
    "Network",
    "Normalization",
    "PreNet",
    "Protocol",
    "Record",
    "__version__",
    "analysis",
    "calibrate",
    "evaluate",
    "load_dataset",
    "load_network",
    "run",
    "simulate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOME[name]
    found = import_module(f".{module}", __name__)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted(__all__)
