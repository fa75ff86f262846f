"""What axes, legends and tables call things; no plotting library needed."""

from __future__ import annotations

from .recording import NONE

TIME_LABEL = "Time from image onset (ms)"
_NAMES = {
    "soa": "SOA",
    "isi": "ISI",
    "flash": "Flash duration",
    "shown": "Shown for",
    "mask": "Mask",
    "target": "Target duration",
}


def words(name: object) -> str:
    """Return a name as words: ``phase_scrambled`` is ``phase-scrambled``."""
    return f"{name:g}" if isinstance(name, float) else str(name).replace("_", "-")


def factor_label(factor: str) -> str:
    """Return a factor as an axis label with its unit: ``soa_ms`` is ``SOA (ms)``."""
    stem = factor.removesuffix("_ms")
    text = _NAMES.get(stem, stem.replace("_", " ").capitalize())
    return text + (" (ms)" if stem != factor else "")


def level_label(factor: str | None, level: object) -> str:
    """Return a level as a legend says it: ``none`` of ``mask`` is ``no mask``.

    Parameters
    ----------
    factor
        The level's factor; numbers are given without it, under a title.
    level
        A number or a word.
    """
    name = (factor or "").replace("_", " ")
    if level == NONE:
        return f"no {name}".strip()
    if isinstance(level, str):
        return f"{words(level)} {name}".strip()
    return words(level)
