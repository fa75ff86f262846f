"""What a network is shown: a batch of images, or what drives it at each index."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..errors import GraphError

#: One batch of images, on from index 0 in the network's input mode; or what drives the first
#: area at each index, a batch or None for nothing, which also follows the end of the list.
Frames = Tensor | Sequence[Tensor | None]


def by_index(images: Frames, input_mode: str, last: int) -> list[Tensor | None]:
    """Return what drives the first area at the indices 0 to `last`.

    Parameters
    ----------
    images
        Batches of shape (batch, channels, height, width), as :data:`Frames` says.
    input_mode
        ``sustained`` or ``onset``; for a single batch of images.
    last
        The last index.

    Raises
    ------
    GraphError
        If a sequence does not begin with images: time counts from the first.
    """
    if isinstance(images, Tensor):
        return [images] + [images if input_mode == "sustained" else None] * last
    if not len(images) or images[0] is None:
        raise GraphError("a sequence begins with images, at index 0, from which time counts")
    return [*images[: last + 1], *[None] * (last + 1 - len(images))]
