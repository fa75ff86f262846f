"""From a protocol file's keys to a protocol, with ``file:line`` in each error."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager

from .. import yamlio
from ..clock import MS_PER_STEP_RANGE, Clock
from ..errors import ProtocolError, unknown
from ..schema import NONE, NOTHING
from . import masks
from .protocol import GREY, OTHER, TARGET, Condition, Picture, Presentation, Protocol
from .protocolfile import (
    SEQUENCE,
    Entry,
    Length,
    Level,
    ProtocolFile,
    factor_problem,
    unknown_factor,
)
from .sequences import SequenceTask

#: Words for no drive; both read as ``nothing`` in timelines and recordings.
NOTHING_WORDS = (NOTHING, NONE)
#: Limits that no experiment reaches; beyond them a number is a slip of the pen.
MAX_STEPS, MAX_CONDITIONS = 100_000, 100_000


def build(document: yamlio.Document) -> Protocol:
    """Turn a document into a protocol.

    Raises
    ------
    ProtocolError
        If it holds none that can be carried out.
    """
    return _Builder(document).protocol()


class _Builder:
    """Gives the keys of one protocol file their meaning."""

    def __init__(self, document: yamlio.Document) -> None:
        self.document = document
        self.file = yamlio.validate(ProtocolFile, document, ProtocolError)
        # one word for nothing among levels, so that analysis knows the plain condition by it
        self.factors = {
            name: [NONE if level in NOTHING_WORDS else level for level in levels]
            for name, levels in self.file.factors.items()
        }

    @contextmanager
    def located(self, *key: str | int) -> Iterator[None]:
        """Put the line of a key before the message of whatever goes wrong inside."""
        try:
            yield
        except ProtocolError as problem:
            dotted = ".".join(str(part) for part in key)
            raise ProtocolError(f"{self.document.where(key)}: {dotted}: {problem}") from None

    def protocol(self) -> Protocol:
        file = self.file
        self.clock = self._clock()
        key, length = (
            ("duration_ms", file.duration_ms) if file.duration_ms else ("duration", file.duration)
        )
        assert length is not None
        with self.located(key):
            if length.factor is not None:
                raise ProtocolError("cannot be a factor: all trials of a recording last as long")
            self.last = self._in_steps(length.value, length.unit)
            if not 1 <= self.last <= MAX_STEPS:
                raise ProtocolError(f"a trial lasts 1 to {MAX_STEPS} steps, not {self.last}")
        self._check_factors()
        conditions = self._conditions()
        recorded = self._recorded()
        readout, evidence = self._summary(recorded)
        # with evidence summed, what its last index asks is to be named
        for key, index in (("readout_ms", readout), ("evidence_ms", max(evidence, default=None))):
            if index is not None and all(c.asked[index] == NOTHING for c in conditions):
                first = min(c.asked.index(name) for c in conditions
                            for name in {*c.asked} - {NOTHING})
                with self.located("summary", key):
                    raise ProtocolError("nothing is to be named then; what is asked begins at "
                                        f"{self.clock.ms(first):g} ms")
        return Protocol(
            name=file.name, description=file.description, citation=file.citation,
            model=file.model, dataset=file.dataset, trials=file.trials, clock=self.clock,
            duration_steps=self.last,
            factors={name: tuple(levels) for name, levels in self.factors.items()},
            conditions=conditions, record=file.record, summary=file.summary,
            recorded=recorded, readout_index=readout, evidence_indices=evidence,
            text=self.document.text,
        )

    def _clock(self) -> Clock:
        rate, low, high = self.file.ms_per_step, *MS_PER_STEP_RANGE
        with self.located("ms_per_step" if rate is not None else "refresh_hz"):
            if rate is not None and not low <= rate <= high and not self.file.any_rate:
                raise ProtocolError(
                    f"{rate:g} ms is outside the {low} to {high} ms that a step stands for; "
                    "if it is meant, add the line 'any_rate: true'"
                )
            return Clock.of(rate, self.file.refresh_hz, self.file.arrival_ms)

    def _check_factors(self) -> None:
        used: set[str] = set()
        for place, entry in enumerate(self.file.timeline):
            times = [time for time in (entry.start, entry.length, entry.lag) if time]
            named = [(key, length.factor) for key, length in times]
            named.append(("show", entry.show[1:] if entry.show.startswith("$") else None))
            for key, name in named:
                if name is not None and name not in self.factors:
                    with self.located("timeline", place, key):
                        raise ProtocolError(unknown_factor(name, self.factors))
            used.update(name for _, name in named if name is not None)
        for name, levels in self.factors.items():
            problem = factor_problem(name, levels)
            if problem is None and name not in used:
                problem = f"the factor '{name}' is used nowhere in the timeline as ${name}"
            if problem is not None:
                with self.located("factors", name):
                    raise ProtocolError(problem)

        rows = [row for row, entry in enumerate(self.file.timeline) if entry.show == SEQUENCE]
        if len(rows) > 1:
            with self.located("timeline", rows[1]):
                raise ProtocolError("a timeline has one sequence at most: show others one by one, "
                                    "as other_1, other_2, ...")

    def _conditions(self) -> tuple[Condition, ...]:
        count = math.prod(len(levels) for levels in self.factors.values())
        if count > MAX_CONDITIONS:
            with self.located("factors"):
                raise ProtocolError(f"more than {MAX_CONDITIONS} conditions, {count}")
        return tuple(
            self._condition(dict(zip(self.factors, places, strict=True)))
            for places in itertools.product(*(range(len(lv)) for lv in self.factors.values()))
        )

    def _condition(self, places: dict[str, int]) -> Condition:
        levels = {name: self.factors[name][place] for name, place in places.items()}
        name = ", ".join(f"{factor}={_plain(level)}" for factor, level in levels.items())
        name = name or self.file.name
        spans: list[tuple[int, int, str, int]] = []
        asked = [TARGET] * (self.last + 1)
        for row, entry in enumerate(self.file.timeline):
            start, stop, show = self._span(row, entry, places, name)
            if entry.show != SEQUENCE:
                spans.append((start, stop, show, row))
                continue
            task = self._task(row, entry, places)
            pictures = [TARGET, *(f"other_{k}" for k in range(1, task.images))]
            ends = [start + (k + 1) * task.steps for k in range(task.images)]
            ends[-1] += task.delay  # as in training, the last stays on until it is answered
            spans += [(start + k * task.steps, min(ends[k], self.last + 1), picture, row)
                      for k, picture in enumerate(pictures)]
            named = [task.asked(t - start) if t >= start else None for t in range(self.last + 1)]
            asked = [NOTHING if place is None else pictures[place] for place in named]
            if not any(place is not None for place in named):
                with self.located("timeline", row):
                    raise ProtocolError("the trial ends before anything is asked")
        spans = sorted(span for span in spans if span[0] < span[1])
        for before, after in itertools.pairwise(spans):
            if after[0] < before[1]:
                with self.located("timeline", after[3]):
                    raise ProtocolError(
                        f"in the condition '{name}' '{after[2]}' begins at "
                        f"{self._ms(after[0])} ms, while '{before[2]}' is on until "
                        f"{self._ms(min(before[1], self.last))} ms"
                    )
        shown = tuple(Presentation(Picture(show), a, b) for a, b, show, _ in spans
                      if show != NOTHING)
        if not shown:
            with self.located("timeline"):
                raise ProtocolError(f"in the condition '{name}' nothing is ever shown")
        return Condition(name, levels, shown, tuple(asked))

    def _span(
        self, row: int, entry: Entry, places: dict[str, int], name: str
    ) -> tuple[int, int, str]:
        """Return first index, index after the last, and what is shown."""
        show = self._show(row, entry.show, places)
        key, begin = entry.start
        start = self._steps(begin, places, "timeline", row, key)
        if entry.length is None:
            if start > self.last:
                with self.located("timeline", row, key):
                    raise ProtocolError(
                        f"in the condition '{name}' '{show}' begins at {self._ms(start)} ms, "
                        f"after the end at {self._ms(self.last)} ms"
                    )
            return start, self.last + 1, show
        key, length = entry.length
        steps = self._steps(length, places, "timeline", row, key)
        stop = start + steps * (entry.images or 1)
        if stop > self.last:
            with self.located("timeline", row, key):
                raise ProtocolError(
                    f"in the condition '{name}' '{show}' is on until {self._ms(stop)} ms, "
                    f"past the end at {self._ms(self.last)} ms"
                )
        return start, stop, show

    def _task(self, row: int, entry: Entry, places: dict[str, int]) -> SequenceTask:
        """Return what a sequence shows and asks."""
        assert entry.images and entry.length
        steps, delay = (
            self._steps(time[1], places, "timeline", row, time[0]) if time else 0
            for time in (entry.length, entry.lag)
        )
        words = {key: word for key, word in (("ask", entry.ask), ("answers", entry.answers))
                 if word is not None}
        with self.located("timeline", row):
            return SequenceTask(entry.images, steps, delay=delay, **words)

    def _show(self, row: int, show: str, places: dict[str, int]) -> str:
        key: tuple[str | int, ...] = ("timeline", row, "show")
        word: Level = show
        if show.startswith("$"):
            name = show[1:]
            key = ("factors", name, places[name])
            word = self.factors[name][places[name]]
        allowed = (TARGET, GREY, *NOTHING_WORDS, *masks.REGISTRY, "other_1")
        allowed += (SEQUENCE,) if key[0] == "timeline" else ()
        if word not in allowed and not OTHER.fullmatch(str(word)):
            with self.located(*key):
                raise ProtocolError(unknown("picture", word, allowed))
        return NOTHING if word in NOTHING_WORDS else str(word)

    def _steps(self, length: Length, places: dict[str, int], *key: str | int) -> int:
        value: Level = length.value
        if length.factor is not None:
            key = ("factors", length.factor, places[length.factor])
            value = self.factors[length.factor][places[length.factor]]
        with self.located(*key):
            return self._in_steps(value, length.unit)

    def _in_steps(self, value: Level, unit: str) -> int:
        if isinstance(value, str):
            raise ProtocolError(f"should be a number of {unit}, got '{value}'")
        if unit == "ms":
            return self.clock.steps(value)
        if not isinstance(value, int) or value < 0:
            raise ProtocolError(f"should be a whole number of steps, got {value}")
        return value

    def _ms(self, index: int) -> str:
        """Say when, counted from the onset of the first index as the timeline is."""
        return f"{float(index * self.clock.ms_per_step):.6g}"

    def _recorded(self) -> range:
        record = self.file.record
        first, last = 0, self.last
        if record.from_ms is not None:
            first = self._index("record", "from_ms", ms=record.from_ms)
        if record.until_ms is not None:
            last = self._index("record", "until_ms", ms=record.until_ms)
        if first > last:
            with self.located("record", "until_ms"):
                raise ProtocolError("the window ends before it begins")
        return range(first, last + 1, record.every)

    def _index(self, *key: str | int, ms: float) -> int:
        """Return the index at a time on the recording's axis."""
        with self.located(*key):
            index = self.clock.index(ms)
            if index > self.last:
                raise ProtocolError(
                    f"{ms:g} ms is past the last index, at {self.clock.ms(self.last):g} ms"
                )
            return index

    def _summary(self, recorded: range) -> tuple[int | None, tuple[int, ...]]:
        summary = self.file.summary
        if summary is None:
            return None, ()
        if summary.by is not None and summary.by not in self.factors:
            with self.located("summary", "by"):
                raise ProtocolError(unknown("factor", summary.by, self.factors))
        readout = self._index("summary", "readout_ms", ms=summary.readout_ms)
        if readout not in recorded:
            with self.located("summary", "readout_ms"):
                raise ProtocolError(f"{summary.readout_ms:g} ms is not among the recorded times")
        if summary.evidence_ms is None:
            return readout, ()
        first, last = (
            self._index("summary", "evidence_ms", place, ms=ms)
            for place, ms in enumerate(summary.evidence_ms)
        )
        evidence = tuple(index for index in recorded if first <= index <= last)
        if not evidence:
            with self.located("summary", "evidence_ms"):
                raise ProtocolError("the window holds none of the recorded times")
        return readout, evidence


def _plain(level: Level) -> str:
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)
