"""A protocol's timelines drawn with letters, for ``--dry-run`` and ``cortexsim protocol show``."""

from __future__ import annotations

import string
from collections.abc import Iterable

from ...schema import NOTHING
from .core import (
    GREY,
    OTHER,
    SET,
    TARGET,
    Change,
    Condition,
    Intervention,
    Picture,
    Protocol,
    drawn,
)
from .values import plain

#: Longer trials are drawn with several indices to a letter, and no more conditions than these.
WIDTH, MAX_CONDITIONS = 100, 200
_LETTERS = {TARGET: "T", GREY: "g", NOTHING: "."}
#: For the time that something is done to the network, and for names when letters run out.
_DONE, _MORE = "=", "*"
#: So many levels of a change are listed; of more, the ends.
_LISTED = 4


def draw(protocol: Protocol) -> str:
    """Draw one line a condition under an axis in ms, and under it what is done to the network.

    Where a letter stands for several indices, it is the first among them at which
    something is shown, so that nothing shown is lost.
    """
    drawn_ones = protocol.conditions[:MAX_CONDITIONS]
    timelines = {item.name: protocol.timeline(item) for item in drawn_ones}
    letters = _letters(timelines.values())
    per_letter = -(-(protocol.duration_steps + 1) // WIDTH)
    names = [*timelines, *(f"  {said(done)}" for item in drawn_ones
                           for done in item.interventions)]
    margin = max(len("ms"), *map(len, names)) + 2
    clock, last = protocol.clock, protocol.duration_steps
    count = len(protocol.conditions)
    head = (
        f"{protocol.name}: {count} condition{'' if count == 1 else 's'}, {last} steps of "
        f"{_ms(float(clock.ms_per_step))} ms (indices 0 to {last}, "
        f"{_ms(clock.ms(0))} to {_ms(clock.ms(last))} ms)"
    )
    lines = [head, "ms".ljust(margin) + _axis(protocol, per_letter)]
    for item in drawn_ones:
        lines.append(item.name.ljust(margin)
                     + _row([letters[word] for word in timelines[item.name]], per_letter))
        lines += _done(item, last, per_letter, margin)
    if count > len(drawn_ones):
        lines.append(f"... and {count - len(drawn_ones)} more conditions")
    scale = "" if per_letter == 1 else f"; one letter stands for {per_letter} indices"
    return "\n".join([*lines, _legend(protocol, letters) + scale, *_changes(protocol)])


def said(done: Intervention) -> str:
    """Say what is done to the network and where, without when: ``noise V1, sd 0.2``."""
    value = done.value if isinstance(done.value, str) or done.value is None else plain(done.value)
    how = {"noise": f", sd {value}", "clamp": ", held" if value == "hold" else f" at {value}",
           "scale": f" by {value}", "delay": f", {value} steps"}
    return f"{done.kind} {done.where}{how.get(done.kind, '')}"


def name_of(picture: Picture) -> str:
    """Say what a picture is, without what is done to it: ``phase_scrambled of other_1``."""
    made_of = {TARGET: "", SET: " of the set's spectrum"}
    return picture.show + made_of.get(picture.of, f" of {picture.of}")


def changed(change: Change) -> str:
    """Say what is done to a picture: ``occlude (hidden 0.8, by bubbles, shade 0.5)``."""
    values = ", ".join(f"{name} {plain(value)}" for name, value in change.values)
    return f"{change.kind} ({values})"


def _row(marks: list[str], per_letter: int) -> str:
    empty = _LETTERS[NOTHING]
    parts = (marks[start : start + per_letter] for start in range(0, len(marks), per_letter))
    return "".join(next((mark for mark in part if mark != empty), empty) for part in parts)


def _done(item: Condition, last: int, per_letter: int, margin: int) -> list[str]:
    lines = []
    for done in item.interventions:
        marks = "".join(_DONE if done.start < first + per_letter and first < done.stop else " "
                        for first in range(0, last + 1, per_letter))
        lines.append(f"  {said(done)}".ljust(margin) + marks.rstrip())
    return lines


def _letters(timelines: Iterable[list[str]]) -> dict[str, str]:
    """Give each word that occurs a letter, of its own as long as there are letters."""
    words = dict.fromkeys(word for shown in timelines for word in shown)
    most = max((image[1] for image in map(drawn, words) if image and image[0] == OTHER), default=0)
    letters: dict[str, str] = {}
    for word in words:
        image = drawn(word)
        if image and image[0] == OTHER and most > 9:
            letters[word] = str(image[1] % 10)  # of so many the order is seen, not which it is
            continue
        own = word.upper().replace("_", "") + string.digits + string.ascii_letters
        if image and image[0] == OTHER:
            own = str(image[1]) + own
        choices = _LETTERS.get(word, own)
        taken = {*letters.values(), *_LETTERS.values()} - {_LETTERS.get(word)}
        letters[word] = next((letter for letter in choices if letter not in taken), _MORE)
    return letters


def _legend(protocol: Protocol, letters: dict[str, str]) -> str:
    made: dict[str, list[str]] = {}
    for picture in protocol.pictures:
        made.setdefault(picture.show, []).append(name_of(picture))
    parts: list[str] = []
    numbers = [image[1] for image in map(drawn, letters) if image and image[0] == OTHER]
    least, most = min(numbers, default=0), max(numbers, default=0)
    for word, letter in letters.items():
        image = drawn(word)
        if image and image[0] == OTHER and most > 9:
            parts.append(f"0-9 {OTHER}_{least} to {OTHER}_{most}, the last digit")
        else:
            parts.append(f"{letter} {' or '.join(dict.fromkeys(made.get(word, [word])))}")
    return ", ".join(dict.fromkeys(parts))


def _changes(protocol: Protocol) -> list[str]:
    """Say for each picture that is changed how, with the levels that come up."""
    levels: dict[str, dict[str, dict[str, list[float | str]]]] = {}
    for picture in protocol.pictures:
        for change in picture.changes:
            found = levels.setdefault(picture.show, {}).setdefault(change.kind, {})
            for name, value in change.values:
                found.setdefault(name, []).append(value)
    return [
        f"{show}: " + ", ".join(
            f"{kind} ({', '.join(f'{name} {_list(values)}' for name, values in given.items())})"
            for kind, given in kinds.items())
        for show, kinds in levels.items()
    ]


def _list(values: list[float | str]) -> str:
    texts = [plain(value) for value in dict.fromkeys(values)]
    if len(texts) > _LISTED:
        return f"{texts[0]} to {texts[-1]}"
    *first, last = texts
    return f"{', '.join(first)} or {last}" if first else last


def _axis(protocol: Protocol, per_letter: int) -> str:
    """Write times in ms, each beginning at the letter of its index."""
    places = range(0, protocol.duration_steps // per_letter + 1)
    longest = max(len(_ms(protocol.clock.ms(place * per_letter))) for place in places) + 2
    step = next((count for count in (4, 5, 8, 10, 16, 20) if count >= longest), longest)
    axis = ""
    for place in places[::step]:
        axis = axis.ljust(place) + _ms(protocol.clock.ms(place * per_letter))
    return axis


def _ms(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
