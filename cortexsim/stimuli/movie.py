"""From a protocol, images and a seed to the frame shown at each index."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolError, unknown
from . import changes, masks
from .datasets import Dataset, to_input
from .protocol import (
    DRAWN,
    GREY,
    INPUT_MODES,
    OTHER,
    SAME_CATEGORY,
    SET,
    TARGET,
    Condition,
    Picture,
    Presentation,
    Protocol,
    drawn,
)

#: The pixel value of ``grey``; it becomes 0 in the model's input.
GREY_PIXEL = 127.5


class Movie:
    """Frames of any stimuli in any condition at any index.

    What is random is drawn from the seed, the stimulus's id, what it is for (such as the
    mask's name and what the mask is made of), and the repeat, so it is the same in every
    condition, batch, and subset of the data set: levels of a factor are compared on the
    same noise. So are a stimulus's other images, from a pool that does not shrink with the
    subset.

    Parameters
    ----------
    protocol
        What is shown when.
    dataset
        The targets.
    seed
        Seed of all that is random, 0 or more.
    input_mode
        ``sustained``: a frame at every index of a presentation; ``onset``: at its
        first index, then nothing.
    pool
        Where other images than the target come from, more than are shown of them; by
        default `dataset`.
    sources
        The protocol's further sources of images, of the same shape.

    Raises
    ------
    ProtocolError
        If the input mode is unknown or the seed negative.
    """

    def __init__(
        self, protocol: Protocol, dataset: Dataset, seed: int = 0, input_mode: str = "sustained",
        pool: Dataset | None = None, sources: Mapping[str, Dataset] | None = None,
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
        self.sources = {name: source.told_by(dataset.classes)
                        for name, source in (sources or {}).items()}
        # orders of long pools, kept as far as they are shown: nothing else depends on them
        self._orders: dict[tuple[str, str, int], NDArray[np.int64]] = {}

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

        For the same stimulus, the same key means the same frame, in any condition. The
        repeat is part of it where anything in the picture is random.
        """
        shown = self.presentation(condition, t)
        if shown is None or (self.input_mode == "onset" and t != shown.start):
            return None
        return shown.picture, condition.repeat if is_random(shown.picture) else 1

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
        return self.render(shown.picture, stimuli, condition.repeat)

    def drive(self, condition: Condition) -> list[bool]:
        """Say at each index 0 to T whether a frame drives the first area."""
        return self.protocol.drive(condition, self.input_mode)

    def shown(self, condition: Condition) -> list[str]:
        """Return the name of what is on at each index 0 to T."""
        return self.protocol.timeline(condition)

    def labels(
        self, pictures: Sequence[str], stimuli: Sequence[int], repeat: int = 1,
    ) -> NDArray[np.int64]:
        """Return the class of each picture for each stimulus, -1 for what has none.

        Parameters
        ----------
        pictures
            Names, as :meth:`shown` gives them.
        stimuli
            Indices into the data set.
        repeat
            The condition's: other images are drawn anew in each.

        Returns
        -------
        NDArray[np.int64]
            Shape (stimuli, pictures). Images of further sources have the class of the
            data set that bears their own's name.
        """
        found = np.full((len(stimuli), len(pictures)), -1, dtype=np.int64)
        for name in set(pictures):
            columns = [place for place, other in enumerate(pictures) if other == name]
            image = drawn(name)
            if name == TARGET:
                found[:, columns] = self.dataset.labels[np.asarray(stimuli), None]
            elif image:
                rows = self._rows(*image, stimuli, repeat)
                found[:, columns] = self._origin(image[0]).labels[rows, None]
        return found

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
        return self._origin(image[0]).images[self._rows(*image, stimuli, repeat)]

    def _origin(self, source: str) -> Dataset:
        return self.pool if source in DRAWN else self.sources[source]

    def _rows(
        self, source: str, number: int, stimuli: Sequence[int], repeat: int,
    ) -> NDArray[np.int64]:
        """Return which row of its source is each stimulus's image of a number, 1 or more."""
        return np.array([self._order(source, row, number, repeat)[number - 1] for row in stimuli],
                        dtype=np.int64)

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
        count = max(number, self.protocol.drawn.get(source, 0))
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
        # hash() differs from process to process; a digest does not
        again = "" if repeat == 1 else f", repeat {repeat}"
        digest = hashlib.sha256(f"{purpose}{again}\n{stimulus}".encode()).digest()
        words = np.frombuffer(digest, dtype="<u4").tolist()
        return np.random.default_rng(np.random.SeedSequence([self.seed, *words]))


def is_random(picture: Picture) -> bool:
    """Whether a picture differs from repeat to repeat."""
    return (picture.show in masks.REGISTRY or drawn(picture.show) is not None
            or any(changes.REGISTRY[change.kind].random for change in picture.changes))


def check(
    protocol: Protocol, pool: Dataset, sources: Mapping[str, Dataset] | None = None,
) -> None:
    """See that there are as many images as a protocol draws for each stimulus.

    Parameters
    ----------
    protocol
        What is shown.
    pool
        All images of which some are targets.
    sources
        The further sources by name.

    Raises
    ------
    ProtocolError
        With what there is too little of.
    """
    sources = sources or {}
    own = {*pool.ids}
    for source, number in protocol.drawn.items():
        said = f"protocol '{protocol.name}' shows {source}_{number}"
        if source == OTHER:
            if number >= len(pool):
                raise ProtocolError(
                    f"protocol '{protocol.name}' shows {number} images besides the target, data "
                    f"set '{pool.name}' has {len(pool)} in all: show fewer")
        elif source in DRAWN:
            _check_category(said, pool, source, number)
        elif source not in sources:
            raise ProtocolError(f"{said}, and its source '{source}' was not given")
        else:
            origin = sources[source]
            if origin.images.shape[1:] != pool.images.shape[1:]:
                raise ProtocolError(
                    f"{said}: images of '{origin.name}' are {_shape(origin)} (channels x height x "
                    f"width), those of data set '{pool.name}' are {_shape(pool)}; they must be "
                    "the same")
            # the target itself is not drawn
            count = len(origin) - any(name in own for name in origin.ids)
            if number > count:
                raise ProtocolError(f"{said}: source '{source}' has {count} images: show fewer")


def _check_category(said: str, pool: Dataset, source: str, number: int) -> None:
    if (pool.labels < 0).any():
        raise ProtocolError(f"{said}: not all images of data set '{pool.name}' have a class that "
                            "the network knows; show other_1 in its place")
    present, counts = np.unique(pool.labels, return_counts=True)
    there = counts - 1 if source == SAME_CATEGORY else len(pool) - counts
    least = int(np.argmin(there))
    if number > there[least]:
        kind = "of the same class" if source == SAME_CATEGORY else "of another class"
        raise ProtocolError(
            f"{said}: for an image of class '{pool.classes[present[least]]}' data set "
            f"'{pool.name}' has {there[least]} others {kind}: show fewer")


def _shape(images: Dataset) -> str:
    return "x".join(map(str, images.images.shape[1:]))
