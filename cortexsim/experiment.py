"""From a protocol's file to a folder with a recording, tables and a figure.

The one place where simulation and analysis meet; the command line calls it,
and so can a notebook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from . import analysis, checksums, devices, files, provenance, resources
from .errors import Interrupted, ProtocolError, RecordingError, SimulationError
from .images import load_images
from .models import checkpoint
from .schema import EXPERIMENT, RECORDING
from .simulation import (
    Cluster,
    Comparison,
    Estimate,
    Record,
    check_precision,
    estimate,
    simulate,
)
from .simulation import resume as resuming
from .simulation import verify as verification
from .simulation.again import plan_again
from .simulation.checks import readout_instead
from .simulation.plan import Plan
from .simulation.recorder import COMPLETE
from .simulation.verify import Verification
from .stimuli import datasets
from .stimuli.lookup import find_protocol
from .stimuli.protocol import Protocol

FIGURE = "figure"


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
    seed, trials, device, precision, batch
        As in :func:`simulate`, where the last is called ``microbatch``.
    sources
        The protocol's further sources of images.
    given
        What it was made of, as :func:`resume` needs it; plain JSON.
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
    batch: int | None = None
    sources: Mapping[str, datasets.Dataset] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    def estimate(self) -> Estimate:
        """Say what the run would take, and run nothing."""
        return estimate(self.model.network, self.protocol, self.images, **self._options())

    def check_precision(self) -> Comparison:
        """Run one batch in float32 and in the experiment's precision, and record nothing."""
        return check_precision(self.model.network, self.protocol, self.images, **self._options())

    def plan_again(self, path: Path) -> Plan:
        """Plan the run of a recording once more, and see that it is this one."""
        return plan_again(self.model.network, self.protocol, self.images, path, **{
            key: value for key, value in self._options().items() if key != "microbatch"})[0]

    def simulate(self, out: Path, *, resume: bool = False, cluster: Cluster | None = None,
                 **provenance: object) -> xr.DataTree:
        """Run, and record into a Zarr store that must not exist yet, or go on with one."""
        if self.readout_ms is not None:
            provenance["readout_ms"] = self.readout_ms
        provenance[EXPERIMENT] = dict(self.given)
        return simulate(self.model.network, self.protocol, self.images, out=out, resume=resume,
                        provenance=provenance, cluster=cluster, **self._options())

    def _options(self) -> dict[str, Any]:
        return {"record": self.record, "seed": self.seed, "trials": self.trials,
                "device": self.device, "precision": self.precision, "microbatch": self.batch,
                "sources": self.sources}


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
    comparison
        With float32, if one was asked for.
    """

    folder: Path
    recording: xr.DataTree
    tables: Any
    figure: Path | None
    comparison: Comparison | None = None


def prepare(
    protocol: Protocol | str | Path, *, model: str | Path | None = None,
    dataset: str | None = None, data_root: Path | None = None, trials: int | None = None,
    areas: tuple[str, ...] | None = None, reduce: str | None = None, dtype: str | None = None,
    seed: int = 0, device: str | None = None, precision: str = "float32",
    beyond: str = "error", batch: int | None = None,
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
    areas, reduce, dtype
        What to record; by default the protocol's. ``("all",)`` stands for all areas.
    seed
        Of masks, clutter and the choice of stimuli.
    device, precision
        Where and how to compute.
    beyond
        ``"error"``, or ``"last"`` to use the last statistics past their end.
    batch
        Stimuli that go through the network together; by default what memory allows.

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
    record = replace(asked, reduce=reduce or asked.reduce, dtype=dtype or asked.dtype)
    record.choose_areas(loaded.network.graph.names)
    images = load_images(loaded, dataset or (None if model else protocol.dataset),
                         data_root=data_root, seed=seed, foreign=dataset is not None)
    sources = {name: datasets.load(place, root=data_root, seed=seed,
                                   shape=loaded.network.graph.image)
               for name, place in protocol.sources.items()}
    # after what may fail: it may warn, and an error stands alone
    readout_ms = readout_instead(loaded.network.graph, protocol, loaded.name)
    return Experiment(protocol, loaded, images, record, seed,
                      protocol.trials if trials is None else trials, str(on),
                      devices.precision(precision, on), readout_ms, batch, sources,
                      _given(protocol, model, dataset, data_root))


def _given(protocol: Protocol, model: str | Path | None, dataset: str | None,
           data_root: Path | None) -> dict[str, Any]:
    """Return what an experiment was made of, with paths that hold in any folder."""
    def named(name: str | Path | None) -> str | None:
        if name is None or str(name) in (*resources.networks(), *datasets.names()):
            return None if name is None else str(name)
        return str(Path(name).absolute())

    return {"model": named(model), "dataset": named(dataset),
            "data_root": None if data_root is None else str(data_root.absolute()),
            "protocol": {"model": named(protocol.model), "dataset": named(protocol.dataset),
                         "sources": {key: named(at) for key, at in protocol.sources.items()}}}


def run(protocol: Protocol | str | Path, *, out: str | Path | None = None, figure: bool = True,
        command: str = "", compare: bool = False, workers: int | None = None,
        scheduler: str | None = None, **options: Any) -> Result:
    """Run a protocol, record it, and make its tables and its figure.

    Parameters
    ----------
    protocol
        A protocol, its file, or its name.
    out
        Folder for the results, new or empty, on this machine or in an object store
        (``s3://...``); by default ``runs/<protocol>-<n>`` with the first free n.
    figure
        Whether to draw.
    command
        The command that does this, for the recording.
    compare
        Whether to run one batch in float32, too, and record what the precision changes.
    workers
        Processes of this machine to run on, a local Dask cluster; by default this one alone.
    scheduler
        In their place a Dask cluster: the address of its scheduler, or its scheduler file. All
        of its workers have to see the folder for the results, and the network and the images.
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
    cluster = _cluster(workers, scheduler, options.get("data_root"), None)
    experiment = prepare(protocol, **options)
    with files.new_folder(out, f"runs/{experiment.protocol.name}") as folder:
        comparison = experiment.check_precision() if compare else None
        more: dict[str, Any] = {} if comparison is None else {
            "precision_check": comparison.attributes()}
        recording = experiment.simulate(folder / RECORDING, cluster=cluster, command=command,
                                        **more)
        return replace(_finish(folder, recording, figure), comparison=comparison)


def resume(folder: str | Path, *, data_root: Path | None = None, device: str | None = None,
           figure: bool = True, command: str = "", workers: int | None = None,
           scheduler: str | None = None) -> Result:
    """Go on with a run that was stopped, killed or damaged, and make its tables and its figure.

    The recording ends in the same bits, on one kind of processor, as without the stop. Of
    a run that is complete, chunks that are damaged are computed anew, and the tables and the
    figure are made that are not there; those that are were made of a recording that was whole.

    Parameters
    ----------
    folder
        The run's folder, or the recording in it.
    data_root
        Where data sets are, if elsewhere than before.
    device
        By default the one it was on; on another kind numbers agree to rounding.
    figure, command, workers, scheduler
        As in :func:`run`.

    Raises
    ------
    CortexSimError
        If there is nothing to go on with, or it was begun with something else than is there
        now.
    """
    cluster = _cluster(workers, scheduler, data_root, device)
    path = resuming.store(folder)
    whole_run = path.name == RECORDING
    with files.Claim(path.parent if whole_run else path):
        if whole_run and resuming.read(path)[COMPLETE] and _whole(path):
            return _finish(path.parent, analysis.open(path), figure)
        _check_made_by_run(path)
        experiment = rebuild(path, data_root=data_root, device=device)
        recording = experiment.simulate(path, resume=True, cluster=cluster, command=command)
        return _finish(path.parent, recording, figure)


def verify(folder: str | Path, *, seed: int = 0, chunks: int = 3, data_root: Path | None = None,
           device: str | None = None) -> Verification:
    """Compute some chunks of a finished run once more, and compare them with its recording.

    On the same kind of processor and version of torch numbers have to be the same; on others
    they may differ by rounding. Nothing is changed.

    Parameters
    ----------
    folder
        The run's folder, or the recording in it.
    seed, chunks
        How many chunks, drawn with which seed.
    data_root, device
        As in :func:`resume`.

    Raises
    ------
    CortexSimError
        If the run is not complete, or cannot be computed with what is there now.
    """
    path = resuming.store(folder)
    _check_made_by_run(path)
    begun = resuming.read(path)
    if not begun[COMPLETE]:
        raise RecordingError(f"{path} is incomplete, and nothing to verify: go on with: "
                             f"{files.going_on(path, begun)}")
    plan = rebuild(path, data_root=data_root, device=device).plan_again(path)
    return verification.verify(plan, path, begun, chunks=chunks, seed=seed)


def rebuild(path: Path, *, data_root: Path | None = None,
            device: str | None = None) -> Experiment:
    """Bring together what a recording was made of, from its attributes.

    Parameters
    ----------
    path
        The recording.
    data_root, device
        As in :func:`resume`.

    Raises
    ------
    CortexSimError
        If a part is no longer there.
    """
    begun = resuming.read(path)
    given = begun[EXPERIMENT]
    protocol = replace(Protocol.from_text(begun["protocol"], f"the protocol of {path}"),
                       **given["protocol"])
    root = data_root or (Path(given["data_root"]) if given["data_root"] else None)
    experiment = prepare(
        protocol, model=given["model"], dataset=given["dataset"], data_root=root,
        trials=begun["trials"], seed=begun["seed"], device=device or begun["device"],
        precision=begun["precision"], beyond=begun["beyond"])
    kept: dict[str, Any] = begun["record"]
    return replace(experiment, record=Record(
        **{**kept, "areas": tuple(kept["areas"]), "summaries": tuple(kept["summaries"])}))


def plan_at(place: str, data_root: Path | None = None, device: str | None = None) -> Plan:
    """Plan the run of the recording at a place once more: all that a worker is told."""
    path = resuming.store(place)
    _check_made_by_run(path)
    return rebuild(path, data_root=data_root, device=device).plan_again(path)


def _cluster(workers: int | None, scheduler: str | None, data_root: Path | None,
             device: str | None) -> Cluster | None:
    if workers is None and scheduler is None:
        return None
    root = None if data_root is None else data_root.absolute()
    return Cluster(workers, scheduler, partial(plan_at, data_root=root, device=device))


def _check_made_by_run(path: Path) -> None:
    """Refuse a recording whose attributes do not say all that it was made of."""
    begun = resuming.read(path)
    if begun["format"] == 1:
        raise RecordingError(f"{path} is a recording of format 1, which does not say enough to be "
                             "computed again; it can be read as ever, as by cortexsim report")
    if EXPERIMENT not in begun or path.name != RECORDING:
        raise RecordingError(f"{path} was begun in Python: go on with it there, with "
                             f"simulate(..., out={str(path)!r}, resume=True)")


def _whole(path: Path) -> bool:
    """Whether nothing of a complete recording is lost, and all is as it was written."""
    try:
        analysis.open(path).close()
    except RecordingError:
        return False
    return checksums.is_whole(path)


def _finish(folder: Path, recording: xr.DataTree, figure: bool) -> Result:
    """Make the tables and the figure that are not there yet."""
    picture, made = folder / f"{FIGURE}.png", False
    command = str(recording.attrs.get("command", ""))
    try:
        tables = analysis.tables(recording)
        for name, table in tables.frames.items():
            if not (folder / f"{name}.csv").exists():
                with _going_on(folder):
                    files.write(folder / f"{name}.csv", table.to_csv(index=False), "the table")
                made = True
        if figure and not picture.exists():
            drawn = analysis.figure(recording)
            for kind in ("pdf", "png"):
                with _going_on(folder):
                    analysis.save(drawn, folder / f"{FIGURE}.{kind}", command=command)
            made = True
        # a kill may have come between them and this
        if made or not (folder / provenance.FILE).exists():
            known = [f"{name}.csv" for name in tables.frames]
            known += [f"{FIGURE}.{kind}" for kind in ("pdf", "png") if picture.exists()]
            with _going_on(folder):
                provenance.beside(folder, known, provenance.origin(
                    command, recording=provenance.recorded(recording.attrs)))
    except KeyboardInterrupt:
        raise Interrupted(f"stopped: {folder / RECORDING} is complete, its tables and figure "
                          f"are not. Go on with: cortexsim run --resume {folder}") from None
    return Result(folder, recording, tables, picture if figure else None)


@contextmanager
def _going_on(folder: Path) -> Iterator[None]:
    """Say how to go on where a table or a figure cannot be written."""
    try:
        yield
    except RecordingError as problem:
        raise RecordingError(f"{problem}; the recording is complete. When there is room, go on "
                             f"with: cortexsim run --resume {folder}") from None
