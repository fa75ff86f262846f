"""From a protocol file's keys to a protocol, with ``file:line`` in each error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ... import yamlio
from ...clock import MS_PER_STEP_RANGE, Clock
from ...errors import ProtocolError, unknown
from ...schema import BLANK, NOTHING, REPEAT
from .. import cifar10
from ..datasets import is_folder
from . import factors, interventions, timeline
from .core import DRAWN, GREY, Condition, Picture, Presentation, Protocol
from .file import ProtocolFile
from .reading import Choice, Reading, in_steps, located
from .values import WORD, Level

#: Limits that no experiment reaches; beyond them a number is a slip of the pen.
MAX_STEPS, MAX_PRESENTATIONS = 100_000, 50_000


def build(document: yamlio.Document, folder: Path, *, sent: bool) -> Protocol:
    """Turn a document into a protocol.

    Parameters
    ----------
    document
        The file.
    folder
        The one that paths in it are relative to.
    sent
        Whether it is a file, which may be somebody else's: then it names nothing outside of
        its folder, the current one, and that of the data sets.

    Raises
    ------
    ProtocolError
        If it holds none that can be carried out.
    """
    file = yamlio.validate(ProtocolFile, document, ProtocolError)
    if sent:
        _check_places(file, document, folder)
    clock = _clock(file, document)
    last = _duration(file, clock, document)
    sources = _sources(file, document)
    levels = factors.levels(file, document)
    reading = Reading(document, clock, last, levels, sources)
    conditions = tuple(_conditions(file, reading))
    recorded = _recorded(file, reading)
    readout, evidence = _summary(file, reading, recorded)
    _check_asked(reading, conditions, readout, evidence)
    varied = {name: tuple(each) for name, each in levels.items()}
    if file.repeats > 1:
        varied[REPEAT] = tuple(range(1, file.repeats + 1))
    return Protocol(
        name=file.name, description=file.description, citation=file.citation,
        model=file.model, trials=file.trials, clock=clock, duration_steps=last,
        dataset=None if file.dataset is None else _from_folder(file.dataset, folder),
        sources={name: _from_folder(given, folder) for name, given in file.sources.items()},
        factors=varied, conditions=conditions, record=file.record, summary=file.summary,
        recorded=recorded, readout_index=readout, evidence_indices=evidence,
        text=document.text,
    )


def _clock(file: ProtocolFile, document: yamlio.Document) -> Clock:
    rate, low, high = file.ms_per_step, *MS_PER_STEP_RANGE
    with located(document, "ms_per_step" if rate is not None else "refresh_hz"):
        if rate is not None and not low <= rate <= high and not file.any_rate:
            raise ProtocolError(
                f"{rate:g} ms is outside the {low} to {high} ms that a step stands for; "
                "if it is meant, add the line 'any_rate: true'"
            )
        return Clock.of(rate, file.refresh_hz, file.arrival_ms)


def _duration(file: ProtocolFile, clock: Clock, document: yamlio.Document) -> int:
    key, length = (
        ("duration_ms", file.duration_ms) if file.duration_ms else ("duration", file.duration)
    )
    assert length is not None
    with located(document, key):
        if isinstance(length.value, str):
            raise ProtocolError("cannot be a factor: all trials of a recording last as long")
        last = in_steps(clock, length.value, length.unit)
        if not 1 <= last <= MAX_STEPS:
            raise ProtocolError(f"a trial lasts 1 to {MAX_STEPS} steps, not {last}")
    return last


def _sources(file: ProtocolFile, document: yamlio.Document) -> tuple[str, ...]:
    for name in file.sources:
        with located(document, "sources", name):
            if not WORD.fullmatch(name):
                raise ProtocolError("should be a word of letters, digits and _, beginning with a "
                                    "letter")
            if name in DRAWN:
                raise ProtocolError(f"'{name}_1' is an image of the protocol's own data set: "
                                    "choose another name")
    return tuple(file.sources)


def _check_places(file: ProtocolFile, document: yamlio.Document, folder: Path) -> None:
    # a network's path is one of the current folder, as on the command line
    named = [(("model",), file.model, Path(), "give it with --model"),
             (("dataset",), file.dataset, folder, "give it with --dataset"),
             *((("sources", name), given, folder, "put it there, or set CORTEXSIM_DATA")
               for name, given in file.sources.items())]
    for key, given, base, way in named:
        if given is None or not is_folder(given):
            continue
        roots = [root.resolve() for root in (folder, Path(), cifar10.default_root())]
        with located(document, *key):
            try:
                place = (base / Path(given).expanduser()).resolve()
            except (OSError, RuntimeError, ValueError):  # no such user, a name too long
                raise ProtocolError(f"{given!r} is no folder's name") from None
            if not any(place.is_relative_to(root) for root in roots):
                raise ProtocolError(
                    f"{given!r} is {place}, and a protocol's file names nothing outside of its own "
                    f"folder, the current one and that of the data sets: {way}")


def _from_folder(given: str, folder: Path) -> str:
    """Return a data set's name as it is, and a path as seen from the current folder."""
    if not is_folder(given):
        return given
    path = os.path.normpath(folder / given)
    # still to be told from a name
    return path if os.sep in path or path in (".", "..") else os.path.join(".", path)


def _conditions(file: ProtocolFile, reading: Reading) -> Iterator[Condition]:
    chosen = factors.combinations(file, reading.factors, reading.document, reading.last)
    timeline.check(reading, file.timeline)
    presented = 0
    for places in chosen:
        picked: dict[str, Level] = {
            name: reading.factors[name][places[name]] for name in reading.factors}
        choice = Choice(reading, places, factors.name_of(picked, file.name))
        shown, asked = timeline.read(choice, file.timeline)
        presented += len(shown)
        if presented > MAX_PRESENTATIONS:
            with located(reading.document, "timeline"):
                raise ProtocolError(
                    f"more than {MAX_PRESENTATIONS:,} pictures are shown in all conditions "
                    "together: take out levels, repetitions or images")
        done = tuple(item for row, entry in enumerate(file.interventions)
                     for item in interventions.read(choice, row, entry))
        for repeat in range(1, file.repeats + 1):
            run = picked | {REPEAT: repeat} if file.repeats > 1 else picked
            yield Condition(factors.name_of(run, file.name), run, shown, asked, done,
                            repeat)
    if file.blank:
        if not file.factors and file.repeats == 1 and file.name == BLANK:
            with located(reading.document, "blank"):
                raise ProtocolError(f"its condition is called '{BLANK}', as this protocol is: "
                                    "give the protocol another name")
        yield Condition(BLANK, {}, (Presentation(Picture(GREY), 0, reading.last + 1),),
                        (NOTHING,) * (reading.last + 1))


def _recorded(file: ProtocolFile, reading: Reading) -> range:
    record = file.record
    first, last = 0, reading.last
    if record.from_ms is not None:
        first = _index(reading, "record", "from_ms", ms=record.from_ms)
    if record.until_ms is not None:
        last = _index(reading, "record", "until_ms", ms=record.until_ms)
    if first > last:
        with located(reading.document, "record", "until_ms"):
            raise ProtocolError("the window ends before it begins")
    return range(first, last + 1, record.every)


def _index(reading: Reading, *key: str | int, ms: float) -> int:
    """Return the index at a time on the recording's axis."""
    with located(reading.document, *key):
        index = reading.clock.index(ms)
        if index > reading.last:
            raise ProtocolError(
                f"{ms:g} ms is past the last index, at {reading.clock.ms(reading.last):g} ms"
            )
        return index


def _summary(
    file: ProtocolFile, reading: Reading, recorded: range,
) -> tuple[int | None, tuple[int, ...]]:
    summary = file.summary
    if summary is None:
        return None, ()
    known = [*reading.factors, *([REPEAT] if file.repeats > 1 else [])]
    if summary.by is not None and summary.by not in known:
        with located(reading.document, "summary", "by"):
            raise ProtocolError(unknown("factor", summary.by, known))
    readout = _index(reading, "summary", "readout_ms", ms=summary.readout_ms)
    if readout not in recorded:
        with located(reading.document, "summary", "readout_ms"):
            raise ProtocolError(f"{summary.readout_ms:g} ms is not among the recorded times")
    if summary.evidence_ms is None:
        return readout, ()
    first, last = (
        _index(reading, "summary", "evidence_ms", place, ms=ms)
        for place, ms in enumerate(summary.evidence_ms)
    )
    evidence = tuple(index for index in recorded if first <= index <= last)
    if not evidence:
        with located(reading.document, "summary", "evidence_ms"):
            raise ProtocolError("the window holds none of the recorded times")
    return readout, evidence


def _check_asked(
    reading: Reading, conditions: tuple[Condition, ...], readout: int | None,
    evidence: tuple[int, ...],
) -> None:
    """See that something is to be named when the summary reads."""
    # with evidence summed, what its last index asks is to be named
    for key, index in (("readout_ms", readout), ("evidence_ms", max(evidence, default=None))):
        if index is None or any(c.asked[index] != NOTHING for c in conditions):
            continue
        firsts = [c.asked.index(name) for c in conditions for name in {*c.asked} - {NOTHING}]
        with located(reading.document, "summary", key):
            raise ProtocolError(
                "nothing is to be named then; what is asked begins at "
                f"{reading.clock.ms(min(firsts)):g} ms" if firsts else
                "nothing is ever to be named, as the target is never shown: leave the summary out")
