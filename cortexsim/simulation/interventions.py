"""What a condition does to a network, index by index: who is silent, empty, held, noisy, late.

At one index an area is made in this order:

1. what arrives is summed, with the drive if it is the first area;
2. ``scale``: the sum is multiplied, except for what the area keeps of its own state by a
   lateral identity path. A gain so does not compound from step to step: the steady state
   of a leaky area is as many times as large;
3. the area's activation;
4. ``clamp``: the activity is a number everywhere, or what it was at the window's start.
   Of several clamps in force the last in the file holds;
5. ``noise``: added in units of the root mean square, over all units of the trial, of what
   1 to 4 left. Independent entries add, that is, their variances do;
6. ``lesion`` of the area: it is empty.

Clamps to a number, noise and scale act only where an area is populated. A held area is as
populated throughout the window as it was at its start. A delayed connection fires as ever
(with the weights and statistics of that step) and what it sends is summed some steps
later; what is underway a lesion does not stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import SimulationError, unknown
from ..graph import AreaGraph
from ..stimuli.protocol import Intervention
from ..stimuli.protocol.interventions import CONNECTION_KINDS

ALL = "all"
HOLD = "hold"


@dataclass(frozen=True)
class Act:
    """What is done to one area at one index.

    Parameters
    ----------
    gain
        Factor of what comes in.
    clamp
        The activity it is set to, if it is.
    hold
        The index whose activity it keeps, if it does.
    noise
        Standard deviation, in units of the root mean square.
    """

    gain: float = 1.0
    clamp: float | None = None
    hold: int | None = None
    noise: float = 0.0

    @property
    def replaces(self) -> bool:
        """Whether nothing of what comes in is left."""
        return self.clamp is not None or self.hold is not None


@dataclass(frozen=True)
class Actions:
    """All that is done to a network in one condition.

    Parameters
    ----------
    silent
        By index t, the names of connections that are silent in the step from t-1 to t.
    emptied
        By index, the areas that are empty there.
    acts
        By index, areas and what is done to them.
    takes
        Connection to the steps it takes, if that is more than one.
    """

    silent: tuple[frozenset[str], ...]
    emptied: tuple[frozenset[str], ...]
    acts: tuple[tuple[tuple[str, Act], ...], ...]
    takes: Mapping[str, int] = field(hash=False)


class _Draft:
    """The lists that a condition's interventions are entered in, one after the other."""

    def __init__(self, graph: AreaGraph, end: int) -> None:
        self.graph, self.end = graph, end
        # one more: what leaves at the last index arrives nowhere
        self.silent = [set[str]() for _ in range(end + 2)]
        self.emptied = [set[str]() for _ in range(end + 1)]
        self.acts = [dict[str, Act]() for _ in range(end + 1)]
        self.takes: dict[str, int] = {}

    def lesion(self, one: Intervention) -> None:
        names = self.graph.names
        known = [*names, *_connections(self.graph), *CONNECTION_KINDS]
        silent = set() if one.where in names else self._named(one, "area or connection", known)
        for t in self._window(one):
            self.silent[t + 1] |= silent
            if one.where in names:
                self.emptied[t].add(one.where)

    def delay(self, one: Intervention) -> None:
        known = [*_connections(self.graph), *CONNECTION_KINDS]
        for name in sorted(self._named(one, "connection", known)):
            if name in self.takes:
                raise _wrong(one, f"the delay of {name} is given twice: leave one out")
            takes = _number(one)
            if takes < 1 or takes % 1:
                raise _wrong(one, f"{name} takes a whole number of steps, 1 or more, not {takes:g}")
            self.takes[name] = int(takes)

    def noise(self, one: Intervention) -> None:
        sd = _number(one)
        self._change(one, lambda act: replace(act, noise=math.hypot(act.noise, sd)))

    def scale(self, one: Intervention) -> None:
        gain = _number(one)
        self._change(one, lambda act: replace(act, gain=act.gain * gain))

    def clamp(self, one: Intervention) -> None:
        if one.value == HOLD:
            # at its start the area is what it is
            self._change(replace(one, start=one.start + 1),
                         lambda act: replace(act, clamp=None, hold=one.start))
        else:
            number = _number(one)
            self._change(one, lambda act: replace(act, clamp=number, hold=None))

    def _named(self, one: Intervention, what: str, known: Sequence[str]) -> set[str]:
        """Return the names of the connections that a connection's or a kind's name means."""
        found = {c.name for c in self.graph.connections
                 if one.where == c.name or one.where in self.graph.kinds(c)}
        if one.where in CONNECTION_KINDS and not found:
            raise _wrong(one, f"this network has no {one.where} connections")
        if not found:
            raise _wrong(one, unknown(what, one.where, known))
        return found

    def _window(self, one: Intervention) -> range:
        return range(one.start, min(one.stop, self.end + 1))

    def _change(self, one: Intervention, change: Callable[[Act], Act]) -> None:
        """Change what is done to an area, or to all, in the window."""
        names = self.graph.names
        if one.where not in (*names, ALL):
            raise _wrong(one, unknown("area", one.where, [*names, ALL]))
        for t in self._window(one):
            for area in names if one.where == ALL else [one.where]:
                self.acts[t][area] = change(self.acts[t].get(area, Act()))


_ENTER: dict[str, Callable[[_Draft, Intervention], None]] = {
    "lesion": _Draft.lesion, "noise": _Draft.noise, "clamp": _Draft.clamp,
    "scale": _Draft.scale, "delay": _Draft.delay,
}


def resolve(graph: AreaGraph, interventions: Sequence[Intervention], end: int) -> Actions:
    """Settle what is done at each index 0 to `end`.

    Parameters
    ----------
    graph
        The network's.
    interventions
        In the order of the file.
    end
        The last index of the run.

    Raises
    ------
    SimulationError
        If the network has no such area or connection, or a delay is given twice; with
        the place in the file.
    """
    draft = _Draft(graph, end)
    for one in interventions:
        if one.kind not in _ENTER:
            raise _wrong(one, unknown("intervention", one.kind, _ENTER))
        _ENTER[one.kind](draft, one)
    nothing = Act()
    return Actions(
        tuple(map(frozenset, draft.silent[: end + 1])), tuple(map(frozenset, draft.emptied)),
        tuple(tuple(sorted((area, act) for area, act in acts.items() if act != nothing))
              for acts in draft.acts),
        {name: takes for name, takes in draft.takes.items() if takes > 1},
    )


def _connections(graph: AreaGraph) -> list[str]:
    return list(dict.fromkeys(c.name for c in graph.connections))


def _number(one: Intervention) -> float:
    if one.value is None or isinstance(one.value, str):
        raise _wrong(one, f"{one.kind} of {one.where} needs a number, got {one.value!r}")
    return float(one.value)


def _wrong(one: Intervention, problem: str) -> SimulationError:
    return SimulationError(f"{one.where_in_file}: {problem}" if one.where_in_file else problem)
