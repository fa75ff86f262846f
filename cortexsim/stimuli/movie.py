"""From a protocol, images and a seed to the frame shown at each index."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolError, unknown
from . import masks
from .datasets import Dataset, to_input
from .protocol import GREY, INPUT_MODES, OTHER, TARGET, Condition, Presentation, Protocol

#: The pixel value of ``grey``; it becomes 0 in the model's input.
GREY_PIXEL = 127.5


class Movie:
    """Frames of any stimuli in any condition at any index; holds no state of its own.

    A mask is drawn from the seed, the stimulus's id and the mask's name alone, so a
    stimulus has the same mask in every condition, batch, and subset of the data set.
    So are a stimulus's other images, from a pool that does not shrink with the subset.

    Parameters
    ----------
    protocol
        What is shown when.
    dataset
        The targets.
    seed
        Seed of the masks, 0 or more.
    input_mode
        ``sustained``: a frame at every index of a presentation; ``onset``: at its
        first index, then nothing.
    pool
        Where other images than the target come from, more than are shown of them; by
        default `dataset`.

    Raises
    ------
    ProtocolError
        If the input mode is unknown or the seed negative.
    """

    def __init__(
        self, protocol: Protocol, dataset: Dataset, seed: int = 0, input_mode: str = "sustained",
        pool: Dataset | None = None,
    ) -> None:
        if input_mode not in INPUT_MODES:
            raise ProtocolError(unknown("input mode", input_mode, INPUT_MODES))
        if seed < 0:
            raise ProtocolError(f"a seed cannot be negative, got {seed}")
        self.protocol = protocol
        self.dataset = dataset
        self.seed = seed
        self.input_mode = input_mode
        self.pool = dataset if pool is None else pool

    def presentation(self, condition: Condition, t: int) -> Presentation | None:
        """Return the presentation in force at index `t`, whatever the input mode.

        Raises
        ------
        ProtocolError
            If the trial has no index `t`.
        """
        if not 0 <= t <= self.protocol.duration_steps:
            raise ProtocolError(
                f"'{self.protocol.name}' has the indices 0 to {self.protocol.duration_steps}, "
                f"not {t}"
            )
        return next((p for p in condition.presentations if p.start <= t < p.stop), None)

    def frame_key(self, condition: Condition, t: int) -> Hashable | None:
        """Return a key of the picture that drives at index `t`, or None for nothing.

        For the same stimulus, the same key means the same frame, in any condition.
        """
        shown = self.presentation(condition, t)
        if shown is None or (self.input_mode == "onset" and t != shown.start):
            return None
        return shown.picture, condition.repeat

    def frame(
        self, condition: Condition, t: int, stimuli: Sequence[int]
    ) -> NDArray[np.float32] | None:
        """Render the frame that drives at index `t`.

        Parameters
        ----------
        condition
            One of the protocol's conditions.
        t
            Index, 0 to T.
        stimuli
            Indices into the data set, one for each row of the batch.

        Returns
        -------
        NDArray[np.float32] or None
            Model input (B, C, H, W), or None if nothing drives.
        """
        if self.frame_key(condition, t) is None:
            return None
        shown = self.presentation(condition, t)
        assert shown is not None
        return self._render(shown.show, stimuli)

    def drive(self, condition: Condition) -> list[bool]:
        """Say at each index 0 to T whether a frame drives the first area."""
        return self.protocol.drive(condition, self.input_mode)

    def shown(self, condition: Condition) -> list[str]:
        """Return the name of what is on at each index 0 to T."""
        return self.protocol.timeline(condition)

    def labels(self, pictures: Sequence[str], stimuli: Sequence[int]) -> NDArray[np.int64]:
        """Return the class of each picture for each stimulus, -1 for what has none.

        Parameters
        ----------
        pictures
            Names, as :meth:`shown` gives them.
        stimuli
            Indices into the data set.

        Returns
        -------
        NDArray[np.int64]
            Shape (stimuli, pictures).
        """
        found = np.full((len(stimuli), len(pictures)), -1, dtype=np.int64)
        for picture in set(pictures):
            columns = [place for place, name in enumerate(pictures) if name == picture]
            other = OTHER.fullmatch(picture)
            if picture == TARGET:
                found[:, columns] = self.dataset.labels[np.asarray(stimuli), None]
            elif other:
                found[:, columns] = self.pool.labels[self._others(int(other[1]), stimuli), None]
        return found

    def _others(self, number: int, stimuli: Sequence[int]) -> NDArray[np.int64]:
        """Return which row of the pool is each stimulus's other image of a number, 1 or more."""
        rows = np.empty(len(stimuli), dtype=np.int64)
        for place, row in enumerate(stimuli):
            own = self.dataset.ids[row]
            order = self._generator(own, "others").permutation(len(self.pool))[: number + 1]
            rows[place] = [other for other in order if self.pool.ids[other] != own][number - 1]
        return rows

    def _render(self, picture: str, stimuli: Sequence[int]) -> NDArray[np.float32]:
        rows = np.asarray(stimuli, dtype=np.int64)
        targets = self.dataset.images[rows]
        if picture == TARGET:
            return to_input(targets)
        if picture == GREY:
            return to_input(np.full(targets.shape, GREY_PIXEL))
        other = OTHER.fullmatch(picture)
        if other:
            return to_input(self.pool.images[self._others(int(other[1]), stimuli)])
        drawn = np.empty(targets.shape, dtype=np.float32)
        for place, row in enumerate(rows):
            rng = self._generator(self.dataset.ids[row], picture)
            drawn[place] = masks.REGISTRY[picture](targets[place] / 255, rng) * 255
        return to_input(drawn)

    def _generator(self, stimulus: str, mask: str) -> np.random.Generator:
        # hash() differs from process to process; a digest does not
        digest = hashlib.sha256(f"{mask}\n{stimulus}".encode()).digest()
        words = np.frombuffer(digest, dtype="<u4").tolist()
        return np.random.default_rng(np.random.SeedSequence([self.seed, *words]))
