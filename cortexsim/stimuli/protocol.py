"""A protocol: an experiment's timeline as data, a pure function of condition and time.

A presentation ``[start, stop)`` is in force at the indices ``start`` to ``stop - 1``,
one that lasts until the end at ``start`` to the last index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .. import yamlio
from ..clock import Clock
from ..errors import ProtocolError, unknown
from ..schema import NOTHING
from .protocolfile import Level, Record, Summary

TARGET, GREY = "target", "grey"
#: ``other_1``, ``other_2``, ...: images of the data set other than the target.
OTHER = re.compile(r"other_([1-9][0-9]{0,3})")
INPUT_MODES = ("sustained", "onset")


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
        ``target``, ``grey``, another image (``other_1``), or a mask's name.
    of
        What a mask is made of.
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
        Level of each factor; of an extra condition, such as a blank, it may lack some.
    presentations
        In order of time, without those that show nothing.
    asked
        The picture that is to be named at each index 0 to T: the target, or what a
        sequence asks for; ``nothing`` where nothing is asked.
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
        What it runs with unless told otherwise; None where the file does not say.
    clock
        Milliseconds and steps.
    duration_steps
        Length T of a trial; the state has the indices 0 to T.
    factors
        Levels of each varied quantity, in the order of the file.
    conditions
        All combinations of levels; the last factor varies fastest.
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
        from .protocolbuild import build

        return build(yamlio.read(path, ProtocolError))

    @classmethod
    def from_text(cls, text: str, source: str = "<protocol>") -> Protocol:
        """Read a protocol from YAML text; `source` stands for the file in messages.

        Raises
        ------
        ProtocolError
            As :meth:`from_yaml`.
        """
        from .protocolbuild import build

        return build(yamlio.loads(text, ProtocolError, source))

    def to_text(self) -> str:
        """Return the YAML the protocol was read from, unchanged, comments included."""
        return self.text

    @property
    def others(self) -> int:
        """How many images other than the target are shown."""
        shown = {item.show for one in self.conditions for item in one.presentations}
        found = [OTHER.fullmatch(word) for word in shown]
        return max((int(number[1]) for number in found if number), default=0)

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
