"""One flat training loop that can stop anywhere and go on as if it had not."""

from __future__ import annotations

import platform
import time
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .. import __version__, devices, files
from ..errors import CheckpointError, Interrupted, SimulationError
from ..graph import AreaGraph
from ..models import checkpoint
from ..models.calibration import calibrate
from ..models.frames import Frames
from ..models.network import Network
from ..processes import ALONE, Processes
from ..stimuli import datasets
from . import recipes, state
from .batches import (
    TrainingImages,
    calibration_frames,
    exposed,
    generator,
    training_images,
)
from .evaluation import evaluate
from .finish import CALIBRATED_STEPS, CALIBRATION_IMAGES, dynamics, finish
from .learning import Learner
from .start import starting_network
from .state import Position, Settings, enough_memory, interrupts, settled, write_metrics

#: Training images of the calibration after each epoch, for the accuracy on held-out images;
#: fewer than at the end, to be quick.
EPOCH_CALIBRATION_IMAGES = 1000


def train(graph: AreaGraph, settings: Settings, out: Path, *, data_root: Path | None = None,
          name: str = "", command: str = "", progress: bool = True,
          calibrate_to: int = CALIBRATED_STEPS, calibrate_on: int = CALIBRATION_IMAGES,
          processes: Processes = ALONE) -> Path:
    """Train a network from the start.

    Parameters
    ----------
    graph
        The areas and connections.
    settings
        What to do.
    out
        Folder of the checkpoint; must not be there yet, or be empty.
    data_root
        Where data sets are.
    name
        Of the network; by default the folder's.
    command
        The command that does this, for the card.
    progress
        Whether to show a bar on a terminal.
    calibrate_to
        The last index of the final calibration: the readout time at least, and at most what
        weights per step allow.
    calibrate_on
        Training images of the final calibration; all if there are fewer.
    processes
        Those that do it together, each a part of every batch; the first one writes.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CortexSimError
        If a setting, the data or the folder does not fit.
    Interrupted
        If it was interrupted; a checkpoint to go on from is in the folder.
    """
    device = devices.device(processes.device(settings.device))
    settings = settled(settings, device)
    graph = settings.trained(graph)
    settings.readout_times(graph)
    if settings.brief and graph.input != "sustained":
        raise SimulationError("images that go off before the readout need sustained input; the "
                              "graph shows them at their onset only: leave out --brief")
    if processes.first and out.exists() and not files.unused(out):
        go_on = f", or go on with --resume {out}" if (out / checkpoint.CARD).exists() else ""
        raise CheckpointError(f"{out}: is there already; name another folder with --out{go_on}")
    with processes.in_turn():
        data = training_images(settings, data_root)
    if not graph.takes(data.images.shape[1:]):
        raise SimulationError(
            f"the images of {settings.dataset} are {data.images.shape[1:]} (channels, height, "
            f"width), the graph takes {graph.image}: choose another data set, or set 'image' in "
            "the graph's file"
        )
    network, started = starting_network(graph, settings, data.classes)
    network.processes = processes
    card = {
        "name": name or out.name,
        "class_names": list(data.classes),
        "data": {"dataset": settings.dataset, "training_images": len(data)},
        "dynamics": dynamics(graph),
        "settings": asdict(settings),
        "final_calibration": {"steps": calibrate_to, "images": calibrate_on},
        **started,
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": devices.hardware(device),
        "versions": {"cortexsim": __version__, "torch": torch.__version__,
                     "python": platform.python_version()},
    }
    with (files.taken(out, "") if processes.first else nullcontext()), devices.exact(device):
        return _run(network, card, Position(), {}, data, out, data_root, progress)


def resume(folder: Path, *, data_root: Path | None = None, device: str | None = None,
           progress: bool = True, calibrate_to: int | None = None,
           processes: Processes = ALONE) -> Path:
    """Go on with a training that was stopped or killed.

    The result is the same, bit for bit on one kind of processor, as without the stop; with
    another number of processes than before, the same up to rounding.

    Parameters
    ----------
    folder
        Of the checkpoint.
    data_root
        Where data sets are.
    device
        By default the one it was on.
    progress
        Whether to show a bar on a terminal.
    calibrate_to
        The last index of the final calibration; by default what the training began with.
    processes
        Those that do it together, as in :func:`train`; as many as there are now.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CheckpointError
        If there is nothing to go on with.
    RecordingError
        If another process is training there.
    """
    with files.Claim(checkpoint.find(folder)) if processes.first else nullcontext():
        return _resume(folder, data_root, device, progress, calibrate_to, processes)


def _resume(folder: Path, data_root: Path | None, device: str | None, progress: bool,
            calibrate_to: int | None, processes: Processes) -> Path:
    loaded = checkpoint.load(folder)
    if "position" not in loaded.card:
        if processes.first:
            checkpoint.tidy(loaded.folder)  # a kill may have come before that
        raise CheckpointError(f"{folder}: its training is complete; there is nothing to resume")
    card = dict(loaded.card)
    if device is None and processes.count > 1:  # each on one of that kind
        device = str(card["settings"].get("device") or "cpu").partition(":")[0]
    if device is not None:
        card["settings"] = {**card["settings"], "device": processes.device(device)}
    if calibrate_to is not None:
        card["final_calibration"] = {**card.get("final_calibration", {}), "steps": calibrate_to}
    position = Position(**card.pop("position"))
    settings = Settings.from_card(card)
    with processes.in_turn():
        data = training_images(settings, data_root)
    loaded.network.processes = processes
    with devices.exact(devices.device(settings.device)):
        return _run(loaded.network, card, position, loaded.training, data, loaded.folder,
                    data_root, progress)


def _run(network: Network, card: dict[str, Any], at: Position, restored: dict[str, Tensor],
         data: datasets.Dataset, out: Path, data_root: Path | None, progress: bool) -> Path:
    settings, processes = Settings.from_card(card), network.processes
    assert settings.epochs and settings.batch_size and settings.readouts and settings.precision
    recipe, device = recipes.get(settings.recipe), devices.device(settings.device)
    holdout = settings.holdout or 0
    held_out = datasets.load(settings.dataset, "validation", root=data_root,
                             holdout=holdout) if holdout else None
    task, mode = settings.task(network.graph), network.graph.input
    images = TrainingImages(data, task, holdout, settings.seed, device, recipe.pad_with_mean)
    times = settings.readout_times(network.graph)
    batches = len(images) // settings.batch_size
    if not batches:
        raise SimulationError(
            f"a batch of {settings.batch_size} is more than the {len(images)} training "
            f"{'images' if task.images == 1 else 'sequences'}")
    if settings.batch_size < processes.count:
        raise SimulationError(
            f"a batch of {settings.batch_size} cannot be divided among {processes.count} "
            "processes: start fewer of them, or give a larger --batch-size")
    network.to(device).to(memory_format=torch.channels_last)  # quickest on a processor
    learner = Learner(network, recipe, precision=settings.precision, compiled=settings.compile,
                      restored=restored)
    rate = recipe.course(settings.learning_rate)
    card["processes"] = processes.count
    go_on = f"Go on with: {processes.program} train --resume {out}"
    own = processes.share(settings.batch_size)

    def save(tag: str) -> None:
        card["position"] = asdict(at)
        if processes.first:
            state.save(out, network, card, tag=tag, training=learner.momentum())

    if not at.epoch and not at.batch:
        save("0000")
    batch_size = f"train with batches of {settings.batch_size}"
    with interrupts(processes) as interrupted, enough_memory(batch_size, processes, out):
        while at.epoch < settings.epochs:
            started = time.monotonic()
            network.train()
            pixels, labels = images.epoch(at.epoch)
            bar = tqdm(range(at.batch, batches), initial=at.batch, total=batches,
                       desc=f"epoch {at.epoch + 1}/{settings.epochs}",
                       disable=None if progress and processes.first else True)
            for batch in bar:
                rows = slice(batch * settings.batch_size, (batch + 1) * settings.batch_size)
                pictures = [x.contiguous(memory_format=torch.channels_last)
                            for x in images.batch(pixels[rows], at.epoch, batch, own)]
                # a single tensor is quicker to compile than a list that repeats it
                frames: Frames = (task.frames(pictures, mode, times[-1]) if task.images > 1
                                  else pictures[0])
                if settings.brief:
                    frames = exposed(pictures[0], settings.brief, task.end,
                                     generator(settings.seed, "brief", at.epoch, batch),
                                     batch=settings.batch_size, rows=own)
                asked = {t: labels[rows, task.asked(t)][own] for t in times}
                done = (at.epoch + batch / batches) / settings.epochs
                loss, correct = learner.step(frames, asked, rate(done), settings.batch_size)
                value, named, stop = processes.totals(loss, correct, interrupted.is_set())
                if value != value:
                    raise SimulationError(
                        f"the loss is not a number at epoch {at.epoch + 1}, batch {batch + 1}; "
                        f"the checkpoint before it is in {out}")
                at.loss += value
                at.correct += int(named)
                at.batch = batch + 1
                seen = at.batch * settings.batch_size
                bar.set_postfix(loss=f"{at.loss / at.batch:.3f}",
                                accuracy=f"{at.correct / seen:.3f}", refresh=False)
                if stop:
                    bar.close()
                    at.seconds += time.monotonic() - started
                    save(f"{at.epoch:04d}-{at.batch}")
                    raise Interrupted(
                        f"stopped at epoch {at.epoch + 1}, batch {at.batch}; everything so far is "
                        f"saved. {go_on}")
            done = (at.epoch + (batches - 1) / batches) / settings.epochs
            row = {"epoch": at.epoch + 1, "learning_rate": rate(done),
                   "training_loss": at.loss / batches,
                   "training_accuracy": at.correct / (batches * settings.batch_size)}
            if held_out is not None:
                calibrate(network, calibration_frames(data, task, mode, EPOCH_CALIBRATION_IMAGES,
                                                      settings.seed, times[-1], settings.brief),
                          times[-1])
                accuracy = evaluate(network, held_out, task=settings.sequence)
                row |= {f"validation_accuracy_t{t}": value for t, value in accuracy.items()}
            at.seconds += time.monotonic() - started
            row["seconds"] = round(at.seconds, 1)
            at.history.append(row)
            at.epoch, at.batch, at.loss, at.correct = at.epoch + 1, 0, 0.0, 0
            save(f"{at.epoch:04d}")
            if processes.first:
                write_metrics(out / "metrics.csv", at.history, processes)
            if any(processes.totals(interrupted.is_set())):
                raise Interrupted(f"stopped after epoch {at.epoch}; everything so far is saved. "
                                  f"{go_on}")
    with enough_memory("calibrate", processes, out):
        return finish(network, card, at, out, data, data_root, progress)
