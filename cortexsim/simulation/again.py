"""The plan of a recording that is there: what it was made with, planned once more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .. import metadata
from ..models.network import Network
from ..stimuli.datasets import Dataset
from ..stimuli.protocol import Protocol
from . import resume as resuming
from .origin import describe
from .plan import Plan, prepare
from .record import Record


def plan_again(
    network: Network, protocol: Protocol, images: Dataset, path: Path, *,
    record: Record | None = None, seed: int = 0, trials: int | None = None,
    device: str | torch.device | None = None, precision: str = "float32",
    sources: Mapping[str, Dataset] | None = None, provenance: Mapping[str, Any] | None = None,
    here: bool = True,
) -> tuple[Plan, dict[str, Any], dict[str, Any]]:
    """Plan the run that a recording is of, and see that it is the same one.

    Parameters
    ----------
    path
        The recording, from :func:`cortexsim.simulation.resume.store`.
    network, protocol, images, record, seed, trials, device, precision, sources, provenance
        As in :func:`simulate`; the device is by default the recording's, and the size of a
        batch always is.
    here
        Whether the device is to be on this machine.

    Returns
    -------
    plan
        What is to be run.
    begun
        The recording's attributes.
    now
        What they would be, if it began now.

    Raises
    ------
    CortexSimError
        If it cannot be run, or the recording is of something else.
    """
    begun = resuming.read(path)
    metadata.check(path)  # before any chunk is decoded
    plan = prepare(network, protocol, images, record=record, seed=seed, trials=trials,
                   device=device or begun["device"], precision=precision,
                   microbatch=begun["microbatch"], sources=sources, here=here)
    now = describe(plan, protocol, provenance or {})
    resuming.check(path, begun, now)
    return plan, begun, now
