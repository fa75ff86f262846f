"""Accuracy at every readout time, from one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tqdm import tqdm

from .. import devices
from ..errors import SimulationError
from ..models.network import Network
from ..stimuli.datasets import Dataset, to_input
from ..stimuli.sequences import SequenceTask
from .batches import in_sequence

#: The latest readout time that makes sense; a later one is a slip of the pen.
MAX_TIME = 10_000


@torch.no_grad()
def evaluate(network: Network, dataset: Dataset, times: Iterable[int] | None = None, *,
             task: SequenceTask | None = None, seed: int = 0, batch: int = 250,
             progress: bool = False) -> dict[int, float]:
    """Return the proportion of images named correctly at each readout time.

    Of sequences there are as many as images, and each image comes once at each place.
    Several processes (``network.processes``) divide them among each other.

    Parameters
    ----------
    network
        With statistics for these times.
    dataset
        Images and labels.
    times
        Readout times in steps; by default all at which the last area is
        populated, up to the graph's readout time; with a task, the last index of
        each image that is asked about.
    task
        What is shown one after another and asked when; by default one image.
    seed
        Of the order of images in sequences.
    batch
        Images at a time.
    progress
        Whether to show a bar on a terminal.

    Returns
    -------
    dict
        Readout time to accuracy, 0 to 1.

    Raises
    ------
    CortexSimError
        If there is nothing to read or to ask at one of the times, or there are no
        statistics for it.
    """
    graph = network.graph
    if times is None:
        times = graph.readout_times(graph.readout_time) if task is None else task.times()
    times = list(times)
    _check(network, times)
    task = task or SequenceTask.one_image(graph.readout_time)
    task.check_times(times)
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    labels = torch.from_numpy(dataset.labels).to(device)
    processes = network.processes
    rows = in_sequence(len(dataset), task.images, seed)[:, processes.share(len(dataset))]
    correct = dict.fromkeys(times, 0)
    starts = range(0, rows.shape[1], batch)
    for start in tqdm(starts, desc="evaluating", leave=False,
                      disable=None if progress and processes.first else True):
        places = rows[:, start:start + batch]
        pictures = [torch.from_numpy(to_input(dataset.images[place.numpy()])).to(device)
                    for place in places]
        frames = task.frames(pictures, graph.input, max(times))
        with devices.exact(device):
            found = network.scores(frames, times)
        for time, scores in found.items():
            asked = labels[places[task.asked(time)].to(device)]
            correct[time] += int((scores.argmax(1) == asked).sum())
    network.train(was_training)
    counts = processes.totals(*correct.values())
    return {time: count / len(dataset) for time, count in zip(correct, counts, strict=True)}


def _check(network: Network, times: Sequence[int]) -> None:
    if not times or min(times) < 0 or max(times) > MAX_TIME:
        raise SimulationError(f"readout times are 0 to {MAX_TIME:,} steps, "
                              f"got {', '.join(map(str, times)) or 'none'}")
    if max(times) > network.weights_limit:
        graph = network.graph
        shared = all(graph.weight_sharing(c) == "shared" for c in graph.connections)
        raise SimulationError(
            f"a readout at t = {max(times)}? the network has "
            f"{'scales and shifts' if shared else 'weights'} of its own for each step, and they "
            f"end at t = {network.steps}; read earlier" + ", or use --beyond last" * shared)
    limit = network.statistics_limit
    if network.beyond == "error" and max(times) > limit:
        has = f"is calibrated to t = {limit}" if limit >= 0 else "is not calibrated"
        raise SimulationError(
            f"a readout at t = {max(times)}? the network {has}; read earlier, calibrate it for "
            "longer, or use --beyond last"
        )
