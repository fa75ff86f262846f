"""What several seeds say of a claim: a mean with its spread, and whether the claim held.

A claim says in which range a number lies, such as a difference of two errors above 0. Each
seed gives one number; their mean has a 95 % interval from Student's t, as a few numbers allow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..errors import CortexSimError

HELD, NOT_HELD, UNDECIDED = "held", "did not hold", "undecided"
#: Seeds below which nothing is said.
FEWEST = 3


@dataclass(frozen=True)
class Verdict:
    """What seeds say of a claim.

    Parameters
    ----------
    claim
        A sentence.
    values
        One number for each seed, such as the difference of two networks' errors.
    lowest, highest
        The range in which the claim says that the number lies, ends excluded.
    unit
        Of the numbers: ``"points"`` for percentage points.
    confidence
        Of the interval.

    Raises
    ------
    CortexSimError
        If the range is empty.
    """

    claim: str
    values: tuple[float, ...]
    lowest: float = 0.0
    highest: float = math.inf
    unit: str = "points"
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not self.lowest < self.highest:
            raise CortexSimError(f"'{self.claim}': no number lies between {self.lowest:g} and "
                                 f"{self.highest:g}")

    @property
    def mean(self) -> float:
        """Of the seeds; NaN without any."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean, by Student's t; infinite for fewer than two seeds."""
        count = len(self.values)
        if count < 2:
            return -math.inf, math.inf
        half = float(stats.t.ppf((1 + self.confidence) / 2, count - 1)
                     * np.std(self.values, ddof=1) / math.sqrt(count))
        return self.mean - half, self.mean + half

    @property
    def outcome(self) -> str:
        """Whether the interval lies within the claimed range, apart from it, or neither.

        ``"undecided"`` too with fewer than three seeds.
        """
        low, high = self.interval
        if len(self.values) < FEWEST:
            return UNDECIDED
        if self.lowest < low and high < self.highest:
            return HELD
        return NOT_HELD if high <= self.lowest or self.highest <= low else UNDECIDED

    @property
    def numbers(self) -> str:
        """Mean, interval and every seed in words."""
        if not self.values:
            return "not measured"
        low, high = self.interval
        spread = (f" [{low:.2f}, {high:.2f}]" if math.isfinite(low) else "")
        each = ", ".join(f"{value:.2f}" for value in self.values)
        return f"{self.mean:.2f}{spread} {self.unit}; seeds: {each}"

    def __str__(self) -> str:
        """Return outcome, claim and numbers as one line."""
        return f"{self.outcome}: {self.claim} ({self.numbers})"


def verdict(claim: str, values: Sequence[float], lowest: float = 0.0,
            highest: float = math.inf, unit: str = "points") -> Verdict:
    """Judge a claim from one number for each seed; numbers that are NaN are left out."""
    kept = tuple(float(value) for value in values if not math.isnan(value))
    return Verdict(claim, kept, lowest, highest, unit)
