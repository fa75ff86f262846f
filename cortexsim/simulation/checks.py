"""Whether the network has all that a run takes, and what in it cannot matter: said before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from ..errors import SimulationError
from ..graph import AreaGraph, Connection
from ..models import normalization
from ..models.network import Network
from ..models.weights import layers
from ..stimuli.protocol import Condition, Protocol
from .course import Course, plan_courses
from .tree import Tree, grow

_NOT_RANDOM = "nothing random is in these repeats"


@dataclass(frozen=True)
class _Use:
    """A use of statistics: a site at an index, and the area that is read for it, and when."""

    site: str
    index: int
    source: str
    read: int
    course: Course


def check(network: Network, protocol: Protocol, tree: Tree, indices: Sequence[int]) -> None:
    """See that the network has every weight and every statistic of a run.

    Parameters
    ----------
    network, protocol, tree
        Who runs what, and how.
    indices
        Those at which the last area is read out.

    Raises
    ------
    SimulationError
        With what it lacks, and what can be done about it.
    """
    _check_weights(network, protocol, tree)
    uses = _uses(network, tree, frozenset(indices))
    statistics = network.statistics
    lacking = [use for use in uses if not statistics.has(use.site, use.index, network.beyond)]
    if not lacking:
        return
    # advice must lead somewhere: not to the next error
    last_helps = all(statistics.has(use.site, use.index, "last") for use in lacking)
    limit = max(statistics.limit(area) for area in network.graph.names)
    needs = max(use.index for use in uses)
    if limit < 0:
        raise SimulationError(f"the network has no statistics; calibrate it to t = {needs}")
    if statistics.shared:
        raise SimulationError(
            f"the network's shared statistics have none for {lacking[0].site}, which calibration "
            f"did not come to; calibrate it anew, to t = {needs}")
    calibrated = _calibrated(network.graph, needs)
    for use in lacking:
        if use.source not in calibrated[use.read]:
            raise SimulationError(_never(network.graph, protocol, use, calibrated, last_helps))
    within = [use for use in lacking if use.index <= limit]
    if within:
        raise SimulationError(
            f"the network has statistics to t = {limit:g}, but none of {within[0].site} at "
            f"t = {within[0].index}; calibrate it anew, to t = {needs}"
        )
    raise SimulationError(
        f"the network has statistics to t = {limit:g}, the protocol needs them to t = {needs}; "
        + ("calibrate it for longer, shorten the protocol, or use --beyond last" if last_helps
           else "calibrate it for longer, or shorten the protocol")
    )


def _check_weights(network: Network, protocol: Protocol, tree: Tree) -> None:
    """See that weights, and learned scales and shifts, go on for as long as the run."""
    graph = network.graph

    def weighted(c: Connection, s: int) -> bool:
        return all(graph.weight_key(c, layer, s) in network.weights for layer in layers(c))

    def scaled(c: Connection, s: int, beyond: str = network.beyond) -> bool:
        return all(network.affine.has(site, index, beyond)
                   for site, index in normalization.uses(c, s))

    # each use once, with the index at which it comes up first
    uses: dict[tuple[str, int], tuple[int, Connection]] = {}
    for segment in tree.segments():
        for moment in segment.moments:
            for _, firing in moment.fires:
                for c in firing:
                    at, _ = uses.get((c.name, moment.step), (moment.index, c))
                    uses[c.name, moment.step] = min(at, moment.index), c
    for what, has in (("weights", weighted), ("scales and shifts", scaled)):
        lacking = [(at - 1, c, s) for (_, s), (at, c) in uses.items() if not has(c, s)]
        if lacking:
            last_helps = what != "weights" and all(scaled(c, s, "last") for _, c, s in lacking)
            end, steps = min(end for end, _, _ in lacking), max(c.length for c in tree.courses)
            raise SimulationError(
                f"the network has {what} of its own for each step, and they end at step "
                f"{network.steps}; the protocol takes {steps} steps from its first picture on: "
                f"shorten it to {_when(protocol, end)}"
                + (", or use --beyond last" if last_helps else "")
            )


def _uses(network: Network, tree: Tree, kept: frozenset[int]) -> list[_Use]:
    """List every use of statistics in a run, each once, with a course that it comes up in."""
    graph, found, fired = tree.graph, dict[tuple[str, int], _Use](), set[tuple[str, int]]()
    first, last = graph.first.name, graph.last.name
    for segment in tree.segments():
        course = tree.courses[segment.conditions[0]]
        for moment in segment.moments:
            used = []
            if moment.frame is not None:
                used += [(place, 0, first, 0) for place in network.pre_net.sites()]
            if network.post_net.normalize and last in moment.areas and moment.index in kept:
                used.append((last, moment.step, last, moment.step))
            new = [c for _, firing in moment.fires for c in firing
                   if (c.name, moment.step) not in fired]
            fired |= {(c.name, moment.step) for c in new}
            used += [(site, index, c.source, moment.step - 1) for c in new
                     for site, index in normalization.uses(c, moment.step)]
            for site, index, source, read in used:
                if (site, index) not in found:
                    found[site, index] = _Use(site, index, source, read, course)
    return list(found.values())


def readout_instead(graph: AreaGraph, protocol: Protocol, network: str) -> float | None:
    """Settle when to read, in ms, if the last area is empty at the protocol's readout.

    Activity may have left by then in every condition, as it leaves a folded ResNet: the
    last time before at which the area can be read is taken, and said.

    Parameters
    ----------
    graph, protocol
        Who runs what.
    network
        The network's name, for messages.

    Returns
    -------
    float or None
        None if the protocol's readout will do, or there is none.

    Raises
    ------
    SimulationError
        If the area can only be read later.
    """
    at, last = protocol.readout_index, graph.last.name
    if at is None:
        return None
    frames = [[yes or None for yes in protocol.drive(condition, graph.input)]
              for condition in protocol.conditions]
    tree = grow(graph, plan_courses(graph, protocol.conditions, frames),
                [{last}] * (protocol.duration_steps + 1))
    readable = {moment.index for segment in tree.segments()
                for moment in segment.moments if last in moment.areas}
    if at in readable:
        return None
    first = next((t for t in sorted(readable) if t > at), None)
    before = max((t for t in readable if t < at and t in protocol.recorded), default=None)
    problem = (f"the summary of protocol '{protocol.name}' reads at {_when(protocol, at)}, when "
               f"nothing is in {last} of network '{network}': ")
    if before is not None:
        warnings.warn(f"{problem}it is read at {_when(protocol, before)} instead", stacklevel=3)
        return protocol.clock.ms(before)
    raise SimulationError(
        problem + (f"set readout_ms to {protocol.clock.ms(first):g} or later"
                   if first is not None else "make the trial longer"))


def shut_out(graph: AreaGraph, protocol: Protocol, courses: Sequence[Course]) -> str | None:
    """Say which pictures the windows of a graph keep from the readout, if any.

    A folded ResNet, for one, lets a picture in at its first step only: a mask that
    comes later changes nothing. Not meant are pictures too late for any graph.
    """
    first, last = graph.first.name, graph.last.name
    if first == last:
        return None
    distance = _distance(graph, first, last)
    entries = {length: graph.needed([{last}] * (length + 1))
               for length in {course.length for course in courses}}
    for course in courses:
        if course.onset is None:
            continue
        enters = entries[course.length]
        for shown in course.condition.presentations:
            s = shown.start - course.onset
            soon_enough = s + distance <= course.length
            if s > 0 and soon_enough and not graph.firing(s + 1, {first}, enters[s + 1]):
                return (
                    f"{shown.show} at {_when(protocol, shown.start)} (condition "
                    f"{course.condition.name}) cannot reach {last}: the windows ('steps') of this "
                    f"graph's connections let nothing out of {first} that comes then"
                )
    return None


def same_conditions(graph: AreaGraph, protocol: Protocol, tree: Tree) -> list[str]:
    """Say which conditions of a protocol are one and the same for a network, and why.

    Not meant are those in which the protocol itself does the same, as it does at each SOA
    of a mask that is not there.

    Returns
    -------
    list of str
        One sentence for each reason.
    """
    found: dict[str, list[list[str]]] = {}
    for group in tree.alike:
        unlike: dict[Hashable, Condition] = {}
        for number in group:
            one = protocol.conditions[number]
            unlike.setdefault((one.presentations, one.interventions, one.repeat), one)
        if len(unlike) > 1:
            conditions = list(unlike.values())
            found.setdefault(_reason(graph, conditions), []).append(
                [each.name for each in conditions])
    sentences = []
    for reason, groups in found.items():
        if reason == _NOT_RANDOM and sum(map(len, groups)) < len(protocol.conditions):
            continue  # other repeats differ, as with a mask and without one
        first, second = groups[0][:2]
        more = sum(map(len, groups)) - 2
        others = f" ({more} more are the same as others, too)" if more else ""
        sentences.append(f"conditions '{first}' and '{second}' are the same{others}: {reason}")
    return sentences


def _reason(graph: AreaGraph, conditions: Sequence[Condition]) -> str:
    """Say why different conditions make no difference."""
    def count(*parts: Callable[[Condition], Hashable]) -> int:
        return len({tuple(part(each) for part in parts) for each in conditions})

    def onsets(each: Condition) -> Hashable:
        return tuple((shown.picture, shown.start) for shown in each.presentations)

    def done(each: Condition) -> Hashable:
        return each.interventions

    if count(lambda each: each.presentations, done) == 1:
        return _NOT_RANDOM
    if graph.input == "onset" and count(onsets, done) == 1:
        return ("this network takes each picture's onset only, so how long it is on cannot "
                "matter")
    return "what differs between them does not act on this network, or not in time"


def _distance(graph: AreaGraph, first: str, last: str) -> int:
    """Return the connections on the shortest way, whatever their windows."""
    reached, count = {first}, 0
    while last not in reached:
        reached |= {c.target for c in graph.connections if c.source in reached}
        count += 1
    return count


def _calibrated(graph: AreaGraph, steps: int) -> list[frozenset[str]]:
    """Return the areas that calibration populates: with one picture, from index 0 on."""
    return graph.populated(steps, [True] + [graph.input == "sustained"] * steps)


def _never(
    graph: AreaGraph, protocol: Protocol, use: _Use,
    calibrated: Sequence[frozenset[str]], last_helps: bool,
) -> str:
    """Say that a picture comes when it cannot, and when it could."""
    onset, first = use.course.onset or 0, graph.first.name
    # activity where calibration has none stems from a drive where it has none,
    late = next((s for s in range(1, use.read + 1)
                 if use.course.frames[onset + s] is not None and first not in calibrated[s]), None)
    if late is None:  # or from what is done to the network
        return (
            f"in condition {use.course.condition.name} the delays or clamps let activity be in "
            f"{use.source} at t = {use.read}, where calibration, without them, finds nothing"
            + ("; use --beyond last" if last_helps else ": leave them out"))
    possible = [s for s in range(1, len(calibrated)) if first in calibrated[s]]
    near = [*[s for s in possible if s < late][-1:], *[s for s in possible if s > late][:1]]
    advice = [f"show it at {' or '.join(_when(protocol, onset + s) for s in near)}" if near
              else "show one picture only"]
    if last_helps:
        advice.append("or use --beyond last")
    return (
        f"a later picture at {_when(protocol, onset + late)}, as in condition "
        f"{use.course.condition.name}, cannot be run with this {graph.input} network: it is in "
        f"{use.source} at t = {use.read}, where calibration, which shows one picture, finds "
        f"nothing; {', '.join(advice)}"
    )


def _when(protocol: Protocol, steps: int) -> str:
    return f"{float(steps * protocol.clock.ms_per_step):g} ms (step {steps})"
