"""Strides, channels and names of the weights that a graph implies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import GraphError
from .validate_parts import InvalidPartError

if TYPE_CHECKING:
    from .core import AreaGraph
    from .parts import Connection, PreNet
    from .sharing import Use


def join(one: int, other: int) -> int | None:
    """Return the smallest stride that joins two sizes, or None.

    A 3x3 convolution with padding 1 and stride k takes ``n`` to ``ceil(n / k)``;
    the deconvolution of the same stride is its adjoint and goes the other way.
    """
    large, small = max(one, other), min(one, other)
    # ceil(large / k) falls as k grows, so only the first k that gets to `small` or below counts
    k = 1 if large == small else -(-large // small)
    return k if -(-large // k) == small else None


def stride(graph: AreaGraph, connection: Connection) -> tuple[int, int]:
    """Return the stride in height and width; GraphError if none joins the sizes."""
    source, target = graph.area(connection.source), graph.area(connection.target)
    given = connection.stride
    if len(source.shape) == 1:
        return given or 1, given or 1
    pairs = list(zip(source.shape[1:], target.shape[1:], strict=True))
    if given is not None:
        if any(-(-max(pair) // given) != min(pair) for pair in pairs):
            raise GraphError(
                f"{connection.name}: a stride of {given} does not join "
                f"{by(source.shape[1:])} ({source.name}) and {by(target.shape[1:])} ({target.name})"
            )
        return given, given
    rows, columns = (join(*pair) for pair in pairs)
    if rows is None or columns is None:
        large, small = sorted((source.shape, target.shape), key=lambda shape: -shape[1] * shape[2])
        raise GraphError(
            f"{connection.name}: no stride joins {by(source.shape[1:])} ({source.name}) "
            f"and {by(target.shape[1:])} ({target.name}); with stride k the "
            f"smaller size must be the larger one divided by k, rounded up, as in "
            f"{by(large[1:])} and {_nearest(large[1], small[1])}x{_nearest(large[2], small[2])}"
        )
    return rows, columns


def by(sizes: Sequence[int]) -> str:
    """Write sizes as text: ``64x32x32``."""
    return "x".join(map(str, sizes))


def _nearest(large: int, small: int) -> int:
    """Return the size closest to `small` that some stride makes out of `large`."""
    # sizes fall as k grows: the nearest are those of the strides on either side of the quotient
    quotient = max(large // small, 1)
    return min((-(-large // k) for k in (quotient, quotient + 1)),
               key=lambda n: (abs(n - small), n))


def grows(graph: AreaGraph, connection: Connection) -> bool:
    """Return whether the target is larger than the source in any dimension."""
    source, target = graph.area(connection.source).shape, graph.area(connection.target).shape
    return any(after > before for before, after in zip(source[1:], target[1:], strict=True))


def shrinks(graph: AreaGraph, connection: Connection) -> bool:
    """Return whether the target is smaller than the source in any dimension."""
    source, target = graph.area(connection.source).shape, graph.area(connection.target).shape
    return any(after < before for before, after in zip(source[1:], target[1:], strict=True))


def pre_net_stride(graph: AreaGraph) -> tuple[int, int]:
    """Return the stride from the image to the first area; GraphError if there is none."""
    given, pool, area = graph.pre_net.stride, graph.pre_net.pool, graph.first
    if len(graph.image) == 1:
        return given or 1, given or 1
    pairs = list(zip(graph.image[1:], area.shape[1:], strict=True))
    if given is not None or pool > 1:
        given = given or 1
        made = tuple(_after(size, graph.pre_net) for size in graph.image[1:])
        if made != area.shape[1:]:
            raise GraphError(
                f"the pre-net makes {by(made)} of the image, {by(graph.image[1:])} "
                f"(stride {given}, pool {pool}); the first area '{area.name}' has "
                f"{by(area.shape[1:])}"
            )
        return given, given
    rows, columns = (join(*pair) for pair in pairs)
    if rows is None or columns is None:
        raise GraphError(
            f"no stride joins the image, {by(graph.image[1:])}, and the first area '{area.name}', "
            f"{by(area.shape[1:])}; the nearest sizes that fit are "
            f"{'x'.join(str(_nearest(*pair)) for pair in pairs)}"
        )
    return rows, columns


def _after(size: int, pre_net: PreNet) -> int:
    """Return what a pre-net of given strides makes of a size."""
    convolved = -(-size // (pre_net.stride or 1))
    return -(-convolved // pre_net.pool)


def ways(graph: AreaGraph) -> dict[str, int]:
    """Return the product of the strides on the way from the first area to each other.

    It must be the same on all ways to an area without a fixed size: then, and only then,
    images of any size bring maps of one size to it. Areas that nothing reaches are absent.

    Raises
    ------
    GraphError
        With the connection that brings another size.
    """
    strides = {graph.first.name: 1}
    reached = list(strides)
    for here in reached:  # grows as areas are found
        for position, c in enumerate(graph.connections):
            if c.source != here:
                continue
            made = strides[here] * (c.stride or 1)
            known = strides.setdefault(c.target, made)
            if known != made:
                raise InvalidPartError(
                    f"{c.name}: it brings maps of 1/{made} of the first area's size to "
                    f"'{c.target}', which has 1/{known} by another way; the strides of all ways "
                    "to an area must have the same product", ("connections", position))
            if c.target not in reached:
                reached.append(c.target)
    return strides


def for_image(graph: AreaGraph, height: int, width: int) -> AreaGraph:
    """Give every area its size; see :meth:`AreaGraph.for_image`."""
    if len(graph.image) > 1:
        if graph.image[1:] != (height, width):
            raise GraphError(f"the graph takes images of {by(graph.image[1:])}, not "
                             f"{height}x{width}")
        return graph
    strides = ways(graph)
    lost = [name for name in graph.names if name not in strides]
    if lost:
        raise GraphError(f"no connections lead from '{graph.first.name}' to '{lost[0]}', so that "
                         "its size does not follow from the image's: leave it out, or connect it")
    rows, columns = (_after(size, graph.pre_net) for size in (height, width))
    areas = [replace(area, height=-(-rows // strides[area.name]),
                     width=-(-columns // strides[area.name])) for area in graph.areas]
    return replace(graph, areas=tuple(areas), image=(*graph.image, height, width))


def channels(graph: AreaGraph, connection: Connection) -> tuple[int, ...]:
    """Return the channels before, between and after layers; see :meth:`AreaGraph.channels`."""
    first = graph.area(connection.source).channels
    last = graph.area(connection.target).channels
    between = connection.middle or ((first + last) // 2,) * (connection.layers - 1)
    return first, *between, last


def kernel_shape(graph: AreaGraph, connection: Connection, layer: int) -> tuple[int, ...]:
    """Return the shape of a layer's weight; see :meth:`AreaGraph.kernel_shape`."""
    if layer not in range(0 if connection.has_map else 1, connection.layers + 1):
        raise GraphError(f"{connection.name}: has no weight of layer {layer}")
    larger, through = grows(graph, connection), channels(graph, connection)
    if layer == 0:
        kernel = stride(graph, connection) if larger else (1, 1)
        ends = (through[0], through[-1])
    else:
        kernel = (connection.kernel_size(layer),) * 2
        ends = (through[layer - 1], through[layer])
    # only the first layer resizes upwards; a deconvolution's kernel is its adjoint convolution's
    return (*(ends if larger and layer < 2 else ends[::-1]), *kernel)


def weight_key(graph: AreaGraph, connection: Connection, layer: int, step: int) -> str:
    """Name a layer's weight at a step; see :meth:`AreaGraph.weight_key`."""
    shared = graph.sharing_set(connection, step)
    if shared:
        return f"{shared}:{layer}"
    key = own_key(graph, connection, layer)
    return f"{key}@{step}" if graph.weight_sharing(connection) == "per-step" else key


def own_key(graph: AreaGraph, connection: Connection, layer: int) -> str:
    """Name a layer's weight as its connection and tie do, whatever the step and sharing sets."""
    if isinstance(connection.tie, tuple) and layer:
        return connection.tie[layer - 1]
    word = connection.tie if isinstance(connection.tie, str) else _unique(graph, connection)
    return f"{word}:{layer}"


def _unique(graph: AreaGraph, connection: Connection) -> str:
    # connections between the same areas at different steps are different connections
    twins = sum(c.name == connection.name for c in graph.connections)
    return connection.name if twins < 2 else f"{connection.name}[{span(connection)}]"


def span(part: Connection | Use) -> str:
    """Return a window as text: ``4``, ``1-3`` or ``5-inf``."""
    first, last = part.steps
    return str(first) if first == last else f"{first}-{'inf' if last is None else last}"
