"""What a checkpoint's card may hold: checked once, when it is read, for all that use it later."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from .. import yamlio
from ..graph.validate_parts import MAX_STEPS

#: Classes that a network tells apart, at most.
MAX_CLASSES = 100_000


def _beside(file: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors", file):
        raise ValueError(f"names {file!r}, not a safetensors file beside it")
    return file


def _different(names: list[str]) -> list[str]:
    if len({*names}) < len(names):
        raise ValueError("has a class twice")
    return names


def _dataset(name: str | None) -> str | None:
    # a card that was sent must not choose which of our folders is read
    if name is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(f"names {name!r}, which is no data set's name")
    return name


Text = Annotated[str, Field(min_length=1, max_length=1000)]
Dataset = Annotated[str | None, AfterValidator(_dataset)]
Count = Annotated[int, Field(ge=0, le=10**12)]


class _Part(BaseModel):
    # further keys are other versions' business
    model_config = ConfigDict(strict=True, extra="allow")


class File(_Part):
    """A file of tensors beside the card."""

    file: Annotated[Text, AfterValidator(_beside)]
    sha256: str = ""
    bytes: Count = 0


class Data(_Part):
    """What it was trained on."""

    dataset: Dataset = None


class Settings(_Part):
    """Those of the training."""

    dataset: Dataset = None
    recipe: Text = "fast"
    epochs: Count | None = None
    batch_size: Count | None = None
    seed: Count = 0
    holdout: Count | None = None
    images: Count | None = None
    learning_rate: float | None = None
    readouts: Count | None = None
    precision: Text | None = None
    device: Text | None = None
    compile: bool = False
    init: Text | None = None
    brief: float = 0.0
    sequence: dict[str, int | str] | None = None


class Calibration(_Part):
    """On how many images statistics were measured, and to which step."""

    images: Annotated[int, Field(ge=1, le=10**12)] | None = None
    steps: Count | None = None
    seed: Count | None = None
    input: Text | None = None
    dataset: Text | None = None


class Position(_Part):
    """How far a training has come; a training of this version goes on with nothing else."""

    model_config = ConfigDict(strict=True, extra="forbid")

    epoch: Count = 0
    batch: Count = 0
    loss: float = 0.0
    correct: Count = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = []


class Start(_Part):
    """The network that a training started from."""

    name: Text
    sha256: str


class Card(_Part):
    """The whole card."""

    name: Text
    class_names: Annotated[list[Text], Field(min_length=1, max_length=MAX_CLASSES),
                           AfterValidator(_different)]
    data: Data
    graph: dict[str, Any]
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    weights: File
    training: File | None = None
    parameters: Count = 0
    settings: Settings = Settings()
    calibration: Calibration = Calibration()
    final_calibration: Calibration = Calibration()
    test_accuracy: dict[str, dict[str, float]] = {}
    history: list[dict[str, float]] = []
    position: Position | None = None
    init: Start | None = None
    seconds: float = 0.0
    command: str = ""
    hardware: str = ""
    versions: dict[str, str] = {}


def problem(card: dict[str, Any]) -> str | None:
    """Return what is wrong with a card, as the end of a sentence; None if nothing is."""
    strange = yamlio.strange(card)
    if strange:
        return f"holds {strange}"
    try:
        Card.model_validate(card)
    except ValidationError as found:
        first = found.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            return f"lacks '{at}'"
        if len(first["loc"]) == 1 and first["type"].endswith("_type"):
            return f"lacks '{at}', or has it in another form"
        said = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
        return f"has '{at}' in another form: it {said}"
    return None
