"""The clock: exact, never rounding silently."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexsim.clock import LARGEST, REFRESH_TOLERANCE_MS, Clock
from cortexsim.errors import ProtocolError

rates = st.integers(1, 400).map(lambda tenths: tenths / 10)
counts = st.integers(0, 5000)


@given(rates, counts)
def test_whole_steps_come_back(rate: float, count: int) -> None:
    clock = Clock.of(ms_per_step=rate)
    assert clock.steps(Fraction(str(rate)) * count) == count
    assert clock.index(clock.ms_per_step * count) == count


@given(rates, st.integers(0, 100_000).map(lambda hundredths: hundredths / 100))
def test_a_duration_is_exact_or_an_error(rate: float, duration: float) -> None:
    clock = Clock.of(ms_per_step=rate)
    exact = Fraction(str(duration)) / Fraction(str(rate))
    if exact.denominator == 1:
        assert clock.steps(duration) == exact
    else:
        with pytest.raises(ProtocolError, match="not a whole number of steps"):
            clock.steps(duration)


def test_the_message_names_the_nearest_durations() -> None:
    clock = Clock.of(ms_per_step=12.5)
    with pytest.raises(ProtocolError) as problem:
        clock.steps(30)
    assert str(problem.value) == (
        "30 ms is not a whole number of steps of 12.5 ms; "
        "the nearest are 25 ms (2 steps) and 37.5 ms (3 steps)"
    )
    with pytest.raises(ProtocolError, match=r"0 ms \(0 steps\) and 12.5 ms \(1 step\)"):
        clock.steps(1)


@given(st.integers(1, 2000), counts, st.floats(-0.49, 0.49))
def test_a_display_accepts_nominal_durations(hertz: int, count: int, off: float) -> None:
    clock = Clock.of(refresh_hz=hertz)
    true = clock.ms_per_step * count
    nominal = max(true + Fraction(off), Fraction(0))
    if 0 < nominal <= clock.ms_per_step / 2 or (count == 0 and nominal > 0):
        return  # see the test of flashes that would vanish
    found = clock.steps(nominal)
    assert abs(found * clock.ms_per_step - nominal) <= REFRESH_TOLERANCE_MS
    # the nearest refresh, also where a refresh is shorter than the tolerance
    assert abs(found * clock.ms_per_step - nominal) <= abs(true - nominal)


def test_sixty_hertz() -> None:
    clock = Clock.of(refresh_hz=60)
    assert clock.ms_per_step == Fraction(1000, 60)
    assert [clock.steps(ms) for ms in (0, 17, 16.7, 33, 50, 100)] == [0, 1, 1, 2, 3, 6]
    for wrong in (20, 16, 0.4):  # a flash of 0.4 ms must not become no flash
        with pytest.raises(ProtocolError, match="nearest"):
            clock.steps(wrong)


def test_arrival_shifts_the_axis_and_nothing_else() -> None:
    clock = Clock.of(ms_per_step=10, arrival_ms=35)
    assert clock.steps(50) == 5
    assert clock.ms(0) == 35
    assert clock.ms(5) == 85
    assert clock.index(85) == 5
    with pytest.raises(ProtocolError, match=r"85 ms \(index 5\) and 95 ms \(index 6\)"):
        clock.index(90)
    with pytest.raises(ProtocolError, match="before the first index"):
        clock.index(30)


@pytest.mark.parametrize(
    "given_", [{}, {"ms_per_step": 10, "refresh_hz": 60}, {"ms_per_step": 0}, {"refresh_hz": -1},
               {"ms_per_step": float("nan")}, {"refresh_hz": 1e-300}, {"ms_per_step": "1/0"}],
)
def test_impossible_rates(given_: dict[str, float]) -> None:
    with pytest.raises(ProtocolError):
        Clock.of(**given_)


@pytest.mark.parametrize("duration", [-1, float("inf"), 1e300, "soon", LARGEST + 1])
def test_impossible_durations(duration: float) -> None:
    with pytest.raises(ProtocolError):
        Clock.of(ms_per_step=10).steps(duration)
