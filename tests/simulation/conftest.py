"""A small calibrated network, a few pictures and a protocol with a mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cortexsim.graph import AreaGraph
from cortexsim.models.calibration import calibrate
from cortexsim.models.network import Network
from cortexsim.stimuli.datasets import Dataset, to_input
from cortexsim.stimuli.protocol import Protocol

PROTOCOL = """
name: small_mask
ms_per_step: 12.5
duration_ms: 75
factors: {soa_ms: [12.5, 25], mask: [none, white_noise]}
timeline:
  - {show: target, at_ms: 0, for_ms: $soa_ms}
  - {show: $mask, at_ms: $soa_ms, until: end}
record: {areas: all, reduce: mean}
"""


def _pictures(count: int) -> Dataset:
    """Return random pictures; a smaller set is the beginning of a larger one."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (100, 1, 8, 8), dtype=np.uint8)[:count]
    return Dataset(
        images, np.arange(count) % 3, [f"p-{i}" for i in range(count)], ("a", "b", "c"),
        "pictures", "test",
    )


def _small_graph(mode: str = "sustained") -> AreaGraph:
    """Return three areas with everything connected."""
    return AreaGraph.chain(
        ["V1", "V2", "IT"], connectivity="full", channels=[4, 5, 6], sizes=[8, 4, 2],
        input=mode, image=(1, 8, 8), readout_time=4,
    )


def _calibrated(graph: AreaGraph, steps: int = 12) -> Network:
    """Return a network with random weights and statistics to t = steps."""
    network = Network(graph, classes=3, seed=1)
    calibrate(network, torch.from_numpy(to_input(_pictures(20).images)), steps)
    return network.eval()


@pytest.fixture(scope="session")
def network() -> Network:
    """Return the small network, sustained input."""
    return _calibrated(_small_graph())


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    """Return four conditions of six steps."""
    return Protocol.from_text(PROTOCOL)


@pytest.fixture(scope="session")
def pictures() -> Callable[[int], Dataset]:
    """Return the function that makes so many random pictures."""
    return _pictures


@pytest.fixture(scope="session")
def onset_network() -> Network:
    """Return the small network, onset input."""
    return _calibrated(_small_graph("onset"))
