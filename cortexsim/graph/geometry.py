"""Strides, channels and names of the weights that a graph implies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import GraphError

if TYPE_CHECKING:
    from .core import AreaGraph
    from .parts import Connection


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
    rows, columns = join(source.height, target.height), join(source.width, target.width)
    if rows is None or columns is None:
        large, small = sorted((source, target), key=lambda a: -a.height * a.width)
        raise GraphError(
            f"{connection.name}: no stride joins {source.height}x{source.width} ({source.name}) "
            f"and {target.height}x{target.width} ({target.name}); with stride k the "
            f"smaller size must be the larger one divided by k, rounded up, as in "
            f"{large.height}x{large.width} and "
            f"{_nearest(large.height, small.height)}x{_nearest(large.width, small.width)}"
        )
    return rows, columns


def _nearest(large: int, small: int) -> int:
    """Return the size closest to `small` that some stride makes out of `large`."""
    return min({-(-large // k) for k in range(1, large + 1)}, key=lambda n: (abs(n - small), n))


def grows(graph: AreaGraph, connection: Connection) -> bool:
    """Return whether the target is larger than the source in any dimension."""
    source, target = graph.area(connection.source), graph.area(connection.target)
    return target.height > source.height or target.width > source.width


def shrinks(graph: AreaGraph, connection: Connection) -> bool:
    """Return whether the target is smaller than the source in any dimension."""
    source, target = graph.area(connection.source), graph.area(connection.target)
    return target.height < source.height or target.width < source.width


def pre_net_stride(graph: AreaGraph) -> tuple[int, int]:
    """Return the stride from the image to the first area; GraphError if there is none."""
    _, height, width = graph.image
    area = graph.first
    rows, columns = join(height, area.height), join(width, area.width)
    if rows is None or columns is None:
        raise GraphError(
            f"no stride joins the image, {height}x{width}, and the first area '{area.name}', "
            f"{area.height}x{area.width}; the nearest sizes that fit are "
            f"{_nearest(height, area.height)}x{_nearest(width, area.width)}"
        )
    return rows, columns


def middle_channels(graph: AreaGraph, connection: Connection) -> int:
    """Return the mean of source and target channels, rounded down."""
    source, target = graph.area(connection.source), graph.area(connection.target)
    return (source.channels + target.channels) // 2


def kernel_shape(graph: AreaGraph, connection: Connection, layer: int) -> tuple[int, ...]:
    """Return the shape of a layer's weight; see :meth:`AreaGraph.kernel_shape`."""
    if layer not in range(0 if connection.shortcut == "linear" else 1, connection.layers + 1):
        raise GraphError(f"{connection.name}: has no weight of layer {layer}")
    source, target = graph.area(connection.source), graph.area(connection.target)
    middle, larger = middle_channels(graph, connection), grows(graph, connection)
    if layer == 0:
        kernel = stride(graph, connection) if larger else (1, 1)
        ends = (source.channels, target.channels)
    else:
        kernel = (3, 3)
        ends = (
            source.channels if layer == 1 else middle,
            target.channels if layer == connection.layers else middle,
        )
    # only the first layer resizes; a deconvolution's kernel is its adjoint convolution's
    return (*(ends if larger and layer < 2 else ends[::-1]), *kernel)


def weight_key(graph: AreaGraph, connection: Connection, layer: int, step: int) -> str:
    """Name a layer's weight at a step; see :meth:`AreaGraph.weight_key`."""
    if isinstance(connection.tie, tuple) and layer:
        key = connection.tie[layer - 1]
    elif isinstance(connection.tie, str):
        key = f"{connection.tie}:{layer}"
    else:
        key = f"{_unique(graph, connection)}:{layer}"
    return f"{key}@{step}" if graph.weight_sharing(connection) == "per-step" else key


def _unique(graph: AreaGraph, connection: Connection) -> str:
    # connections between the same areas at different steps are different connections
    twins = sum(c.name == connection.name for c in graph.connections)
    return connection.name if twins < 2 else f"{connection.name}[{span(connection)}]"


def span(connection: Connection) -> str:
    """Return a window as text: ``4``, ``1-3`` or ``5-inf``."""
    first, last = connection.steps
    return str(first) if first == last else f"{first}-{'inf' if last is None else last}"
