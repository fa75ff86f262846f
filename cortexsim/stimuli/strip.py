"""A protocol's timelines drawn with letters, for ``--dry-run``."""

from __future__ import annotations

from collections.abc import Iterable

from ..schema import NOTHING
from .protocol import GREY, OTHER, TARGET, Protocol, drawn

#: Longer trials are drawn with several indices to a letter.
WIDTH = 100
_LETTERS = {TARGET: "T", GREY: "g", NOTHING: "."}


def draw(protocol: Protocol) -> str:
    """Draw one line a condition under an axis in ms.

    Where a letter stands for several indices, it is the first among them at which
    something is shown, so that nothing shown is lost.
    """
    timelines = {item.name: protocol.timeline(item) for item in protocol.conditions}
    letters = _letters(timelines.values())
    per_letter = -(-(protocol.duration_steps + 1) // WIDTH)
    margin = max(len("ms"), *(len(name) for name in timelines)) + 2
    clock, last = protocol.clock, protocol.duration_steps
    count = len(protocol.conditions)
    head = (
        f"{protocol.name}: {count} condition{'' if count == 1 else 's'}, {last} steps of "
        f"{_ms(float(clock.ms_per_step))} ms (indices 0 to {last}, "
        f"{_ms(clock.ms(0))} to {_ms(clock.ms(last))} ms)"
    )
    lines = [head, "ms".ljust(margin) + _axis(protocol, per_letter)]
    for name, shown in timelines.items():
        bins = [shown[start : start + per_letter] for start in range(0, last + 1, per_letter)]
        firsts = [next((s for s in part if s != NOTHING), NOTHING) for part in bins]
        lines.append(name.ljust(margin) + "".join(letters[word] for word in firsts))
    legend = ", ".join(f"{letter} {word}" for word, letter in letters.items())
    scale = "" if per_letter == 1 else f"; one letter stands for {per_letter} indices"
    return "\n".join([*lines, legend + scale])


def _letters(timelines: Iterable[list[str]]) -> dict[str, str]:
    """Give each word that occurs a letter of its own."""
    words = dict.fromkeys(word for shown in timelines for word in shown)
    letters: dict[str, str] = {}
    for word in words:
        own = word.upper().replace("_", "") + "0123456789"
        if (drawn(word) or ('', 0))[0] == OTHER:  # by their last digit
            own = word[-1] + own
        choices = _LETTERS.get(word, own)
        taken = {*letters.values(), *_LETTERS.values()} - {_LETTERS.get(word)}
        letters[word] = next(letter for letter in choices if letter not in taken)
    return letters


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
