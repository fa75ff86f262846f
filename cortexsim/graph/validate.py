"""The rules that a whole area graph must keep, and the sentence for each that is broken."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import GraphError, unknown
from . import activity, geometry, sharing
from .validate_parts import (
    INPUTS,
    MAX_AREAS,
    MAX_CHANNELS,
    MAX_CONNECTIONS,
    MAX_SIZE,
    MAX_STEPS,
    POST_NETS,
    SHARING,
    InvalidPartError,
    check_count,
    is_count,
)

if TYPE_CHECKING:
    from .core import AreaGraph
    from .parts import Connection


#: Connections between the same areas that are compared, two by two: those of 140 blocks.
MAX_PAIRS = 10_000


def check_graph(graph: AreaGraph) -> None:
    """Raise GraphError for the first rule that the graph breaks."""
    _check_top(graph)
    _check_sizes(graph)
    _check_image(graph)
    for position, connection in enumerate(graph.connections):
        try:
            _check_ends(graph, connection)
        except GraphError as problem:
            raise InvalidPartError(str(problem), ("connections", position)) from None
    if len(graph.image) == 1:
        geometry.ways(graph)
    _check_duplicates(graph)
    _check_ties(graph)
    sharing.check(graph)
    _check_readout(graph)


def _check_top(graph: AreaGraph) -> None:
    if not graph.areas:
        raise InvalidPartError("an area graph needs at least one area", ("areas",))
    check_count("areas", len(graph.areas), MAX_AREAS)
    check_count("connections", len(graph.connections), MAX_CONNECTIONS)
    seen: dict[str, str] = {}
    for area in graph.areas:
        # folders of a recording are named after areas, and some file systems ignore case
        other = seen.get(area.name.lower())
        if other == area.name:
            raise InvalidPartError(f"area '{other}' is given twice", ("areas", other))
        if other:
            raise InvalidPartError(
                f"area '{area.name}' differs from '{other}' only in case; choose another name",
                ("areas", area.name),
            )
        seen[area.name.lower()] = area.name
    for key, allowed in (("input", INPUTS), ("weights", SHARING), ("post_net", POST_NETS)):
        if getattr(graph, key) not in allowed:
            raise InvalidPartError(unknown(key, getattr(graph, key), allowed), (key,))
    if not is_count(graph.readout_time) or graph.readout_time > MAX_STEPS:
        raise InvalidPartError(
            f"readout_time must be a step from 1 to {MAX_STEPS}, got {graph.readout_time!r}",
            ("readout_time",),
        )


def _check_image(graph: AreaGraph) -> None:
    first, key = graph.first, ("areas", graph.first.name)
    for part in ("mean", "std"):
        given = getattr(graph.pre_net, part)
        if given is not None and len(given) != graph.image[0]:
            raise InvalidPartError(f"pre_net: {part} has {len(given)} numbers, the image "
                                   f"{graph.image[0]} channels", ("pre_net", part))
    if graph.pre_net.layers == 0 and first.shape != graph.image:
        raise InvalidPartError(
            f"without a pre-net the image is the drive, so the first area '{first.name}' must "
            f"have the image's shape {list(graph.image)}, not {list(first.shape)}", key,
        )
    if any(map(operator.gt, first.shape[1:], graph.image[1:])):
        raise InvalidPartError(
            f"the first area '{first.name}', {geometry.by(first.shape[1:])}, is larger than "
            f"the image, {geometry.by(graph.image[1:])}", key,
        )
    try:
        geometry.pre_net_stride(graph)
    except GraphError as problem:
        raise InvalidPartError(str(problem), key) from None


def _check_sizes(graph: AreaGraph) -> None:
    """Either the image and all areas have sizes, or none has."""
    if len(graph.image) not in (1, 3) or not all(is_count(size) for size in graph.image):
        raise InvalidPartError(
            "image must be channels, height and width, whole numbers of 1 or more, got "
            f"{list(graph.image)}", ("image",),
        )
    if graph.image[0] > MAX_CHANNELS or max(graph.image[1:], default=0) > MAX_SIZE:
        raise InvalidPartError(
            f"an image has {MAX_CHANNELS:,} channels and {MAX_SIZE:,} rows and columns at most, "
            f"got {list(graph.image)}", ("image",))
    free = len(graph.image) == 1
    for area in graph.areas:
        if (len(area.shape) == 1) != free:
            raise InvalidPartError(
                f"area '{area.name}' has {'a' if free else 'no'} fixed size and the image has "
                f"{'none' if free else 'one'}: give sizes to the image and all areas, or to none",
                ("areas", area.name),
            )


def _check_ends(graph: AreaGraph, connection: Connection) -> None:
    name, transition = connection.name, connection.transition
    for end in (connection.source, connection.target):
        if end not in graph.names:
            raise GraphError(f"{name}: {unknown('area', end, graph.names)}")
    source, target = graph.area(connection.source), graph.area(connection.target)
    grows, shrinks = geometry.grows(graph, connection), geometry.shrinks(graph, connection)
    sizes = f"{geometry.by(source.shape[1:])} to {geometry.by(target.shape[1:])}"
    shapes = f"{list(source.shape)} and {list(target.shape)}"
    if "identity" in (transition, connection.shortcut) and source.shape != target.shape:
        what = "transition" if transition == "identity" else "shortcut"
        raise GraphError(
            f"{name}: an identity {what} needs areas of equal shape, not {shapes}"
            + ("; use 'linear'" if what == "shortcut" else "")
        )
    if grows and shrinks:
        raise GraphError(f"{name}: from {sizes} one dimension grows and the other shrinks")
    if transition == "max_pool" and (grows or source.channels != target.channels):
        raise GraphError(
            f"{name}: 'max_pool' keeps the channels and never grows, so it cannot join {shapes}"
        )
    if transition in ("brc", "cbr") and grows:
        raise GraphError(f"{name}: the size grows, {sizes}; '{transition}' cannot, use 'brd'")
    if grows and connection.stride_layer > 1:
        raise GraphError(f"{name}: the size grows in the first layer, so stride_layer must be 1")
    if transition == "brd" and (connection.stride or 1) > 1 and not grows:
        raise GraphError(f"{name}: 'brd' with a stride of {connection.stride} makes areas larger, "
                         f"which areas without a fixed size cannot tell")
    if transition == "brd" and shrinks:
        raise GraphError(f"{name}: the size shrinks, {sizes}; 'brd' cannot, use 'brc'")
    geometry.stride(graph, connection)


def _check_duplicates(graph: AreaGraph) -> None:
    by_name: dict[str, list[tuple[int, Connection]]] = {}
    for position, connection in enumerate(graph.connections):
        by_name.setdefault(connection.name, []).append((position, connection))
    pairs = [pair for twins in by_name.values() for pair in itertools.combinations(twins, 2)]
    if len(pairs) > MAX_PAIRS:
        raise InvalidPartError("too many connections lead from one area to another with windows "
                               "of their own: use fewer", ("connections",))
    for (_, one), (position, other) in pairs:
        within = _normalized_within(graph, one), _normalized_within(graph, other)
        if any(a != b for a, b in zip(*within, strict=False)):
            raise InvalidPartError(
                f"{one.name}: two connections between the same areas share their statistics, so "
                "they need the same channels between layers", ("connections", position),
            )
        (_, end), (later, _) = sorted((one.steps, other.steps), key=lambda steps: steps[0])
        if end is None or end >= later:
            raise InvalidPartError(
                f"{one.name}: duplicate connection, both are active at step {later}; two "
                "connections between the same areas need windows ('steps') that do not overlap",
                ("connections", position),
            )


def _normalized_within(graph: AreaGraph, connection: Connection) -> tuple[int, ...]:
    """Return the channels of all that a connection normalizes between its ends, in order."""
    through = geometry.channels(graph, connection)
    return {"brc": through[1:-1], "brd": through[1:-1], "cbr": through[1:]}.get(
        connection.transition, ())


def _check_ties(graph: AreaGraph) -> None:
    seen: dict[str, tuple[str, tuple[Any, ...]]] = {}
    for position, connection in enumerate(graph.connections):
        if connection.tie is None:
            continue
        sharing = graph.weight_sharing(connection)
        for layer in range(not connection.has_map, connection.layers + 1):
            key = geometry.own_key(graph, connection, layer)
            made = (geometry.kernel_shape(graph, connection, layer), sharing)
            owner, known = seen.setdefault(key, (connection.name, made))
            if known != made:
                what = f"{connection.name}: layer {layer} is tied as '{key}' to {owner}, but "
                raise InvalidPartError(what + _differs(made, known), ("connections", position))


def _differs(made: tuple[Any, ...], known: tuple[Any, ...]) -> str:
    if made[0] != known[0]:
        return f"its kernel has the shape {list(made[0])} and the other's {list(known[0])}"
    return f"its weights are {made[1]} and the other's {known[1]}"


def _check_readout(graph: AreaGraph) -> None:
    time, last = graph.readout_time, graph.last.name
    far = max(time + 10, activity.settled(graph))
    possible = [index for index in activity.readout_times(graph, far) if index > 0]
    if not possible:
        raise InvalidPartError(
            f"nothing reaches the last area '{last}': with {graph.input} input no path of active "
            f"connections leads to it from '{graph.first.name}'",
            ("connections",) if graph.connections else ("areas",),
        )
    if time not in possible:
        near = [index for index in possible if index <= time + 10] or possible[:1]
        raise InvalidPartError(
            f"the last area '{last}' is empty at readout time {time}; possible readout times: "
            f"{runs(near)}", ("readout_time",),
        )


def runs(numbers: Sequence[int]) -> str:
    """Write ascending numbers briefly: ``2, 4, 6-9``."""
    parts: list[str] = []
    for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in group]
        parts += [f"{members[0]}-{members[-1]}"] if len(members) > 2 else map(str, members)
    return ", ".join(parts)
