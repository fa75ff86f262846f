"""What every part of a protocol file is read with: lines for errors, steps for times, levels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ... import yamlio
from ...clock import Clock
from ...errors import ProtocolError
from .values import Length, Level, reference


@contextmanager
def located(document: yamlio.Document, *key: str | int) -> Iterator[None]:
    """Put the line of a key before the message of whatever goes wrong inside."""
    try:
        yield
    except ProtocolError as problem:
        dotted = ".".join(str(part) for part in key)
        raise ProtocolError(f"{document.where(key)}: {dotted}: {problem}") from None


@dataclass(frozen=True)
class Reading:
    """A file while it is read.

    Parameters
    ----------
    document
        The file.
    clock
        Its milliseconds and steps.
    last
        The last index of a trial.
    factors
        The levels of each factor, with one word for nothing.
    sources
        Names of the further sources of images.
    """

    document: yamlio.Document
    clock: Clock
    last: int
    factors: dict[str, list[Level]]
    sources: tuple[str, ...]

    def ms(self, index: int) -> str:
        """Say when, counted from the onset of the first index as the timeline is."""
        return f"{float(index * self.clock.ms_per_step):.6g}"


@dataclass(frozen=True)
class Choice:
    """A file read with one level of each factor.

    Parameters
    ----------
    reading
        The file.
    places
        Which level of each factor it is.
    name
        The condition's.
    """

    reading: Reading
    places: dict[str, int]
    name: str

    def value(self, given: Level, *key: str | int) -> tuple[Level, yamlio.Key]:
        """Return a value, a reference's level in its place, and the key at which it stands."""
        name = reference(given)
        if name is None:
            return given, key
        place = self.places[name]
        return self.reading.factors[name][place], ("factors", name, place)

    def steps(self, length: Length, *key: str | int) -> int:
        """Return a length in steps.

        Raises
        ------
        ProtocolError
            If it is not a whole number of steps, 0 or more.
        """
        value, key = self.value(length.value, *key)
        with located(self.reading.document, *key):
            return in_steps(self.reading.clock, value, length.unit)

    def whole(self, given: Level, least: int, what: str, *key: str | int) -> int:
        """Return a whole number of something.

        Raises
        ------
        ProtocolError
            If it is not one, or too small.
        """
        value, key = self.value(given, *key)
        if not isinstance(value, int) or value < least:
            with located(self.reading.document, *key):
                raise ProtocolError(f"should be a whole number of {what}, {least} or more, "
                                    f"got {value!r}")
        return value


def in_steps(clock: Clock, value: Level, unit: str) -> int:
    """Convert a time in ``ms`` or ``steps`` to whole steps.

    Raises
    ------
    ProtocolError
        If it is none.
    """
    if isinstance(value, str):
        raise ProtocolError(f"should be a number of {unit}, got '{value}'")
    if unit == "ms":
        return clock.steps(value)
    if not isinstance(value, int) or value < 0:
        raise ProtocolError(f"should be a whole number of steps, got {value}")
    return value
