"""Which pasts the conditions of a protocol have, index by index, and what is needed of each.

First forwards, from what conditions ask for to what comes of it: what cannot matter, such
as noise in an empty area, tells no conditions apart. Then backwards, from what is read.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ..graph import AreaGraph, Connection
from .course import Course
from .interventions import Act


class Node:
    """The state at one index after one past: first what there can be, then what is needed."""

    __slots__ = ("acts", "arriving", "children", "conditions", "fired", "fires", "frame", "held",
                 "index", "needed", "parent", "populated", "step")

    def __init__(self, parent: Node | None, index: int, step: int) -> None:
        self.parent, self.index, self.step = parent, index, step
        self.conditions: list[int] = []
        self.children: list[Node] = []
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

    def at(self, index: int) -> Node | None:
        """Return the state before, at an index; None if the network's clock had not started."""
        node: Node | None = self
        while node is not None and node.index > index:
            node = node.parent
        return node


def trace(graph: AreaGraph, courses: Sequence[Course], end: int) -> list[Node]:
    """Return every state of conditions up to an index, each after the one before it."""
    return _Forward(graph, courses).nodes(end)


class _Forward:
    """Finds the pasts that conditions share, and what is populated in each."""

    def __init__(self, graph: AreaGraph, courses: Sequence[Course]) -> None:
        self.graph, self.courses = graph, courses
        self._able: dict[tuple[int, frozenset[str]], tuple[Connection, ...]] = {}

    def nodes(self, end: int) -> list[Node]:
        """Return all states, those that follow one and the same beginning in order of time."""
        begun: dict[Hashable, list[int]] = {}
        for number, course in enumerate(self.courses):
            if course.onset is not None and course.onset <= end:
                key = course.onset, tuple(sorted(course.actions.takes.items()))
                begun.setdefault(key, []).append(number)
        found: list[Node] = []
        for numbers in begun.values():
            onset = self.courses[numbers[0]].onset
            assert onset is not None
            level = self._split(None, onset, numbers)
            while level:
                found += level
                level = [child for node in level if node.index < end
                         for child in self._split(node, node.index + 1, node.conditions)]
        return found

    def _split(self, parent: Node | None, t: int, numbers: Sequence[int]) -> list[Node]:
        """Return the states that follow a state, and tell it of them."""
        asked: dict[Hashable, Node] = {}
        found: dict[Hashable, Node] = {}
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

    def _possible(self, node: Node, parent: Node | None) -> tuple[Connection, ...]:
        """Return what would fire if nothing were silenced, in order of names."""
        if parent is None:
            return ()
        key = node.step, parent.populated
        if key not in self._able:
            able = self.graph.firing(node.step, parent.populated, self.graph.names)
            self._able[key] = tuple(sorted(able, key=lambda c: c.name))
        return self._able[key]

    def _node(self, parent: Node | None, course: Course, t: int) -> Node:
        """Work out what happens at an index."""
        actions, first = course.actions, self.graph.first.name
        assert course.onset is not None
        node = Node(parent, t, t - course.onset)
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


def trace_back(nodes: Sequence[Node], wanted: Sequence[frozenset[str]]) -> None:
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
                if takes > 1 and act is not None and act.gain != 1 and identity(c):
                    _keep(node, area, node.index - takes)


def _keep(node: Node, area: str, index: int) -> None:
    before = node.at(index)
    assert before is not None
    before.needed.add(area)
    before.held[area] = max(node.index, before.held.get(area, 0))


def identity(c: Connection) -> float:
    """Return the factor by which an area keeps its own state through a connection."""
    if c.source != c.target:
        return 0.0
    return (c.transition == "identity") + c.gain * (c.shortcut == "identity")
