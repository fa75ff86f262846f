"""Which areas are populated, which are needed, and so which connections fire.

All of it follows from the graph alone, before any tensor exists.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from .validate_parts import check_known

if TYPE_CHECKING:
    from .core import AreaGraph
    from .parts import Connection


def populated(graph: AreaGraph, steps: int, drive: Sequence[bool]) -> list[frozenset[str]]:
    """Return the populated areas at index 0 to `steps`; see :meth:`AreaGraph.populated`."""
    first = frozenset({graph.first.name})
    edges = {1} | {step + late for c in graph.connections
                   for late, step in enumerate(c.steps) if step is not None}
    # what follows from a state, as long as no window opens or closes
    after: dict[frozenset[str], frozenset[str]] = {}
    history: list[frozenset[str]] = []
    for index in range(steps + 1):
        now: frozenset[str] = frozenset()
        if index:
            if index in edges:
                after.clear()
                active = [(c.source, c.target) for c in graph.connections if c.active(index)]
            before = history[-1]
            if before not in after:
                after[before] = frozenset(target for source, target in active if source in before)
            now = after[before]
        driven = index < len(drive) and drive[index]
        history.append(now | first if driven and not first <= now else now)
    return history


def needed(graph: AreaGraph, wanted: Sequence[Collection[str]]) -> list[frozenset[str]]:
    """Return the areas that can still reach something wanted; see :meth:`AreaGraph.needed`."""
    for name in frozenset().union(*wanted):
        check_known(name, graph.names)
    result = [frozenset(names) for names in wanted]
    for step in range(len(result) - 1, 0, -1):
        after = result[step]
        result[step - 1] |= {
            c.source for c in graph.connections if c.target in after and c.active(step)
        }
    return result


def firing(
    graph: AreaGraph, step: int, sources: Collection[str], targets: Collection[str],
) -> tuple[Connection, ...]:
    """Return the connections to compute at a step; see :meth:`AreaGraph.firing`."""
    return tuple(
        c for c in graph.connections
        if c.active(step) and c.source in sources and c.target in targets
    )


def settled(graph: AreaGraph) -> int:
    """Return an index by which every first arrival there will ever be has happened.

    Windows open and close up to some step. From then on the graph is constant, and
    an area not yet reached is at most as many steps away as there are areas.
    """
    edges = [step for c in graph.connections for step in c.steps if step is not None]
    return max(edges, default=1) + len(graph.areas)


def arrival(graph: AreaGraph, name: str) -> int | None:
    """Return the first index at which an area is populated; see :meth:`AreaGraph.arrival`."""
    check_known(name, graph.names)
    history = populated(graph, settled(graph), [True])
    return next((index for index, areas in enumerate(history) if name in areas), None)


def readout_times(graph: AreaGraph, limit: int) -> list[int]:
    """Return the indices at which the last area can be read; see the method of this name."""
    drive = [True] * (limit + 1) if graph.input == "sustained" else [True]
    history = populated(graph, limit, drive)
    return [index for index, areas in enumerate(history) if graph.last.name in areas]
