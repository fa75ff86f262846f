"""What a training knows about itself: its settings, how far it is, whether it should stop."""

from __future__ import annotations

import csv
import io
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from .. import devices, files
from ..errors import CheckpointError, Interrupted, SimulationError
from ..graph import AreaGraph
from ..models import checkpoint
from ..models.network import Network
from ..processes import ALONE, Processes
from ..stimuli import datasets
from ..stimuli.sequences import SequenceTask
from . import recipes


@dataclass(frozen=True)
class Settings:
    """What a training is to do; stored in its card, and all that resuming needs.

    Attributes
    ----------
    dataset
        Name of the data set.
    recipe
        ``"paper"`` or ``"fast"``.
    epochs, batch_size
        By default the recipe's.
    seed
        Of weights, order, augmentation and clutter.
    holdout
        Training images kept for choosing between networks; by default the data set's.
    images
        Use only so many of the training images that are not held out, the first ones.
    learning_rate
        The highest; the recipe's own by default, otherwise its whole course is scaled.
    readouts
        Number of consecutive readout times in the loss; by default the recipe's.
    precision
        ``"float32"`` or ``"bf16"``.
    device
        Where to train.
    compile
        Whether to compile the network with ``torch.compile``: slow to begin, faster on a GPU.
    init
        The checkpoint, or the name of a network that comes along, whose weights to start
        from; by default they are random. Only the start needs it.
    brief
        The share of images that go off before the readout, after a random number of steps
        from 1 on; the others stay on.
    sequence
        What is shown one after another and asked when; by default one image, named at
        the readout time.
    """

    dataset: str = "cifar10"
    recipe: str = "fast"
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    holdout: int | None = None
    images: int | None = None
    learning_rate: float | None = None
    readouts: int | None = None
    precision: str | None = None
    device: str | None = None
    compile: bool = False
    init: str | None = None
    brief: float = 0.0
    sequence: SequenceTask | None = None

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> Settings:
        """Return the settings that a checkpoint's card holds, or the defaults if it has none."""
        known = card.get("settings", {})
        try:
            sequence = known.get("sequence")
            return cls(**{**known, "sequence": sequence and SequenceTask(**sequence)})
        except (TypeError, AttributeError):
            raise CheckpointError(
                "the checkpoint's card has settings of a training that this version does not "
                "know; it may come from a newer one") from None

    def task(self, graph: AreaGraph) -> SequenceTask:
        """Return what is shown and asked: one image until the graph's readout time, or more."""
        return self.sequence or SequenceTask.one_image(graph.readout_time)

    def trained(self, graph: AreaGraph) -> AreaGraph:
        """Return a graph as it is trained: read at the end of the sequence, if there is one."""
        return replace(graph, readout_time=self.sequence.end) if self.sequence else graph

    def readout_times(self, graph: AreaGraph) -> list[int]:
        """Return the readout times in the loss: for each image the last ones.

        Raises
        ------
        SimulationError
            If nothing is in the last area when an image of a sequence is asked about.
        """
        task = self.task(graph)
        populated = graph.populated(task.end, task.drive(graph.input, task.end))
        for t in task.times() if self.sequence else ():
            if graph.last.name not in populated[t]:
                raise SimulationError(
                    f"the sequence asks at t = {t} ({task.describe(t)}), when nothing is in "
                    f"{graph.last.name}: show each image for more steps, or delay the answers")
        times = task.times(self.readouts or 1)
        return [t for t in times if graph.last.name in populated[t]]


def settled(settings: Settings, device: torch.device) -> Settings:
    """Fill in what settings leave to the recipe and the data set, and check them.

    Raises
    ------
    SimulationError
        If a setting is out of its range.
    """
    recipe, source = recipes.get(settings.recipe), datasets.REGISTRY.get(settings.dataset)
    # the paper's recipe uses all training images
    holdout = 0 if recipe.name == "paper" or source is None else source.holdout
    # of each image in a sequence the last, when most is known about it
    readouts = recipe.readouts if settings.sequence is None else 1
    usual: dict[str, Any] = {"epochs": recipe.epochs, "batch_size": recipe.batch_size,
                             "holdout": holdout, "readouts": readouts}
    left = {key: value for key, value in usual.items() if getattr(settings, key) is None}
    settings = replace(
        settings, **left,
        precision=devices.precision(settings.precision, device, recipe.lower_precision),
        device=str(device))
    for key in ("epochs", "batch_size", "readouts", "images"):
        if getattr(settings, key) is not None and getattr(settings, key) < 1:
            raise SimulationError(f"{key} must be 1 or more, got {getattr(settings, key)}")
    if not 0 <= settings.brief <= 1:
        raise SimulationError(f"the share of brief images lies between 0 and 1, got "
                              f"{settings.brief:g}")
    if settings.brief and settings.sequence:
        raise SimulationError("images of a sequence follow each other: leave out --brief")
    rate = settings.learning_rate
    if rate is not None and not 0 < rate < float("inf"):
        raise SimulationError(f"the learning rate must be above 0, got {rate:g}")
    return settings


@dataclass
class Position:
    """How far a training has come: the next epoch, the next batch, and sums so far."""

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


@contextmanager
def interrupts(processes: Processes = ALONE) -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into a flag; a second one stops at once, as usual.

    Not so one of several processes: it gets both the terminal's and torchrun's, and stops
    with the others.
    """
    asked, heard = threading.Event(), list[int]()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        asked.set()
        if processes.count == 1:
            signal.signal(signal.SIGINT, before[signal.SIGINT])
            signal.signal(signal.SIGTERM, before[signal.SIGTERM])

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    except Interrupted as stop:
        stop.signal = heard[0] if heard else None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def enough_memory(doing: str, processes: Processes, out: Path) -> Iterator[None]:
    """Say what to do if there is not enough memory to do something."""
    try:
        yield
    except (MemoryError, RuntimeError) as problem:
        if not devices.out_of_memory(problem):
            raise
        raise SimulationError(
            f"not enough memory to {doing}: let more processes, on more GPUs or machines, each "
            f"take a part (torchrun --nproc-per-node {2 * processes.count} -m cortexsim train "
            f"--resume {out}), or begin anew with a smaller --batch-size") from None


def save(out: Path, network: Network, card: dict[str, Any], **more: Any) -> None:
    """Write a checkpoint as :func:`checkpoint.save` does; where that fails, say how to go on."""
    try:
        checkpoint.save(out, network, card, **more)
    except CheckpointError as problem:
        if not (out / checkpoint.CARD).exists():
            raise
        raise CheckpointError(f"{problem}. {_when_there_is_room(out, network.processes)}") from None


def _when_there_is_room(out: Path, processes: Processes) -> str:
    return f"When there is room, go on with: {processes.program} train --resume {out}"


def write_metrics(path: Path, history: list[dict[str, float]],
                  processes: Processes = ALONE) -> None:
    """Write one row for each epoch, in place of the file before."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(history[-1]))
    writer.writeheader()
    writer.writerows(history)
    try:
        files.write(path, text.getvalue())
    except OSError as problem:
        raise SimulationError(
            f"{path} cannot be written ({problem.strerror or problem}); the checkpoint beside it "
            f"is complete. {_when_there_is_room(path.parent, processes)}") from None
