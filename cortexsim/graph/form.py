"""The form of a graph's YAML file: its keys, and what kind of value each has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .normalization import Normalization

Count = Annotated[int, Field(strict=True)]


def _shape(value: Any) -> Any:
    # checked here since a list of the wrong length is better told as a whole
    if not isinstance(value, list | tuple) or len(value) not in (1, 3):
        raise ValueError("must be channels, height and width, as in [24, 16, 16], or channels "
                         "only, as in [24], where sizes follow from the image")
    return list(value)


Shape = Annotated[list[Count], BeforeValidator(_shape)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class AreaText(_Strict):
    """One entry of ``areas``: a shape, or this."""

    shape: Shape
    activation: str = "none"


def _area_text(value: Any) -> Any:
    return value if isinstance(value, dict | AreaText) else {"shape": _shape(value)}


class ConnectionText(_Strict):
    """One entry of ``connections``."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    transition: str = "brc"
    layers: Count | None = None
    shortcut: str = "none"
    gain: float = Field(default=1.0, strict=True)
    steps: list[Any] = [1, None]
    weights: str | None = None
    tie: str | list[str] | None = None
    kernel: Count | list[Count] = 3
    stride: Count | None = None
    stride_layer: Count = 1
    middle: list[Count] | None = None


class PreNetText(_Strict):
    """The key ``pre_net``."""

    layers: Count = 1
    channels: Count | None = None
    kernel: Count = 3
    stride: Count | None = None
    normalize: bool = Field(default=False, strict=True)
    pool: Count = 1
    mean: list[float] | None = None
    std: list[float] | None = None


class NormalizationText(_Strict):
    """The key ``normalization``."""

    statistics: str = Normalization.statistics
    scale_shift: str = Normalization.scale_shift


class UseText(_Strict):
    """One use in a set of ``sharing``."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    steps: Count | list[Any] = [1, None]


class GraphText(_Strict):
    """A whole area graph."""

    name: str = ""
    areas: dict[str, Annotated[AreaText, BeforeValidator(_area_text)]]
    connections: list[ConnectionText] | None = None
    connectivity: Literal["adjacent", "full"] | None = None
    self_transitions: bool | None = None
    feedback: bool | None = None
    bypass: bool | None = None
    gain: float | None = Field(default=None, strict=True)
    image: Shape = [3, 32, 32]
    input: str = "sustained"
    weights: str = "shared"
    readout_time: Count = 10
    pre_net: PreNetText = PreNetText()
    post_net: str = "bn-relu-pool-fc"
    normalization: NormalizationText = NormalizationText()
    sharing: dict[str, list[UseText]] = {}
