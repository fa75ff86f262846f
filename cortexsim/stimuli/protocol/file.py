"""The keys of a protocol file and what each may hold; :mod:`.core` gives them meaning."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from .entries import Entry, InterventionEntry
from .values import AnyLevel, Count, Ms, Number, Part, Steps, Text, Word

#: What ``reduce`` may be.
REDUCTIONS = r"^(none|mean|summary|units:[1-9][0-9]*)$"


def _reduction(given: Any) -> str:
    if isinstance(given, str) and re.fullmatch(REDUCTIONS, given):
        return given
    raise ValueError("should be none, mean, summary, or units:N with a number, as in units:50")


class Record(Part):
    """What a recording keeps."""

    areas: Literal["all"] | tuple[str, ...] = "all"
    """all, or the names of areas, as in [V1, IT]."""
    reduce: Annotated[str, PlainValidator(_reduction), WithJsonSchema(
        {"type": "string", "pattern": REDUCTIONS})] = "none"
    """none (whole maps), mean (over space), units:N (N units sampled per area), or summary (numbers
    that describe the whole area, no activity)."""
    dtype: Literal["float32", "float16"] = "float32"
    """Numbers that activity is kept in."""
    summaries: tuple[Literal["mean", "norm", "sparseness", "distance"], ...] = ()
    """Numbers kept of each area at each index beside its root mean square; distance is that to the
    index before."""
    every: Count = 1
    """Keep every so many indices."""
    from_ms: Number | None = None
    """Begin of what is kept, on the recording's axis of time (arrival_ms included)."""
    until_ms: Number | None = None
    """End of what is kept, itself included."""

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
    """The one readout of the summary table, fixed before any result is seen."""

    readout_ms: Number
    """Time of the readout, on the recording's axis of time."""
    evidence_ms: Annotated[tuple[Number, Number], Field(strict=False)] | None = None
    """First and last time of the readouts whose log-probabilities are summed."""
    by: Text | None = None
    """The factor whose levels are the rows of the table."""


class ProtocolFile(Part):
    """A whole protocol file."""

    name: Word
    """Name of the experiment; results are called after it."""
    description: Text | None = None
    """What is done, in a sentence."""
    citation: Text | None = None
    """The study it follows."""
    model: Text | None = None
    """The network: one that comes along, or a checkpoint's folder."""
    dataset: Text | None = None
    """The images: digits, digits-clean, cifar10, or a folder (a path with a /, relative to this
    file)."""
    sources: dict[str, Text] = Field(default_factory=dict)
    """Further data sets or folders by name; their images are shown as NAME_1, NAME_2, ..."""
    trials: Count | None = None
    """The most trials to run."""
    ms_per_step: Annotated[Number, Field(gt=0)] | None = None
    """How long a step lasts, 10 to 20 ms; or give refresh_hz."""
    any_rate: Annotated[bool, Field(strict=True)] = False
    """true: allow other steps than 10 to 20 ms."""
    refresh_hz: Annotated[Number, Field(gt=0)] | None = None
    """Frames per second of a display, each of which is a step; or give ms_per_step."""
    arrival_ms: Annotated[Number, Field(ge=0)] = 0.0
    """Delay from the onset of a picture to the first area; shifts the axis of time."""
    duration_ms: Ms | None = None
    """How long a trial lasts, in ms."""
    duration: Steps | None = None
    """The same in steps: {steps: 30}."""
    factors: dict[str, list[AnyLevel]] = Field(default_factory=dict)
    """What is varied: the levels of each factor, all numbers or all words. They are used as $name
    below, and crossed."""
    parallel: list[list[Text]] = Field(default_factory=list)
    """Groups of factors that go together, first level with first, and so on, in place of being
    crossed."""
    repeats: Count = 1
    """Run every condition so many times, with all that is random drawn anew."""
    blank: Annotated[bool, Field(strict=True)] = False
    """true: run one more condition, in which grey is shown throughout."""
    timeline: Annotated[list[Entry], Field(min_length=1)]
    """What is shown, when and for how long."""
    interventions: list[InterventionEntry] = Field(default_factory=list)
    """What is done to the network, and when."""
    record: Record = Record()
    """What is kept."""
    summary: Summary | None = None
    """When the summary table reads."""

    @model_validator(mode="after")
    def _one_of_each(self) -> ProtocolFile:
        if (self.ms_per_step is None) == (self.refresh_hz is None):
            raise ValueError("give exactly one of ms_per_step and refresh_hz")
        if (self.duration_ms is None) == (self.duration is None):
            raise ValueError("give exactly one of duration_ms and duration")
        return self
