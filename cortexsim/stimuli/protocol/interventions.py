"""What a protocol file does to the network, in one condition."""

from __future__ import annotations

import re

from ...errors import ProtocolError
from ...schema import NONE
from .core import Intervention
from .entries import InterventionEntry
from .reading import Choice, located
from .values import Length, Level

#: Kinds of connections, as graphs name them.
CONNECTION_KINDS = ("feedforward", "feedback", "lateral", "bypass")
_CONNECTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]*>[A-Za-z][A-Za-z0-9_-]*")
_AREA = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def read(choice: Choice, row: int, entry: InterventionEntry) -> list[Intervention]:
    """Return what one entry does in one condition: nothing, or something at each place named.

    Raises
    ------
    ProtocolError
        If a place, a value or the window makes no sense whatever the network is.
    """
    start, stop = _window(choice, row, entry)
    value = _amount(choice, row, entry)
    found = []
    for position, given in enumerate(entry.where):
        key: tuple[str | int, ...] = ("interventions", row, entry.kind)
        if (*key, position) in choice.reading.document.lines:  # it stands in a list
            key = (*key, position)
        level, key = choice.value(given, *key)
        if level == NONE:
            continue
        with located(choice.reading.document, *key):
            where = _place(entry.kind, level)
        found.append(Intervention(entry.kind, where, value, start, stop,
                                  choice.reading.document.where(key)))
    return found


def _place(kind: str, level: Level) -> str:
    where = re.sub(r"\s*>\s*", ">", str(level).strip())
    connection = bool(_CONNECTION.fullmatch(where)) or where in CONNECTION_KINDS
    area = bool(_AREA.fullmatch(where)) and where not in CONNECTION_KINDS
    connections = f"a connection such as V2>V1, or one of {', '.join(CONNECTION_KINDS)}"
    if kind == "delay" and not connection:
        raise ProtocolError(f"a delay is of {connections}, not '{level}'")
    if kind == "lesion" and (where == "all" or not (area or connection)):
        raise ProtocolError(f"a lesion is of an area, {connections}, not '{level}'")
    if kind not in ("lesion", "delay") and not area:
        raise ProtocolError(f"{kind} is for the activity of an area, or all, not '{level}'")
    return where


def _amount(choice: Choice, row: int, entry: InterventionEntry) -> float | str | None:
    if entry.amount is None:
        return None
    key, given = entry.amount
    if isinstance(given, Length):
        steps = choice.steps(given, "interventions", row, key)
        if steps < 1:
            _, at = choice.value(given.value, "interventions", row, key)
            with located(choice.reading.document, *at):
                raise ProtocolError("a connection takes one step or more")
        return steps
    value, at = choice.value(given, "interventions", row, key)
    with located(choice.reading.document, *at):
        if key == "to":
            if isinstance(value, str) and value != "hold":
                raise ProtocolError(f"should be a number, or hold (activity stays as it is when "
                                    f"the window begins), got '{value}'")
        elif isinstance(value, str) or value < 0:
            raise ProtocolError(f"{key} should be a number, 0 or more, got {value!r}")
    return value


def _window(choice: Choice, row: int, entry: InterventionEntry) -> tuple[int, int]:
    """Return the first index and the index after the last, within the trial."""
    last = choice.reading.last
    start, stop = 0, last + 1
    if entry.begin is not None:
        key, length = entry.begin
        start = choice.steps(length, "interventions", row, key)
        if start > last:
            with located(choice.reading.document, "interventions", row, key):
                raise ProtocolError(
                    f"in the condition '{choice.name}' it begins at {choice.reading.ms(start)} ms, "
                    f"after the end of the trial at {choice.reading.ms(last)} ms")
    if entry.end is not None:
        key, length = entry.end
        stop = min(choice.steps(length, "interventions", row, key), last + 1)
        if stop <= start:
            with located(choice.reading.document, "interventions", row, key):
                raise ProtocolError(
                    f"in the condition '{choice.name}' it ends at {choice.reading.ms(stop)} ms "
                    f"and begins at {choice.reading.ms(start)} ms, so it never is")
    return start, stop
