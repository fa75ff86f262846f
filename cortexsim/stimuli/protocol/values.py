"""Numbers, words and times as they stand in a protocol file, any of them a ``$factor``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

#: One level of a factor; the levels of a factor are all numbers or all words.
Level = int | float | str

WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: For the JSON Schema: a reference to a factor, a number of steps.
REFERENCE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": rf"^\${WORD.pattern}$"}
STEPS_SCHEMA: dict[str, Any] = {
    "type": "object", "required": ["steps"], "additionalProperties": False,
    "properties": {"steps": {"anyOf": [{"type": "integer", "minimum": 0}, REFERENCE_SCHEMA]}},
}


@dataclass(frozen=True)
class Length:
    """A time or a duration as it stands in the file: a number or ``$factor``, with its unit."""

    value: int | float | str
    unit: Literal["ms", "steps"]


def reference(value: Any) -> str | None:
    """Return the name of the factor that a value refers to, None for one of its own."""
    return value[1:] if isinstance(value, str) and value.startswith("$") else None


def plain(level: Level) -> str:
    """Write a level as names of conditions have it."""
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)


def is_number(value: Any) -> bool:
    """Tell finite numbers from truth values, words and the rest."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_reference(value: Any) -> bool:
    name = reference(value)
    return name is not None and bool(WORD.fullmatch(name))


def _in_ms(value: Any) -> Length:
    if isinstance(value, dict):
        return check_steps(value)
    if is_number(value) or _is_reference(value):
        return Length(value, "ms")
    raise ValueError("should be a number of milliseconds, a $factor, or {steps: 4}")


def check_steps(value: Any) -> Length:
    """Return the length of ``{steps: 4}``, or raise ValueError."""
    if isinstance(value, dict) and set(value) == {"steps"}:
        count = value["steps"]
        if _is_reference(count) or (is_number(count) and isinstance(count, int) and count >= 0):
            return Length(count, "steps")
        raise ValueError("steps should be a whole number, 0 or more, or a $factor")
    raise ValueError("should be {steps: 4}; a time in milliseconds takes the key that ends in _ms")


def _level(value: Any) -> Level:
    if is_number(value) or (isinstance(value, str) and value.strip() and value[0] != "$"):
        return value  # type: ignore[no-any-return]
    raise ValueError("a factor's level should be a number or a word")


def _number(value: Any) -> Level:
    if is_number(value) or _is_reference(value):
        return value  # type: ignore[no-any-return]
    raise ValueError("should be a number or a $factor")


def _whole(value: Any) -> Level:
    if _is_reference(value) or (is_number(value) and isinstance(value, int)):
        return value  # type: ignore[no-any-return]
    raise ValueError("should be a whole number or a $factor")


def check_level(value: Any) -> Level:
    """Return a level or a reference, or raise ValueError."""
    if _is_reference(value):
        return value  # type: ignore[no-any-return]
    try:
        return _level(value)
    except ValueError:
        raise ValueError("should be a number, a word or a $factor") from None


def _word(value: Any) -> Any:
    if isinstance(value, str) and WORD.fullmatch(value):
        return value
    raise ValueError("should be a word of letters, digits and _, beginning with a letter")


Ms = Annotated[Length, PlainValidator(_in_ms), WithJsonSchema(
    {"anyOf": [{"type": "number", "minimum": 0}, REFERENCE_SCHEMA, STEPS_SCHEMA]})]
Steps = Annotated[Length, PlainValidator(check_steps), WithJsonSchema(STEPS_SCHEMA)]
AnyLevel = Annotated[Level, PlainValidator(_level), WithJsonSchema(
    {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[^$]"}]})]
#: A value of its own or a reference.
NumberOf = Annotated[Level, PlainValidator(_number), WithJsonSchema(
    {"anyOf": [{"type": "number"}, REFERENCE_SCHEMA]})]
CountOf = Annotated[Level, PlainValidator(_whole), WithJsonSchema(
    {"anyOf": [{"type": "integer", "minimum": 0}, REFERENCE_SCHEMA]})]
LevelOf = Annotated[Level, PlainValidator(check_level), WithJsonSchema(
    {"type": ["number", "string"]})]
Word = Annotated[str, BeforeValidator(_word), Field(json_schema_extra={
    "pattern": f"^{WORD.pattern}$"})]
Text = Annotated[str, Field(strict=True, min_length=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1)]


class Part(BaseModel):
    """A model that refuses keys it does not know and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
