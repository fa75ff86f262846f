"""From a protocol's file to a folder with a recording, tables and a figure.

The one place where simulation and analysis meet; the command line calls it,
and so can a notebook.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr

from . import analysis, devices, files
from .errors import Interrupted, ProtocolError, SimulationError
from .models import checkpoint
from .simulation import Estimate, Record, estimate, simulate
from .simulation.checks import readout_instead
from .stimuli import datasets
from .stimuli.lookup import find_protocol
from .stimuli.protocol import Protocol

RECORDING, FIGURE = "recording.zarr", "figure"


@dataclass(frozen=True)
class Experiment:
    """A protocol, the network that runs it and the images it is shown: all that a run needs.

    Attributes
    ----------
    protocol
        What is shown when.
    model
        The network and its card.
    images
        The stimuli.
    record
        What to keep.
    seed, trials, device, precision
        As in :func:`simulate`.
    readout_ms
        Where the network cannot be read when the protocol's summary reads: when it is
        read instead.
    """

    protocol: Protocol
    model: checkpoint.Loaded
    images: datasets.Dataset
    record: Record
    seed: int
    trials: int | None
    device: str
    precision: str
    readout_ms: float | None = None

    def estimate(self) -> Estimate:
        """Say what the run would take, and run nothing."""
        return estimate(self.model.network, self.protocol, self.images, **self._options())

    def simulate(self, out: Path, **provenance: object) -> xr.DataTree:
        """Run, and record into a Zarr store that must not exist yet."""
        if self.readout_ms is not None:
            provenance["readout_ms"] = self.readout_ms
        return simulate(self.model.network, self.protocol, self.images, out=out,
                        provenance=provenance, **self._options())

    def _options(self) -> dict[str, Any]:
        return {"record": self.record, "seed": self.seed, "trials": self.trials,
                "device": self.device, "precision": self.precision}


@dataclass(frozen=True)
class Result:
    """What a run left behind.

    Attributes
    ----------
    folder
        Holds everything else.
    recording
        Opened lazily.
    tables
        The tables of :func:`analysis.tables`.
    figure
        Its picture, if one was asked for.
    """

    folder: Path
    recording: xr.DataTree
    tables: Any
    figure: Path | None


def load_images(
    model: checkpoint.Loaded, dataset: str | None, split: str = "test", *,
    data_root: Path | None = None, holdout: int | None = None, seed: int = 0,
    foreign: bool = False,
) -> datasets.Dataset:
    """Load images for a network, and see that it can name them.

    Parameters
    ----------
    model
        The network and its card.
    dataset
        Name of the data set; by default the one the network was trained on.
    split, data_root, holdout, seed
        As in :func:`datasets.load`.
    foreign
        Whether images of other classes will do, whose label is then -1.

    Raises
    ------
    CortexSimError
        If the images do not fit the network, or cannot be loaded.
    """
    own = model.card["data"].get("dataset")
    name = dataset or own
    if not isinstance(name, str):
        raise SimulationError(f"network '{model.name}' does not say which images it was trained "
                              "on: give a data set with --dataset")
    example = "" if own in (None, name) else f", such as {own}"
    advice = f"choose images it was trained for{example}"
    source, graph = datasets.REGISTRY.get(name), model.network.graph
    # before the images are loaded, which may be a long download
    if source is not None and not graph.takes(source.shape):
        raise SimulationError(
            f"network '{model.name}' takes images of {_shape(graph.image)} (channels x height x "
            f"width), those of data set '{name}' are {_shape(source.shape)}: {advice}"
        )
    images = datasets.load(name, split, root=data_root,  # type: ignore[arg-type]
                           holdout=holdout, seed=seed)
    classes = tuple(model.card["class_names"])
    if images.classes == classes:
        return images
    if foreign:
        both = len(set(images.classes) & set(classes))
        warnings.warn(
            f"network '{model.name}' knows {both} of the {len(images.classes)} classes of data set "
            f"'{name}': others have the label -1, and no accuracy", stacklevel=2)
        return images.told_by(classes)
    raise SimulationError(
        f"network '{model.name}' tells apart {_list(classes)}; "
        f"data set '{name}' has {', '.join(images.classes)}: {advice}"
    )


def prepare(
    protocol: Protocol | str | Path, *, model: str | Path | None = None,
    dataset: str | None = None, data_root: Path | None = None, trials: int | None = None,
    areas: tuple[str, ...] | None = None, reduce: str | None = None, seed: int = 0,
    device: str | None = None, precision: str = "float32", beyond: str = "error",
) -> Experiment:
    """Bring together what a run needs, with the protocol's and the network's defaults.

    Parameters
    ----------
    protocol
        A protocol, its file, or its name.
    model
        A checkpoint or the name of a network that comes along; by default the protocol's.
    dataset
        By default the protocol's, or, where another model is named, the model's own.
    data_root
        Where data sets are that do not come along.
    trials
        The most trials to run; by default the protocol's.
    areas, reduce
        What to record; by default the protocol's. ``("all",)`` stands for all areas.
    seed
        Of masks, clutter and the choice of stimuli.
    device, precision
        Where and how to compute.
    beyond
        ``"error"``, or ``"last"`` to use the last statistics past their end.

    Raises
    ------
    CortexSimError
        If a part is missing or does not fit the others.
    """
    if not isinstance(protocol, Protocol):
        protocol = find_protocol(protocol)
    if model is None and protocol.model is None:
        raise ProtocolError(f"protocol '{protocol.name}' names no model: give one with --model")
    if seed < 0:
        raise SimulationError(f"the seed cannot be negative, got {seed}")
    on = devices.device(device)
    loaded = checkpoint.load(model or protocol.model or "")
    loaded.network.beyond = beyond
    asked = Record.of(protocol)
    if areas is not None:
        asked = replace(asked, areas=None if areas == ("all",) else areas)
    record = replace(asked, reduce=reduce or asked.reduce)
    record.choose_areas(loaded.network.graph.names)
    images = load_images(loaded, dataset or (None if model else protocol.dataset),
                         data_root=data_root, seed=seed, foreign=dataset is not None)
    # after what may fail: it may warn, and an error stands alone
    readout_ms = readout_instead(loaded.network.graph, protocol, loaded.name)
    return Experiment(protocol, loaded, images, record, seed,
                      protocol.trials if trials is None else trials, str(on),
                      devices.precision(precision, on), readout_ms)


def run(protocol: Protocol | str | Path, *, out: str | Path | None = None, figure: bool = True,
        command: str = "", **options: Any) -> Result:
    """Run a protocol, record it, and make its tables and its figure.

    Parameters
    ----------
    protocol
        A protocol, its file, or its name.
    out
        Folder for the results, which must not exist; by default
        ``runs/<protocol>-<n>`` with the first free n.
    figure
        Whether to draw.
    command
        The command that does this, for the recording.
    **options
        As in :func:`prepare`.

    Returns
    -------
    Result
        Where things are.

    Raises
    ------
    CortexSimError
        If the run cannot start or go on; what is left never looks complete.
    """
    files.check_free(out)
    experiment = prepare(protocol, **options)
    with files.new_folder(out, f"runs/{experiment.protocol.name}") as folder:
        recording = experiment.simulate(folder / RECORDING, command=command)
    picture = None
    try:
        tables = analysis.tables(recording)
        for name, table in tables.frames.items():
            files.write(folder / f"{name}.csv", table.to_csv(index=False).encode(), "the table")
        if figure:
            drawn = analysis.figure(recording)
            analysis.save(drawn, folder / f"{FIGURE}.pdf")
            picture = analysis.save(drawn, folder / f"{FIGURE}.png")
    except KeyboardInterrupt:
        raise Interrupted(f"stopped: {folder / RECORDING} is complete, its tables and figure "
                          "are not") from None
    return Result(folder, recording, tables, picture)


def _list(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]}xHxW of any size"
