"""One family of errors, each a sentence that tells the user what to do.

The command line prints the message and leaves with exit status 2; in Python
they are ordinary exceptions. Whatever is not a :class:`CortexSimError` is a
defect of CortexSim and shows its traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: What a terminal obeys and does not show: control characters but the end of a line and the tab,
#: what turns the direction of writing, and halves of letters.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Letters of a message at most: what it quotes may come from a file.
LONGEST = 1500


class CortexSimError(Exception):
    """Anything the user can put right; the message says what and how."""

    def __str__(self) -> str:
        """Return the message, in letters that a terminal only shows."""
        text = super().__str__()
        if len(text) > LONGEST:
            text = f"{text[:LONGEST - 300]} ... {text[-250:]}"
        return printable(text)


class GraphError(CortexSimError):
    """An area graph that cannot be built or run."""


class ProtocolError(CortexSimError):
    """A protocol that cannot be read or carried out."""


class DatasetError(CortexSimError):
    """A data set that is missing, damaged, or does not fit the network."""


class CheckpointError(CortexSimError):
    """A checkpoint that is missing, damaged, or not ours."""


class SimulationError(CortexSimError):
    """A run, or a training, that cannot start or go on."""


class Interrupted(SimulationError):
    """The user stopped a run or a training; the message says what is left of it.

    Attributes
    ----------
    signal
        The number of the signal that asked for it, where it is known.
    """

    signal: int | None = None


class RecordingError(CortexSimError):
    """A recording that cannot be written, read, or used for what was asked."""


class ReferenceFileError(CortexSimError):
    """Measurements to compare with that are missing, or lack what is needed."""


def printable(text: str) -> str:
    r"""Write what a terminal would obey as Python does: ``\x1b``; for text from a file."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def out_of_memory(problem: BaseException) -> bool:
    """Say whether an error of Python means that memory was asked for that is not there."""
    return isinstance(problem, MemoryError) or (
        isinstance(problem, RuntimeError) and "can't start new thread" in str(problem))


def unknown(kind: str, given: object, allowed: Iterable[object]) -> str:
    """Say that a name is unknown, suggest the nearest, and list what is known.

    The nearest are those that begin with what was given, else the one most like it.

    Parameters
    ----------
    kind
        What the name stands for, e.g. ``"area"``.
    given
        The name that was given.
    allowed
        Every name that would have been accepted.

    Returns
    -------
    str
        For example ``unknown area 'V3'; did you mean 'V2'? known: V1, V2``.
    """
    names, given = [str(name) for name in allowed], str(given)[:200]
    # one who gives the beginning of a name means one of those that begin so
    near = [name for name in names if name.startswith(given)] if given else []
    near = near or difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"; did you mean {_or([repr(name) for name in near])}?" if near else ";"
    return f"unknown {kind} '{given}'{hint} known: {', '.join(names) or 'none'}"


def _or(words: list[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
