"""Statistics of a trained network anew: for longer, or from other images. Weights stay."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from .. import files, resources
from ..errors import CheckpointError, SimulationError
from ..models import checkpoint
from ..models.checkpoint import Loaded
from ..stimuli import datasets
from ..stimuli.datasets import Dataset
from .evaluation import MAX_TIME
from .finish import CALIBRATION_IMAGES, measure_statistics, measure_tests, test_sets
from .state import Settings


def check_steps(loaded: Loaded, steps: int, out: Path | None = None) -> None:
    """See, before images are loaded, that a network can be calibrated so far, and stored.

    Parameters
    ----------
    loaded
        The network.
    steps
        The last index to calibrate.
    out
        Where to store it, or None for its own folder.

    Raises
    ------
    CheckpointError
        If the network may not be changed where it lies, or is still being trained.
    SimulationError
        If the time is too short to read it, or past what its weights allow.
    """
    network, name = loaded.network, loaded.name
    if "position" in loaded.card:
        raise CheckpointError(
            f"{loaded.folder}: its training is not complete, and ends with a calibration; go on "
            f"with: cortexsim train --resume {loaded.folder}")
    shipped = [folder.resolve() for folder in resources.networks().values()]
    if out is None and loaded.folder.resolve() in shipped:
        raise CheckpointError(
            f"'{name}' comes along with CortexSim and is not changed where it lies "
            f"({loaded.folder}): give a folder for a calibrated copy with --out")
    time = network.graph.readout_time
    if not time <= steps <= MAX_TIME:
        raise SimulationError(
            f"a calibration to t = {steps}? '{name}' is read at t = {time}: give {time} to "
            f"{MAX_TIME:,} steps")
    if steps > network.weights_limit:
        what = ("scales and shifts" if network.graph.normalization.scale_shift == "time-specific"
                else "weights")
        raise SimulationError(
            f"'{name}' has {what} of its own for each step, trained to step {network.steps}: it "
            f"cannot be calibrated past t = {network.steps}")


def recalibrate(loaded: Loaded, data: Dataset, steps: int, *, count: int | None = None,
                seed: int | None = None, out: Path | None = None, data_root: Path | None = None,
                progress: bool = True) -> Path:
    """Calibrate a checkpoint anew, as at the end of a training, and test it again.

    The checkpoint that was there is replaced in one move at the end. Calibrated twice
    on the same images, it has the same statistics, bit for bit on one kind of processor.

    Parameters
    ----------
    loaded
        The network, on the device to use. Its statistics are replaced.
    data
        Training images to choose from.
    steps
        The last index to calibrate.
    count
        Training images to use, by default as many as a training uses; all if there are fewer.
    seed
        Of their choice; by default that of the training.
    out
        A folder for a copy, in place of the checkpoint's own.
    data_root
        Where data sets are, for the test images.
    progress
        Whether to show bars on a terminal.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CortexSimError
        If it cannot be done (see :func:`check_steps`), or activity becomes infinite before
        the last step; the checkpoint is then as it was.
    """
    check_steps(loaded, steps, out)
    place = nullcontext() if out is not None else files.Claim(loaded.folder)
    with place:
        return _recalibrate(loaded, data, steps, count, seed, out, data_root, progress)


def _recalibrate(loaded: Loaded, data: Dataset, steps: int, count: int | None, seed: int | None,
                 out: Path | None, data_root: Path | None, progress: bool) -> Path:
    network, time = loaded.network, loaded.network.graph.readout_time
    settings = Settings.from_card(loaded.card)
    if seed is not None:
        settings = replace(settings, seed=seed)
    own = loaded.card["data"].get("dataset")
    # first, since they may be missing
    tests = test_sets(own if own in datasets.REGISTRY else data.name, data_root)
    reached, entry = measure_statistics(network, data, settings, steps,
                                        count or CALIBRATION_IMAGES, progress)
    if reached < steps:
        raise SimulationError(
            f"activity of '{loaded.name}' is infinite or not a number from step {reached + 1} on, "
            + (f"so it can be calibrated to t = {reached} (--steps {reached}), not to {steps}"
               if reached >= time else f"before it is read at t = {time}")
            + "; nothing was changed")
    card = {**loaded.card, "calibration": entry}
    card["test_accuracy"] = measure_tests(network, tests, settings, steps, progress)
    if out is not None:
        card["name"] = out.name
    return checkpoint.save(out or loaded.folder, network, card)
