"""Where and when a graph normalizes, and the scale and shift it may learn there.

What a site is says :mod:`cortexsim.models.statistics`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..errors import CheckpointError
from ..graph import AreaGraph, Connection
from .engine import site
from .transitions import TRANSITIONS


def sites(graph: AreaGraph) -> dict[str, int]:
    """Return the channels of every site, but for those of the pre-net."""
    channels = {area.name: area.channels for area in graph.areas}
    for c in graph.connections:
        for layer in _layers(c):
            # of layer 0, the projection, the last: those of the target
            channels[site(c, layer)] = graph.channels(c)[layer - 1]
    return channels


def uses(connection: Connection, s: int) -> list[tuple[str, int]]:
    """Return the sites, each with its index, that a connection uses if it fires at step s."""
    before = TRANSITIONS[connection.transition].normalization == "before"
    first = [(connection.source, s - 1)] if before else []
    return first + [(site(connection, layer), s) for layer in _layers(connection)]


def _layers(connection: Connection) -> list[int]:
    """Return the layers of a connection that have a site of their own."""
    kind = TRANSITIONS[connection.transition].normalization
    if kind == "none":
        return []
    if kind == "before":
        return list(range(2, connection.layers + 1))
    projection = [0] if connection.shortcut == "projection" else []
    return [*projection, *range(2, connection.layers + 2)]


def used(graph: AreaGraph, steps: int, drive: Sequence[bool] | None = None) -> dict[str, list[int]]:
    """Return the indices at which connections can use each site in so many steps.

    Parameters
    ----------
    graph
        The graph.
    steps
        The last step.
    drive
        At each index, whether an image drives the first area; by default at every
        one, which populates the most areas.

    Returns
    -------
    dict
        Site to ascending indices; sites that no step uses are absent.
    """
    populated = graph.populated(steps, [True] * (steps + 1) if drive is None else drive)
    found: dict[str, set[int]] = {}
    for s in range(1, steps + 1):
        for c in graph.firing(s, populated[s - 1], graph.names):
            for place, index in uses(c, s):
                found.setdefault(place, set()).add(index)
    return {place: sorted(indices) for place, indices in found.items()}


class ScaleShift(nn.Module):
    """The learned scale and shift of every site, or none, as the graph says.

    They start at 1 and 0, so that a network with them starts as one without.
    A parameter is named after its site: ``"scale V1"``, ``"shift V1>V2:2@3"``.

    Parameters
    ----------
    graph
        Its ``normalization.scale_shift`` says what there is.
    steps
        The longest time to be trained.
    pre_net
        Sites of the pre-net and their channels. They have no time.
    """

    def __init__(self, graph: AreaGraph, steps: int, pre_net: dict[str, int]) -> None:
        super().__init__()
        self.none, self.steps = graph.normalization.scale_shift == "none", steps
        places: Mapping[str, Sequence[int] | None] = {}
        if graph.normalization.scale_shift == "shared":
            places = {place: None for c in graph.connections for place, _ in uses(c, 1)}
        elif graph.normalization.scale_shift == "time-specific":
            places = used(graph, steps)
        if not self.none:
            places = {**places, **dict.fromkeys(pre_net)}
        #: Site to the indices at which it has a scale and a shift; None: the same at all.
        self.indices = dict(sorted(places.items()))
        channels = sites(graph) | pre_net
        for place, indices in self.indices.items():
            for name in [place] if indices is None else [f"{place}@{i}" for i in indices]:
                for kind, start in (("scale", torch.ones), ("shift", torch.zeros)):
                    self.register_parameter(f"{kind} {name}", nn.Parameter(start(channels[place])))

    def at(self, place: str, index: int, beyond: str = "error",
           ) -> tuple[nn.Parameter, nn.Parameter] | None:
        """Return the scale and shift of a site at an index, each of shape (channels,).

        Parameters
        ----------
        place
            The site.
        index
            The index.
        beyond
            ``"error"``, or ``"last"`` to take those of the nearest earlier index
            where there are none.

        Returns
        -------
        tuple or None
            None if the graph has none at all.

        Raises
        ------
        CheckpointError
            If none were trained for that index.
        """
        if self.none:
            return None
        found = self._nearest(place, index, beyond)
        if found is None:
            last_helps = beyond == "error" and self.has(place, index, "last")
            raise CheckpointError(
                f"{place} has a scale and a shift of its own at each step, trained to step "
                f"{self.steps}: at index {index} it has none"
                + ("; ask for the last ones (beyond='last')" if last_helps else ""))
        return getattr(self, f"scale {found}"), getattr(self, f"shift {found}")

    def has(self, place: str, index: int, beyond: str = "error") -> bool:
        """Say whether a site has, at an index, all the scale and shift that the graph wants."""
        return self.none or self._nearest(place, index, beyond) is not None

    def _nearest(self, place: str, index: int, beyond: str) -> str | None:
        """Return the name of what holds for a site at an index."""
        indices = self.indices.get(place, ())
        if indices is None:
            return place
        earlier = [i for i in indices if i == index or (i < index and beyond == "last")]
        return f"{place}@{earlier[-1]}" if earlier else None
