"""Many trainings: a list of configurations times seeds, each once, and one tidy table.

::

    folder/<configuration>-seed<k>/     a checkpoint, as any training leaves it
    folder/<configuration>-seed<k>/<measure>.csv     what was measured on it afterwards

Whatever is finished is never done again, and what was stopped goes on, so a sweep can be
killed and started again at any time. Two processes may share a folder: each training is
locked by the process that works on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from .. import files
from ..errors import CheckpointError, Interrupted, RecordingError, SimulationError
from ..graph import AreaGraph
from ..models import Network, checkpoint, parameter_count
from .finish import CALIBRATION_IMAGES
from .loop import resume, train
from .state import Settings

#: Measures one finished network; given the checkpoint and the data sets' folder, returns
#: rows with any of :data:`COLUMNS` (``split``, ``condition``, ``time``, ``error``).
Measure = Callable[[checkpoint.Loaded, Path | None], pd.DataFrame]

#: Of the tidy table. ``parameters`` are those that reach the readout, ``time`` is the readout
#: time in steps, ``error`` in percent; ``condition`` is empty but for measures that vary
#: something.
COLUMNS = ["configuration", "seed", "parameters", "epoch", "split", "condition", "time", "error",
           "loss"]


@dataclass(frozen=True)
class Configuration:
    """One line of a sweep.

    Parameters
    ----------
    name
        Of the configuration, and of its trainings' folders.
    graph
        What is trained.
    settings
        How; the seed is the sweep's.
    calibrate_to
        The last readout time to be evaluated; by default the graph's own.
    calibrate_on
        Training images of the final calibration.
    measures
        By name, what to measure once it is trained.
    """

    name: str
    graph: AreaGraph
    settings: Settings
    calibrate_to: int | None = None
    calibrate_on: int = CALIBRATION_IMAGES
    measures: tuple[tuple[str, Measure], ...] = ()

    @property
    def trained(self) -> AreaGraph:
        """The graph as its trainings have it."""
        return self.settings.trained(self.graph)

    def folder(self, root: Path, seed: int) -> Path:
        """Return where the training with this seed lies."""
        return root / f"{self.name}-seed{seed}"


def run(configurations: Sequence[Configuration], root: Path, seeds: Iterable[int] = range(3), *,
        data_root: Path | None = None, command: str = "", progress: bool = True,
        on_training: Callable[[str], object] = lambda name: None) -> None:
    """Train and measure what is not there yet; all configurations with the first seed first.

    Parameters
    ----------
    configurations
        Their names differ.
    root
        Folder of the trainings; made if it is not there.
    seeds
        Of weights, order and augmentation.
    data_root
        Where data sets are.
    command
        The command that does this, for the cards.
    progress
        Whether to show bars on a terminal.
    on_training
        Called with the name of each training that begins or goes on.

    Warns
    -----
    UserWarning
        For each training that diverges; the others go on, and the table has none of its rows.

    Raises
    ------
    SimulationError
        If two configurations have one name.
    CheckpointError
        If a training there was made with another graph or other settings.
    Interrupted
        If it was interrupted; run it again to go on.
    """
    check(configurations)
    for seed in seeds:
        for configuration in configurations:
            folder = configuration.folder(root, seed)
            with _claim(folder) as mine:
                if not mine:
                    continue  # another process is at it
                try:
                    if not _finished(configuration, folder, seed):
                        on_training(folder.name)
                        _train(configuration, folder, seed, data_root, command, progress)
                except Interrupted:
                    raise
                except SimulationError as problem:
                    warnings.warn(f"{folder.name}: {problem}", stacklevel=2)
                    continue
                for name, measure in configuration.measures:
                    _measure(folder, name, measure, data_root)


def check(configurations: Sequence[Configuration]) -> None:
    """Refuse two configurations of one name.

    Raises
    ------
    SimulationError
        Naming them.
    """
    names = [configuration.name for configuration in configurations]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SimulationError(f"two configurations are called {', '.join(twice)}: "
                              "give each its own name")


def table(configurations: Sequence[Configuration], root: Path,
          seeds: Iterable[int] = range(3)) -> pd.DataFrame:
    """Return what is finished, one number a row.

    Parameters
    ----------
    configurations, root, seeds
        As in :func:`run`.

    Returns
    -------
    pandas.DataFrame
        With :data:`COLUMNS`: for each epoch the errors on training images (as trained, of
        augmented images) and on held-out ones, for the end the test error at each readout
        time, and what was measured. Trainings that are not finished are left out.
    """
    rows: list[pd.DataFrame] = []
    parameters: dict[str, int] = {}
    for seed in seeds:
        for configuration in configurations:
            folder = configuration.folder(root, seed)
            if not _finished(configuration, folder, seed):
                continue
            card = checkpoint.read_card(folder)
            if configuration.name not in parameters:
                network = Network(configuration.trained, classes=len(card["class_names"]))
                parameters[configuration.name] = parameter_count(network)
            found = [_from_card(card)]
            found += [read(folder / f"{name}.csv") for name, _ in configuration.measures
                      if (folder / f"{name}.csv").exists()]
            rows += [part.assign(configuration=configuration.name, seed=seed,
                                 parameters=parameters[configuration.name]) for part in found]
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    return pd.DataFrame([row for part in rows for row in part.to_dict("records")],
                        columns=COLUMNS)


def read(path: Path) -> pd.DataFrame:
    """Read a table, or a part of one, from its CSV file."""
    words = ("configuration", "split", "condition")
    return pd.read_csv(path, keep_default_na=False, na_values={
        column: [""] for column in COLUMNS if column not in words})


def _from_card(card: dict[str, Any]) -> pd.DataFrame:
    last = int(card["graph"]["readout_time"])
    rows: list[dict[str, Any]] = []
    for line in card["history"]:
        rows.append({"epoch": line["epoch"], "split": "train", "condition": "", "time": last,
                     "error": 100 * (1 - line["training_accuracy"]),
                     "loss": line["training_loss"]})
        held_out = line.get(f"validation_accuracy_t{last}")
        if held_out is not None:
            rows.append({"epoch": line["epoch"], "split": "validation", "condition": "",
                         "time": last, "error": 100 * (1 - held_out)})
    test = card["test_accuracy"][card["data"]["dataset"]]
    rows += [{"epoch": len(card["history"]), "split": "test", "condition": "", "time": int(time),
              "error": 100 * (1 - accuracy)} for time, accuracy in test.items()]
    return pd.DataFrame(rows).round(6)


@contextmanager
def _claim(folder: Path) -> Iterator[bool]:
    """Hold a training for this process, if no other does; the system lets go if it dies."""
    place = folder.parent / ".locks" / folder.name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    try:
        claim = files.Claim(place)
    except RecordingError:
        yield False
        return
    try:
        yield True
    finally:
        claim.close()


def _finished(configuration: Configuration, folder: Path, seed: int) -> bool:
    """Say whether a training is complete, and refuse one that was made otherwise."""
    if not (folder / checkpoint.CARD).exists():
        return False
    card = checkpoint.read_card(folder)
    settings = Settings.from_card(card)
    # None stands for a default that the card has settled
    asked = {key: value for key, value in vars(replace(configuration.settings, seed=seed)).items()
             if value is not None and key != "device"}
    differs = [key for key, value in asked.items() if getattr(settings, key) != value]
    if AreaGraph.from_dict(card["graph"]).sha256 != configuration.trained.sha256:
        differs.append("graph")
    if differs:
        raise CheckpointError(f"{folder}: was trained with another {', '.join(differs)}: "
                              "remove it, or use another folder")
    return "position" not in card


def _train(configuration: Configuration, folder: Path, seed: int, data_root: Path | None,
           command: str, progress: bool) -> None:
    to = configuration.calibrate_to or configuration.trained.readout_time
    more: dict[str, Any] = {"data_root": data_root, "progress": progress}
    if (folder / checkpoint.CARD).exists():
        resume(folder, device=configuration.settings.device, **more)
    else:
        train(configuration.graph, replace(configuration.settings, seed=seed), folder,
              command=command, calibrate_to=to, calibrate_on=configuration.calibrate_on, **more)


def _measure(folder: Path, name: str, measure: Measure, data_root: Path | None) -> None:
    path = folder / f"{name}.csv"
    if not path.exists():
        found = measure(checkpoint.load(folder), data_root)
        files.write(path, found.to_csv(index=False, float_format="%.6g"))
