"""The time loop: one batch of stimuli through the tree of all conditions.

State goes down the tree and is never changed, so that branches start from what they
share. Branches that take the same step at the same time take it together, as one larger
batch, as long as that stays small; beyond, one after another. So memory does not grow with
the number of conditions.
"""

from __future__ import annotations

import math
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
from ..stimuli.gallery import generator
from ..stimuli.protocol import Condition
from .plan import Plan
from .tree import Moment, Segment, Tree

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


#: Bytes of state up to which branches run together: larger batches gain nothing.
TOGETHER = 16 * 2**20


class _Branch(NamedTuple):
    """A segment that runs, and where it is.

    Attributes
    ----------
    segment, at
        The segment, and the position of its next moment.
    block
        Where its state is among those of its bundle, in units of a batch.
    kept
        What is kept of it so far.
    """

    segment: Segment
    at: int
    block: int
    kept: Kept

    @property
    def moment(self) -> Moment:
        """What is computed next."""
        return self.segment.moments[self.at]


class _Bundle(NamedTuple):
    """Branches at one and the same index, and what they come from.

    Attributes
    ----------
    branches
        One or more.
    state
        The states before, side by side along the first dimension.
    underway
        What will arrive in them.
    held
        Of the one state; nothing if there are more.
    """

    branches: list[_Branch]
    state: State
    underway: Underway
    held: Held


def walk(plan: Plan, batch: Sequence[int], keep: Keep, *,
         together: int = TOGETHER) -> Iterator[tuple[Segment, Kept]]:
    """Take a batch through all conditions.

    Parameters
    ----------
    plan
        The run.
    batch
        The stimuli, two or more.
    keep
        Reduces states to what is recorded; scores come along by themselves.
    together
        Bytes of state up to which branches run together; 0 for one after another.

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
    stepper = _Stepper(plan, batch, keep, most_together(plan.tree, len(batch), together))
    begins: dict[tuple[int, int], list[_Branch]] = {}
    for root in plan.tree.roots:
        first = root.moments[0]
        begins.setdefault((first.index, first.step), []).append(_Branch(root, 0, 0, {}))
    bundles = [_Bundle(branches, {}, {}, {}) for branches in reversed(begins.values())]
    while bundles:
        after: list[_Bundle] = []
        for bundle in stepper.step(bundles.pop()):
            going: list[_Branch] = []
            for branch in bundle.branches:
                segment = branch.segment
                if branch.at < len(segment.moments):
                    going.append(branch)
                    continue
                going += [_Branch(child, 0, branch.block, {}) for child in segment.children]
                stepper.check_finite()
                yield segment, branch.kept
            if going:
                after.append(bundle._replace(branches=going))
        bundles += reversed(after)


class _Stepper:
    """Takes one batch from index to index, and keeps what the pre-net made of its frames."""

    def __init__(self, plan: Plan, batch: Sequence[int], keep: Keep, most: int) -> None:
        self.plan, self.batch, self.keep = plan, batch, keep
        self.runner: Runner = plan.runner
        self.graph = plan.tree.graph
        self._positions = {t: k for k, t in enumerate(plan.layout.indices)}
        self._most = most
        self._drives: dict[Hashable, Tensor] = {}
        self._left = Counter(plan.tree.uses)
        self._sums: list[tuple[str, int, Condition, Tensor]] = []

    def step(self, bundle: _Bundle) -> Iterator[_Bundle]:
        """Take branches one index on; those that no longer do the same part."""
        for branches in _alike(bundle.branches, lambda moment: moment.fires):
            blocks = list(dict.fromkeys(branch.block for branch in branches))
            before = self._taken(bundle.state, blocks)
            arrived, underway = self.fire(branches[0].moment, before,
                                          self._later(bundle.underway, blocks))
            for group in _alike(branches, lambda moment: _own_way(moment) or moment.areas):
                most = 1 if bundle.held or _own_way(group[0].moment) else self._most
                for start in range(0, len(group), most):
                    part = group[start : start + most]
                    rows = [blocks.index(branch.block) for branch in part]
                    yield self._settled(
                        part, self._taken(before, rows), self._sent(arrived, rows),
                        self._later(underway, rows), bundle.held)

    def _settled(self, branches: list[_Branch], before: State, arrived: Arrivals,
                 underway: Underway, held: Held) -> _Bundle:
        """Return branches at their next index, each with a state of its own."""
        moment = branches[0].moment
        conditions = [self.plan.courses[branch.segment.conditions[0]].condition
                      for branch in branches]
        if len(branches) == 1:
            state = self.settle(moment, conditions[0], arrived, before, held)
            held = _hold(moment, state, held)
        else:
            state = self._settle_together(branches, conditions, arrived)
        # finite if and only if all of it is, at an eighth of the cost of asking each value;
        # in float64 the sum itself cannot overflow
        self._sums += [(area, moment.index, conditions[0], x.sum(dtype=torch.float64))
                       for area, x in state.items()]
        if moment.index in self._positions:
            values, size = self.keep(state, before), len(self.batch)
            if self.graph.last.name in state:
                values[schema.SCORES] = self.runner.readout(state, moment.step).float()
            for place, branch in enumerate(branches):
                for path, value in values.items():
                    branch.kept.setdefault(path, []).append(
                        (self._positions[moment.index], value[place * size : (place + 1) * size]))
        return _Bundle([branch._replace(at=branch.at + 1, block=place)
                        for place, branch in enumerate(branches)], state, underway, held)

    def _settle_together(self, branches: Sequence[_Branch], conditions: Sequence[Condition],
                         arrived: Arrivals) -> State:
        """Return the states of branches in which nothing is done to the network, side by side."""
        first, size, new = self.graph.first.name, len(self.batch), dict[str, Tensor]()
        drives = [self._drive(branch.moment, condition)
                  for branch, condition in zip(branches, conditions, strict=True)]
        for area in branches[0].moment.areas:
            parts = arrived.get(area, ())
            if area == first and not parts:
                # without a drive it would not be populated
                x = torch.cat([drive for drive in drives if drive is not None])
            elif area == first and any(drive is not None for drive in drives):
                total = engine.add(parts)
                x = torch.empty_like(total)
                for place, drive in enumerate(drives):
                    rows = slice(place * size, (place + 1) * size)
                    if drive is None:
                        x[rows] = total[rows]
                    else:
                        torch.add(total[rows], drive, out=x[rows])
            else:
                x = engine.add(parts)
            new[area] = engine.activate(self.graph, area, x)
        return new

    def _taken(self, state: State, blocks: list[int]) -> State:
        return {area: self._blocks(x, blocks) for area, x in state.items()}

    def _sent(self, sent: Arrivals, blocks: list[int]) -> Arrivals:
        return {area: [self._blocks(x, blocks) for x in parts] for area, parts in sent.items()}

    def _later(self, underway: Underway, blocks: list[int]) -> Underway:
        return {t: self._sent(sent, blocks) for t, sent in underway.items()}

    def _blocks(self, x: Tensor, blocks: list[int]) -> Tensor:
        """Return some of the batches that lie side by side, not copied if they are all."""
        size = len(self.batch)
        if blocks == list(range(len(x) // size)):
            return x
        return torch.cat([x[block * size : (block + 1) * size] for block in blocks])

    def check_finite(self) -> None:
        """See that activity was finite since this was asked last, by its sums.

        Raises
        ------
        SimulationError
            With the area, the step, and a condition.
        """
        if not self._sums:
            return
        # asked once per segment: every question makes a GPU wait
        good = torch.stack([total for *_, total in self._sums]).isfinite().tolist()
        for (area, t, condition, _), yes in zip(self._sums, good, strict=True):
            if not yes:
                raise SimulationError(
                    f"activity of {area} is infinite or not a number at step {t} (condition "
                    f"{condition.name}); a gain below 1, statistics calibrated to that "
                    "step or float32 may help"
                )
        self._sums.clear()

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
            generator(self.plan.seed, f"noise\n{role}\n{ids[row]}").standard_normal(
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


def most_together(tree: Tree, stimuli: int, together: int = TOGETHER) -> int:
    """Return how many branches run together: in so many bytes, for so many stimuli in a batch."""
    units = sum(math.prod(area.shape) for area in tree.graph.areas)
    return max(1, together // (4 * units * stimuli))


def _own_way(moment: Moment) -> Hashable:
    """Return what tells a moment from all others if something is done to the network in it."""
    return id(moment) if moment.acts or moment.held else None


def _alike(branches: Sequence[_Branch],
           what: Callable[[Moment], Hashable]) -> list[list[_Branch]]:
    """Group branches in whose next moment something is the same."""
    groups: list[tuple[Hashable, list[_Branch]]] = []
    for branch in branches:
        own = what(branch.moment)
        for other, group in groups:
            # parts of what is the same are mostly one and the same object: no need to hash
            if other == own:
                group.append(branch)
                break
        else:
            groups.append((own, [branch]))
    return [group for _, group in groups]
