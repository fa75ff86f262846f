"""Where a recording's numbers come from, as attributes of its root."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from .. import devices, schema
from ..models.calibration import statistics_used
from ..models.network import Network
from ..stimuli.datasets import sha256
from ..stimuli.gallery import draws_others
from ..stimuli.protocol import Protocol
from .plan import Plan

#: The attribute that lists the kinds of computers that computed a recording.
COMPUTED_ON = "computed_on"


def describe(plan: Plan, protocol: Protocol, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a recording: where its numbers come from."""
    return {
        "format": schema.FORMAT_VERSION,
        **_network(plan.network),
        "protocol": protocol.text,
        "graph": plan.network.graph.to_yaml(),
        "dataset": plan.images.name,
        "split": plan.images.split,
        "trials": plan.layout.trials,
        "seed": plan.seed,
        "device": str(plan.device),
        "precision": plan.precision,
        "microbatch": plan.layout.microbatch,
        "reduce": plan.layout.record.reduce,
        "record": _record(plan),
        "images_sha256": images_sha256(plan),
        "ms_per_step": float(protocol.clock.ms_per_step),
        "arrival_ms": float(protocol.clock.arrival_ms),
        "beyond": plan.network.beyond,
        "statistics": statistics_used(plan.network, max(c.length for c in plan.courses)),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("cortexsim", "torch", "xarray", "zarr", "numpy")},
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance,
    }


def computer(device: torch.device) -> dict[str, str]:
    """Say what decides the last bits of numbers.

    Returns
    -------
    dict
        ``processor``, its ``instructions`` that torch uses (of a GPU, the version of CUDA),
        and the version of ``torch``.
    """
    instructions = (f"CUDA {torch.version.cuda}" if device.type == "cuda"
                    else torch.backends.cpu.get_cpu_capability())
    return {"processor": devices.processor(device), "instructions": instructions,
            "torch": torch.__version__}


def words(one: Mapping[str, str]) -> str:
    """Name a kind of computer, from :func:`computer`."""
    return ", ".join(f"torch {word}" if key == "torch" else word for key, word in one.items())


def _record(plan: Plan) -> dict[str, Any]:
    """Return what is kept, with names and indices in full."""
    record = plan.layout.record
    return {
        "areas": [area.name for area in plan.layout.areas],
        "every": record.every,
        "from_step": record.from_step,
        "until_step": plan.layout.indices[-1],
        "reduce": record.reduce,
        "dtype": record.dtype,
        "summaries": list(record.numbers),
    }


def images_sha256(plan: Plan) -> str:
    """Hash the names, labels and pixels of the stimuli, and of all that others are drawn from."""
    sets = [plan.images]
    if any(map(draws_others, plan.movie.protocol.pictures)):
        sets += [plan.movie.pool, *plan.movie.sources.values()]
    return sha256(sets)


def _network(network: Network) -> dict[str, str]:
    """Name the network: by its checkpoint, or else by the numbers that it holds."""
    if network.origin:
        return dict(network.origin)
    return {"model": network.graph.name or "unnamed", "state_sha256": state_sha256(network)}


def state_sha256(network: Network) -> str:
    """Hash the names, types, shapes and bytes of all weights and statistics."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
