"""What is measured on trained networks beyond their test error; see `sweep.Measure`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cortexsim import analysis, experiment
from cortexsim.models import Loaded, calibrate
from cortexsim.stimuli import datasets
from cortexsim.training import Settings, evaluate
from cortexsim.training.batches import calibration_frames, training_images

#: Training images whose error is measured, and test images that are masked.
MEASURED, MASKED = 10_000, 1_000
PROTOCOL = Path(__file__).with_name("flash_and_mask.yaml")


def _rows(split: str, condition: str, accuracy: dict[int, float]) -> pd.DataFrame:
    return pd.DataFrame([{"split": split, "condition": condition, "time": time,
                          "error": 100 * (1 - value)} for time, value in accuracy.items()])


def generalization(loaded: Loaded, data_root: Path | None) -> pd.DataFrame:
    """Measure readouts on training images, and on test images with the trained statistics held."""
    network, settings = loaded.network, Settings.from_card(loaded.card)
    data = training_images(settings, data_root)
    times = network.graph.readout_times(network.statistics_limit)
    trained = evaluate(network, data.take(slice(MEASURED)), times)
    count = loaded.card["calibration"]["images"]
    graph, steps = network.graph, network.graph.readout_time
    calibrate(network, calibration_frames(data, settings.task(graph), graph.input, count,
                                          settings.seed, steps), steps)
    network.beyond = "last"
    held = evaluate(network, datasets.load(settings.dataset, "test", root=data_root), times)
    return pd.concat([_rows("train", "unaugmented", trained),
                      _rows("test", "last statistics", held)])


def masking(loaded: Loaded, data_root: Path | None) -> pd.DataFrame:
    """Flash test images for one step, and mask them or not."""
    prepared = experiment.prepare(PROTOCOL, model=loaded.folder, data_root=data_root,
                                  seed=loaded.card["settings"]["seed"])
    images = prepared.images.take(slice(MASKED))
    with tempfile.TemporaryDirectory() as place:
        recording = replace(prepared, images=images).simulate(Path(place) / "r.zarr")
        seen = analysis.accuracy_over_time(recording, ["mask", "soa_ms"])
    seen = seen[seen.n > 0]
    # without a mask the time of its onset means nothing
    seen = seen[(seen["mask"] != "none") | (seen.soa_ms == seen.soa_ms.min())]
    step = (seen.soa_ms / 10).astype(int)
    condition = ("mask at " + step.astype(str)).where(seen["mask"] != "none", "no mask")
    return pd.DataFrame({"split": "test", "condition": condition, "time": seen.step,
                         "error": 100 * (1 - seen.accuracy)})
