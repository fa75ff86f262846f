"""The factors of a protocol file: which there are, and how their levels combine."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ... import yamlio
from ...errors import ProtocolError, unknown
from ...schema import COLUMNS, NONE, NOTHING, REPEAT, RESERVED
from .file import ProtocolFile
from .reading import located
from .values import WORD, Level, plain, reference

#: Numbers that no experiment reaches; beyond them something is a slip of the pen. Indices are
#: those of all conditions together, parts the entries that are read in each combination of levels.
MAX_CONDITIONS, MAX_INDICES, MAX_PARTS = 100_000, 1_000_000, 30_000


def levels(file: ProtocolFile, document: yamlio.Document) -> dict[str, list[Level]]:
    """Return the levels of each factor, after all that can be wrong with them was looked for.

    Raises
    ------
    ProtocolError
        If a factor cannot be, is used nowhere, or one that is used is not there.
    """
    # one word for nothing among levels, so that analysis knows the plain condition by it
    factors: dict[str, list[Level]] = {
        name: [NONE if level == NOTHING else level for level in given]
        for name, given in file.factors.items()
    }
    used = set()
    for part in ("timeline", "interventions"):
        for key, name in _references(document.data.get(part), (part,)):
            if name not in factors:
                with located(document, *key):
                    raise ProtocolError(
                        unknown("factor", f"${name}", [f"${factor}" for factor in factors]))
            used.add(name)
    for name, given in factors.items():
        problem = _problem(name, given, any(name in group for group in file.parallel))
        if problem is None and name not in used:
            problem = f"the factor '{name}' is used nowhere in the timeline as ${name}"
        if problem is None and name == REPEAT:  # results pool its levels
            problem = (f"the factor '{name}' bears the name that 'repeats' gives to its runs; "
                       "choose another name")
        if problem is not None:
            with located(document, "factors", name):
                raise ProtocolError(problem)
    _check_parallel(file, factors, document)
    return factors


def combinations(
    file: ProtocolFile, factors: dict[str, list[Level]], document: yamlio.Document, last: int,
) -> Iterator[dict[str, int]]:
    """Return the combinations of levels, each as the places of its levels.

    The last factor varies fastest; factors that are parallel vary where the first of
    them stands. `last` is the last index of a trial.

    Raises
    ------
    ProtocolError
        If there are too many, before any is made.
    """
    partners = {name: tuple(group) for group in file.parallel for name in group}
    groups = list(dict.fromkeys(partners.get(name, (name,)) for name in factors))
    sizes = [len(factors[group[0]]) for group in groups]
    count = math.prod(sizes) * file.repeats + file.blank
    if count > MAX_CONDITIONS:
        said = f"{count:,}" if count < 10**15 else "more than 10^15"
        with located(document, "repeats" if math.prod(sizes) <= MAX_CONDITIONS else "factors"):
            raise ProtocolError(
                f"this makes {said} conditions, and {MAX_CONDITIONS:,} is the most: take out "
                "factors, levels or repeats, or let factors go together with 'parallel'")
    if count * (last + 1) > MAX_INDICES:
        with located(document, "duration_ms" if file.duration_ms else "duration"):
            raise ProtocolError(
                f"{count:,} conditions of {last + 1:,} indices are {count * (last + 1):,} in all, "
                f"and {MAX_INDICES:,} is the most: take fewer conditions or shorter trials")
    parts = len(file.timeline) + sum(1 + len(entry.where) for entry in file.interventions)
    if math.prod(sizes) * parts > MAX_PARTS:
        with located(document, "factors" if math.prod(sizes) > 1 else "timeline"):
            raise ProtocolError(
                f"{math.prod(sizes):,} combinations of levels with {parts:,} entries each are more "
                f"than {MAX_PARTS:,} in all: take out levels or entries")
    return (
        {name: place for group, place in zip(groups, places, strict=True) for name in group}
        for places in itertools.product(*map(range, sizes))
    )


def name_of(chosen: dict[str, Level], otherwise: str) -> str:
    """Return the name of a combination, for example ``soa_ms=25, mask=none``."""
    return ", ".join(f"{name}={plain(level)}" for name, level in chosen.items()) or otherwise


def _problem(name: str, levels: list[Level], parallel: bool) -> str | None:
    """Return what is wrong with a factor, or None; parallel ones may have a level twice."""
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
    twice = [level for level, times in Counter(levels).items() if times > 1]
    also = " ('nothing' is the same)" if NONE in twice else ""
    return f"the factor '{name}' has the level {twice[0]} twice{also}" if twice else None


def _references(node: Any, key: yamlio.Key) -> Iterator[tuple[yamlio.Key, str]]:
    """Yield every ``$factor`` of a part of the file."""
    name = reference(node)
    if name is not None:
        yield key, name
    inner = node.items() if isinstance(node, dict) else (
        enumerate(node) if isinstance(node, list) else ())
    for part, value in inner:
        yield from _references(value, (*key, part))


def _check_parallel(
    file: ProtocolFile, factors: dict[str, list[Level]], document: yamlio.Document,
) -> None:
    seen: set[str] = set()
    for row, group in enumerate(file.parallel):
        with located(document, "parallel", row):
            if len(group) < 2:
                raise ProtocolError("should be two factors or more, as in [[noise, blur]]")
            for name in group:
                if name not in factors:
                    raise ProtocolError(unknown("factor", name, factors))
                if name in seen:
                    raise ProtocolError(f"the factor '{name}' is named twice")
                seen.add(name)
            lengths = {name: len(factors[name]) for name in group}
            if len({*lengths.values()}) > 1:
                said = ", ".join(f"{name} has {count}" for name, count in lengths.items())
                raise ProtocolError(f"factors that go together have as many levels: {said}")
            together = Counter(zip(*(factors[name] for name in group), strict=True))
            twice = [levels for levels, times in together.items() if times > 1]
            if twice:
                said = ", ".join(f"{name}={plain(level)}"
                                 for name, level in zip(group, twice[0], strict=True))
                raise ProtocolError(f"these levels come together twice: {said}")
