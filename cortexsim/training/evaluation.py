"""Accuracy at every readout time, from one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tqdm import tqdm

from .. import devices
from ..errors import SimulationError
from ..models.network import Network
from ..stimuli.datasets import Dataset, to_input

#: The latest readout time that makes sense; a later one is a slip of the pen.
MAX_TIME = 10_000


@torch.no_grad()
def evaluate(network: Network, dataset: Dataset, times: Iterable[int] | None = None, *,
             batch: int = 250, progress: bool = False) -> dict[int, float]:
    """Return the proportion of images named correctly at each readout time.

    Parameters
    ----------
    network
        With statistics for these times.
    dataset
        Images and labels.
    times
        Readout times in steps; by default all at which the last area is
        populated, up to the graph's readout time.
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
    SimulationError
        If there is nothing to read at one of the times, or there are no statistics for it.
    """
    graph = network.graph
    times = graph.readout_times(graph.readout_time) if times is None else list(times)
    _check(network, times)
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    labels = torch.from_numpy(dataset.labels).to(device)
    correct = dict.fromkeys(times, 0)
    starts = range(0, len(dataset), batch)
    for start in tqdm(starts, desc="evaluating", disable=None if progress else True, leave=False):
        images = torch.from_numpy(to_input(dataset.images[start:start + batch])).to(device)
        with devices.exact(device):
            found = network.scores(images, times)
        for time, scores in found.items():
            correct[time] += int((scores.argmax(1) == labels[start:start + batch]).sum())
    network.train(was_training)
    return {time: count / len(dataset) for time, count in correct.items()}


def _check(network: Network, times: Sequence[int]) -> None:
    if not times or min(times) < 0 or max(times) > MAX_TIME:
        raise SimulationError(f"readout times are 0 to {MAX_TIME:,} steps, "
                              f"got {', '.join(map(str, times)) or 'none'}")
    limit = network.statistics_limit
    if network.beyond == "error" and max(times) > limit:
        has = f"is calibrated to t = {limit}" if limit >= 0 else "is not calibrated"
        raise SimulationError(
            f"a readout at t = {max(times)}? the network {has}; read earlier, calibrate it for "
            "longer, or use --beyond last"
        )
