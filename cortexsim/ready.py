"""An experiment made ready: a protocol, a network and images; for the first time, or once more.

Once more from the attributes of a recording, which say all that it was made of: so a run goes
on, workers compute parts of it, and a finished one is repaired or verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import xarray as xr

from . import devices, resources
from .errors import ProtocolError, RecordingError, SimulationError
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
from .simulation.again import plan_again
from .simulation.checks import readout_instead
from .simulation.plan import Plan
from .stimuli import datasets
from .stimuli.lookup import find_protocol
from .stimuli.protocol import Protocol


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


def prepare(
    protocol: Protocol | str | Path, *, model: str | Path | None = None,
    dataset: str | None = None, data_root: Path | None = None, trials: int | None = None,
    areas: tuple[str, ...] | None = None, reduce: str | None = None, dtype: str | None = None,
    seed: int = 0, device: str | None = None, precision: str = "float32",
    beyond: str = "error", batch: int | None = None, here: bool = True,
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
    here
        Whether the device is to be on this machine: workers elsewhere may have it.

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
    on = devices.device(device, here=here)
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


def rebuild(path: Path, *, data_root: Path | None = None, device: str | None = None,
            here: bool = True) -> Experiment:
    """Bring together what a recording was made of, from its attributes.

    Parameters
    ----------
    path
        The recording.
    data_root, device
        In place of those it was made with.
    here
        As in :func:`prepare`.

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
        precision=begun["precision"], beyond=begun["beyond"], here=here)
    kept: dict[str, Any] = begun["record"]
    return replace(experiment, record=Record(
        **{**kept, "areas": tuple(kept["areas"]), "summaries": tuple(kept["summaries"])}))


def plan_at(place: str, data_root: Path | None = None, device: str | None = None) -> Plan:
    """Plan the run of the recording at a place once more: all that a worker is told."""
    path = resuming.store(place)
    check_made_by_run(path)
    return rebuild(path, data_root=data_root, device=device).plan_again(path)


def check_made_by_run(path: Path) -> None:
    """Refuse a recording whose attributes do not say all that it was made of."""
    begun = resuming.read(path)
    if begun["format"] == 1:
        raise RecordingError(f"{path} is a recording of format 1, which does not say enough to be "
                             "computed again; it can be read as ever, as by cortexsim report")
    if EXPERIMENT not in begun or path.name != RECORDING:
        raise RecordingError(f"{path} was begun in Python: go on with it there, with "
                             f"simulate(..., out={str(path)!r}, resume=True)")
