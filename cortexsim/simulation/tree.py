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
from .pasts import Node, identity, trace, trace_back

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
    nodes = trace(graph, courses, len(read) - 1)
    trace_back(nodes, read)
    last = [node for node in nodes if node.index == len(read) - 1]
    return Tree(
        graph, tuple(courses), read, _join(graph, courses, nodes),
        # siblings have one and the same
        len({id(node.fires) for node in nodes if node.fires}),
        tuple(tuple(node.conditions) for node in last if len(node.conditions) > 1),
    )


class _Joining:
    """A segment in the making, from its end on."""

    def __init__(self, children: tuple[Segment, ...]) -> None:
        self.moments, self.children = list[Moment](), children

    def done(self, node: Node, group: int) -> Segment:
        """Return the segment, which begins at a node."""
        return Segment(tuple(node.conditions), tuple(reversed(self.moments)), group,
                       self.children)


def _join(graph: AreaGraph, courses: Sequence[Course],
          nodes: Sequence[Node]) -> tuple[Segment, ...]:
    """Make segments of what is needed, and leave the rest."""
    made: dict[Node, _Joining] = {}
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


def _finish(made: Mapping[Node, _Joining], siblings: Sequence[Node]) -> tuple[Segment, ...]:
    groups = list(dict.fromkeys(id(node.fires) for node in siblings))
    done = [made[node].done(node, groups.index(id(node.fires))) for node in siblings]
    return tuple(sorted(done, key=lambda segment: segment.waiting))


def _moment(graph: AreaGraph, courses: Sequence[Course], node: Node) -> Moment:
    takes = courses[node.conditions[0]].actions.takes
    by_takes: dict[int, list[Connection]] = {}
    for name in sorted(node.fires):
        by_takes.setdefault(takes.get(name, 1), []).append(node.fires[name])
    areas = tuple(area for area in graph.names if area in node.needed)
    acts = {area: node.acts[area] for area in areas if area in node.acts}
    own = {area: tuple((node.index - steps, identity(c))
                       for c, steps in node.arriving.get(area, ()) if identity(c))
           for area, act in acts.items() if act.gain != 1}
    return Moment(
        node.index, node.step, node.frame if graph.first.name in node.needed else None,
        tuple((steps, tuple(firing)) for steps, firing in sorted(by_takes.items())),
        areas, acts, own, node.held,
    )
