"""From a protocol, images and a seed to the frame shown at each index."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolError, unknown
from .datasets import Dataset
from .gallery import Gallery, is_random
from .protocol import (
    DRAWN,
    INPUT_MODES,
    OTHER,
    SAME_CATEGORY,
    TARGET,
    Condition,
    Presentation,
    Protocol,
    drawn,
)


class Movie:
    """Frames of any stimuli in any condition at any index.

    What is random is the same for a stimulus in every condition, batch, and subset of the
    data set (:class:`cortexsim.stimuli.gallery.Gallery`): levels of a factor are compared
    on the same noise. So are a stimulus's other images, from a pool that does not shrink
    with the subset.

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
        self.gallery = Gallery(dataset, self.pool, self.sources, seed, protocol.drawn)

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
        return self.gallery.render(shown.picture, stimuli, condition.repeat)

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
                found[:, columns] = self.gallery.labels(*image, stimuli, repeat)[:, None]
        return found


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
