"""The time loop: one batch of stimuli through every condition, chunk after chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from .. import devices, files, schema
from ..models.engine import State
from ..models.network import Network
from ..stimuli.datasets import Dataset
from ..stimuli.protocol import Protocol
from .course import Course
from .layout import text
from .origin import describe
from .plan import Plan, prepare
from .record import Record
from .recorder import Recorder, check_space
from .walk import walk


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
    provenance: Mapping[str, Any] | None = None,
    progress: bool = True,
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
        Folder of the recording, which must not exist; by default
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
        default 32, or fewer where a chunk would grow large. In float32 on one
        CPU it does not change a bit of the result.
    provenance
        Further attributes of the recording: ``command`` and what else is worth
        keeping; plain JSON.
    progress
        Show a progress bar, if on a terminal.

    Returns
    -------
    xarray.DataTree
        The recording, opened from disk and not yet loaded.

    Raises
    ------
    CortexSimError
        If the parts do not fit each other, the folder exists, the disk is
        full, or activity is no longer finite.
    """
    plan = prepare(
        network, protocol, images, record=record, seed=seed, trials=trials,
        device=device, precision=precision, microbatch=microbatch,
    )
    files.check_free(out)
    stem = f"runs/{protocol.name}"
    check_space(Path(stem if out is None else out), plan.layout.bytes_on_disk)
    attrs = describe(plan, protocol, provenance or {})
    bar = tqdm(total=plan.layout.trials, unit="trial", disable=None if progress else True)
    with bar, running(plan):
        recorder = None
        for chunk, values in enumerate(chunks(plan)):
            if recorder is None:
                # only now, so that what fails at once leaves nothing behind
                place = files.make_folder(out, stem, ".zarr")
                recorder = Recorder(place, plan.layout, attrs)
            recorder.write(chunk, values)
            bar.update(min(plan.layout.chunk_trials, plan.layout.trials - bar.n))
        assert recorder is not None, "a plan has one stimulus or more"
        recorder.finish()
    return xr.open_datatree(recorder.path, engine="zarr")


def chunks(plan: Plan) -> Iterator[dict[str, NDArray[Any]]]:
    """Compute chunk after chunk, in buffers that are used again.

    Yields
    ------
    dict
        Path of every array in the store to its values, shape (trials of a whole
        chunk, ...); trials past the end hold nothing of meaning.
    """
    buffers, conditions = plan.layout.buffers(), len(plan.courses)
    arrays, size = plan.layout.arrays, plan.layout.microbatch
    for chunk in range(plan.layout.chunks):
        batch = plan.batch(chunk)
        for path, values in buffers.items():
            values[:] = arrays[path].fill
        for number, course in enumerate(plan.courses):
            for path, known in _known(plan, course, batch[:size]).items():
                buffers[path][number::conditions] = known
        for segment, kept in walk(plan, batch, keep):
            for path, pairs in kept.items():
                positions, tensors = zip(*pairs, strict=True)
                # stacked first: one transfer for all indices
                stacked = torch.stack(tensors, dim=1)[:size].cpu().numpy()
                for number in segment.conditions:
                    buffers[path][number::conditions][:, list(positions)] = stacked
        yield buffers


def _known(plan: Plan, course: Course, batch: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Return what is known without the network: what is on, what is to be named, their classes."""
    shown = [plan.movie.shown(course.condition)[t] for t in plan.layout.indices]
    found: dict[str, NDArray[Any]] = {schema.SHOWN: text(shown)}
    if plan.layout.others:
        asked = [course.condition.asked[t] for t in plan.layout.indices]
        found[schema.ASKED] = text(asked)
        found[schema.SHOWN_LABEL] = plan.movie.labels(shown, batch)
        found[schema.ASKED_LABEL] = plan.movie.labels(asked, batch)
    return found


def keep(plan: Plan, state: State, before: State) -> dict[str, Tensor]:
    """Reduce the state to what is recorded, shapes (batch, ...)."""
    found: dict[str, Tensor] = {}
    for area in plan.layout.areas:
        if area.name not in state:
            continue
        # contiguous, so that sums run in one order whatever the batch
        x = state[area.name].float().contiguous()
        units = plan.layout.units.get(area.name)
        if units is not None:
            channel, row, column = torch.from_numpy(units.T.copy()).to(x.device)
            value = x[:, channel, row, column]
        elif plan.layout.record.reduce == "mean":
            value = x.mean(dim=(2, 3))
        else:
            value = x
        found[f"{area.name}/{schema.ACTIVATION}"] = value
        found[f"{area.name}/{schema.RMS}"] = x.square().mean(dim=(2, 3)).mean(dim=1).sqrt()
        found[f"{area.name}/{schema.POPULATED}"] = torch.ones(
            len(x), dtype=torch.bool, device=x.device
        )
    return found


@contextmanager
def running(plan: Plan) -> Iterator[None]:
    """Set the network up for a run, and its mode back afterwards."""
    was_training = plan.network.training
    plan.network.to(plan.device).eval()
    try:
        with torch.inference_mode(), devices.exact(plan.device):
            yield
    finally:
        plan.network.train(was_training)
