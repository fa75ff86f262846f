"""Verdicts: Student's interval, and what it says of a range."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cortexsim.analysis.verdict import HELD, NOT_HELD, UNDECIDED, verdict
from cortexsim.errors import CortexSimError

numbers = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=3, max_size=8)


def test_three_seeds_by_hand():
    # t(0.975, 2) = 4.3027, the standard error of 1, 2, 3 is 1 / sqrt(3)
    found = verdict("more", [1, 2, 3])
    assert found.mean == 2
    assert found.interval == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-4)
    assert found.outcome == UNDECIDED  # it reaches below 0
    assert found.numbers == "2.00 [-0.48, 4.48] points; seeds: 1.00, 2.00, 3.00"


@given(numbers)
def test_the_interval_is_scipys_and_the_outcome_is_the_tests(values):
    found = verdict("more", values)
    low, high = found.interval
    result = stats.ttest_1samp(values, 0).confidence_interval() if len(set(values)) > 1 else None
    if result is not None:
        assert (low, high) == pytest.approx((result.low, result.high), rel=1e-6, abs=1e-9)
    assert found.outcome == (HELD if low > 0 else NOT_HELD if high <= 0 else UNDECIDED)


@given(numbers, st.floats(-50, 50), st.floats(0.1, 50))
def test_a_claim_and_its_opposite_never_both_hold(values, lowest, width):
    inside = verdict("in", values, lowest, lowest + width)
    above, below = (verdict("out", values, lowest + width), verdict("out", values, -math.inf,
                                                                    lowest))
    assert [inside.outcome, above.outcome, below.outcome].count(HELD) <= 1
    if inside.outcome == NOT_HELD:
        low, high = inside.interval
        assert low >= lowest + width or high <= lowest


@pytest.mark.parametrize(("values", "says"), [
    ([], "not measured"), ([5.0], "5.00 points; seeds: 5.00"), ([5.0, 5.1], "5.05 [4.41, 5.69]"),
    ([5.0, math.nan], "5.00 points; seeds: 5.00"),
])
def test_fewer_than_three_seeds_decide_nothing(values, says):
    found = verdict("more", values)
    assert found.outcome == UNDECIDED and found.numbers.startswith(says)
    assert str(found).startswith("undecided: more (")


def test_an_empty_range_is_refused():
    with pytest.raises(CortexSimError, match="no number lies between 2 and 1"):
        verdict("odd", [1, 2, 3], 2, 1)
