"""Sequences of images with something to name at each index, a pure function of the index.

Image k of a sequence, 0 for the first, is on at the indices ``k * steps`` to
``(k + 1) * steps - 1``; the last one stays on until the trial ends. One image is
the ordinary case, so what trains and tests on images needs no other way for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import ProtocolError, unknown

Picture = TypeVar("Picture")

#: What may be asked: the image that is on, the first one, the one before.
ASKS = ("last", "first", "previous")
#: When: about each image in turn, or about the last one only.
ANSWERS = ("each", "end")
#: Longer sequences are a slip of the pen.
MAX_STEPS = 10_000


@dataclass(frozen=True)
class SequenceTask:
    """What is shown one after another, and what is to be named when.

    Parameters
    ----------
    images
        How many images follow each other.
    steps
        Indices that each is on.
    ask
        ``last``: name the image that is on; ``first``: the first of all;
        ``previous``: the one before the one that is on.
    answers
        ``each``: at each image (many to many); ``end``: at the last (many to one).
    delay
        Indices by which every answer comes later than its image: an answer at
        index t is about what was on at ``t - delay``. Activity needs as many steps
        as there are areas on its way.

    Raises
    ------
    ProtocolError
        If there is no such task.
    """

    images: int
    steps: int
    ask: str = "last"
    answers: str = "each"
    delay: int = 0

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        if self.ask not in ASKS:
            raise ProtocolError(unknown("thing to ask", self.ask, ASKS))
        if self.answers not in ANSWERS:
            raise ProtocolError(unknown("kind of answers", self.answers, ANSWERS))
        least = 2 if self.ask == "previous" else 1
        if self.images < least:
            raise ProtocolError(f"a sequence that asks for the {self.ask} image has {least} "
                                f"images or more, not {self.images}")
        if self.steps < 1:
            raise ProtocolError(f"an image is on for 1 step or more, not {self.steps}")
        if self.delay < 0:
            raise ProtocolError(f"an answer cannot come {-self.delay} steps before its image")
        if self.end > MAX_STEPS:
            raise ProtocolError(f"a sequence lasts {MAX_STEPS:,} steps at most, not {self.end:,}")

    @classmethod
    def one_image(cls, readout_time: int) -> SequenceTask:
        """Return the ordinary task: one image, on from index 0 to the readout and named there."""
        return cls(images=1, steps=readout_time + 1)

    @property
    def end(self) -> int:
        """The index of the last answer."""
        return self.images * self.steps - 1 + self.delay

    def shown(self, t: int) -> int:
        """Return which image is on at index t, 0 for the first."""
        return min(t // self.steps, self.images - 1)

    def asked(self, t: int) -> int | None:
        """Return which image is to be named at index t, None if none is."""
        if t < self.delay:
            return None
        about = self.shown(t - self.delay)
        if self.answers == "end" and about < self.images - 1:
            return None
        named = {"last": about, "first": 0, "previous": about - 1}[self.ask]
        return named if named >= 0 else None

    def times(self, readouts: int = 1) -> list[int]:
        """Return the readout times: of each image that is asked about, the last indices.

        Parameters
        ----------
        readouts
            How many in a row for an image; no more than it has.
        """
        count = min(readouts, self.steps)
        ends = range(self.steps - 1 + self.delay, self.end + 1, self.steps)
        times = [end - back for end in ends for back in range(count - 1, -1, -1)]
        return [t for t in times if self.asked(t) is not None]

    def drive(self, input_mode: str, last: int) -> list[bool]:
        """Say at each index 0 to `last` whether an image drives the first area."""
        return [input_mode == "sustained" or (t % self.steps == 0 and t < self.images * self.steps)
                for t in range(last + 1)]

    def frames(
        self, pictures: Sequence[Picture], input_mode: str, last: int
    ) -> list[Picture | None]:
        """Return what drives the first area at each index 0 to `last`, None for nothing.

        Parameters
        ----------
        pictures
            The images of the sequence in order, for instance a batch for each.
        input_mode
            ``sustained``: an image drives at every index it is on; ``onset``: at its first.
        last
            The last index.
        """
        driven = self.drive(input_mode, last)
        return [pictures[self.shown(t)] if on else None for t, on in enumerate(driven)]

    def describe(self, t: int) -> str:
        """Say what is asked at index t, and what is on then."""
        named, on = self.asked(t), self.shown(t)
        asked = "nothing" if named is None else f"image {named + 1}"
        return f"{asked}, while image {on + 1} of {self.images} is on"

    def check_times(self, times: Iterable[int]) -> None:
        """Refuse readout times at which nothing is asked.

        Raises
        ------
        ProtocolError
            With the first that is not possible.
        """
        for t in times:
            if self.asked(t) is None:
                first = next(k for k in range(self.end + 1) if self.asked(k) is not None)
                raise ProtocolError(
                    f"at t = {t} there is nothing to name: the sequence asks for the {self.ask} "
                    f"image ('{self.answers}'), from t = {first} on")
