"""A protocol: an experiment's timeline as data, a pure function of condition and time.

A presentation ``[start, stop)`` is in force at the indices ``start`` to ``stop - 1``,
one that lasts until the end at ``start`` to the last index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ... import yamlio
from ...clock import Clock
from ...errors import ProtocolError, unknown
from ...schema import NOTHING
from .file import Record, Summary
from .values import Level

TARGET, GREY = "target", "grey"
#: What a mask can be made of besides images: the data set's mean amplitude spectrum.
SET = "set"
#: ``other_1``, ``other_2``, ...: images of the data set other than the target; the others
#: are of the target's class, or of another class. Further sources of images are named alike.
DRAWN = (OTHER, SAME_CATEGORY, OTHER_CATEGORY) = ("other", "same_category", "other_category")
INPUT_MODES = ("sustained", "onset")
_NUMBERED = re.compile(r"(.+)_([1-9][0-9]{0,5})")


def drawn(show: str) -> tuple[str, int] | None:
    """Return where an image that is drawn for each stimulus comes from, and its number.

    Parameters
    ----------
    show
        For example ``other_2`` or ``scenes_1``.

    Returns
    -------
    tuple of str and int, or None
        For example ``("other", 2)``; None if the name has no number. Whether there is
        such a source is not checked.
    """
    found = _NUMBERED.fullmatch(show)
    return (found[1], int(found[2])) if found else None


@dataclass(frozen=True)
class Change:
    """Something done to a picture before it is shown, such as a lower contrast.

    Parameters
    ----------
    kind
        A name in :data:`cortexsim.stimuli.changes.REGISTRY`.
    values
        Every parameter of that kind with its value.
    """

    kind: str
    values: tuple[tuple[str, float | str], ...]


@dataclass(frozen=True)
class Picture:
    """What is shown: for one stimulus and one repeat, equal pictures are equal pixels.

    Parameters
    ----------
    show
        ``target``, ``grey``, another image (``other_1``, ``same_category_1``,
        ``other_category_1``, or of a further source, ``scenes_1``), or a mask's name.
    of
        What a mask is made of: the target, another image, or ``set``.
    changes
        What is done to it, in this order.
    """

    show: str
    of: str = TARGET
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Presentation:
    """A picture shown at the indices `start` to `stop` - 1."""

    picture: Picture
    start: int
    stop: int

    @property
    def show(self) -> str:
        """The name of what is shown, as recordings have it."""
        return self.picture.show


@dataclass(frozen=True)
class Intervention:
    """Something done to the network at the indices `start` to `stop` - 1.

    Parameters
    ----------
    kind
        ``lesion``, ``noise``, ``clamp``, ``scale`` or ``delay``.
    where
        An area; or, for noise, clamps and scales, ``all`` of them; or, for lesions and
        delays, a connection (``V2>V1``) or a kind of connection (``feedforward``,
        ``feedback``, ``lateral``, ``bypass``).
    value
        Of ``noise`` its standard deviation, in units of the area's root mean square at
        that time; of ``clamp`` the activity, or ``hold`` for what it is at `start`; of
        ``scale`` the factor; of ``delay`` how many steps the connection takes in all.
        None for lesions.
    start, stop
        A connection in a lesion hands on nothing of what its source holds at these
        indices; an area in a lesion is empty at them. Delays last the whole trial.
    """

    kind: str
    where: str
    value: float | str | None
    start: int
    stop: int
    #: Line of the file (``file:line``) that names the place, for messages.
    where_in_file: str = field(default="", compare=False)


@dataclass(frozen=True)
class Condition:
    """One combination of factor levels and what is shown in it.

    Parameters
    ----------
    name
        For example ``soa_ms=25, mask=none``; the protocol's name if it has no factors.
    factors
        Level of each factor; none of the blank condition.
    presentations
        In order of time, without those that show nothing.
    asked
        The picture that is to be named at each index 0 to T: the target, or what a
        sequence asks for; ``nothing`` where nothing is asked, as in catch trials, which
        never show the target.
    interventions
        What is done to the network, in the order of the file.
    repeat
        1 for the first run of this combination; others draw all that is random anew.
    """

    name: str
    factors: dict[str, Level] = field(hash=False)
    presentations: tuple[Presentation, ...]
    asked: tuple[str, ...]
    interventions: tuple[Intervention, ...] = ()
    repeat: int = 1


@dataclass(frozen=True)
class Protocol:
    """An experiment, read from YAML; see :meth:`from_yaml` and :meth:`from_text`.

    Parameters
    ----------
    name, description, citation
        What it is and where it comes from.
    model, dataset, trials
        What it runs with unless told otherwise; None where the file does not say. A
        data set is a name, or a folder as seen from the current one.
    sources
        Further sources of images by name, data sets as above; their images are shown as
        ``NAME_1``, ``NAME_2``, ...
    clock
        Milliseconds and steps.
    duration_steps
        Length T of a trial; the state has the indices 0 to T.
    factors
        Levels of each varied quantity, in the order of the file; with repeats also
        ``repeat``, at the end.
    conditions
        All combinations of levels, the last factor varying fastest, and of factors that
        are parallel those that belong together; at the end the blank, if there is one.
    record, summary
        What recordings keep, and the readout of the summary table.
    text
        The YAML it was read from.
    """

    name: str
    description: str | None
    citation: str | None
    model: str | None
    dataset: str | None
    sources: dict[str, str]
    trials: int | None
    clock: Clock
    duration_steps: int
    factors: dict[str, tuple[Level, ...]]
    conditions: tuple[Condition, ...]
    record: Record
    summary: Summary | None
    #: Indices that a recording keeps.
    recorded: range
    #: Index of the summary's readout and indices whose evidence is summed.
    readout_index: int | None
    evidence_indices: tuple[int, ...]
    text: str

    @classmethod
    def from_yaml(cls, path: str | Path) -> Protocol:
        """Read a protocol from a file.

        Raises
        ------
        ProtocolError
            If the file cannot be read or its protocol not be carried out; the
            message begins with ``file:line``.
        """
        from .build import build

        return build(yamlio.read(path, ProtocolError), Path(path).parent, sent=True)

    @classmethod
    def from_text(cls, text: str, source: str = "<protocol>") -> Protocol:
        """Read a protocol from YAML text; `source` stands for the file in messages.

        Folders of images in it are relative to the current one.

        Raises
        ------
        ProtocolError
            As :meth:`from_yaml`.
        """
        from .build import build

        return build(yamlio.loads(text, ProtocolError, source), Path(), sent=False)

    def to_text(self) -> str:
        """Return the YAML the protocol was read from, unchanged, comments included."""
        return self.text

    @cached_property
    def drawn(self) -> dict[str, int]:
        """The highest number shown, or made a mask of, by source: ``other``, ``scenes``, ..."""
        found: dict[str, int] = {}
        for picture in self.pictures:
            for name in (picture.show, picture.of):
                source, number = drawn(name) or ("", 0)
                found[source] = max(number, found.get(source, 0))
        return {source: number for source, number in found.items() if number}

    @property
    def others(self) -> int:
        """How many images of the data set other than the target are shown, of any class."""
        return self.drawn.get(OTHER, 0)

    @cached_property
    def pictures(self) -> list[Picture]:
        """Every picture of any condition once, in the order in which they come up."""
        return list(dict.fromkeys(
            item.picture for one in self.conditions for item in one.presentations))

    @property
    def asks_targets_only(self) -> bool:
        """Whether at each index of each condition the target is to be named."""
        return all(name == TARGET for one in self.conditions for name in one.asked)

    def timeline(self, condition: Condition) -> list[str]:
        """Return what is on at each index 0 to T: a presentation's name or ``nothing``."""
        shown = [NOTHING] * (self.duration_steps + 1)
        for item in condition.presentations:
            shown[item.start : item.stop] = [item.show] * (item.stop - item.start)
        return shown

    def drive(self, condition: Condition, input_mode: str) -> list[bool]:
        """Say at each index 0 to T whether a frame drives the first area.

        Parameters
        ----------
        condition
            One of :attr:`conditions`.
        input_mode
            ``sustained``: at every index of a presentation; ``onset``: at its first.

        Raises
        ------
        ProtocolError
            If the input mode is unknown.
        """
        if input_mode not in INPUT_MODES:
            raise ProtocolError(unknown("input mode", input_mode, INPUT_MODES))
        driven = [False] * (self.duration_steps + 1)
        for item in condition.presentations:
            stop = item.start + 1 if input_mode == "onset" else item.stop
            driven[item.start : stop] = [True] * (stop - item.start)
        return driven

    def describe(self) -> str:
        """Draw the timelines as text, one line a condition."""
        from .strip import draw

        return draw(self)
