"""Changes of where a picture is in its frame, of its size, and of what lies around it."""

from __future__ import annotations

import numpy as np

from .pixels import MIDDLE_GREY, Others, Picture

#: Clutter is cut from at most so many other images.
SOURCES = 16


def translate(
    image: Picture, rng: np.random.Generator, others: Others, *, x: float, y: float
) -> Picture:
    """Move the picture `x` pixels to the right and `y` down, negative ones to the left and up.

    What it leaves is middle grey: the background of digits, and nothing new to see.
    """
    across, down = int(x), int(y)
    if across == 0 and down == 0:
        return image
    height, width = image.shape[1:]
    moved = np.full_like(image, MIDDLE_GREY)
    if abs(across) < width and abs(down) < height:
        moved[:, max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)] = (
            image[:, max(-down, 0) : height - max(down, 0),
                  max(-across, 0) : width - max(across, 0)])
    return moved


def scale(
    image: Picture, rng: np.random.Generator, others: Others, *, factor: float
) -> Picture:
    """Enlarge or shrink the picture about its centre, in a frame that keeps its size.

    Pixels are interpolated linearly, after a blur of half a pixel of the small picture's
    less half one of the large one's if it shrinks. Around a shrunken one is middle grey.
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    if factor == 1:
        return image
    if factor < 1:
        sd = 0.5 * (1 / factor - 1)
        image = gaussian_filter(image, (0, sd, sd), mode="nearest")
    centre = (np.array(image.shape[1:]) - 1) / 2
    scaled = np.empty_like(image)
    for source, target in zip(image, scaled, strict=True):
        affine_transform(source, np.full(2, 1 / factor), centre - centre / factor, output=target,
                         order=1, mode="grid-constant", cval=MIDDLE_GREY)
    return np.clip(scaled, 0, 1)


def clutter(
    image: Picture, rng: np.random.Generator, others: Others, *, pieces: float, side: float
) -> Picture:
    """Throw square pieces of other images on the picture, as debris.

    Each pixel shows that of picture and pieces which differs most from middle grey (summed
    over channels; the picture where they are equal). So pieces of background hide nothing,
    and of bright digits on grey the brightest is seen, as in the data set ``digits``; of
    natural images what is darkest and brightest. More pieces are added to those of fewer.

    Parameters
    ----------
    image
        Pixels 0 to 1, (C, H, W).
    rng
        Draws where each piece is cut, and where it goes; half of its side may hang
        over the edge.
    others
        Images of the same shape, from which pieces are cut in turn: as many as there are
        pieces, up to 16.
    pieces
        How many; 0 leaves the picture as it is.
    side
        Side of a piece, as a fraction of the picture's shorter side.
    """
    if pieces == 0:
        return image
    sources = others(min(int(pieces), SOURCES))
    height, width = image.shape[1:]
    length = max(1, round(side * min(height, width)))
    edge = length // 2
    cluttered = np.pad(image, ((0, 0), (edge, edge), (edge, edge)), constant_values=MIDDLE_GREY)
    cuts = np.array([height - length + 1, width - length + 1])
    highest = np.concatenate([cuts, cuts + 2 * edge])
    # one draw a number, so that the first pieces are the same whatever their count
    places = np.floor(rng.random((int(pieces), 4)) * highest).astype(int)
    for number, (from_y, from_x, y, x) in enumerate(places):
        piece = sources[number % len(sources), :, from_y : from_y + length,
                        from_x : from_x + length]
        there = cluttered[:, y : y + length, x : x + length]
        stands_out = (np.abs(piece - MIDDLE_GREY).sum(axis=0)
                      > np.abs(there - MIDDLE_GREY).sum(axis=0))
        cluttered[:, y : y + length, x : x + length] = np.where(stands_out, piece, there)
    return np.ascontiguousarray(cluttered[:, edge : edge + height, edge : edge + width])
