"""Chunks of stimuli, computed in batches that fit into memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray

from .. import devices, schema
from ..errors import SimulationError
from . import memory
from .buffers import Buffers, Chunk
from .course import Course
from .keep import Keep
from .layout import text
from .plan import Plan
from .walk import TOGETHER, walk


class Batches:
    """Computes chunks, in batches that get smaller where memory does not suffice.

    Parameters
    ----------
    plan
        What to run; the network is set up for it (:func:`running`).
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.keep = plan, Keep(plan.layout, plan.device)
        self.size, self.together = plan.layout.microbatch, TOGETHER
        try:
            self.chunk = Chunk(plan.layout, plan.device)
        except Exception as problem:
            if not devices.out_of_memory(problem):
                raise
            raise SimulationError(
                f"there is not enough memory for chunks of {self.size} stimuli in "
                f"{plan.layout.conditions} conditions each ({plan.layout.chunk_bytes / 1e6:,.0f} "
                "MB, twice): give a smaller --batch, or record fewer areas, units or steps"
            ) from None

    def compute(self, chunk: int) -> Buffers:
        """Compute a chunk.

        Returns
        -------
        Buffers
            On a GPU they are filled once they have been waited for. They are used again
            for the chunk after the next.

        Raises
        ------
        SimulationError
            If activity is no longer finite, or memory does not suffice for two stimuli.
        """
        buffers, stimuli = self.chunk.begin(), self.plan.stimuli(chunk)
        for number, course in enumerate(self.plan.courses):
            for path, known in _known(self.plan, course, stimuli).items():
                rows = buffers.values[path][number::len(self.plan.courses)]
                rows[: len(stimuli)] = known
        first = 0
        while first < len(stimuli):
            part = stimuli[first : first + self.size]
            if self._fits(part, first):
                first += len(part)
            else:
                # not where the error is at hand: it holds what was computed
                memory.release()
        self.chunk.end()
        return buffers

    def _fits(self, part: Sequence[int], first: int) -> bool:
        """Compute some stimuli; if memory does not suffice, choose a smaller batch."""
        try:
            batch = self.plan.batch(part, self.size)
            for segment, kept in walk(self.plan, batch, self.keep, together=self.together):
                self.chunk.put(segment.conditions, kept, first, len(part))
        except Exception as problem:
            if not devices.out_of_memory(problem):
                raise
            if self.together:
                warnings.warn("not enough memory for several conditions at a time: going on with "
                              "one after another", stacklevel=2)
                self.together = 0
                return False
            if self.size <= 2:
                raise SimulationError(
                    "there is not enough memory, even for two stimuli at a time: end other "
                    "programs, or choose a smaller network"
                ) from None
            smaller = self.size // 2 + self.size // 2 % 2
            warnings.warn(f"not enough memory for batches of {self.size} stimuli: going on with "
                          f"{smaller}", stacklevel=2)
            self.size = smaller
            return False
        return True


def _known(plan: Plan, course: Course, batch: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Return what is known without the network: what is on, what is to be named, their classes."""
    condition = course.condition
    timeline = plan.movie.shown(condition)
    shown = [timeline[t] for t in plan.layout.indices]
    found: dict[str, NDArray[Any]] = {schema.SHOWN: text(shown)}
    if plan.layout.others:
        asked = [condition.asked[t] for t in plan.layout.indices]
        found[schema.ASKED] = text(asked)
        found[schema.SHOWN_LABEL] = plan.movie.labels(shown, batch, condition.repeat)
        found[schema.ASKED_LABEL] = plan.movie.labels(asked, batch, condition.repeat)
    return found


@contextmanager
def running(plan: Plan) -> Iterator[None]:
    """Set the network up for a run, and its mode back afterwards."""
    was_training = plan.network.training
    plan.network.to(plan.device).eval()
    try:
        with torch.inference_mode(), devices.exact(plan.device):
            yield
    finally:
        plan.network.train(was_training)
