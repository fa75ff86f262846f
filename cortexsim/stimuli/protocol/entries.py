"""The entries of a protocol file: presentations of the timeline, and interventions."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from .values import (
    STEPS_SCHEMA,
    CountOf,
    Length,
    Level,
    LevelOf,
    Ms,
    NumberOf,
    Part,
    Steps,
    Text,
    check_level,
    check_steps,
)

#: What an entry shows that stands for several images.
SEQUENCE, STREAM = "sequence", "stream"
#: The keys that only some entries have, and which.
SPECIAL_KEYS = {
    "images": (SEQUENCE, STREAM), "each_ms": (SEQUENCE, STREAM), "each": (SEQUENCE, STREAM),
    "ask": (SEQUENCE,), "answers": (SEQUENCE,), "delay_ms": (SEQUENCE,), "delay": (SEQUENCE,),
    "target": (STREAM,),
}
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
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
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
    """What is shown: an image, a mask, grey, none, a sequence or a stream of images."""
    of: Text | None = None
    """What a mask is made of: target (unless told otherwise), another image, or set (the data
    set's mean amplitude spectrum, for phase_scrambled)."""
    change: dict[str, Annotated[ChangeValues, PlainValidator(_change)]] = Field(
        default_factory=dict)
    """What is done to the picture, in this order: each change with its main parameter, or with its
    parameters by name."""
    at_ms: Ms | None = None
    """Start, in ms from the beginning of the trial."""
    at: Steps | None = None
    """Start in steps: {steps: 4}."""
    after_ms: Ms | None = None
    """Start, in ms from the end of the entry before in the file."""
    after: Steps | None = None
    """The same in steps."""
    for_ms: Ms | None = None
    """How long it is on, in ms."""
    for_: Steps | None = Field(default=None, alias="for")
    """The same in steps."""
    until: Literal["end"] | None = None
    """end: on until the trial ends."""
    times: CountOf | None = None
    """Show it so many times."""
    isi_ms: Ms | None = None
    """Pause between repetitions, or between a stream's images, in ms (unless given, none)."""
    isi: Steps | None = None
    """The same in steps."""
    images: CountOf | None = None
    """How many images a sequence or a stream has."""
    target: CountOf | None = None
    """Of a stream: which of the images is the target, 1 for the first."""
    each_ms: Ms | None = None
    """How long each image of a sequence or a stream is on, in ms."""
    each: Steps | None = None
    """The same in steps."""
    ask: Text | None = None
    """Of a sequence: name the last image so far (unless told otherwise), the first, or the
    previous one."""
    answers: Text | None = None
    """Of a sequence: ask at each image (unless told otherwise), or at the end."""
    delay_ms: Ms | None = None
    """Of a sequence: how much later than its image an answer is asked for, in ms."""
    delay: Steps | None = None
    """The same in steps."""

    @model_validator(mode="after")
    def _keys_go_together(self) -> Entry:
        if len(self._given("at_ms", "at", "after_ms", "after")) != 1:
            raise ValueError("give a start, exactly one of at_ms, at, after_ms and after")
        for key, owners in SPECIAL_KEYS.items():
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
    """Silence an area, a connection (V2>V1) or a kind of connections, or a list of these."""
    noise: Places | None = None
    """Add noise to the activity of an area, of a list of areas, or of all."""
    clamp: Places | None = None
    """Set the activity of an area, of a list of areas, or of all."""
    scale: Places | None = None
    """Multiply the activity of an area, of a list of areas, or of all."""
    delay: Places | None = None
    """Slow a connection (V2>V1) or a kind of connections, or a list of these, all the time."""
    sd: NumberOf | None = None
    """Standard deviation of the noise, in units of the area's root mean square at that time."""
    to: LevelOf | None = None
    """The activity, or hold: as it is when the window begins."""
    by: NumberOf | None = None
    """The factor to multiply with."""
    takes_ms: Ms | None = None
    """How long the connection takes in all, in ms; a step is the usual."""
    takes: Steps | None = None
    """The same in steps."""
    from_ms: Ms | None = None
    """Begin of the window, in ms from the beginning of the trial (unless given, that)."""
    from_: Steps | None = Field(default=None, alias="from")
    """The same in steps."""
    until_ms: Ms | None = None
    """End of the window, in ms from the beginning of the trial."""
    until: Annotated[Length | None, PlainValidator(_end), WithJsonSchema(
        {"anyOf": [{"const": "end"}, STEPS_SCHEMA]})] = None
    """End of the window: end (unless told otherwise), or {steps: 8}."""

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
