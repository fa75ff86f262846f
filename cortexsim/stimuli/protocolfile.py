"""The keys of a protocol file and what each may hold; :mod:`.protocol` gives them meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from ..errors import unknown
from ..schema import COLUMNS, NONE, RESERVED
from .protocolvalues import (
    WORD,
    AnyLevel,
    Count,
    CountOf,
    Length,
    Level,
    LevelOf,
    Ms,
    Number,
    NumberOf,
    Part,
    Steps,
    Text,
    Word,
    check_level,
    check_steps,
)

#: What an entry shows that stands for several images.
SEQUENCE, STREAM = "sequence", "stream"
#: The keys that only some entries have, and which.
_ONLY = {
    "images": (SEQUENCE, STREAM), "each_ms": (SEQUENCE, STREAM), "each": (SEQUENCE, STREAM),
    "ask": (SEQUENCE,), "answers": (SEQUENCE,), "delay_ms": (SEQUENCE,), "delay": (SEQUENCE,),
    "target": (STREAM,),
}
#: What ``reduce`` may be.
REDUCTIONS = r"^(none|mean|summary|units:[1-9][0-9]*)$"
#: What can be done to the network, and the key that says how much.
INTERVENTIONS: dict[str, tuple[str, ...]] = {
    "lesion": (), "noise": ("sd",), "clamp": ("to",), "scale": ("by",),
    "delay": ("takes_ms", "takes"),
}

#: A change's main parameter, or its parameters by name.
ChangeValues = Level | dict[str, Level]


def _change(value: Any) -> ChangeValues:
    if not isinstance(value, dict):
        return check_level(value)
    return {name: check_level(inner) for name, inner in value.items()}


def _places(value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, list) and value else [value]
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError("should be a word, or a list of words")
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ValueError(f"names {twice} twice")
    return tuple(names)


def _end(value: Any) -> Length | None:
    if value == "end":
        return None
    try:
        return check_steps(value)
    except ValueError:
        raise ValueError("should be end, or steps as in {steps: 4}; a time in milliseconds takes "
                         "the key that ends in _ms") from None


Places = Annotated[tuple[str, ...], PlainValidator(_places), WithJsonSchema(
    {"anyOf": [{"type": "string"},
               {"type": "array", "items": {"type": "string"}, "minItems": 1,
                "uniqueItems": True}]})]


class Entry(Part):
    """One presentation of the timeline: what, from when, for how long.

    ``show: sequence`` stands for several pictures one after another: the target,
    then other images of the data set; ``show: stream`` for other images with the
    target among them.
    """

    show: Text
    of: Text | None = None
    change: dict[str, Annotated[ChangeValues, PlainValidator(_change)]] = Field(
        default_factory=dict)
    at_ms: Ms | None = None
    at: Steps | None = None
    after_ms: Ms | None = None
    after: Steps | None = None
    for_ms: Ms | None = None
    for_: Steps | None = Field(default=None, alias="for")
    until: Literal["end"] | None = None
    times: CountOf | None = None
    isi_ms: Ms | None = None
    isi: Steps | None = None
    images: CountOf | None = None
    target: CountOf | None = None
    each_ms: Ms | None = None
    each: Steps | None = None
    ask: Text | None = None
    answers: Text | None = None
    delay_ms: Ms | None = None
    delay: Steps | None = None

    @model_validator(mode="after")
    def _keys_go_together(self) -> Entry:
        if len(self._given("at_ms", "at", "after_ms", "after")) != 1:
            raise ValueError("give a start, exactly one of at_ms, at, after_ms and after")
        for key, owners in _ONLY.items():
            if self.show not in owners and getattr(self, key) is not None:
                only = " or ".join(f"'show: {owner}'" for owner in owners)
                raise ValueError(f"{key}: for {only} only")
        for one, other in (("isi_ms", "isi"), ("delay_ms", "delay")):
            if len(self._given(one, other)) == 2:
                raise ValueError(f"give one of {one} and {other}, not both")
        if self.show in (SEQUENCE, STREAM):
            self._check_images()
        else:
            self._check_picture()
        return self

    def _check_picture(self) -> None:
        if len(self._given("for_ms", "for_", "until")) != 1:
            raise ValueError("give exactly one of for_ms, for and until")
        if self.times is not None and self.until is not None:
            raise ValueError("what is on until the end cannot be repeated: give for_ms or for "
                             "with times")
        if self.times is None and self.gap is not None:
            raise ValueError(f"{self.gap[0]} is the pause between repetitions: give times, too")

    def _check_images(self) -> None:
        given = self._given("for_ms", "for_", "until")
        if given:
            raise ValueError(f"a {self.show} is as long as its images: leave out for_ms, for and "
                             "until")
        if self._given("times", "of"):
            raise ValueError(f"{', '.join(self._given('times', 'of'))}: not for 'show: "
                             f"{self.show}'")
        if self.images is None:
            raise ValueError("give the number of images")
        if len(self._given("each_ms", "each")) != 1:
            raise ValueError("give how long each image is on, exactly one of each_ms and each")
        if self.show == SEQUENCE and self.gap is not None:
            raise ValueError(f"{self.gap[0]}: the images of a sequence follow each other at once")
        if self.show == STREAM and self.target is None:
            raise ValueError("give the target's place among the images, as in target: 4")

    def _given(self, *names: str) -> list[str]:
        return [name for name in names if getattr(self, name) is not None]

    def _time(self, *keys: str) -> tuple[str, Length] | None:
        """Return the key among these that is given, as the file has it, and its value."""
        for key in keys:
            value = getattr(self, "for_" if key == "for" else key)
            if value is not None:
                return key, value
        return None

    @property
    def start(self) -> tuple[str, Length]:
        """The key of the start and its value."""
        found = self._time("at_ms", "at", "after_ms", "after")
        assert found is not None
        return found

    @property
    def follows(self) -> bool:
        """Whether the start counts from the end of the entry before."""
        return self.start[0] in ("after_ms", "after")

    @property
    def length(self) -> tuple[str, Length] | None:
        """The key of the duration, or of each image's, and its value; None for ``until: end``."""
        return self._time("for_ms", "for", "each_ms", "each")

    @property
    def gap(self) -> tuple[str, Length] | None:
        """The key of the pause between repetitions or images and its value; None without one."""
        return self._time("isi_ms", "isi")

    @property
    def lag(self) -> tuple[str, Length] | None:
        """The key of the answers' delay and its value; None without one."""
        return self._time("delay_ms", "delay")


class InterventionEntry(Part):
    """Something done to the network: exactly one of lesion, noise, clamp, scale and delay."""

    lesion: Places | None = None
    noise: Places | None = None
    clamp: Places | None = None
    scale: Places | None = None
    delay: Places | None = None
    sd: NumberOf | None = None
    to: LevelOf | None = None
    by: NumberOf | None = None
    takes_ms: Ms | None = None
    takes: Steps | None = None
    from_ms: Ms | None = None
    from_: Steps | None = Field(default=None, alias="from")
    until_ms: Ms | None = None
    until: Annotated[Length | None, PlainValidator(_end)] = None

    @model_validator(mode="after")
    def _keys_go_together(self) -> InterventionEntry:
        kinds = [kind for kind in INTERVENTIONS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of {', '.join(INTERVENTIONS)}")
        (kind,) = kinds
        needed = INTERVENTIONS[kind]
        for other, keys in INTERVENTIONS.items():
            wrong = [key for key in keys if key not in needed and getattr(self, key) is not None]
            if wrong:
                raise ValueError(f"{wrong[0]}: for {other} only")
        if needed and sum(getattr(self, key) is not None for key in needed) != 1:
            raise ValueError(f"a {kind} needs exactly one of {' and '.join(needed)}"
                             if len(needed) > 1 else f"give {needed[0]}, as {kind} needs it")
        window = [key for key in ("from_ms", "from_", "until_ms", "until")
                  if key in self.model_fields_set]
        if kind == "delay" and window:
            raise ValueError(f"a delay lasts the whole trial: leave out {window[0].rstrip('_')}")
        if self.from_ms is not None and self.from_ is not None:
            raise ValueError("give one of from_ms and from, not both")
        if self.until_ms is not None and "until" in self.model_fields_set:
            raise ValueError("give one of until_ms and until, not both")
        return self

    @property
    def kind(self) -> str:
        """What is done."""
        return next(kind for kind in INTERVENTIONS if getattr(self, kind) is not None)

    @property
    def where(self) -> tuple[str, ...]:
        """Areas, connections, kinds of connections or references, as the file has them."""
        places: tuple[str, ...] = getattr(self, self.kind)
        return places

    @property
    def amount(self) -> tuple[str, Level | Length] | None:
        """The key that says how much and its value; None for lesions."""
        return next(((key, getattr(self, key)) for key in INTERVENTIONS[self.kind]
                     if getattr(self, key) is not None), None)

    @property
    def begin(self) -> tuple[str, Length] | None:
        """The key of the window's start and its value; None without one."""
        if self.from_ms is not None:
            return "from_ms", self.from_ms
        return ("from", self.from_) if self.from_ is not None else None

    @property
    def end(self) -> tuple[str, Length] | None:
        """The key of the window's end and its value; None for the end of the trial."""
        if self.until_ms is not None:
            return "until_ms", self.until_ms
        return ("until", self.until) if self.until is not None else None


class Record(Part):
    """What a recording keeps.

    Parameters
    ----------
    areas
        ``all``, or the names of areas.
    reduce
        ``none``, ``mean`` (over space), ``units:N`` (N units sampled per area), or
        ``summary`` (numbers that describe the whole area, no activity).
    dtype
        Numbers that activity is kept in.
    summaries
        Numbers kept for each area at each index beside its root mean square: ``mean``,
        ``norm``, ``sparseness``, ``distance`` (to the index before).
    every
        Keep every so many indices.
    from_ms, until_ms
        Window on the recording's axis of time (``arrival_ms`` included), both
        ends kept.
    """

    areas: Literal["all"] | tuple[str, ...] = "all"
    reduce: Annotated[str, Field(strict=True, pattern=REDUCTIONS)] = "none"
    dtype: Literal["float32", "float16"] = "float32"
    summaries: tuple[Literal["mean", "norm", "sparseness", "distance"], ...] = ()
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

    @model_validator(mode="after")
    def _different_summaries(self) -> Record:
        if len({*self.summaries}) < len(self.summaries):
            raise ValueError(f"summaries should be different words, got "
                             f"{', '.join(self.summaries)}")
        return self


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
    sources: dict[str, Text] = Field(default_factory=dict)
    trials: Count | None = None
    ms_per_step: Annotated[Number, Field(gt=0)] | None = None
    any_rate: Annotated[bool, Field(strict=True)] = False
    refresh_hz: Annotated[Number, Field(gt=0)] | None = None
    arrival_ms: Annotated[Number, Field(ge=0)] = 0.0
    duration_ms: Ms | None = None
    duration: Steps | None = None
    factors: dict[str, list[AnyLevel]] = Field(default_factory=dict)
    parallel: list[list[Text]] = Field(default_factory=list)
    repeats: Count = 1
    blank: Annotated[bool, Field(strict=True)] = False
    timeline: Annotated[list[Entry], Field(min_length=1)]
    interventions: list[InterventionEntry] = Field(default_factory=list)
    record: Record = Record()
    summary: Summary | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> ProtocolFile:
        if (self.ms_per_step is None) == (self.refresh_hz is None):
            raise ValueError("give exactly one of ms_per_step and refresh_hz")
        if (self.duration_ms is None) == (self.duration is None):
            raise ValueError("give exactly one of duration_ms and duration")
        return self


def factor_problem(name: str, levels: list[Level], parallel: bool) -> str | None:
    """Return what is wrong with a factor, or None.

    Parameters
    ----------
    name, levels
        The factor.
    parallel
        Whether it goes together with others, and so may have a level twice.
    """
    if not WORD.fullmatch(name):
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
    if parallel:
        return None
    twice = [level for position, level in enumerate(levels) if level in levels[:position]]
    also = " ('nothing' is the same)" if NONE in twice else ""
    return f"the factor '{name}' has the level {twice[0]} twice{also}" if twice else None


def unknown_factor(name: str, factors: dict[str, list[Level]]) -> str:
    """Say that ``$name`` refers to no factor."""
    return unknown("factor", f"${name}", [f"${factor}" for factor in factors])
