"""Which computations the conditions of a protocol share: a tree of segments.

Conditions in which the same happened so far share all that was computed so far. A
segment is a stretch of indices without a branching; what its conditions still need,
together, is what is computed there. All of it follows from the graph and the protocol
alone, before any tensor exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..graph import AreaGraph, Connection
from .course import Course
from .interventions import Act

#: Connections to compute, by the steps they take: ``((1, (V1>V2, ...)), ...)``.
Fires = tuple[tuple[int, tuple[Connection, ...]], ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """What is computed at one index.

    Parameters
    ----------
    index
        On the trial's clock.
    step
        On the network's, which starts at the first drive; the state at `index` is that
        after so many steps.
    frame
        Key of the frame that drives, or None.
    fires
        What fires in the step that ends here.
    areas
        The areas that are populated and needed, in the graph's order.
    acts
        What is done to some of them.
    own
        For areas with a gain: what arrives of their own state by identity, as the index
        of that state and a factor.
    held
        Areas whose state here is needed later than at the next index, and until when.
    """

    index: int
    step: int
    frame: Hashable | None
    fires: Fires
    areas: tuple[str, ...]
    acts: Mapping[str, Act] = field(hash=False)
    own: Mapping[str, tuple[tuple[int, float], ...]] = field(hash=False)
    held: Mapping[str, int] = field(hash=False)


@dataclass(frozen=True)
class Segment:
    """A stretch of indices at which some conditions are one.

    Parameters
    ----------
    conditions
        Their numbers.
    moments
        One for each index.
    group
        Segments that follow one and the same segment, and have the same group, share
        what fires at their first index: it reads the state before they part.
    children
        What follows, the one that branches most last: nothing else waits then.
    """

    conditions: tuple[int, ...]
    moments: tuple[Moment, ...]
    group: int
    children: tuple[Segment, ...]

    @property
    def start(self) -> int:
        """The first index."""
        return self.moments[0].index

    @property
    def stop(self) -> int:
        """The index after the last."""
        return self.moments[-1].index + 1

    @cached_property
    def waiting(self) -> int:
        """The most states that wait, at one time, for branches to be run."""
        last = len(self.children) - 1
        return max((child.waiting + (k < last) for k, child in enumerate(self.children)),
                   default=0)


@dataclass(frozen=True)
class Tree:
    """All that a protocol takes to compute, for one batch of stimuli.

    Parameters
    ----------
    graph
        With the sizes of its areas.
    courses
        One for each condition.
    wanted
        By index 0 to the end, the areas whose state is read.
    roots
        One for each way to begin.
    steps
        How many steps are computed.
    alike
        Groups of conditions in which the same happens all the way through.
    """

    graph: AreaGraph
    courses: tuple[Course, ...]
    wanted: tuple[frozenset[str], ...]
    roots: tuple[Segment, ...]
    steps: int
    alike: tuple[tuple[int, ...], ...]

    def segments(self) -> Iterator[Segment]:
        """Yield all segments, each before what follows it."""
        waiting = list(reversed(self.roots))
        while waiting:
            segment = waiting.pop()
            yield segment
            waiting.extend(reversed(segment.children))

    @cached_property
    def uses(self) -> Counter[Hashable]:
        """How often each frame drives the network, by its key."""
        return Counter(m.frame for segment in self.segments() for m in segment.moments
                       if m.frame is not None)

    @cached_property
    def waiting(self) -> int:
        """The most states that wait, at one time, for branches to be run."""
        return max((root.waiting for root in self.roots), default=0)

    def alone(self, number: int) -> Tree:
        """Return the tree of one condition."""
        return grow(self.graph, [self.courses[number]], self.wanted)

    @property
    def steps_apart(self) -> int:
        """How many steps it would take to run each condition alone."""
        return sum(self.alone(number).steps for number in range(len(self.courses)))


def grow(graph: AreaGraph, courses: Sequence[Course],
         wanted: Sequence[Collection[str]]) -> Tree:
    """Find what conditions share, and what has to be computed of it.

    Parameters
    ----------
    graph
        With the sizes of its areas.
    courses
        One for each condition.
    wanted
        By index 0 to the end, the areas whose state is read (where it is populated).
    """
    read = tuple(map(frozenset, wanted))
    nodes = _Forward(graph, courses).nodes(len(read) - 1)
    _backward(nodes, read)
    last = [node for node in nodes if node.index == len(read) - 1]
    return Tree(
        graph, tuple(courses), read, _join(graph, courses, nodes),
        # siblings have one and the same
        len({id(node.fires) for node in nodes if node.fires}),
        tuple(tuple(node.conditions) for node in last if len(node.conditions) > 1),
    )


class _Node:
    """The state at one index after one past: first what there can be, then what is needed."""

    __slots__ = ("acts", "arriving", "children", "conditions", "fired", "fires", "frame", "held",
                 "index", "needed", "parent", "populated", "step")

    def __init__(self, parent: _Node | None, index: int, step: int) -> None:
        self.parent, self.index, self.step = parent, index, step
        self.conditions: list[int] = []
        self.children: list[_Node] = []
        self.needed: set[str] = set()
        self.held: dict[str, int] = {}
        self.frame: Hashable | None = None
        self.populated: frozenset[str] = frozenset()
        self.acts: dict[str, Act] = {}
        #: What can fire in the step that ends here.
        self.fired: tuple[Connection, ...] = ()
        #: Area to the connections whose results arrive, and the steps they take.
        self.arriving: dict[str, list[tuple[Connection, int]]] = {}
        #: What must fire, by name; one and the same for all that follow one state.
        self.fires: dict[str, Connection] = {}

    def at(self, index: int) -> _Node | None:
        """Return the state before, at an index; None if the network's clock had not started."""
        node: _Node | None = self
        while node is not None and node.index > index:
            node = node.parent
        return node


class _Forward:
    """Finds the pasts that conditions share, and what is populated in each."""

    def __init__(self, graph: AreaGraph, courses: Sequence[Course]) -> None:
        self.graph, self.courses = graph, courses
        self._able: dict[tuple[int, frozenset[str]], tuple[Connection, ...]] = {}

    def nodes(self, end: int) -> list[_Node]:
        """Return every state up to an index, each after the one before it."""
        begun: dict[Hashable, list[int]] = {}
        for number, course in enumerate(self.courses):
            if course.onset is not None and course.onset <= end:
                key = course.onset, tuple(sorted(course.actions.takes.items()))
                begun.setdefault(key, []).append(number)
        found: list[_Node] = []
        for numbers in begun.values():
            onset = self.courses[numbers[0]].onset
            assert onset is not None
            level = self._split(None, onset, numbers)
            while level:
                found += level
                level = [child for node in level if node.index < end
                         for child in self._split(node, node.index + 1, node.conditions)]
        return found

    def _split(self, parent: _Node | None, t: int, numbers: Sequence[int]) -> list[_Node]:
        """Return the states that follow a state, and tell it of them."""
        asked: dict[Hashable, _Node] = {}
        found: dict[Hashable, _Node] = {}
        fires: dict[frozenset[str], dict[str, Connection]] = {}
        for number in numbers:
            course, actions = self.courses[number], self.courses[number].actions
            repeat = course.condition.repeat if any(
                act.noise for _, act in actions.acts[t]) else None
            # what is asked for first: to see what comes of it takes longer
            wish = (course.frames[t], actions.silent[t], actions.emptied[t], actions.acts[t],
                    repeat)
            if wish not in asked:
                node = self._node(parent, course, t)
                silent = frozenset(c.name for c in self._possible(node, parent)
                                   if c.name in actions.silent[t])
                noisy = any(act.noise for act in node.acts.values())
                key = (node.frame, silent, node.populated, tuple(sorted(node.acts.items())),
                       repeat if noisy else None)
                asked[wish] = found.setdefault(key, node)
                node.fires = fires.setdefault(silent, node.fires)
            asked[wish].conditions.append(number)
        if parent is not None:
            parent.children += found.values()
        return list(found.values())

    def _possible(self, node: _Node, parent: _Node | None) -> tuple[Connection, ...]:
        """Return what would fire if nothing were silenced, in an order of no one's graph."""
        if parent is None:
            return ()
        key = node.step, parent.populated
        if key not in self._able:
            able = self.graph.firing(node.step, parent.populated, self.graph.names)
            self._able[key] = tuple(sorted(able, key=lambda c: c.name))
        return self._able[key]

    def _node(self, parent: _Node | None, course: Course, t: int) -> _Node:
        """Work out what happens at an index."""
        actions, first = course.actions, self.graph.first.name
        assert course.onset is not None
        node = _Node(parent, t, t - course.onset)
        node.fired = tuple(c for c in self._possible(node, parent)
                           if c.name not in actions.silent[t])
        arriving: dict[str, list[tuple[Connection, int]]] = {}
        for takes in sorted({1, *actions.takes.values()}):
            sender = node.at(t - takes + 1)
            for c in sender.fired if sender is not None else ():
                if actions.takes.get(c.name, 1) == takes:
                    arriving.setdefault(c.target, []).append((c, takes))
        populated = {*arriving, first} if course.frames[t] is not None else set(arriving)
        for area, act in actions.acts[t]:
            if act.hold is not None:
                held = node.at(act.hold)
                full = held is not None and area in held.populated
                (populated.add if full else populated.discard)(area)
        node.populated = frozenset(populated - actions.emptied[t])
        node.acts = {
            area: Act(clamp=act.clamp, hold=act.hold, noise=act.noise) if act.replaces else act
            for area, act in actions.acts[t] if area in node.populated}
        made = {area for area in node.populated
                if area not in node.acts or not node.acts[area].replaces}
        node.frame = course.frames[t] if first in made else None
        node.arriving = {area: what for area, what in arriving.items() if area in made}
        return node


def _backward(nodes: Sequence[_Node], wanted: Sequence[frozenset[str]]) -> None:
    """Find out what is needed of each state, and so what must fire."""
    for node in reversed(nodes):
        node.needed |= wanted[node.index] & node.populated
        for area in node.needed:
            act = node.acts.get(area)
            if act is not None and act.hold is not None:
                _keep(node, area, act.hold)
            for c, takes in node.arriving.get(area, ()):
                sender = node.at(node.index - takes + 1)
                assert sender is not None and sender.parent is not None
                sender.fires[c.name] = c
                sender.parent.needed.add(c.source)
                if takes > 1 and act is not None and act.gain != 1 and _identity(c):
                    _keep(node, area, node.index - takes)


def _keep(node: _Node, area: str, index: int) -> None:
    before = node.at(index)
    assert before is not None
    before.needed.add(area)
    before.held[area] = max(node.index, before.held.get(area, 0))


def _identity(c: Connection) -> float:
    """Return the factor by which an area keeps its own state through a connection."""
    if c.source != c.target:
        return 0.0
    return (c.transition == "identity") + c.gain * (c.shortcut == "identity")


class _Joining:
    """A segment in the making, from its end on."""

    def __init__(self, children: tuple[Segment, ...]) -> None:
        self.moments, self.children = list[Moment](), children

    def done(self, node: _Node, group: int) -> Segment:
        """Return the segment, which begins at a node."""
        return Segment(tuple(node.conditions), tuple(reversed(self.moments)), group,
                       self.children)


def _join(graph: AreaGraph, courses: Sequence[Course],
          nodes: Sequence[_Node]) -> tuple[Segment, ...]:
    """Make segments of what is needed, and leave the rest."""
    made: dict[_Node, _Joining] = {}
    for node in reversed(nodes):
        following = [child for child in node.children if child in made]
        if not following and not node.needed:
            continue
        only = following[0] if len(following) == 1 else None
        if only is not None and only.conditions == node.conditions:
            joining = made[only]
        else:
            joining = _Joining(_finish(made, following))
        joining.moments.append(_moment(graph, courses, node))
        made[node] = joining
    return _finish(made, [node for node in nodes if node.parent is None and node in made])


def _finish(made: Mapping[_Node, _Joining], siblings: Sequence[_Node]) -> tuple[Segment, ...]:
    groups = list(dict.fromkeys(id(node.fires) for node in siblings))
    done = [made[node].done(node, groups.index(id(node.fires))) for node in siblings]
    return tuple(sorted(done, key=lambda segment: segment.waiting))


def _moment(graph: AreaGraph, courses: Sequence[Course], node: _Node) -> Moment:
    takes = courses[node.conditions[0]].actions.takes
    by_takes: dict[int, list[Connection]] = {}
    for name in sorted(node.fires):
        by_takes.setdefault(takes.get(name, 1), []).append(node.fires[name])
    areas = tuple(area for area in graph.names if area in node.needed)
    acts = {area: node.acts[area] for area in areas if area in node.acts}
    own = {area: tuple((node.index - steps, _identity(c))
                       for c, steps in node.arriving.get(area, ()) if _identity(c))
           for area, act in acts.items() if act.gain != 1}
    return Moment(
        node.index, node.step, node.frame if graph.first.name in node.needed else None,
        tuple((steps, tuple(firing)) for steps, firing in sorted(by_takes.items())),
        areas, acts, own, node.held,
    )
