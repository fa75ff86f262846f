"""What can be done to a picture before it is shown: contrast, noise, blur, occlusion, ...

A change takes pixels 0 to 1, float (C, H, W), and returns the same; what is random in
it comes from a generator of its own, so that a picture is the same in any batch.
Needs numpy and scipy only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.floating]
#: Draws so many other images of the data set, pixels 0 to 1, float (count, C, H, W).
Others = Callable[[int], Picture]


@dataclass(frozen=True)
class Parameter:
    """What a change can be told.

    Parameters
    ----------
    default
        Its value where none is given; None if one must be.
    low, high
        The range of a number, both ends allowed.
    words
        The words allowed in place of a number.
    unit
        For messages and help: ``fraction of the picture``, ``pixels``, ...
    whole
        Whether numbers must be whole.
    """

    default: float | str | None = None
    low: float = 0.0
    high: float = 1.0
    words: tuple[str, ...] = ()
    unit: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of change.

    Parameters
    ----------
    apply
        ``apply(image, rng, others, **values)``.
    main
        The parameter that is meant where a file gives a value alone, as in
        ``contrast: 0.5``.
    parameters
        By name, the main one first.
    random
        Whether it draws from the generator (if not, every repeat is the same).
    """

    apply: Callable[..., Picture]
    main: str
    parameters: dict[str, Parameter]
    random: bool = False


def contrast(image: Picture, rng: np.random.Generator, others: Others, *, level: float) -> Picture:
    """Scale what differs from middle grey; 1 leaves the picture as it is, 0 is grey."""
    return 0.5 + level * (image - 0.5)


#: Every change that a protocol can name.
REGISTRY: dict[str, Kind] = {
    "contrast": Kind(contrast, "level", {"level": Parameter(unit="of the picture's own")}),
}
