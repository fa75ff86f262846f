"""Whether a recording comes out again: some of its chunks are computed once more, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from tqdm import tqdm

from .. import checksums, files, schema, stores
from ..errors import SimulationError
from .batches import Batches, running
from .layout import TEXT, Layout
from .origin import COMPUTED_ON, computer, words
from .plan import Plan

#: On another processor, or with another torch, how far numbers may lie from those recorded,
#: as a share of the largest of their array in the chunk, by the precision of the run. With other
#: instructions of one processor, digits-leaky was 1e-6 and 0.01 off after 30 steps.
TOLERANCE = {"float32": 1e-4, "bf16": 0.1}
#: Next to that, where activity is kept in float16, a step of its numbers.
_HALF = 2.0**-10


@dataclass(frozen=True)
class Difference:
    """How far an array is from what was recorded, where it is farthest.

    Attributes
    ----------
    trial, step
        Where.
    size
        The difference as a share of the array's largest number in that chunk; 1 where one
        of the two is no number, or text differs.
    """

    trial: int
    step: int
    size: float


@dataclass(frozen=True)
class Verification:
    """What came of computing chunks of a recording once more.

    Attributes
    ----------
    path
        The recording.
    chunks, count
        Those that were computed, of so many.
    trials
        How many they hold.
    seed
        Of the choice.
    here, there
        The kinds of computers that they were computed on, now and then.
    tolerance
        The largest difference that rounding explains; 0 on the same kind of computer.
    differences
        By the path of an array, where its numbers are not the same.
    arrays
        How many were compared.
    damaged
        Those of the chunks that are no longer as they were written.
    repair
        What to type to have them computed anew.
    """

    path: Path
    chunks: tuple[int, ...]
    count: int
    trials: int
    seed: int
    here: str
    there: tuple[str, ...]
    tolerance: float
    differences: Mapping[str, Difference]
    arrays: int
    damaged: tuple[int, ...]
    repair: str

    @property
    def wrong(self) -> dict[str, Difference]:
        """The arrays that differ by more than rounding explains, the worst first."""
        beyond = {path: one for path, one in self.differences.items() if one.size > self.tolerance}
        return dict(sorted(beyond.items(), key=lambda item: -item[1].size))

    def problem(self) -> str | None:
        """Say what is wrong in one sentence, None if nothing is."""
        if self.damaged:
            return (f"{self.path} is damaged: chunk {self.damaged[0]} of {self.count} is not as it "
                    f"was written{_more(len(self.damaged) - 1, 'chunk')}; compute it anew with: "
                    f"{self.repair}")
        if not self.wrong:
            return None
        path, worst = next(iter(self.wrong.items()))
        limit = (f"more than the {self.tolerance:.2g} that rounding explains"
                 if self.tolerance else "on the same kind of computer")
        return (f"{self.path} does not come out again: {path} differs most in trial {worst.trial} "
                f"at step {worst.step}, by {worst.size:.2g} of its largest number, {limit}"
                f"{_more(len(self.wrong) - 1, 'array')}")

    def __str__(self) -> str:
        """Say it in a few lines."""
        numbers = ", ".join(map(str, self.chunks))
        lines = [f"computed   chunk{'s' * (len(self.chunks) > 1)} {numbers} of {self.count} once "
                 f"more, {self.trials} trials, drawn with seed {self.seed}"]
        same = self.arrays - len(self.differences)
        lines.append(f"the same   {same} of {self.arrays} arrays")
        lines += [f"differs    {path} by up to {one.size:.2g} of its largest number, in trial "
                  f"{one.trial} at step {one.step}" for path, one in self.differences.items()]
        if self.differences:
            lines.append(f"here       {self.here}")
            lines += [f"recorded   {name}" for name in self.there or ("it does not say on what",)]
            lines.append("expected   the same numbers" if not self.tolerance else
                         f"expected   differences up to {self.tolerance:.2g}, by rounding")
        return "\n".join(lines)


def verify(plan: Plan, path: Path, begun: Mapping[str, Any], *, chunks: int, seed: int,
           progress: bool = True) -> Verification:
    """Compute some chunks of a complete recording once more, and compare; change nothing.

    Parameters
    ----------
    plan
        Of the recording, from :func:`cortexsim.simulation.again.plan_again`.
    path
        The recording.
    begun
        Its attributes.
    chunks
        How many, drawn with `seed`; all if there are fewer.
    progress
        Show a progress bar, if on a terminal.

    Raises
    ------
    SimulationError
        If fewer than one chunk is asked for, or activity is no longer finite.
    """
    if chunks < 1:
        raise SimulationError(f"{chunks} chunks to verify? ask for 1 or more")
    layout = plan.layout
    drawn = np.random.default_rng(seed).permutation(layout.chunks)[:chunks]
    chosen = tuple(sorted(drawn.tolist()))
    there = [dict(one) for one in begun.get(COMPUTED_ON, ())]
    here = computer(plan.device)
    # a recording that does not say what computed it may be from anywhere
    exact = bool(there) and all(one == here for one in there)
    root = zarr.open_group(stores.store(path), mode="r")
    done = checksums.written(checksums.array_at(root, schema.DONE))
    found: dict[str, Difference] = {}
    damaged = []
    with running(plan):
        batches = Batches(plan)
        for chunk in tqdm(chosen, unit="chunk", disable=None if progress else True):
            rows = checksums.rows_of(layout.trials, layout.chunk_trials, chunk)
            recorded = _read(root, layout, rows)
            if recorded is None or checksums.checksum(recorded, layout.orders) != done[chunk]:
                damaged.append(chunk)
                continue
            buffers = batches.compute(chunk)
            buffers.wait()
            for name, values in recorded.items():
                new = buffers.values[name][: rows.stop - rows.start]
                worst = _difference(values, new, layout, rows.start)
                if worst and (name not in found or found[name].size < worst.size):
                    found[name] = worst
    return Verification(
        path, chosen, layout.chunks, sum(map(layout.trials_in, chosen)), seed, words(here),
        tuple(map(words, there)), 0.0 if exact else _tolerance(plan), found,
        len(layout.arrays), tuple(damaged), files.going_on(path, begun))


def _tolerance(plan: Plan) -> float:
    return TOLERANCE[plan.precision] + _HALF * (plan.layout.record.dtype == "float16")


def _read(root: zarr.Group, layout: Layout, rows: slice) -> dict[str, NDArray[Any]] | None:
    """Return what is recorded of some trials, None where that cannot be decoded."""
    try:
        return {name: np.asarray(checksums.array_at(root, name)[rows]) for name in layout.arrays}
    except checksums.UNREADABLE:
        return None


def _difference(old: NDArray[Any], new: NDArray[Any], layout: Layout,
                first: int) -> Difference | None:
    """Return where two arrays (trial, time, ...) differ most, None if nowhere."""
    if old.dtype == TEXT or old.dtype.kind in "biu":
        apart = (old != new).astype(np.float64)
    else:
        with np.errstate(invalid="ignore"):
            largest = np.nanmax(np.abs(old[np.isfinite(old)]), initial=0.0) or 1.0
            apart = np.abs(new.astype(np.float64) - old) / float(largest)
        apart[np.isnan(old) & np.isnan(new)] = 0
        apart[np.isnan(apart)] = 1  # one of them is no number
    if not apart.any():
        return None
    trial, place, *_ = np.unravel_index(int(apart.argmax()), apart.shape)
    return Difference(first + int(trial), layout.indices[int(place)], float(apart.max()))


def _more(count: int, what: str) -> str:
    return f" (and {count} more {what}{'s' * (count > 1)})" if count else ""
