"""What a run will do, settled and checked before anything is computed or written."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from .. import devices, metadata, schema
from ..errors import SimulationError
from ..graph import AreaGraph
from ..models.inference import Runner
from ..models.network import Network
from ..stimuli.datasets import Dataset
from ..stimuli.movie import Movie
from ..stimuli.movie import check as check_images
from ..stimuli.protocol import Protocol
from .checks import check, same_conditions, shut_out
from .course import Course, plan_courses
from .layout import Layout, trial_coords
from .memory import fitting_batch
from .record import Record
from .tree import Tree, grow

#: Copies of a batch's activity that are alive within a step, about: normalized
#: input, wider output of joined convolutions, sums.
_COPIES = 8


@dataclass(frozen=True)
class Plan:
    """A run: who runs what, where, and what is kept.

    Parameters
    ----------
    network
        In evaluation mode only while a run lasts.
    movie
        The frames of the chosen stimuli.
    images
        The chosen stimuli.
    layout
        What is recorded.
    tree
        What is computed for one batch of stimuli.
    seed
        Of the choice of stimuli, the masks and the sampled units.
    device, precision
        Where the network runs, and in ``"float32"`` or ``"bf16"``.
    """

    network: Network
    movie: Movie
    images: Dataset
    layout: Layout
    tree: Tree
    seed: int
    device: torch.device
    precision: str

    @property
    def courses(self) -> tuple[Course, ...]:
        """How each condition runs."""
        return self.tree.courses

    @cached_property
    def runner(self) -> Runner:
        """The network made ready, once for the whole run, on the device by then."""
        return Runner(self.network, self.precision)

    def stimuli(self, chunk: int) -> range:
        """Return the stimuli of a chunk."""
        size = self.layout.microbatch
        return range(chunk * size, min((chunk + 1) * size, self.layout.stimuli))

    def batch(self, stimuli: Sequence[int], size: int | None = None) -> list[int]:
        """Return stimuli padded by their first one, to a batch of a chunk's size or another.

        An odd batch is never run: the convolutions of one image have other bits, and
        on two threads so have some deconvolutions of 3, 5, 7 or 15 (torch 2.15).
        """
        size = size or self.layout.microbatch
        return [*stimuli, *[stimuli[0]] * (size + size % 2 - len(stimuli))]


def prepare(
    network: Network, protocol: Protocol, images: Dataset, *, record: Record | None, seed: int,
    trials: int | None, device: str | torch.device | None, precision: str,
    microbatch: int | None, sources: Mapping[str, Dataset] | None = None, here: bool = True,
) -> Plan:
    """Settle a run and check that it can be done; the parameters are those of `simulate`.

    Parameters
    ----------
    network, protocol, images, record, seed, trials, device, precision, microbatch, sources
        As there.
    here
        Whether the device is to be on this machine.

    Raises
    ------
    CortexSimError
        With what does not fit, and what would.
    """
    if microbatch is not None and microbatch < 1:
        raise SimulationError(f"a batch of {microbatch} stimuli? it must be 1 or more")
    if seed < 0:
        raise SimulationError(f"a seed cannot be negative, got {seed}")
    where = devices.device(device, here=here)
    precision = devices.precision(precision, where)
    _check_images(network, images)
    check_images(protocol, images, sources)
    # with the sizes that areas have for these images
    graph = network.graph.for_image(*images.images.shape[2:])
    conditions = protocol.conditions
    record = record or Record.of(protocol)
    areas = record.choose_areas(graph.names)
    indices = record.indices(protocol.duration_steps)
    chosen = choose_stimuli(images, len(conditions), trials, seed)
    movie = Movie(protocol, chosen, seed, graph.input, pool=images, sources=sources)
    times = range(indices[-1] + 1)
    frames = [[movie.frame_key(condition, t) for t in times] for condition in conditions]
    courses = plan_courses(graph, conditions, frames)
    kept, read = frozenset(indices), frozenset([*areas, graph.last.name])
    # the distance from the state before needs that too
    also = areas if schema.DISTANCE in record.numbers else ()
    tree = grow(graph, courses, [read if t in kept else also if t + 1 in kept else ()
                                 for t in times])
    check(network, protocol, tree, indices)
    late = shut_out(graph, protocol, courses)
    for warning in [*([late] if late else []), *same_conditions(graph, protocol, tree)]:
        warnings.warn(warning, stacklevel=2)
    coords = trial_coords(chosen.ids, chosen.labels, conditions)
    coords[schema.TIME] = (
        (schema.TIME,), np.array([protocol.clock.ms(t) for t in indices], dtype=np.float64)
    )
    coords[schema.STEP] = ((schema.TIME,), np.array(indices, dtype=np.int64))

    def layout(size: int) -> Layout:
        return Layout(
            tuple(graph.area(name) for name in areas), indices, len(chosen), len(conditions),
            size, coords, tuple(chosen.classes), record, seed,
            bool(protocol.drawn) or not protocol.asks_targets_only,
        )

    activity = activity_bytes(graph, tree)
    size = fitting_batch(microbatch, len(chosen), layout(1).chunk_bytes, activity, where)
    chosen_layout = layout(size)
    _check_sizes(chosen_layout)
    return Plan(network, movie, chosen, chosen_layout, tree, seed, where, precision)


def _check_sizes(layout: Layout) -> None:
    """Refuse what could be written and not be opened again: readers have limits."""
    sizes = {path: layout.chunk_trials * math.prod(spec.shape) * spec.dtype.itemsize
             for path, spec in layout.arrays.items()}
    largest = max(sizes, key=sizes.__getitem__)
    if sizes[largest] > metadata.MAX_CHUNK:
        raise SimulationError(
            f"a chunk of {largest}, which has {layout.microbatch} stimuli in {layout.conditions} "
            f"conditions each, would take {sizes[largest] / 2**30:,.1f} GiB, and no more than "
            f"{metadata.MAX_CHUNK / 2**30:.0f} can be read: give a smaller --batch, or record "
            "fewer areas, units or steps")
    values = layout.chunks + sum(values.size for _, coords in layout.groups()
                                 for _, values in coords.values())
    if values > metadata.MAX_COORDS:
        raise SimulationError(
            f"{layout.trials:,} trials are too many for one recording, whose coordinates have "
            f"{metadata.MAX_COORDS:,} values at most: ask for fewer with --trials")


def activity_bytes(graph: AreaGraph, tree: Tree) -> int:
    """Return what one stimulus takes while the network runs, about: states in float32."""
    return 4 * sum(math.prod(area.shape) for area in graph.areas) * (_COPIES + tree.waiting)


def choose_stimuli(
    images: Dataset, conditions: int, trials: int | None, seed: int
) -> Dataset:
    """Return the stimuli to show: all in order, or a seeded choice, also in order.

    Parameters
    ----------
    images
        What there is.
    conditions
        Trials that each stimulus takes.
    trials
        The most trials wanted; only whole stimuli are taken. ``None`` for all.
    seed
        Of the choice.

    Raises
    ------
    SimulationError
        If there is no image, or fewer trials are wanted than there are conditions.
    """
    count = len(images.ids)
    if count == 0:
        raise SimulationError(f"data set '{images.name}' has no images")
    if trials is None:
        return images
    if trials < conditions:
        raise SimulationError(
            f"{trials} trials are too few: each stimulus is shown in all {conditions} "
            f"conditions, so ask for {conditions} or more"
        )
    whole = min(trials // conditions, count)
    if trials % conditions and whole < count:
        warnings.warn(
            f"{trials} trials cut to {whole * conditions}: {whole} whole stimuli in "
            f"{conditions} conditions each",
            stacklevel=2,
        )
    if whole == count:
        return images
    rows = np.random.default_rng(seed).choice(count, size=whole, replace=False)
    return images.take(np.sort(rows))


def _check_images(network: Network, images: Dataset) -> None:
    shape, wanted = tuple(images.images.shape[1:]), network.graph.image
    if not network.graph.takes(shape):
        raise SimulationError(
            f"the network takes images of shape {wanted} (channels, height, width), those of "
            f"'{images.name}' have {shape}; choose the data set it was trained on"
        )
    if len(images.classes) != network.classes:
        raise SimulationError(
            f"the network tells {network.classes} classes apart, '{images.name}' has "
            f"{len(images.classes)}; choose the data set it was trained on"
        )
