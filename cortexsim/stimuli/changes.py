"""What can be done to a picture before it is shown: contrast, noise, blur, occlusion, ...

A change takes pixels 0 to 1, float (C, H, W), and returns the same; what is random in
it comes from a generator of its own, so that a picture is the same in any batch.
Needs numpy and scipy only. The changes themselves are in :mod:`cortexsim.stimuli.tone`,
:mod:`cortexsim.stimuli.occlusion` and :mod:`cortexsim.stimuli.placing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import unknown
from . import occlusion, placing, tone
from .pixels import MIDDLE_GREY, Picture


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
        The words allowed, in place of a number if `number`.
    unit
        For messages and help: ``fraction of the picture``, ``pixels``, ...
    whole
        Whether numbers must be whole.
    number
        Whether numbers are allowed.
    """

    default: float | str | None = None
    low: float = 0.0
    high: float = 1.0
    words: tuple[str, ...] = ()
    unit: str = ""
    whole: bool = False
    number: bool = True

    @property
    def allowed(self) -> str:
        """What is allowed, for messages: ``a number from 0 to 1 (of the pixels)``."""
        words = " or ".join(f"'{word}'" for word in self.words)
        if not self.number:
            return words
        kind = "a whole number" if self.whole else "a number"
        number = f"{kind} from {self.low:g} to {self.high:g} ({self.unit})"
        return f"{number}, or {words}" if words else number


@dataclass(frozen=True)
class Kind:
    """One kind of change.

    Parameters
    ----------
    apply
        ``apply(image, rng, others, **values)``, with a value for every parameter;
        `others` draws other images (:data:`cortexsim.stimuli.pixels.Others`). It may
        return `image` itself, but never writes into it.
    parameters
        By name, the main one first.
    identity
        The number of the main one that leaves a picture as it is.
    random
        Whether it draws from the generator (if not, every repeat is the same).
    others
        Whether it draws other images.
    """

    apply: Callable[..., Picture]
    parameters: dict[str, Parameter]
    identity: float = 0.0
    random: bool = False
    others: bool = False

    @property
    def main(self) -> str:
        """The parameter that is meant where a file gives a value alone: ``contrast: 0.5``."""
        return next(iter(self.parameters))


#: Every change that a protocol can name.
REGISTRY: dict[str, Kind] = {
    "contrast": Kind(tone.contrast, {
        "level": Parameter(unit="of the picture's own")}, identity=1.0),
    "greyscale": Kind(tone.greyscale, {
        "amount": Parameter(1.0, unit="of the colour taken away")}),
    "gaussian_noise": Kind(tone.gaussian_noise, {
        "sd": Parameter(unit="of the range from black to white")}, random=True),
    "salt_and_pepper": Kind(tone.salt_and_pepper, {
        "fraction": Parameter(unit="of the pixels")}, random=True),
    "blur": Kind(tone.blur, {"sd": Parameter(high=100, unit="pixels")}),
    "low_pass": Kind(tone.low_pass, {
        "cycles": Parameter(high=1000, words=(tone.ALL,), unit="cycles per picture")},
        identity=math.inf),
    "high_pass": Kind(tone.high_pass, {
        "cycles": Parameter(high=1000, unit="cycles per picture")}),
    "occlude": Kind(occlusion.occlude, {
        "hidden": Parameter(unit="of the picture"),
        "by": Parameter("bubbles", words=occlusion.OCCLUDERS, number=False),
        "shade": Parameter(MIDDLE_GREY, unit="from black to white")}, random=True),
    "translate": Kind(placing.translate, {
        "x": Parameter(0.0, -1000, 1000, unit="pixels to the right", whole=True),
        "y": Parameter(0.0, -1000, 1000, unit="pixels down", whole=True)}),
    "scale": Kind(placing.scale, {
        "factor": Parameter(low=0.1, high=10, unit="times its size")}, identity=1.0),
    "clutter": Kind(placing.clutter, {
        "pieces": Parameter(high=1000, unit="pieces", whole=True),
        "side": Parameter(0.3, 0.01, unit="of the picture's shorter side")},
        random=True, others=True),
}


def problem(kind: str, parameter: str, value: object) -> str | None:
    """Say what is wrong with a value for a parameter of a change, or return None.

    Parameters
    ----------
    kind
        The change's name, such as ``occlude``.
    parameter
        The parameter's name, such as ``hidden``.
    value
        What was given for it.

    Returns
    -------
    str or None
        For example ``'hidden' of 'occlude' must be a number from 0 to 1 (of the picture), got
        80``; None if the value can be used.
    """
    if kind not in REGISTRY:
        return unknown("change", kind, REGISTRY)
    parameters = REGISTRY[kind].parameters
    if parameter not in parameters:
        return unknown(f"parameter of '{kind}'", parameter, parameters)
    told = parameters[parameter]
    if isinstance(value, str) and value in told.words:
        return None
    if isinstance(value, str) and not told.number:
        return unknown(f"'{parameter}' of '{kind}'", value, told.words)
    if (told.number and isinstance(value, int | float) and not isinstance(value, bool)
            and told.low <= value <= told.high and not (told.whole and value % 1)):
        return None
    given = f"'{value}'" if isinstance(value, str) else value
    return f"'{parameter}' of '{kind}' must be {told.allowed}, got {given}"
