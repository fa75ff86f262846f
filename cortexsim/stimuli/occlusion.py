"""Occlusion: an exact fraction of a picture is hidden, by bubbles, bars or objects.

Drawn from the same generator, what a smaller fraction hides a larger one hides too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .pixels import Others, Picture, count

#: Standard deviation of a bubble, as a fraction of the picture's shorter side: 14 pixels in the
#: code of Tang et al. 2018, taken as of 256 (the size of their pictures is not in that code).
BUBBLE = 14 / 256
#: Bars across the picture's shorter side.
BARS = 4
#: Least and greatest radius of an occluding object, as fractions of the shorter side.
RADII = 0.08, 0.2

Plane = NDArray[np.float64]


def occlude(
    image: Picture, rng: np.random.Generator, others: Others, *, hidden: float, by: str,
    shade: float,
) -> Picture:
    """Hide a fraction of the picture.

    Parameters
    ----------
    image
        Pixels 0 to 1, (C, H, W).
    rng
        Draws what hides it.
    others
        Not used.
    hidden
        The fraction of the picture's (not of an object's) pixels that is hidden: by bars
        and objects to within a pixel, by bubbles as the mean opacity. 0 leaves the
        picture as it is.
    by
        ``bubbles``: the picture is seen only through Gaussian windows, after Gosselin &
        Schyns (2001); as in Tang et al. (2018), where windows meet the clearer one counts.
        The last of them is fainter, so that the fraction is met.
        ``bars``: four parallel bars of random direction and place, the wider the more
        they hide.
        ``objects``: opaque discs of random place and size, the last one smaller; after
        the black discs (`shade` 0) of Rajaei et al. (2019).
    shade
        Grey value, 0 to 1, of all that is hidden.
    """
    if hidden == 0:
        return image
    if by == "bubbles":
        visible = _bubbles(image.shape[1:], rng, 1 - hidden)
    else:
        order = np.argsort(_ORDERS[by](image.shape[1:], rng), axis=None, kind="stable")
        visible = np.ones(order.size)
        visible[order[: count(hidden, order.size)]] = 0
        visible = visible.reshape(image.shape[1:])
    return np.clip(visible * image + (1 - visible) * shade, 0, 1)


def _bubbles(size: tuple[int, ...], rng: np.random.Generator, clear: float) -> Plane:
    """Return how clear each pixel is through as many bubbles as make so much clear on average."""
    from scipy.ndimage import distance_transform_edt

    centres = rng.permutation(size[0] * size[1])

    def through(bubbles: int) -> Plane:
        # the clearest of equal Gaussians is the one whose centre is nearest
        if bubbles == 0:
            return np.zeros(size)
        closed = np.ones(size, dtype=bool)
        closed.flat[centres[:bubbles]] = False
        away = distance_transform_edt(closed) / (BUBBLE * min(size))
        window: Plane = np.exp(-0.5 * np.square(away))
        return window

    # each bubble makes the picture clearer, and one on every pixel all of it
    too_few, enough = 0, len(centres)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (middle, enough) if through(middle).mean() < clear else (too_few, middle)
    before, after = through(too_few), through(enough)
    last = (clear - float(before.mean())) / float(after.mean() - before.mean())
    visible: Plane = before + last * (after - before)
    return visible


def _bars(size: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """Return a wave over the picture; the pixels where it is lowest are hidden first."""
    angle, phase = np.pi * rng.random(), 2 * np.pi * rng.random()
    y, x = np.ogrid[: size[0], : size[1]]
    across = (y * np.sin(angle) + x * np.cos(angle)) / min(size)
    wave: Plane = np.cos(2 * np.pi * BARS * across + phase)
    return wave


def _discs(size: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """Return which disc hides each pixel, and how far from its middle: 2.4 is in disc 2."""
    y, x = np.ogrid[: size[0], : size[1]]
    hidden_by = np.full(size, np.inf)
    for number, place in enumerate(rng.permutation(size[0] * size[1])):
        row, column = divmod(int(place), size[1])
        if hidden_by[row, column] < np.inf:
            continue  # each disc is in the middle of something that still shows
        away = np.hypot(y - row, x - column) / (rng.uniform(*RADII) * min(size))
        hidden_by = np.where((away < 1) & (hidden_by == np.inf), number + away, hidden_by)
    return hidden_by


#: For each kind of hard-edged occluder, in which order pixels are hidden: lowest first.
_ORDERS: dict[str, Callable[[tuple[int, ...], np.random.Generator], Plane]] = {
    "bars": _bars,
    "objects": _discs,
}
#: Every kind of occluder.
OCCLUDERS = ("bubbles", *_ORDERS)
