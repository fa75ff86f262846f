"""The run: chunk after chunk of stimuli through every condition, and into the recording."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from tqdm import tqdm

from .. import checksums, files, places, stores
from ..errors import Interrupted, SimulationError
from ..models.network import Network
from ..stimuli.datasets import Dataset
from ..stimuli.protocol import Protocol
from . import again, origin
from . import resume as resuming
from .batches import Batches, running
from .buffers import Buffers
from .cluster import Cluster, Lost
from .origin import COMPUTED_ON, computer, describe
from .plan import Plan, prepare
from .record import Record
from .recorder import COMPLETE, Recorder, check_range, check_space, laid_out
from .repair import lost_parts
from .writer import Writer


def simulate(
    network: Network,
    protocol: Protocol,
    images: Dataset,
    *,
    record: Record | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    trials: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    microbatch: int | None = None,
    sources: Mapping[str, Dataset] | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: bool = True,
    resume: bool = False,
    cluster: Cluster | None = None,
) -> xr.DataTree:
    """Run a network through a protocol and record it.

    Every stimulus is shown in every condition; trial number is ``stimulus *
    conditions + condition``. What is recorded goes to disk as it is computed,
    so memory does not grow with the number of trials.

    Parameters
    ----------
    network
        The network; it is moved to the device.
    protocol
        What is shown when.
    images
        The stimuli.
    record
        What to keep; by default what the protocol's file asks for.
    out
        Folder of the recording, which must not exist, on this machine or in an object
        store (``s3://...``); by default
        ``runs/<protocol>-<n>.zarr`` with the first free n.
    seed
        Of the masks, the choice of stimuli and the sampled units.
    trials
        The most trials to run, in whole stimuli; if that is fewer than there
        are, the stimuli are drawn. By default all.
    device
        By default the GPU where there is one.
    precision
        ``"float32"``, or ``"bf16"`` for weights and activity; statistics and the
        readout stay in float32.
    microbatch
        Stimuli in a batch, and with their conditions the trials of a chunk; by
        default what memory allows, at most 32 on a CPU and 256 on a GPU. In float32 on
        one CPU it does not change a bit of the result. Where memory does not suffice
        after all, batches get smaller as the run goes on, and chunks stay.
    sources
        The protocol's further sources of images, by name.
    provenance
        Further attributes of the recording: ``command`` and what else is worth
        keeping; plain JSON.
    progress
        Show a progress bar, if on a terminal.
    resume
        Go on with the recording `out`, which was stopped or killed: everything else must
        be as it was, except that `device` is the recording's unless given, and `microbatch`
        always is. Ends in the same bits on the same kind of processor. What is on disk is
        checked and kept, what is damaged is computed anew; a recording that is complete and
        whole is opened.
    cluster
        Workers to compute on; by default this process does it all. They have to find the
        network and the images by themselves: :func:`cortexsim.run` sees to that.

    Returns
    -------
    xarray.DataTree
        The recording, opened from disk and not yet loaded.

    Raises
    ------
    CortexSimError
        If the parts do not fit each other, the folder exists, the disk is
        full, activity is no longer finite, or memory does not suffice for two stimuli.
    Interrupted
        In place of a KeyboardInterrupt, with how to go on.
    """
    begun, here = None, cluster is None or cluster.here
    if resume:
        if out is None:
            raise SimulationError("to go on with a recording, say which: give its folder as 'out'")
        out = resuming.store(out)
        plan, begun, attrs = again.plan_again(
            network, protocol, images, out, record=record, seed=seed, trials=trials, device=device,
            precision=precision, sources=sources, provenance=provenance, here=here)
    else:
        plan = prepare(
            network, protocol, images, record=record, seed=seed, trials=trials,
            device=device, precision=precision, microbatch=microbatch, sources=sources, here=here,
        )
        attrs = describe(plan, protocol, provenance or {})
        files.check_free(out)
        check_space(places.place(f"runs/{protocol.name}" if out is None else out),
                    plan.layout.bytes_on_disk)
    run = _Run(plan, attrs, out, f"runs/{protocol.name}", cluster)
    try:
        if begun is not None and not run.go_on(begun):
            assert out is not None
            return stores.opened(places.place(out))
        run.record(progress)
    except KeyboardInterrupt:
        raise Interrupted(run.stopped()) from None
    finally:
        run.close()
    return stores.opened(run.path)


class _Run:
    """One run of a plan into one store.

    Parameters
    ----------
    plan
        What to run.
    attrs
        Attributes of the recording.
    out, stem
        Where it goes, or what a free place is called by.
    cluster
        Workers to compute on; None for this process.
    """

    def __init__(self, plan: Plan, attrs: Mapping[str, Any], out: str | Path | None,
                 stem: str, cluster: Cluster | None) -> None:
        self.plan, self.out, self.stem, self.cluster = plan, out, stem, cluster
        # workers may be of another kind than this machine
        self.computers = [] if cluster else [computer(plan.device)]
        self.attrs = {**attrs, COMPUTED_ON: self.computers}
        self.recorder: Recorder | None = None
        self.todo = list(range(plan.layout.chunks))

    @property
    def path(self) -> Path:
        """Where the recording is."""
        assert self.recorder is not None, "a plan has one stimulus or more"
        return self.recorder.path

    def go_on(self, begun: Mapping[str, Any]) -> bool:
        """Take up the store that is there, and keep what in it is whole.

        Returns
        -------
        bool
            Whether there is anything left to do.
        """
        assert self.out is not None
        path, lost = places.place(self.out), dict[str, bytes]()
        if laid_out(path):
            self.todo = checksums.bad_chunks(path)
            lost = lost_parts(path, self.plan.layout)
        if begun[COMPLETE]:
            if not self.todo and not lost:
                return False
            warnings.warn(resuming.damaged(path, self.todo, lost, self.plan.layout), stacklevel=3)
        self.recorder = Recorder(path, self.plan.layout, self.attrs,
                                 resumed=resuming.going_on_with(self.attrs))
        self.recorder.put_back(lost)
        self.computers = list(begun.get(COMPUTED_ON, ()))
        if self.cluster is None and begun["device"] == self.attrs["device"]:
            self._computed_on(computer(self.plan.device))
        return True

    def record(self, progress: bool) -> None:
        """Compute and write all that is missing; then mark the recording complete."""
        layout = self.plan.layout
        left = sum(layout.trials_in(chunk) for chunk in self.todo)
        with tqdm(total=layout.trials, initial=layout.trials - left, unit="trial",
                  disable=None if progress else True) as bar:
            made = self._alone() if self.cluster is None else self._together(self.cluster)
            with closing(made):
                for chunk in made:
                    bar.update(layout.trials_in(chunk))
        assert self.recorder is not None, "a plan has one stimulus or more"
        self.recorder.finish()

    def _alone(self) -> Generator[int, None, None]:
        """Compute in this process; yield each chunk."""
        with running(self.plan), Writer() as writer:
            batches = Batches(self.plan)
            for chunk in self.todo:
                buffers = batches.compute(chunk)
                if self.recorder is None:
                    # only now, so that what fails at once leaves nothing behind
                    buffers.wait()
                    check_range(self.plan.layout, buffers.values)
                    self.recorder = self._laid_out()
                writer.submit(partial(_write, self.recorder, chunk, buffers))
                yield chunk

    def _together(self, cluster: Cluster) -> Generator[int, None, None]:
        """Have workers compute; yield each chunk that is written."""
        if not self.todo:
            return
        with cluster.gather(len(self.todo)) as team:
            begun = self.recorder is not None
            if self.recorder is None:
                self.recorder = self._laid_out()
            told = set[str]()
            try:
                for made in team.compute(str(self.path.absolute()), self.todo):
                    self._computed_on(made.worker)
                    for warning in made.warnings:
                        if warning not in told:
                            warnings.warn(warning, stacklevel=2)
                        told.add(warning)
                    yield made.chunk
            except BaseException as problem:
                team.stop()
                if not begun and not self.recorder.trials_done:
                    self._take_away()
                elif isinstance(problem, Lost):
                    raise Lost(f"{problem}. What is done is kept; go on with: "
                               f"{self.recorder.going_on}") from None
                raise
            self.recorder.note({"workers": team.size})

    def _computed_on(self, one: Mapping[str, str]) -> None:
        """Note what kind of computer a chunk comes from, and say if there are several."""
        assert self.recorder is not None
        if one in self.computers:
            return
        if self.computers:
            new, *known = (origin.words(each) for each in (one, *self.computers))
            warnings.warn(f"{self.path} is computed on {new}, and on {'; '.join(known)}: numbers "
                          "agree to rounding", stacklevel=3)
        self.computers.append(dict(one))
        self.recorder.note({COMPUTED_ON: self.computers})

    def _take_away(self) -> None:
        """Leave nothing of a run that failed at once."""
        path = self.path
        self.close()
        self.recorder = None
        places.remove(path)

    def _laid_out(self) -> Recorder:
        place = files.make_folder(self.out, self.stem, ".zarr")
        try:
            return Recorder(place, self.plan.layout, self.attrs)
        except KeyboardInterrupt:
            if places.far(place):  # no number is in it yet
                places.remove(place)
            raise

    def stopped(self) -> str:
        """Say what is left of a run that was interrupted."""
        if self.recorder is None:
            return "stopped; nothing was written"
        return (f"stopped at trial {self.recorder.trials_done} of {self.plan.layout.trials}. "
                f"Go on with: {self.recorder.going_on}")

    def close(self) -> None:
        """Let go of the store."""
        if self.recorder is not None:
            self.recorder.close()


def _write(recorder: Recorder, chunk: int, buffers: Buffers) -> None:
    buffers.wait()
    recorder.write(chunk, buffers.values)
