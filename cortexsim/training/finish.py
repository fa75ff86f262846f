"""What ends a training: a calibration far beyond the trained time, one test, the network alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..errors import SimulationError
from ..graph import AreaGraph
from ..models import checkpoint
from ..models.calibration import calibrate
from ..models.network import Network
from ..stimuli import datasets
from .batches import calibration_frames
from .evaluation import evaluate
from .state import Position, Settings, write_metrics

#: Indices, and training images, of the calibration.
CALIBRATED_STEPS, CALIBRATION_IMAGES = 64, 5000


def finish(network: Network, card: dict[str, Any], at: Position, out: Path,
           data: datasets.Dataset, data_root: Path | None, progress: bool,
           steps: int, count: int) -> Path:
    """Calibrate far beyond the trained time, test once, and write the network alone."""
    settings, graph = Settings.from_card(card), network.graph
    steps = int(min(steps, network.weights_limit))
    write_metrics(out / "metrics.csv", at.history)  # a kill may have come before the last one
    frames = calibration_frames(data, settings.task(graph), graph.input, count, settings.seed,
                                steps)
    with tqdm(total=steps + 1, desc="calibrating", disable=None if progress else True) as bar:
        reached = calibrate(network, frames, steps, on_step=lambda t: bar.update())
    if reached < graph.readout_time:
        raise SimulationError(
            f"activity is infinite or not a number from step {reached + 1} on, before the readout "
            f"at {network.graph.readout_time}: a gain of 1 or less may help. The weights are in "
            f"{out}, without statistics")
    if reached < steps:
        warnings.warn(f"activity is infinite or not a number from step {reached + 1} on; "
                      f"calibrated to {reached}", stacklevel=2)
        steps = reached
    card["calibration"] = {"images": min(count, len(data)), "seed": settings.seed,
                           "steps": steps, "input": graph.input}
    dataset = card["data"]["dataset"]
    family = [dataset] + [other for other in datasets.REGISTRY
                          if other != dataset and other.split("-")[0] == dataset.split("-")[0]]
    times = graph.readout_times(steps) if settings.sequence is None else None
    card["test_accuracy"] = {}
    for other in family:
        test = datasets.load(other, "test", root=data_root)
        accuracy = evaluate(network, test, times, task=settings.sequence, progress=progress)
        card["test_accuracy"][other] = {str(t): round(value, 4) for t, value in accuracy.items()}
    card["history"] = at.history
    card["seconds"] = round(at.seconds, 1)
    card.pop("position", None)
    network.to(memory_format=torch.contiguous_format)
    return checkpoint.save(out, network, card)


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
