"""What is measured on trained networks beyond their test error; see `sweep.Measure`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cortexsim import analysis, experiment
from cortexsim.models import Loaded, Network, calibrate, with_statistics
from cortexsim.stimuli import datasets
from cortexsim.training import Settings, evaluate
from cortexsim.training.batches import calibration_frames, training_images

#: Training images whose error is measured, and test images that are masked.
MEASURED, MASKED = 10_000, 1_000
PROTOCOL = Path(__file__).with_name("flash_and_mask.yaml")


def _rows(split: str, condition: str, accuracy: dict[int, float]) -> pd.DataFrame:
    return pd.DataFrame([{"split": split, "condition": condition, "time": time,
                          "error": 100 * (1 - value)} for time, value in accuracy.items()])


def _calibrate_as_trained(network: Network, loaded: Loaded, steps: int,
                          data_root: Path | None) -> None:
    """Calibrate on the images, and as many, that the training calibrated on."""
    settings, graph = Settings.from_card(loaded.card), network.graph
    count = loaded.card["calibration"]["images"]
    calibrate(network, calibration_frames(
        training_images(settings, data_root), settings.task(graph), graph.input, count,
        settings.seed, steps), steps)


def generalization(loaded: Loaded, data_root: Path | None) -> pd.DataFrame:
    """Measure readouts on training images, and on test images with the trained statistics held."""
    network, settings = loaded.network, Settings.from_card(loaded.card)
    times = network.graph.readout_times(loaded.card["calibration"]["steps"])
    data = training_images(settings, data_root)
    trained = evaluate(network, data.take(slice(MEASURED)), times)
    _calibrate_as_trained(network, loaded, network.graph.readout_time, data_root)
    network.beyond = "last"
    held = evaluate(network, datasets.load(settings.dataset, "test", root=data_root), times)
    return pd.concat([_rows("train", "unaugmented", trained),
                      _rows("test", "last statistics", held)])


def shared_statistics(loaded: Loaded, data_root: Path | None) -> pd.DataFrame:
    """Test the same weights with statistics that are shared over time."""
    settings = Settings.from_card(loaded.card)
    made, time = with_statistics(loaded.network, "shared"), loaded.network.graph.readout_time
    _calibrate_as_trained(made, loaded, time, data_root)
    test = datasets.load(settings.dataset, "test", root=data_root)
    return _rows("test", "shared statistics", evaluate(made, test, [time]))


def flash_and_mask(loaded: Loaded, data_root: Path | None) -> pd.DataFrame:
    """Flash test images for one step, and mask them or not."""
    settings = Settings.from_card(loaded.card)
    prepared = experiment.prepare(PROTOCOL, model=loaded.folder, data_root=data_root,
                                  seed=settings.seed)
    # past the trained time, too
    _calibrate_as_trained(prepared.model.network, loaded, prepared.protocol.duration_steps,
                          data_root)
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
