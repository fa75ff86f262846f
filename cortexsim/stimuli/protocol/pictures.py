"""The words for pictures in a protocol file, what masks are made of, and what is done to them."""

from __future__ import annotations

from ...errors import ProtocolError, unknown
from ...schema import NONE, NOTHING
from .. import changes, masks
from .core import DRAWN, GREY, SET, TARGET, Change, Picture, drawn
from .entries import SEQUENCE, STREAM, ChangeValues, Entry
from .reading import Choice, Reading, located
from .values import Level, reference

#: Words for no drive; both read as ``nothing`` in timelines and recordings.
NOTHING_WORDS = (NOTHING, NONE)
#: The mask that can be made of the data set's mean amplitude spectrum.
_OF_SPECTRUM = "phase_scrambled"


def check(reading: Reading, row: int, entry: Entry) -> None:
    """Refuse what no level of a factor could put right.

    Raises
    ------
    ProtocolError
        If a mask's keys are given for what is no mask, or a change is unknown.
    """
    for kind, given in entry.change.items():
        _check_change(reading, kind, given, "timeline", row, "change", kind)
    if entry.of is None:
        return
    name = reference(entry.show)
    shown = [entry.show] if name is None else reading.factors[name]
    if not any(word in masks.REGISTRY for word in shown):
        with located(reading.document, "timeline", row, "of"):
            raise ProtocolError(f"says what a mask is made of, and '{entry.show}' is none: leave "
                                f"it out, or show one of {', '.join(masks.REGISTRY)}")


def picture(choice: Choice, row: int, entry: Entry) -> Picture | None:
    """Return what an entry shows in one condition, None for nothing.

    Raises
    ------
    ProtocolError
        If there is no such picture.
    """
    word, key = choice.value(entry.show, "timeline", row, "show")
    if word in NOTHING_WORDS:
        return None
    plain = (TARGET, GREY, *masks.REGISTRY)
    show = str(word)
    if word not in plain:
        extra = (SEQUENCE, STREAM) if key[0] == "timeline" else ()
        show = _image(choice, show, (*plain[:2], *NOTHING_WORDS, *plain[2:]), extra, *key)
    return Picture(show, _of(choice, row, entry, show), changed(choice, row, entry))


def changed(choice: Choice, row: int, entry: Entry) -> tuple[Change, ...]:
    """Return what an entry does to its pictures in one condition, in order."""
    found = [_change(choice, kind, given, "timeline", row, "change", kind)
             for kind, given in entry.change.items()]
    return tuple(change for change in found if change is not None)


def _image(
    choice: Choice, word: str, before: tuple[str, ...], after: tuple[str, ...], *key: str | int,
) -> str:
    """Return the full name of an image that is drawn, or say what is known beside it."""
    known = (*DRAWN, *choice.reading.sources)
    if word in DRAWN[1:]:
        return f"{word}_1"
    found = drawn(word)
    if found is None or found[0] not in known:
        with located(choice.reading.document, *key):
            raise ProtocolError(
                unknown("picture", word, (*before, *(f"{name}_1" for name in known), *after)))
    return word


def _of(choice: Choice, row: int, entry: Entry, show: str) -> str:
    """Return what a mask is made of; all other pictures are of the target."""
    if entry.of is None or show not in masks.REGISTRY:
        return TARGET
    word, key = choice.value(entry.of, "timeline", row, "of")
    if word == TARGET:
        return TARGET
    if word == SET:
        if show == _OF_SPECTRUM:
            return SET
        if reference(entry.show) is not None:
            return TARGET
        with located(choice.reading.document, *key):
            raise ProtocolError(f"only {_OF_SPECTRUM} can be made of the set's mean spectrum, "
                                f"not {show}")
    return _image(choice, str(word), (TARGET, SET), (), *key)


def _check_change(reading: Reading, kind: str, given: ChangeValues, *key: str | int) -> None:
    with located(reading.document, *key[:-1]):
        if kind not in changes.REGISTRY:
            raise ProtocolError(unknown("change", kind, changes.REGISTRY))
    known = changes.REGISTRY[kind]
    if not isinstance(given, dict):
        given = {known.main: given}
    with located(reading.document, *key):
        for name in given:
            if name not in known.parameters:
                raise ProtocolError(unknown(f"parameter of {kind}", name, known.parameters))
        for name, parameter in known.parameters.items():
            if parameter.default is None and name not in given:
                raise ProtocolError(f"give {name}, as in {kind}: {{{name}: ...}}")


def _change(
    choice: Choice, kind: str, given: ChangeValues, *key: str | int,
) -> Change | None:
    """Return a change with all its values; None where a level says none."""
    known = changes.REGISTRY[kind]
    values: list[tuple[str, float | str]] = []
    for name, parameter in known.parameters.items():
        value: Level
        if isinstance(given, dict) and name in given:
            value, at = choice.value(given[name], *key, name)
        elif not isinstance(given, dict) and name == known.main:
            value, at = choice.value(given, *key)
        else:
            assert parameter.default is not None
            values.append((name, parameter.default))
            continue
        if value == NONE and at[0] == "factors" and NONE not in parameter.words:
            return None
        problem = changes.problem(kind, name, value)
        if problem is not None:
            with located(choice.reading.document, *at):
                raise ProtocolError(problem)
        values.append((name, value))
    return Change(kind, tuple(values))
