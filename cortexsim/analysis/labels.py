"""What axes, legends and tables call things; no plotting library needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .. import schema

TIME_LABEL = "Time from image onset (ms)"
#: Where a trial does not begin with the image that is to be named.
TRIAL_TIME_LABEL = "Time from the start of the trial (ms)"
#: Levels of words that stand for nothing, the plainest first: a grey screen in a mask's place.
PLAIN = (schema.NONE, "grey")
#: Between the names of factors that go together; levels of such are named in full.
COMBINED = " & "
#: Factors that say when something else happens.
TIMES = ("from", "until", "at")
_NAMES = {
    "soa": "SOA",
    "isi": "ISI",
    "flash": "flash duration",
    "shown": "shown for",
    "each": "each picture",
    "target": "target duration",
}


def words(name: object) -> str:
    """Return a name as words: ``phase_scrambled`` is ``phase-scrambled``."""
    return f"{name:g}" if isinstance(name, float) else str(name).replace("_", "-")


def ms(time: float) -> str:
    """Return a time as text, to a tenth of a ms: 66.7 of a display's 66.667."""
    return f"{round(time, 1):g}"


def factor_words(factor: str) -> str:
    """Return a factor as words within a sentence: ``soa_ms`` is ``SOA``."""
    if COMBINED in factor:
        return " and ".join(map(factor_words, factor.split(COMBINED)))
    stem = factor.removesuffix("_ms")
    text = _NAMES.get(stem, stem.replace("_", " "))
    return f"{text[:-3]} SD" if text.endswith(" sd") else text


def factor_label(factor: str) -> str:
    """Return a factor as an axis label with its unit: ``soa_ms`` is ``SOA (ms)``."""
    return capital(factor_words(factor)) + (" (ms)" if factor.endswith("_ms") else "")


def capital(text: str) -> str:
    """Return a text that begins with a capital and is as it was otherwise."""
    return text[:1].upper() + text[1:]


def level_label(factor: str | None, level: object) -> str:
    """Return a level as a legend says it: ``none`` of ``mask`` is ``no mask``.

    Parameters
    ----------
    factor
        The level's factor; numbers are given without it, under a title.
    level
        A number or a word.
    """
    if factor and COMBINED in factor:
        return str(level)
    name = (factor or "").replace("_", " ")
    if level == schema.NONE:
        return f"no {name}".strip()
    if name == "mask" and level in PLAIN:
        return f"no mask ({level})"
    if isinstance(level, str):
        return f"{words(level)} {name}".strip()
    return words(level)


def phrase(factor: str, level: object) -> str:
    """Return a level with its factor as a title says it: ``SOA 150 ms``, ``no mask``."""
    if isinstance(level, str):
        return level_label(factor, level)
    unit = " ms" if factor.endswith("_ms") else ""
    return f"{factor_words(factor)} {words(level)}{unit}"


def combined_labels(
    factors: Sequence[str], levels: Sequence[tuple[object, ...]]
) -> Iterator[str]:
    """Name levels of factors that go together: ``noise SD 0.16``, ``no noise, no blur``.

    What is not there, ``none`` or 0, is left out, unless there is nothing else, or unless
    two levels would get the same name.
    """
    pairs = [list(zip(factors, level, strict=True)) for level in levels]
    short = [_joined(phrase(*pair) for pair in level if not _absent(pair[1]))
             or _joined(filter(None, (_absence(*pair) for pair in level))) for level in pairs]
    for level, text in zip(pairs, short, strict=True):
        unique = bool(text) and short.count(text) == 1
        yield text if unique else _joined(phrase(*pair) for pair in level)


def _joined(parts: Iterable[str]) -> str:
    text = ", ".join(parts)
    for word in TIMES:  # 'feedback lesion from 75 ms' is one thing
        text = text.replace(f", {word} ", f" {word} ")
    return text


def _absent(level: object) -> bool:
    return level == 0 or level in PLAIN


def _absence(factor: str, level: object) -> str:
    """Say that something is not there; nothing of a time, which means nothing without it."""
    if isinstance(level, str):
        return level_label(factor, level)
    return "" if factor.endswith("_ms") else f"no {factor_words(factor).removesuffix(' SD')}"
