"""How each condition runs: what drives the network at each index, and what is done to it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ..graph import AreaGraph
from ..stimuli.protocol import Condition, Intervention
from .interventions import Actions, resolve


@dataclass(frozen=True)
class Course:
    """How one condition runs, the same for every stimulus.

    Parameters
    ----------
    condition
        The condition.
    frames
        By index, the key of the frame that drives the first area, or None.
    onset
        Index of the first drive, at which the network's clock starts;
        ``None`` if nothing is ever shown.
    actions
        What is done to the network.
    """

    condition: Condition
    frames: tuple[Hashable | None, ...]
    onset: int | None
    actions: Actions

    @property
    def length(self) -> int:
        """Steps from the onset to the end."""
        return 0 if self.onset is None else len(self.frames) - 1 - self.onset


def plan_courses(
    graph: AreaGraph, conditions: Sequence[Condition],
    frames: Sequence[Sequence[Hashable | None]],
) -> tuple[Course, ...]:
    """Settle how conditions run.

    Parameters
    ----------
    graph
        The network's.
    conditions
        What is shown in each, and done.
    frames
        Of each, by index 0 to the last that matters, the key of the frame that drives: for
        the same stimulus, the same key means the same frame; None means none.

    Raises
    ------
    SimulationError
        If the network lacks what an intervention acts on.
    """
    # many conditions have the same ones
    known: dict[tuple[Intervention, ...], Actions] = {}
    courses = []
    for condition, shown in zip(conditions, frames, strict=True):
        done = condition.interventions
        if done not in known:
            known[done] = resolve(graph, done, len(shown) - 1)
        onset = next((t for t, frame in enumerate(shown) if frame is not None), None)
        courses.append(Course(condition, tuple(shown), onset, known[done]))
    return tuple(courses)
