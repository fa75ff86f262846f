"""Calibration: the statistics of every site at every index, from training images.

Index by index, everything earlier frozen, in two sweeps over all images: the first
measures the areas at index ``t``; with these frozen, the second measures what is
normalized within step ``t + 1``, one layer after another. Then the state moves on.

Each number is over all images, and over the rows and columns of the map, from sums in
float64 of one pass. A second pass around the mean changes a scale by 5e-15 of itself at
most (measured to t = 64 on a shipped network), and float32 keeps 6e-8.

Shared statistics are what a batch normalization that is used at every step keeps as
its running averages: those of the indices to the readout time at which the site is
used, measured in this same way, are averaged. From then on they hold at every index.

Several processes (``network.processes``) each take their share of the images, and add up
the sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import devices
from ..graph import AreaGraph, Connection
from . import engine, normalization
from .engine import State, site
from .frames import Brief, Frames, by_index
from .network import Network
from .transitions import TRANSITIONS


def calibrate(network: Network, images: Frames, steps: int, *, batch: int = 250,
              on_step: Callable[[int], object] = lambda t: None) -> int:
    """Compute the statistics of a network anew for the indices 0 to ``steps``.

    Runs in float32 (or the network's own precision), with the network's own
    input mode and no augmentation. Memory holds the state of all images. A network
    that was trained on sequences is calibrated on sequences.

    Parameters
    ----------
    network
        Its statistics are replaced; it is left in evaluation mode, ready to run.
    images
        Training images, shape (count, channels, height, width); or what drives the
        first area at each index, a batch of that shape or None.
    steps
        The last index to calibrate. Shared statistics are always those of the
        indices to the readout time; only a site that comes into use after it, and
        by this index, has those of its first use.
    batch
        Images at a time; changes the result only by rounding.
    on_step
        Called with each index that is done.

    Returns
    -------
    int
        The last index that is calibrated: ``steps``, or the one before activity is
        infinite or not a number.
    """
    network.eval()
    network.statistics.forget()
    network.origin = {}  # no longer what a checkpoint held
    graph, statistics = network.graph, network.statistics
    shared = graph.normalization.statistics == "shared"
    frames = by_index(images, graph.input, max(steps, graph.readout_time))
    drive = [frame is not None for frame in frames]
    enough = _enough(graph, steps, drive) if shared else steps
    try:
        statistics.shared = False  # until they are averaged
        reached = _measure_all(network, frames, enough, batch, on_step,
                               images if isinstance(images, Brief) else None)
        if shared and reached >= graph.readout_time:
            statistics.share(_averaged(graph, drive))
        elif shared:
            statistics.forget()
    finally:
        statistics.shared = shared
    assert frames[0] is not None, "sequences begin with images"
    network.calibration = {"images": len(frames[0]), "steps": reached}
    return max(steps, reached) if reached == enough else reached


def statistics_used(network: Network, last: int) -> str:
    """Say in words which statistics normalize a network at the indices up to ``last``."""
    limit, rules = network.statistics_limit, network.graph.normalization
    if limit < 0 or (math.isinf(limit) and not network.statistics.shared):
        return "none"
    images = network.calibration.get("images")
    where = f" on {images:,} images" if images else ""
    parts = [f"shared over time, calibrated{where}" if network.statistics.shared
             else f"calibrated{where} to t = {limit:g}"]
    if last > limit:
        parts.append(f"past t = {limit:g} those of t = {limit:g} (--beyond last)")
    if rules.scale_shift == "time-specific" and last > network.steps:
        parts.append(f"past step {network.steps} the scales and shifts of step {network.steps} "
                     "(--beyond last)")
    return "; ".join(parts)


def _enough(graph: AreaGraph, steps: int, drive: Sequence[bool]) -> int:
    """Return the last index to measure, of shared statistics that are to serve to ``steps``."""
    used = normalization.used(graph, steps, drive)
    return max([graph.readout_time, *(indices[0] for indices in used.values())])


def _averaged(graph: AreaGraph, drive: Sequence[bool]) -> dict[str, list[int]]:
    """Return the indices to average over: those at which training uses each site."""
    used = normalization.used(graph, graph.readout_time, drive)
    used.setdefault(graph.last.name, []).append(graph.readout_time)  # by the post-net
    return used


def _measure_all(network: Network, frames: Sequence[Tensor | None], steps: int, batch: int,
                 on_step: Callable[[int], object], brief: Brief | None) -> int:
    """Measure every site index by index; return the last one that is finite."""
    device = next(network.parameters()).device
    # an image that stays on is one tensor many times: moved once
    distinct = {id(x): x for x in frames if x is not None}

    def chunks(x: Tensor) -> tuple[Tensor, ...]:
        return torch.split(x[network.processes.share(len(x))], batch)

    pictures = {key: [chunk.to(device) for chunk in chunks(x)] for key, x in distinct.items()}

    def shown(drive: Tensor, chunk: int, t: int) -> Tensor:
        if brief is None:
            return drive
        return drive * chunks(brief.on(t))[chunk].to(drive)

    with torch.no_grad(), devices.exact(device):
        for k in range(2, len(network.pre_net.sites()) + 2):
            _measure(network, f"pre_net:{k}", 0,
                     (network.drive(x, k - 1) for parts in pictures.values() for x in parts))
        drives = {key: [network.drive(x) for x in parts] for key, parts in pictures.items()}
        states = [network.initial_state(drive=shown(drive, i, 0))
                  for i, drive in enumerate(drives[id(frames[0])])]
        for t in range(steps + 1):
            if not all([_measure(network, area, t, (state[area] for state in states))
                        for area in states[0]]):
                return t - 1
            if t < steps:
                if not _measure_within(network, states, t + 1):
                    return t
                on = drives.get(id(frames[t + 1]))
                for i, state in enumerate(states):
                    states[i] = network.step(state, t + 1,
                                             drive=shown(on[i], i, t + 1) if on else None)
            on_step(t)
    return steps


def _measure(network: Network, place: str, index: int, values: Iterable[Tensor]) -> bool:
    """Measure one site at one index; say whether its statistics are finite."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for value in values:
        # float64: a variance as a difference of large sums needs the digits
        wide = value.double()
        count += wide.numel() // wide.shape[1]
        total = total.to(wide) + wide.sum((0, 2, 3))
        squares = squares.to(wide) + wide.square().sum((0, 2, 3))
    if network.processes.count > 1:
        counts = torch.full_like(total, count)
        counts, total, squares = network.processes.sum(torch.stack([counts, total, squares]))
        count = int(counts[0])
    mean = total / count
    network.statistics.put(place, index, mean, (squares / count - mean.square()).clamp_min(0))
    return network.statistics.known(place)[index]


def _measure_within(network: Network, states: Sequence[State], s: int) -> bool:
    """Measure the later layers of all transitions at step s, one layer after another."""
    plan = engine.plan(network.graph, s, frozenset(states[0]), frozenset(network.graph.names))
    after = [c for c in plan if TRANSITIONS[c.transition].normalization == "after"]
    if not all([_measure_after(network, states, c, s) for c in after]):
        return False
    deep = [c for c in plan
            if TRANSITIONS[c.transition].normalization == "before" and c.layers > 1]
    inputs = [engine.first_layers(network, engine.activated(network, state, s, deep), s, deep,
                                  fold=False)[1] for state in states]
    for layer in range(2, max((c.layers for c in deep), default=1) + 1):
        for c in deep:
            if layer <= c.layers:
                if not _measure(network, site(c, layer), s, (part[c] for part in inputs)):
                    return False
        for part in inputs:
            for c in deep:
                if layer < c.layers:
                    x = network.normalize(part[c], [site(c, layer)], s)
                    part[c] = engine.middle_layer(network, x, c, layer, s, fold=False)
    return True


def _measure_after(network: Network, states: Sequence[State], connection: Connection,
                   s: int) -> bool:
    """Measure what follows the convolutions of a ``cbr`` transition, one after another."""
    inputs = [state[connection.source] for state in states]
    for layer in ([0] if connection.shortcut == "projection" else []) + list(
            range(1, connection.layers + 1)):
        raw = [engine.convolve(network, x, connection, layer, s, normalize=False) for x in inputs]
        place = site(connection, layer + 1 if layer else 0)
        if not _measure(network, place, s, raw):
            return False
        if layer:
            inputs = [F.relu(network.normalize(x, [place], s)) for x in raw]
    return True
