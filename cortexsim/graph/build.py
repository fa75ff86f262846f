"""Area graphs by rule: a chain of areas with the usual connections."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from ..errors import GraphError, unknown
from .core import AreaGraph
from .normalization import Normalization
from .parts import Area, Connection, PreNet

CONNECTIVITY = ("adjacent", "full")


def chain(
    names: Sequence[str],
    connectivity: str = "adjacent",
    *,
    channels: Sequence[int] | None = None,
    sizes: Sequence[int | tuple[int, int]] | None = None,
    self_transitions: bool = True,
    feedback: bool = True,
    bypass: bool | None = None,
    shortcut: str = "identity",
    gain: float = 1.0,
    input: str = "sustained",
    weights: str = "shared",
    readout_time: int = 10,
    image: tuple[int, ...] = (3, 32, 32),
    pre_net: PreNet | None = None,
    normalization: Normalization | None = None,
    name: str = "",
) -> AreaGraph:
    """Connect areas in order; see :meth:`AreaGraph.chain`."""
    if connectivity not in CONNECTIVITY:
        raise GraphError(unknown("connectivity", connectivity, CONNECTIVITY))
    if len(image) != 3:
        raise GraphError(f"a chain needs an image of channels, height and width, got {list(image)}")
    pre_net = pre_net or PreNet()
    direct = image if pre_net.layers == 0 else None
    areas = _areas(names, channels, sizes, image, direct)
    if bypass is None:
        bypass = connectivity == "full"
    reach = len(areas) if bypass else 1
    # a gain without an identity shortcut would have nothing to act on
    lateral_gain = gain if shortcut == "identity" else 1.0
    connections = []
    for i, source in enumerate(areas):
        for j, target in enumerate(areas):
            if i == j and self_transitions:
                connections.append(
                    Connection(source.name, source.name, shortcut=shortcut, gain=lateral_gain)
                )
            elif i != j and abs(i - j) <= reach and (feedback or j > i):
                larger = any(map(operator.gt, target.shape[1:], source.shape[1:]))
                transition = "brd" if larger else "brc"
                connections.append(Connection(source.name, target.name, transition))
    return AreaGraph(
        areas, tuple(connections), image=image, input=input, weights=weights,
        readout_time=readout_time, pre_net=pre_net, name=name,
        normalization=normalization or Normalization(),
    )


def _areas(
    names: Sequence[str],
    channels: Sequence[int] | None,
    sizes: Sequence[int | tuple[int, int]] | None,
    image: tuple[int, ...],
    direct: tuple[int, ...] | None,
) -> tuple[Area, ...]:
    count = len(names)
    for what, given in (("channels", channels), ("sizes", sizes)):
        if given is not None and len(given) != count:
            raise GraphError(
                f"{what}: {len(given)} given for {count} areas ({', '.join(names)}); give one "
                "for each"
            )
    if channels is None:
        channels = _default_channels(count)
        channels = [direct[0], *channels[1:]] if direct and channels else channels
    if sizes is None:
        sizes = _default_sizes(count, image)
        sizes = [(direct[1], direct[2]), *sizes[1:]] if direct and sizes else sizes
    shapes = [(size, size) if isinstance(size, int) else tuple(size) for size in sizes]
    if any(len(shape) != 2 for shape in shapes):
        raise GraphError("sizes: each must be one number, or height and width")
    return tuple(
        Area(name, channel, shape[0], shape[1])
        for name, channel, shape in zip(names, channels, shapes, strict=True)
    )


def _default_channels(count: int) -> list[int]:
    """Return 24, 32, 48, 64 for four areas; else doubling from 32 to at most 256."""
    return [24, 32, 48, 64] if count == 4 else [min(32 << i, 256) for i in range(count)]


def _default_sizes(count: int, image: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return 16, 8, 8, 4 for four areas on 32x32 images; else halving down to an eighth."""
    halvings = [1, 2, 2, 3] if count == 4 else [min(i + 1, 3) for i in range(count)]
    # rounded up at each halving, which is what a convolution of stride 2 does
    return [(-(-image[1] // 2**n), -(-image[2] // 2**n)) for n in halvings]
