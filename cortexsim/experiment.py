"""From a protocol's file to a folder with a recording, tables and a figure.

The one place where simulation and analysis meet; the command line calls it,
and so can a notebook.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from . import analysis, devices, resources
from .errors import ProtocolError, RecordingError, SimulationError, unknown
from .models import checkpoint
from .simulation import Estimate, Record, estimate, simulate
from .stimuli import datasets
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
    """

    protocol: Protocol
    model: checkpoint.Loaded
    images: datasets.Dataset
    record: Record
    seed: int
    trials: int | None
    device: str
    precision: str

    def estimate(self) -> Estimate:
        """Say what the run would take, and run nothing."""
        return estimate(self.model.network, self.protocol, self.images, **self._options())

    def simulate(self, out: Path, **provenance: object) -> xr.DataTree:
        """Run, and record into a Zarr store that must not exist yet."""
        about = {"model": self.model.name, "weights_sha256": self.model.sha256, **provenance}
        return simulate(self.model.network, self.protocol, self.images, out=out,
                        provenance=about, **self._options())

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


def find_protocol(name: str | Path) -> Protocol:
    """Read a protocol by its path, or by the name of one that comes along.

    Raises
    ------
    ProtocolError
        If it is neither, or cannot be read.
    """
    path, shipped = Path(name), resources.protocols()
    if not path.exists():
        if str(name) in shipped:
            return Protocol.from_yaml(shipped[str(name)])
        hint = (f"; one of that name comes along: cortexsim run {path.stem}"
                if path.stem in shipped else f"; {unknown('protocol', path.stem, shipped)}")
        raise ProtocolError(f"{path}: no such file{hint}")
    return Protocol.from_yaml(path)


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
        What to record; by default the protocol's.
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
    own = str(loaded.card["data"].get("dataset", ""))
    name = dataset or (own if model else protocol.dataset or own)
    images = datasets.load(name, "test", root=data_root, seed=seed)
    if images.classes != tuple(loaded.card["class_names"]):
        raise SimulationError(
            f"network '{loaded.name}' names {', '.join(loaded.card['class_names'])}; data set "
            f"'{name}' has {', '.join(images.classes)}: choose a data set it was trained for"
        )
    asked = Record.of(protocol)
    record = Record(asked.areas if areas is None else areas, asked.every, asked.from_step,
                    asked.until_step, reduce or asked.reduce)
    record.choose_areas(loaded.network.graph.names)
    return Experiment(protocol, loaded, images, record, seed,
                      protocol.trials if trials is None else trials, str(on),
                      devices.precision(precision, on))


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
    experiment = prepare(protocol, **options)
    folder = _new_folder(experiment.protocol.name, out)
    try:
        recording = experiment.simulate(folder / RECORDING, command=command)
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
    tables = analysis.tables(recording)
    picture = None
    try:
        for name, table in tables.frames.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        if figure:
            drawn = analysis.figure(recording)
            analysis.save(drawn, folder / f"{FIGURE}.pdf")
            picture = analysis.save(drawn, folder / f"{FIGURE}.png")
    except OSError as problem:
        raise RecordingError(
            f"{folder}: the recording is complete, but its tables and figure cannot be written "
            f"({problem.strerror or problem})"
        ) from None
    return Result(folder, recording, tables, picture)


def _new_folder(name: str, out: str | Path | None) -> Path:
    """Make the folder of a run, in a way that two runs never take the same one."""
    number = 1
    while True:
        folder = Path(out) if out else Path("runs") / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if out:
                raise RecordingError(
                    f"{folder}: is there already; name another folder with --out") from None
            number += 1
        except OSError as problem:
            raise RecordingError(
                f"{folder}: cannot be made ({problem.strerror}); name another folder with --out"
            ) from None
