"""The time loop: one batch of stimuli through the tree of all conditions, depth first.

State goes down the tree and is never changed, so that branches start from what they
share. At most so many states are alive as branches wait, whatever the conditions.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from .. import schema
from ..errors import SimulationError
from ..graph import Connection
from ..models import engine
from ..models.engine import State
from ..stimuli.protocol import Condition
from .plan import Plan
from .tree import Moment, Segment

#: Kept values of one segment: path in the store to (position in time, values) pairs.
Kept = dict[str, list[tuple[int, Tensor]]]
#: Reduces a state, and the one before it, to what is recorded, shapes (batch, ...).
Keep = Callable[[State, State], dict[str, Tensor]]
#: Target to what is to be summed there.
Arrivals = Mapping[str, Sequence[Tensor]]
#: Index of arrival to what delayed connections sent.
Underway = Mapping[int, Arrivals]
#: Area and index to its activity then, and the last index at which that is needed.
Held = Mapping[tuple[str, int], tuple[Tensor, int]]


class Runner(Protocol):
    """Computes a network's steps: a :class:`Network`, or something faster."""

    def drive(self, frame: Tensor, /) -> Tensor:
        """Return what the pre-net makes of images."""

    def arrivals(self, state: State, s: int, firing: Sequence[Connection], /) -> (
            dict[str, list[Tensor]]):
        """Apply the connections that fire at step s to the state at index s-1."""

    def readout(self, state: State, t: int, /) -> Tensor:
        """Return class scores from the state at index t."""


class _Branch(NamedTuple):
    """A segment to run, and what it starts from."""

    segment: Segment
    state: State
    underway: Underway
    held: Held
    #: What fired at the first index and what is underway since, by group: for all siblings.
    shared: dict[int, tuple[Arrivals, Underway]]


def walk(plan: Plan, batch: Sequence[int], keep: Keep) -> Iterator[tuple[Segment, Kept]]:
    """Take a batch through all conditions.

    Parameters
    ----------
    plan
        The run.
    batch
        The stimuli, two or more.
    keep
        Reduces states to what is recorded; scores come along by themselves.

    Yields
    ------
    tuple
        A segment, and what is kept of it: path in the store to (position in time, values
        of shape (batch, ...)), the same for all its conditions.

    Raises
    ------
    SimulationError
        If activity is no longer finite, with the area and the step.
    """
    stepper = _Stepper(plan, batch)
    positions = {t: k for k, t in enumerate(plan.layout.indices)}
    last = plan.tree.graph.last.name
    branches = [_Branch(root, {}, {}, {}, {}) for root in reversed(plan.tree.roots)]
    while branches:
        segment, state, underway, held, shared = branches.pop()
        condition = plan.courses[segment.conditions[0]].condition
        kept: Kept = {}
        sums: list[tuple[str, int, Tensor]] = []
        for moment in segment.moments:
            if segment.group not in shared:
                shared[segment.group] = stepper.fire(moment, state, underway)
            arrived, underway = shared[segment.group]
            shared = {}  # what siblings wait for is in their own branches
            before, state = state, stepper.settle(moment, condition, arrived, state, held)
            held = _hold(moment, state, held)
            # finite if and only if all of it is, at an eighth of the cost of asking each value;
            # in float64 the sum itself cannot overflow
            sums += [(area, moment.index, x.sum(dtype=torch.float64)) for area, x in state.items()]
            if moment.index in positions:
                values = keep(state, before)
                if last in state:
                    values[schema.SCORES] = stepper.runner.readout(state, moment.step).float()
                for path, value in values.items():
                    kept.setdefault(path, []).append((positions[moment.index], value))
        _check_finite(sums, condition)
        following = dict[int, tuple[Arrivals, Underway]]()
        branches += [_Branch(child, state, underway, held, following)
                     for child in reversed(segment.children)]
        yield segment, kept


class _Stepper:
    """Takes one batch from index to index, and keeps what the pre-net made of its frames."""

    def __init__(self, plan: Plan, batch: Sequence[int]) -> None:
        self.plan, self.batch = plan, batch
        self.runner: Runner = plan.runner
        self.graph = plan.tree.graph
        self._drives: dict[Hashable, Tensor] = {}
        self._left = Counter(plan.tree.uses)

    def fire(self, moment: Moment, state: State,
             underway: Underway) -> tuple[Arrivals, Underway]:
        """Return what arrives in the step that ends here, and what will arrive later."""
        arrived: Arrivals = {}
        for takes, firing in moment.fires:
            sent = self.runner.arrivals(state, moment.step, firing)
            if takes == 1:
                arrived = sent
            else:
                due = moment.index + takes - 1
                underway = {**underway, due: _merged(underway.get(due, {}), sent)}
        if underway:
            arrived = _merged(arrived, underway.get(moment.index, {}))
            underway = {t: what for t, what in underway.items() if t > moment.index}
        return arrived, underway

    def settle(self, moment: Moment, condition: Condition, arrived: Arrivals, state: State,
               held: Held) -> State:
        """Return the state at an index, in the order that :mod:`.interventions` gives."""
        first, drive = self.graph.first.name, self._drive(moment, condition)
        new: State = {}
        for area in moment.areas:
            parts = arrived.get(area, ())
            if area == first and drive is not None:
                parts = [*parts, drive]
            act = moment.acts.get(area)
            if act is None:
                new[area] = engine.activate(self.graph, area, engine.add(parts))
                continue
            if act.clamp is not None:
                x = self._constant(area, act.clamp)
            elif act.hold is not None:
                x = held[area, act.hold][0]
            else:
                x = act.gain * engine.add(parts)
                for index, factor in moment.own.get(area, ()):
                    own = (state[area] if index == moment.index - 1 else held[area, index][0])
                    x = x + (1 - act.gain) * factor * own
                x = engine.activate(self.graph, area, x)
            if act.noise:
                x = self._noisy(x, act.noise, f"{area}\n{moment.index}\n{condition.repeat}")
            new[area] = x
        return new

    def _drive(self, moment: Moment, condition: Condition) -> Tensor | None:
        key = moment.frame
        if key is None:
            return None
        if key not in self._drives:
            frame = self.plan.movie.frame(condition, moment.index, self.batch)
            assert frame is not None, "the movie gave the key of this frame"
            images = torch.from_numpy(frame).to(
                self.plan.device, memory_format=torch.channels_last)
            self._drives[key] = self.runner.drive(images)
        self._left[key] -= 1
        # of many pictures in a row, those that are over take no memory
        return self._drives[key] if self._left[key] else self._drives.pop(key)

    def _constant(self, area: str, number: float) -> Tensor:
        """Return activity that is a number everywhere."""
        dtype = torch.bfloat16 if self.plan.precision == "bf16" else torch.float32
        shape = (len(self.batch), *self.graph.area(area).shape)
        return torch.full(shape, number, dtype=dtype, device=self.plan.device).contiguous(
            memory_format=torch.channels_last)

    def _noisy(self, x: Tensor, sd: float, role: str) -> Tensor:
        """Add noise, drawn for each stimulus by itself so that it is the same in any batch."""
        ids, shape = self.plan.images.ids, x.shape[1:]
        drawn = np.stack([
            _generator(self.plan.seed, f"noise\n{role}\n{ids[row]}").standard_normal(
                shape, dtype=np.float32) for row in self.batch])
        noise = torch.from_numpy(drawn).to(x.device, memory_format=torch.channels_last)
        # contiguous, so that sums run in one order whatever the batch
        exact = x.float().contiguous()
        size = exact.square().mean(dim=(2, 3)).mean(dim=1).sqrt()[:, None, None, None]
        return (x.float() + sd * size * noise).to(x.dtype)


def _merged(some: Arrivals, more: Arrivals) -> Arrivals:
    return {area: [*some.get(area, ()), *more.get(area, ())] for area in {**some, **more}}


def _hold(moment: Moment, state: State, held: Held) -> Held:
    """Return what of this state, and of earlier ones, is needed later on."""
    if not held and not moment.held:
        return held
    going = {at: what for at, what in held.items() if what[1] > moment.index}
    return going | {(area, moment.index): (state[area], until)
                    for area, until in moment.held.items()}


def _generator(seed: int, role: str) -> np.random.Generator:
    # hash() differs from process to process; a digest does not
    words = np.frombuffer(hashlib.sha256(role.encode()).digest(), dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


def _check_finite(sums: Sequence[tuple[str, int, Tensor]], condition: Condition) -> None:
    """See that activity is finite by its sums, which takes a fraction of the time."""
    if not sums:
        return
    # asked once per segment: every question makes a GPU wait
    good = torch.stack([total for _, _, total in sums]).isfinite().tolist()
    for (area, t, _), yes in zip(sums, good, strict=True):
        if not yes:
            raise SimulationError(
                f"activity of {area} is infinite or not a number at step {t} (condition "
                f"{condition.name}); a gain below 1, statistics calibrated to that "
                "step or float32 may help"
            )
