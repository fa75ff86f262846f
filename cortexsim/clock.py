"""Milliseconds and steps: exact arithmetic, never silent rounding.

The state at index ``t`` is the state after ``t`` steps; every connection
takes one step. Durations are decimals in milliseconds, or whole steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from .errors import ProtocolError

#: A step without a chosen rate stands for this range (Liao & Poggio 2016 say
#: "in the order of 10 ms" from area to area; the range is this project's brief).
MS_PER_STEP_RANGE = (10, 20)
#: A nominal display duration may differ from whole refreshes by this much.
REFRESH_TOLERANCE_MS = Fraction(1, 2)
#: Times and rates beyond this are slips of the pen (in ms: eleven days).
LARGEST = 10**9


def _exact(value: float | int | str | Fraction) -> Fraction:
    # str() of a float is its shortest decimal, so 12.5 and 0.1 stay what was typed
    try:
        exact = value if isinstance(value, Fraction) else Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ProtocolError(f"a time or rate must be a finite number, got {value}") from None
    if abs(exact) > LARGEST:
        raise ProtocolError(f"a time or rate must be {LARGEST} at most, got {value}")
    return exact


def _plain(value: Fraction) -> str:
    return f"{float(value):.6g}"


@dataclass(frozen=True)
class Clock:
    """The rate of a protocol: how many milliseconds one step lasts.

    Parameters
    ----------
    ms_per_step
        Milliseconds per step, exact.
    refresh_hz
        The display's rate where that sets the step; durations within 0.5 ms
        of whole refreshes are then accepted.
    arrival_ms
        Delay from image onset to the first area (retina and LGN); shifts the
        axis of time and nothing else.
    """

    ms_per_step: Fraction
    refresh_hz: Fraction | None = None
    arrival_ms: Fraction = Fraction(0)

    @classmethod
    def of(
        cls,
        ms_per_step: float | str | Fraction | None = None,
        refresh_hz: float | str | None = None,
        arrival_ms: float | str = 0,
    ) -> Clock:
        """Build a clock from a step's milliseconds or a display's rate.

        Raises
        ------
        ProtocolError
            If neither or both are given, or a value is not positive.
        """
        if (ms_per_step is None) == (refresh_hz is None):
            raise ProtocolError("give exactly one of ms_per_step and refresh_hz")
        if refresh_hz is not None:
            rate = _exact(refresh_hz)
            if rate <= 0:
                raise ProtocolError(f"refresh_hz must be positive, got {refresh_hz}")
            return cls(_exact(1000 / rate), rate, _exact(arrival_ms))
        assert ms_per_step is not None
        step = _exact(ms_per_step)
        if step <= 0:
            raise ProtocolError(f"ms_per_step must be positive, got {ms_per_step}")
        return cls(step, None, _exact(arrival_ms))

    def steps(self, duration_ms: float | str | Fraction) -> int:
        """Convert a duration to whole steps.

        Parameters
        ----------
        duration_ms
            Milliseconds, taken as the decimal that was typed.

        Returns
        -------
        int
            The number of steps.

        Raises
        ------
        ProtocolError
            If the duration is negative or not a whole number of steps; the
            message names the nearest durations that are.
        """
        duration = _exact(duration_ms)
        if duration < 0:
            raise ProtocolError(f"a time cannot be negative, got {duration_ms} ms")
        below = floor(duration / self.ms_per_step)
        if self.refresh_hz is not None:
            distance, count = min(
                (abs(count * self.ms_per_step - duration), count) for count in (below, below + 1)
            )
            # something that is shown must not become nothing
            if distance <= REFRESH_TOLERANCE_MS and (count > 0 or duration == 0):
                return count
        elif duration == below * self.ms_per_step:
            return below
        near = " and ".join(
            f"{_plain(count * self.ms_per_step)} ms ({count} step{'' if count == 1 else 's'})"
            for count in (below, below + 1)
        )
        raise ProtocolError(
            f"{_plain(duration)} ms is not a whole number of steps of "
            f"{_plain(self.ms_per_step)} ms; the nearest are {near}"
        )

    def index(self, time_ms: float | str | Fraction) -> int:
        """Return the state index at a time in ms after image onset.

        Raises
        ------
        ProtocolError
            If no index lies at that time; the message names the nearest that do.
        """
        since_arrival = _exact(time_ms) - self.arrival_ms
        if since_arrival < 0:
            raise ProtocolError(
                f"{_plain(_exact(time_ms))} ms is before the first index, "
                f"at {_plain(self.arrival_ms)} ms"
            )
        try:
            return self.steps(since_arrival)
        except ProtocolError:
            below = floor(since_arrival / self.ms_per_step)
            near = " and ".join(
                f"{_plain(self.arrival_ms + count * self.ms_per_step)} ms (index {count})"
                for count in (below, below + 1)
            )
            raise ProtocolError(
                f"no index lies at {_plain(_exact(time_ms))} ms; the nearest lie at {near}"
            ) from None

    def ms(self, index: int) -> float:
        """Return the time of a state index in ms after image onset."""
        return float(self.arrival_ms + index * self.ms_per_step)
