"""From a protocol's file to a folder with a recording, tables and a figure.

The one place where simulation and analysis meet; the command line calls it,
and so can a notebook.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from . import analysis, checksums, files, provenance
from .errors import Interrupted, RecordingError
from .ready import check_made_by_run, plan_at, prepare, rebuild
from .schema import RECORDING
from .simulation import Cluster, Comparison
from .simulation import resume as resuming
from .simulation import verify as verification
from .simulation.recorder import COMPLETE
from .simulation.verify import Verification
from .stimuli.protocol import Protocol

FIGURE = "figure"


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
        As in :func:`cortexsim.ready.prepare`.

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
    experiment = prepare(protocol, here=scheduler is None, **options)
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
        check_made_by_run(path)
        experiment = rebuild(path, data_root=data_root, device=device, here=scheduler is None)
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
    check_made_by_run(path)
    begun = resuming.read(path)
    if not begun[COMPLETE]:
        raise RecordingError(f"{path} is incomplete, and nothing to verify: go on with: "
                             f"{files.going_on(path, begun)}")
    plan = rebuild(path, data_root=data_root, device=device).plan_again(path)
    return verification.verify(plan, path, begun, chunks=chunks, seed=seed)


def _cluster(workers: int | None, scheduler: str | None, data_root: Path | None,
             device: str | None) -> Cluster | None:
    if workers is None and scheduler is None:
        return None
    root = None if data_root is None else data_root.absolute()
    return Cluster(workers, scheduler, partial(plan_at, data_root=root, device=device))


def _whole(path: Path) -> bool:
    """Whether nothing of a complete recording is lost, and all is as it was written."""
    try:
        analysis.open(path).close()
    except RecordingError:
        return False
    return checksums.is_whole(path)


def _finish(folder: Path, recording: xr.DataTree, figure: bool) -> Result:
    """Make the tables and the figure that are not there yet."""
    picture = folder / f"{FIGURE}.png"
    command = str(recording.attrs.get("command", ""))
    try:
        tables = analysis.tables(recording)
        lacking = {f"{name}.csv": table for name, table in tables.frames.items()
                   if not (folder / f"{name}.csv").exists()}
        pictures = [f"{FIGURE}.pdf", picture.name] if figure and not picture.exists() else []
        drawn = analysis.figure(recording) if pictures else None
        with _going_on(folder):
            if lacking or pictures:
                # first: no table is ever there without it, whenever the process dies
                provenance.beside(folder, [*lacking, *pictures], provenance.origin(
                    command, recording=provenance.recorded(recording.attrs)))
            for name, table in lacking.items():
                files.write(folder / name, table.to_csv(index=False), "the table")
            if drawn is not None:
                for name in pictures:
                    analysis.save(drawn, folder / name, command=command)
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
