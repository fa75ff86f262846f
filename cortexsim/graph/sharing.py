"""Weight sharing sets: transitions at any steps that use the same weights.

The paper's section 3.4: an element of such a set is the weight of the transition
from one area to another at one step. All start from the same values, and each
changes by the sum of the gradients of all (Eq. 6), as one weight does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import GraphError, unknown
from . import geometry
from .validate_parts import InvalidPartError, is_count, is_name, window

if TYPE_CHECKING:
    from .core import AreaGraph
    from .parts import Connection


@dataclass(frozen=True)
class Use:
    """The transition from one area to another, at some steps.

    Parameters
    ----------
    source, target
        Names of areas.
    steps
        First and last step, None has no end; one number is one step.
    """

    source: str
    target: str
    steps: tuple[int, int | None] = (1, None)

    def __post_init__(self) -> None:
        """Settle the form of the steps."""
        steps: Any = self.steps
        object.__setattr__(self, "steps", window(
            (steps, steps) if is_count(steps) else steps, self.name))

    @property
    def name(self) -> str:
        """``source>target``, as of the connections it is about."""
        return f"{self.source}>{self.target}"

    def meets(self, steps: tuple[int, int | None]) -> int | None:
        """Return the first step that is also within a window, or None."""
        (first, last), (start, end) = self.steps, steps
        step = max(first, start)
        return step if all(stop is None or step <= stop for stop in (last, end)) else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as in a YAML file."""
        first, last = self.steps
        steps = first if first == last else [first, "inf" if last is None else last]
        return {"from": self.source, "to": self.target,
                **({} if self.steps == (1, None) else {"steps": steps})}


@dataclass(frozen=True)
class SharingSet:
    """Uses that share their weights, layer by layer.

    Layer ``l`` of all of them is the weight ``name:l``, whatever their connections
    say of weights and ties.

    Parameters
    ----------
    name
        Letters, digits, ``_`` and ``-``, beginning with a letter.
    uses
        At least one.
    """

    name: str
    uses: tuple[Use, ...]

    def __post_init__(self) -> None:
        """Check the name, and that there are uses."""
        object.__setattr__(self, "uses", tuple(self.uses))
        if not is_name(self.name):
            raise InvalidPartError(
                f"sharing set '{self.name}': a name begins with a letter and goes on with "
                "letters, digits, '_' or '-'"
            )
        if not self.uses:
            raise InvalidPartError(f"sharing set '{self.name}' is empty")

    def __str__(self) -> str:
        """Return for example ``early: S1>S1 @1-2, S1>S2``."""
        uses = (use.name if use.steps == (1, None) else f"{use.name} @{geometry.span(use)}"
                for use in self.uses)
        return f"{self.name}: {', '.join(uses)}"


def name_at(graph: AreaGraph, connection: Connection, step: int) -> str | None:
    """Return the set of a connection at a step; see :meth:`AreaGraph.sharing_set`."""
    return next((shared.name for shared in graph.sharing for use in shared.uses
                 if use.name == connection.name and use.meets((step, step))), None)


def starts(graph: AreaGraph, connection: Connection) -> list[int]:
    """Return the steps at which a connection with shared weights may come to another one."""
    uses = [use for shared in graph.sharing for use in shared.uses
            if use.name == connection.name]
    edges = {connection.steps[0]} | {step for use in uses for step in (
        use.steps[0], (use.steps[1] or 0) + 1)}
    return sorted(filter(connection.active, edges))


def covers(graph: AreaGraph, connection: Connection) -> bool:
    """Return whether sets leave a connection no step with a weight of its own."""
    return all(graph.sharing_set(connection, step) for step in starts(graph, connection))


def check(graph: AreaGraph) -> None:
    """Raise InvalidPartError for the first rule that the graph's sharing sets break."""
    ties = {word for c in graph.connections if c.tie
            for word in ((c.tie,) if isinstance(c.tie, str) else c.tie)}
    seen: list[tuple[str, Use]] = []
    for shared in graph.sharing:
        if shared.name in ties or any(shared.name == name for name, _ in seen):
            other = "a tie" if shared.name in ties else "another set"
            raise InvalidPartError(
                f"sharing set '{shared.name}': {other} has this name; choose another",
                ("sharing", shared.name),
            )
        shapes: dict[int, tuple[str, tuple[int, ...]]] = {}
        for position, use in enumerate(shared.uses):
            try:
                found = _connections(graph, use)
                _check_overlap(shared.name, use, seen)
                _check_shapes(graph, found, shapes)
            except GraphError as problem:
                raise InvalidPartError(f"sharing set '{shared.name}': {problem}",
                                       ("sharing", shared.name, position)) from None
            seen.append((shared.name, use))


def _connections(graph: AreaGraph, use: Use) -> list[Connection]:
    for end in (use.source, use.target):
        if end not in graph.names:
            raise GraphError(f"{use.name}: {unknown('area', end, graph.names)}")
    found = [c for c in graph.connections if c.name == use.name and use.meets(c.steps)]
    if not found:
        known = [c for c in graph.connections if c.name == use.name]
        when = ", ".join(geometry.span(c) for c in known)
        raise GraphError(f"{use.name} is not active at steps {geometry.span(use)}, only at {when}"
                         if known else f"no connection leads from {use.source} to {use.target}")
    if not any(c.layers or c.has_map for c in found):
        raise GraphError(f"{use.name}: '{found[0].transition}' has no weights to share")
    return found


def _check_overlap(name: str, use: Use, seen: Sequence[tuple[str, Use]]) -> None:
    for other, earlier in seen:
        step = use.meets(earlier.steps) if earlier.name == use.name else None
        if step:
            where = "twice in it" if other == name else f"in '{other}', too"
            raise GraphError(f"{use.name} at step {step} is {where}; it can only be in one set, "
                             "once")


def _check_shapes(graph: AreaGraph, found: Sequence[Connection],
                  shapes: dict[int, tuple[str, tuple[int, ...]]]) -> None:
    for c in found:
        for layer in range(not c.has_map, c.layers + 1):
            shape = geometry.kernel_shape(graph, c, layer)
            owner, known = shapes.setdefault(layer, (c.name, shape))
            if known != shape:
                raise GraphError(f"the kernel of layer {layer} has the shape {list(shape)} in "
                                 f"{c.name} and {list(known)} in {owner}, so they cannot be one")
