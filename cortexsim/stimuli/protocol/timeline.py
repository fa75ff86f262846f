"""From the entries of a timeline to what is on at each index of one condition."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import ProtocolError
from ...schema import NOTHING
from ..sequences import SequenceTask
from . import pictures
from .core import TARGET, Picture, Presentation
from .entries import SEQUENCE, STREAM, Entry
from .reading import Choice, Reading, located


@dataclass(frozen=True)
class _Span:
    """A picture, or nothing, that an entry puts at the indices `start` to `stop` - 1."""

    start: int
    stop: int
    row: int
    picture: Picture | None

    @property
    def show(self) -> str:
        return NOTHING if self.picture is None else self.picture.show


def check(reading: Reading, entries: Sequence[Entry]) -> None:
    """Refuse what no level of a factor could put right.

    Raises
    ------
    ProtocolError
        If entries do not fit each other.
    """
    for row, entry in enumerate(entries):
        pictures.check(reading, row, entry)
        if entry.follows and (row == 0 or entries[row - 1].until is not None):
            with located(reading.document, "timeline", row, entry.start[0]):
                raise ProtocolError(
                    "counts from the end of the entry before, "
                    + ("and there is none: give at_ms or at" if row == 0 else
                       "which is the end of the trial: give that one for_ms or for"))
    rows = [row for row, entry in enumerate(entries) if entry.show == SEQUENCE]
    if len(rows) > 1:
        with located(reading.document, "timeline", rows[1]):
            raise ProtocolError("a timeline has one sequence at most: show others one by one, "
                                "as other_1, other_2, ...")


def read(
    choice: Choice, entries: Sequence[Entry],
) -> tuple[tuple[Presentation, ...], tuple[str, ...]]:
    """Return what is shown in one condition, and what is to be named at each index.

    Raises
    ------
    ProtocolError
        If it cannot be shown.
    """
    last = choice.reading.last
    spans: list[_Span] = []
    asked: tuple[str, ...] | None = None
    end = 0
    for row, entry in enumerate(entries):
        key, begin = entry.start
        start = choice.steps(begin, "timeline", row, key) + (end if entry.follows else 0)
        if entry.show == SEQUENCE:
            shown, asked, end = _sequence(choice, row, entry, start)
        elif entry.show == STREAM:
            shown, end = _stream(choice, row, entry, start)
        else:
            shown, end = _picture(choice, row, entry, start)
        spans += shown
    spans = sorted((span for span in spans if span.start < span.stop),
                   key=lambda span: (span.start, span.stop, span.show, span.row))
    for before, after in itertools.pairwise(spans):
        if after.start < before.stop:
            with located(choice.reading.document, "timeline", after.row):
                raise ProtocolError(
                    f"in the condition '{choice.name}' '{after.show}' begins at "
                    f"{choice.reading.ms(after.start)} ms, while '{before.show}' is on until "
                    f"{choice.reading.ms(min(before.stop, last))} ms"
                )
    presentations = tuple(Presentation(span.picture, span.start, span.stop) for span in spans
                          if span.picture is not None)
    if asked is None:
        seen = any(item.show == TARGET for item in presentations)
        asked = (TARGET if seen else NOTHING,) * (last + 1)
    return presentations, asked


def _picture(choice: Choice, row: int, entry: Entry, start: int) -> tuple[list[_Span], int]:
    """Return the spans of one picture, perhaps repeated, and where they end."""
    picture = pictures.picture(choice, row, entry)
    show = NOTHING if picture is None else picture.show
    if entry.length is None:
        last = choice.reading.last
        if start > last:
            with located(choice.reading.document, "timeline", row, entry.start[0]):
                raise ProtocolError(
                    f"in the condition '{choice.name}' '{show}' begins at "
                    f"{choice.reading.ms(start)} ms, after the end at {choice.reading.ms(last)} ms"
                )
        return [_Span(start, last + 1, row, picture)], last + 1
    steps, gap = _length(choice, row, entry), _gap(choice, row, entry)
    times = 1 if entry.times is None else choice.whole(
        entry.times, 0, "times", "timeline", row, "times")
    end = _end(choice, row, entry, start + max(times * (steps + gap) - gap, 0), show)
    starts = range(start, end, steps + gap) if steps else ()
    return [_Span(begin, begin + steps, row, picture) for begin in starts], end


def _stream(choice: Choice, row: int, entry: Entry, start: int) -> tuple[list[_Span], int]:
    """Return the spans of a rapid serial presentation, and where they end."""
    assert entry.images is not None and entry.target is not None
    images = choice.whole(entry.images, 1, "images", "timeline", row, "images")
    place = choice.whole(entry.target, 1, "the target's place", "timeline", row, "target")
    if place > images:
        _, key = choice.value(entry.target, "timeline", row, "target")
        with located(choice.reading.document, *key):
            raise ProtocolError(f"in the condition '{choice.name}' the target is number {place} "
                                f"of {images} images")
    steps, gap = _length(choice, row, entry), _gap(choice, row, entry)
    if steps < 1:
        assert entry.length is not None
        with located(choice.reading.document, "timeline", row, entry.length[0]):
            raise ProtocolError("an image is on for 1 step or more, not 0")
    end = _end(choice, row, entry, start + images * (steps + gap) - gap, STREAM)
    changes = pictures.changed(choice, row, entry)
    names = [f"other_{k}" for k in range(1, images)]
    names.insert(place - 1, TARGET)
    return [
        _Span(begin, begin + steps, row, Picture(name, changes=changes))
        for begin, name in zip(range(start, end, steps + gap), names, strict=True)
    ], end


def _sequence(
    choice: Choice, row: int, entry: Entry, start: int,
) -> tuple[list[_Span], tuple[str, ...], int]:
    """Return the spans of a sequence, what it asks at each index, and where it ends."""
    assert entry.images is not None
    last = choice.reading.last
    images = choice.whole(entry.images, 1, "images", "timeline", row, "images")
    steps = _length(choice, row, entry)
    _end(choice, row, entry, start + images * steps, SEQUENCE)
    delay = choice.steps(entry.lag[1], "timeline", row, entry.lag[0]) if entry.lag else 0
    words = {key: word for key, word in (("ask", entry.ask), ("answers", entry.answers))
             if word is not None}
    with located(choice.reading.document, "timeline", row):
        task = SequenceTask(images, steps, delay=delay, **words)
        named = [task.asked(t - start) if t >= start else None for t in range(last + 1)]
        if not any(place is not None for place in named):
            raise ProtocolError("the trial ends before anything is asked")
    names = [TARGET, *(f"other_{k}" for k in range(1, images))]
    ends = [start + (k + 1) * steps for k in range(images)]
    ends[-1] += delay  # as in training, the last stays on until it is answered
    changes = pictures.changed(choice, row, entry)
    spans = [_Span(start + k * steps, min(ends[k], last + 1), row, Picture(name, changes=changes))
             for k, name in enumerate(names)]
    return spans, tuple(NOTHING if k is None else names[k] for k in named), ends[-1]


def _length(choice: Choice, row: int, entry: Entry) -> int:
    assert entry.length is not None
    return choice.steps(entry.length[1], "timeline", row, entry.length[0])


def _gap(choice: Choice, row: int, entry: Entry) -> int:
    return choice.steps(entry.gap[1], "timeline", row, entry.gap[0]) if entry.gap else 0


def _end(choice: Choice, row: int, entry: Entry, end: int, show: str) -> int:
    """Return where an entry ends, or say that the trial ends before."""
    if end > choice.reading.last:
        assert entry.length is not None
        with located(choice.reading.document, "timeline", row, entry.length[0]):
            raise ProtocolError(
                f"in the condition '{choice.name}' '{show}' is on until "
                f"{choice.reading.ms(end)} ms, past the end at "
                f"{choice.reading.ms(choice.reading.last)} ms"
            )
    return end
