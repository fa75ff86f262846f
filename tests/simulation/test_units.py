"""Sampled units are spread over channels and positions."""

from __future__ import annotations

import numpy as np
import pytest

from cortexsim.simulation.record import sample_units


@pytest.mark.parametrize("shape, count", [
    ((24, 16, 16), 500), ((5, 7, 3), 20), ((4, 2, 2), 16), ((9, 1, 1), 4),
])
def test_units_are_distinct_and_even(shape, count):
    units = sample_units("V1", shape, count, 0)
    assert units.shape == (count, 3) and len(np.unique(units, axis=0)) == count
    assert (units >= 0).all() and (units < shape).all()
    per_channel = np.bincount(units[:, 0], minlength=shape[0])
    assert np.ptp(per_channel) <= 2
    if min(shape[1:]) >= 4:
        quarters = np.bincount(2 * (units[:, 1] >= shape[1] / 2) + (units[:, 2] >= shape[2] / 2))
        assert quarters.min() > 0.9 * count / 4


def test_the_seed_and_the_area_choose():
    one = sample_units("V1", (8, 8, 8), 50, 0)
    np.testing.assert_array_equal(one, sample_units("V1", (8, 8, 8), 50, 0))
    assert not np.array_equal(one, sample_units("V1", (8, 8, 8), 50, 1))
    assert not np.array_equal(one, sample_units("V2", (8, 8, 8), 50, 0))


def test_more_units_than_there_are_means_all():
    units = sample_units("IT", (2, 3, 2), 99, 0)
    expected = np.stack(np.unravel_index(np.arange(12), (2, 3, 2)), axis=1)
    np.testing.assert_array_equal(units, expected)
