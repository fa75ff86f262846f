"""Pictures of any stimuli: images, masks and what is done to them, drawn from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from . import changes, masks
from .datasets import Dataset, to_input
from .protocol import DRAWN, GREY, OTHER, SAME_CATEGORY, SET, TARGET, Picture, drawn

#: The pixel value of ``grey``; it becomes 0 in the model's input.
GREY_PIXEL = 127.5


class Gallery:
    """What pictures look like for each stimulus, the same in any batch.

    What is random is drawn from the seed, the stimulus's id, what it is for (such as the
    mask's name and what the mask is made of), and the repeat.

    Parameters
    ----------
    dataset
        The targets.
    pool
        Where other images of the data set come from.
    sources
        Further sources of images, of the same shape.
    seed
        Seed of all that is random.
    numbers
        The highest number that is shown of each source, if that is known.
    """

    def __init__(
        self, dataset: Dataset, pool: Dataset, sources: Mapping[str, Dataset], seed: int,
        numbers: Mapping[str, int] | None = None,
    ) -> None:
        self.dataset = dataset
        self.pool = pool
        self.sources = sources
        self.seed = seed
        self.numbers = numbers or {}
        # orders of long pools, kept as far as they are shown: nothing else depends on them
        self._orders: dict[tuple[str, str, int], NDArray[np.int64]] = {}

    def labels(
        self, source: str, number: int, stimuli: Sequence[int], repeat: int,
    ) -> NDArray[np.int64]:
        """Return the class of each stimulus's image of a source and a number, 1 or more."""
        return self._origin(source).labels[self.rows(source, number, stimuli, repeat)]

    def rows(
        self, source: str, number: int, stimuli: Sequence[int], repeat: int,
    ) -> NDArray[np.int64]:
        """Return which row of its source is each stimulus's image of a number, 1 or more."""
        return np.array([self._order(source, row, number, repeat)[number - 1] for row in stimuli],
                        dtype=np.int64)

    def render(
        self, picture: Picture, stimuli: Sequence[int], repeat: int = 1,
    ) -> NDArray[np.float32]:
        """Draw a picture, changes included, for each of some stimuli.

        Parameters
        ----------
        picture
            What to draw.
        stimuli
            Indices into the data set, one for each row of the batch.
        repeat
            The condition's.

        Returns
        -------
        NDArray[np.float32]
            Model input (B, C, H, W).
        """
        if not picture.changes and picture.show not in masks.REGISTRY:
            return to_input(self._pixels(picture.show, stimuli, repeat))
        shape = (len(stimuli), *self.dataset.images.shape[1:])
        frames = np.empty(shape, dtype=np.float32)
        for place, row in enumerate(stimuli):
            frames[place] = self._draw(picture, row, repeat) * 255
        return to_input(frames)

    def _draw(self, picture: Picture, row: int, repeat: int) -> NDArray[np.floating]:
        """Draw a mask, or a picture that is changed, of one stimulus, pixels 0 to 1."""
        own = self.dataset.ids[row]
        image: NDArray[np.floating]
        # what is random is for this, whatever is done to it and in whichever condition
        purpose = picture.show
        if picture.of != TARGET:
            purpose = f"{picture.show} of {picture.of}"
        if picture.of == SET:
            image = masks.phase_random(self._spectrum, self._generator(own, purpose, repeat))
        elif picture.show in masks.REGISTRY:
            image = self._pixels(picture.of, [row], repeat)[0] / 255
            image = masks.REGISTRY[picture.show](image, self._generator(own, purpose, repeat))
        else:
            image = self._pixels(picture.show, [row], repeat)[0] / 255
        for change in picture.changes:
            on = f"{change.kind} on {purpose}"
            image = changes.REGISTRY[change.kind].apply(
                image, self._generator(own, on, repeat),
                lambda count, on=on: self._some_others(row, count, f"others for {on}", repeat),
                **dict(change.values),
            )
        return image

    def _pixels(self, show: str, stimuli: Sequence[int], repeat: int) -> NDArray[np.generic]:
        """Return images as they are, pixels 0 to 255 (B, C, H, W)."""
        rows = np.asarray(stimuli, dtype=np.int64)
        if show == TARGET:
            return self.dataset.images[rows]
        if show == GREY:
            return np.full((len(rows), *self.dataset.images.shape[1:]), GREY_PIXEL)
        image = drawn(show)
        assert image is not None
        return self._origin(image[0]).images[self.rows(*image, stimuli, repeat)]

    def _origin(self, source: str) -> Dataset:
        return self.pool if source in DRAWN else self.sources[source]

    def _order(self, source: str, row: int, number: int, repeat: int) -> NDArray[np.int64]:
        """Return the first rows of a source in a stimulus's own order, as many as are shown."""
        own = self.dataset.ids[row]
        key = (source, own, repeat)
        known = self._orders.get(key)
        if known is not None and len(known) >= number:
            return known
        origin = self._origin(source)
        purpose = {OTHER: "others"}.get(source, source)
        order = self._generator(own, purpose, repeat).permutation(len(origin))
        if source in DRAWN and source != OTHER:
            same = origin.labels[order] == self.dataset.labels[row]
            order = order[same if source == SAME_CATEGORY else ~same]
        count = max(number, self.numbers.get(source, 0))
        # the image itself is none of them
        found = [other for other in order[: count + 1] if origin.ids[other] != own][:count]
        self._orders[key] = np.array(found, dtype=np.int64)
        return self._orders[key]

    def _some_others(
        self, row: int, count: int, purpose: str, repeat: int,
    ) -> NDArray[np.floating]:
        """Return so many other images of the pool for a change, pixels 0 to 1."""
        own = self.dataset.ids[row]
        order = self._generator(own, purpose, repeat).permutation(len(self.pool))[: count + 1]
        others = [other for other in order if self.pool.ids[other] != own][:count]
        return self.pool.images[others or [row]] / 255

    @cached_property
    def _spectrum(self) -> NDArray[np.floating]:
        return masks.mean_spectrum(self.pool.images)

    def _generator(self, stimulus: str, purpose: str, repeat: int) -> np.random.Generator:
        again = "" if repeat == 1 else f", repeat {repeat}"
        return generator(self.seed, f"{purpose}{again}\n{stimulus}")


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return a generator of its own for a purpose: the same in any process, batch and order."""
    # hash() differs from process to process; a digest does not
    words = np.frombuffer(hashlib.sha256(purpose.encode()).digest(), dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


def is_random(picture: Picture) -> bool:
    """Whether a picture differs from repeat to repeat."""
    return (picture.show in masks.REGISTRY or drawn(picture.show) is not None
            or any(changes.REGISTRY[change.kind].random for change in picture.changes))


def draws_others(picture: Picture) -> bool:
    """Whether a picture has anything of other images than the target in it."""
    return (picture.of == SET or any(drawn(name) for name in (picture.show, picture.of))
            or any(changes.REGISTRY[change.kind].others for change in picture.changes))
