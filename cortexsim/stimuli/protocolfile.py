"""The keys of a protocol file and what each may hold; :mod:`.protocol` gives them meaning."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from ..errors import unknown
from ..schema import COLUMNS, NONE, RESERVED

#: One level of a factor; the levels of a factor are all numbers or all words.
Level = int | float | str

#: What an entry shows that stands for several images, and the keys that are for it alone.
SEQUENCE = "sequence"
_OF_SEQUENCES = ("images", "each_ms", "each", "ask", "answers", "delay_ms", "delay")

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Length:
    """A time or a duration as it stands in the file: a number or ``$factor``, with its unit."""

    value: int | float | str
    unit: Literal["ms", "steps"]

    @property
    def factor(self) -> str | None:
        """Name of the factor it refers to, or None for a plain number."""
        return self.value[1:] if isinstance(self.value, str) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("$") and bool(_WORD.fullmatch(value[1:]))


def _in_ms(value: Any) -> Length:
    if isinstance(value, dict):
        return _in_steps(value)
    if _is_number(value) or _is_reference(value):
        return Length(value, "ms")
    raise ValueError("should be a number of milliseconds, a $factor, or {steps: 4}")


def _in_steps(value: Any) -> Length:
    if isinstance(value, dict) and set(value) == {"steps"}:
        count = value["steps"]
        if _is_reference(count) or (_is_number(count) and isinstance(count, int) and count >= 0):
            return Length(count, "steps")
        raise ValueError("steps should be a whole number, 0 or more, or a $factor")
    raise ValueError("should be {steps: 4}; a time in milliseconds takes the key that ends in _ms")


def _level(value: Any) -> Level:
    if _is_number(value) or (isinstance(value, str) and value.strip() and value[0] != "$"):
        return value  # type: ignore[no-any-return]
    raise ValueError("a factor's level should be a number or a word")


def _word(value: Any) -> Any:
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    raise ValueError("should be a word of letters, digits and _, beginning with a letter")


Ms = Annotated[Length, PlainValidator(_in_ms)]
Steps = Annotated[Length, PlainValidator(_in_steps)]
Word = Annotated[str, BeforeValidator(_word)]
Text = Annotated[str, Field(strict=True, min_length=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1)]


class Part(BaseModel):
    """A model that refuses keys it does not know and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(Part):
    """One presentation of the timeline: what, from when, for how long.

    ``show: sequence`` stands for several pictures one after another: the target,
    then other images of the data set.
    """

    show: Text
    at_ms: Ms | None = None
    at: Steps | None = None
    for_ms: Ms | None = None
    for_: Steps | None = Field(default=None, alias="for")
    until: Literal["end"] | None = None
    images: Count | None = None
    each_ms: Ms | None = None
    each: Steps | None = None
    ask: Text | None = None
    answers: Text | None = None
    delay_ms: Ms | None = None
    delay: Steps | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Entry:
        if (self.at_ms is None) == (self.at is None):
            raise ValueError("give a start, exactly one of at_ms and at")
        ends = (self.for_ms, self.for_, self.until)
        if self.show != SEQUENCE:
            given = [key for key in _OF_SEQUENCES if getattr(self, key) is not None]
            if given:
                raise ValueError(f"{', '.join(given)}: for 'show: {SEQUENCE}' only")
            if ends.count(None) != 2:
                raise ValueError("give exactly one of for_ms, for and until")
            return self
        if ends.count(None) != 3:
            raise ValueError("a sequence is as long as its images: leave out for_ms, for and until")
        if self.images is None:
            raise ValueError("give the number of images")
        if (self.each_ms is None) == (self.each is None):
            raise ValueError("give how long each image is on, exactly one of each_ms and each")
        if self.delay_ms is not None and self.delay is not None:
            raise ValueError("give one of delay_ms and delay, not both")
        return self

    @property
    def start(self) -> tuple[str, Length]:
        """The key of the start and its value."""
        if self.at_ms is not None:
            return "at_ms", self.at_ms
        assert self.at is not None
        return "at", self.at

    @property
    def length(self) -> tuple[str, Length] | None:
        """The key of the duration, or of each image's, and its value; None for ``until: end``."""
        keys = {"for_ms": self.for_ms, "for": self.for_, "each_ms": self.each_ms,
                "each": self.each}
        return next(((key, value) for key, value in keys.items() if value is not None), None)

    @property
    def lag(self) -> tuple[str, Length] | None:
        """The key of the answers' delay and its value; None without one."""
        if self.delay_ms is not None:
            return "delay_ms", self.delay_ms
        return None if self.delay is None else ("delay", self.delay)


class Record(Part):
    """What a recording keeps.

    Parameters
    ----------
    areas
        ``all``, or the names of areas.
    reduce
        ``none``, ``mean`` (over space), or ``units:N`` (N units sampled per area).
    every
        Keep every so many indices.
    from_ms, until_ms
        Window on the recording's axis of time (``arrival_ms`` included), both
        ends kept.
    """

    areas: Literal["all"] | tuple[str, ...] = "all"
    reduce: Annotated[str, Field(strict=True, pattern=r"^(none|mean|units:[1-9][0-9]*)$")] = "none"
    every: Count = 1
    from_ms: Number | None = None
    until_ms: Number | None = None

    @model_validator(mode="before")
    @classmethod
    def _names_of_areas(cls, given: Any) -> Any:
        areas = given.get("areas", "all") if isinstance(given, dict) else "all"
        names = areas if isinstance(areas, list) and areas else ["?", "?"]
        if areas != "all" and not (
            all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
        ):
            raise ValueError("areas should be all, or a list of different names: [V1, IT]")
        return given


class Summary(Part):
    """The one readout of the summary table, fixed before any result is seen.

    Parameters
    ----------
    readout_ms
        Time of the readout, on the recording's axis of time.
    evidence_ms
        First and last time of the readouts whose log-probabilities are summed.
    by
        The factor whose levels are the rows of the table.
    """

    readout_ms: Number
    evidence_ms: Annotated[tuple[Number, Number], Field(strict=False)] | None = None
    by: Text | None = None


class ProtocolFile(Part):
    """A whole protocol file."""

    name: Word
    description: Text | None = None
    citation: Text | None = None
    model: Text | None = None
    dataset: Text | None = None
    trials: Count | None = None
    ms_per_step: Annotated[Number, Field(gt=0)] | None = None
    any_rate: Annotated[bool, Field(strict=True)] = False
    refresh_hz: Annotated[Number, Field(gt=0)] | None = None
    arrival_ms: Annotated[Number, Field(ge=0)] = 0.0
    duration_ms: Ms | None = None
    duration: Steps | None = None
    factors: dict[str, list[Annotated[Level, PlainValidator(_level)]]] = Field(
        default_factory=dict
    )
    timeline: Annotated[list[Entry], Field(min_length=1)]
    record: Record = Record()
    summary: Summary | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> ProtocolFile:
        if (self.ms_per_step is None) == (self.refresh_hz is None):
            raise ValueError("give exactly one of ms_per_step and refresh_hz")
        if (self.duration_ms is None) == (self.duration is None):
            raise ValueError("give exactly one of duration_ms and duration")
        return self


def factor_problem(name: str, levels: list[Level]) -> str | None:
    """Return what is wrong with a factor, or None."""
    if not _WORD.fullmatch(name):
        return f"the factor '{name}' should be a word of letters, digits and _"
    if name in RESERVED:
        return f"the factor '{name}' bears a name that recordings use; choose another name"
    if name in COLUMNS:
        return (
            f"the factor '{name}' bears the name of a column of the results; choose another name"
        )
    if not levels:
        return f"the factor '{name}' has no levels"
    if len({isinstance(level, str) for level in levels}) > 1:
        return f"the levels of the factor '{name}' should be all numbers or all words"
    twice = [level for position, level in enumerate(levels) if level in levels[:position]]
    also = " ('nothing' is the same)" if NONE in twice else ""
    return f"the factor '{name}' has the level {twice[0]} twice{also}" if twice else None


def unknown_factor(name: str, factors: dict[str, list[Level]]) -> str:
    """Say that ``$name`` refers to no factor."""
    return unknown("factor", f"${name}", [f"${factor}" for factor in factors])
