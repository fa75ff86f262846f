"""What ends a training: a calibration far beyond the trained time, one test, the network alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..errors import SimulationError
from ..graph import AreaGraph
from ..models.calibration import calibrate
from ..models.network import Network
from ..stimuli import datasets
from . import state
from .batches import calibration_frames
from .evaluation import evaluate
from .state import Position, Settings, write_metrics

#: Indices, and training images, of the calibration.
CALIBRATED_STEPS, CALIBRATION_IMAGES = 64, 5000


def finish(network: Network, card: dict[str, Any], at: Position, out: Path,
           data: datasets.Dataset, data_root: Path | None, progress: bool) -> Path:
    """Calibrate far beyond the trained time, test once, and write the network alone."""
    settings = Settings.from_card(card)
    network.to(memory_format=torch.contiguous_format)
    usual = {"steps": CALIBRATED_STEPS, "images": CALIBRATION_IMAGES}
    asked = usual | card.pop("final_calibration", {})
    steps = int(min(max(asked["steps"], network.graph.readout_time), network.weights_limit))
    if network.processes.first:  # a kill may have come before the last one
        write_metrics(out / "metrics.csv", at.history, network.processes)
    reached, card["calibration"] = measure_statistics(network, data, settings, steps,
                                                      asked["images"], progress)
    if reached < network.graph.readout_time:
        raise SimulationError(
            f"activity is infinite or not a number from step {reached + 1} on, before the readout "
            f"at {network.graph.readout_time}: a gain of 1 or less may help. The weights are in "
            f"{out}, without statistics")
    if reached < steps:
        warnings.warn(f"activity is infinite or not a number from step {reached + 1} on; "
                      f"calibrated to {reached}", stacklevel=2)
    card["test_accuracy"] = measure_tests(
        network, test_sets(settings.dataset, data_root), settings, min(steps, reached), progress)
    card["history"] = at.history
    card["seconds"] = round(at.seconds, 1)
    card.pop("position", None)
    if network.processes.first:
        state.save(out, network, card)
    return out


def measure_statistics(network: Network, data: datasets.Dataset, settings: Settings, steps: int,
                       count: int, progress: bool) -> tuple[int, dict[str, Any]]:
    """Calibrate on a seeded choice of training images; return how far, and the card's entry."""
    graph = network.graph
    frames = calibration_frames(data, settings.task(graph), graph.input, count, settings.seed,
                                steps, settings.brief)
    with tqdm(total=steps + 1, desc="calibrating",
              disable=None if progress and network.processes.first else True) as bar:
        reached = calibrate(network, frames, steps, on_step=lambda t: bar.update())
    return reached, {**network.calibration, "seed": settings.seed, "input": graph.input,
                     "dataset": data.name}


def test_sets(dataset: str, data_root: Path | None) -> list[datasets.Dataset]:
    """Load the test images of a data set, and of its kin: digits in clutter and clean."""
    family = [dataset] + [other for other in datasets.REGISTRY
                          if other != dataset and other.split("-")[0] == dataset.split("-")[0]]
    return [datasets.load(name, "test", root=data_root) for name in family]


def measure_tests(network: Network, tests: list[datasets.Dataset], settings: Settings, steps: int,
                  progress: bool) -> dict[str, dict[str, float]]:
    """Return, for the card, the accuracy on each data set at each readout time."""
    times = network.graph.readout_times(steps) if settings.sequence is None else None
    found = {}
    for test in tests:
        accuracy = evaluate(network, test, times, task=settings.sequence, progress=progress)
        found[test.name] = {str(t): round(value, 4) for t, value in accuracy.items()}
    return found


def dynamics(graph: AreaGraph) -> str:
    """Say what the lateral shortcuts make of the past, for the card."""
    gains = {c.gain for c in graph.connections
             if c.shortcut == "identity" and "lateral" in graph.kinds(c)}
    if not gains:
        return "no lateral identity shortcuts"
    if gains == {1.0}:
        return "gain 1 on lateral shortcuts, the paper's: activity grows, late input counts less"
    if max(gains) < 1:
        return (f"leaky, gain {', '.join(f'{gain:g}' for gain in sorted(gains))} on lateral "
                "shortcuts: late input counts, and in the end a mask or a blank erases everything")
    return f"gains {', '.join(f'{gain:g}' for gain in sorted(gains))} on lateral shortcuts"
