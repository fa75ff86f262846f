"""Masks: pictures that follow a target, each a function of it and of a random generator.

A mask takes pixels 0 to 1, float (C, H, W), and returns the same. Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pixels import Picture

Mask = Callable[[Picture, np.random.Generator], Picture]
#: Which pixels (H, W) a shape covers that goes through the pixel (y, x).
Shape = Callable[[int, int], NDArray[np.bool_]]


def _turn(spectrum: NDArray[Any], rng: np.random.Generator) -> Picture:
    """Add random phases to a spectrum, one set in all channels, and return the picture."""
    # phases of a real picture of noise: they have the symmetry that keeps the result real
    phases = np.angle(np.fft.fft2(rng.standard_normal(spectrum.shape[-2:])))
    phases[0, 0] = 0.0  # the mean stays
    turned: Picture = np.fft.ifft2(spectrum * np.exp(1j * phases)).real
    return turned


def _unclipped_phase_scrambled(image: Picture, rng: np.random.Generator) -> Picture:
    return _turn(np.fft.fft2(image), rng)


def phase_scrambled(image: Picture, rng: np.random.Generator) -> Picture:
    """Keep the picture's amplitude spectrum and mean, and make its phases random.

    One set of random phases is added in all channels, so colours stay together.
    Values outside 0 to 1 are clipped, which changes the spectrum a little.

    Parameters
    ----------
    image
        Pixels 0 to 1, (C, H, W).
    rng
        Draws the phases.

    Returns
    -------
    NDArray
        Pixels 0 to 1, (C, H, W).
    """
    return np.clip(_unclipped_phase_scrambled(image, rng), 0, 1)


def mean_spectrum(images: NDArray[np.uint8], sample: int = 256) -> NDArray[np.float64]:
    """Return the mean amplitude spectrum of a set of images.

    Parameters
    ----------
    images
        Pixels 0 to 255, uint8 (N, C, H, W).
    sample
        Of more images than these, so many are drawn, always the same.

    Returns
    -------
    NDArray[np.float64]
        Mean over images of the size of the Fourier transform of pixels 0 to 1,
        (C, H, W); the first is the mean of the set, times H times W.
    """
    rows = np.arange(len(images))
    if len(rows) > sample:
        rows = np.random.default_rng(0).choice(rows, sample, replace=False)
    amplitude = np.zeros(images.shape[1:])
    for row in rows:  # one by one: complex spectra of all would be 16 times their pixels
        amplitude += np.abs(np.fft.fft2(images[row] / 255))
    return amplitude / len(rows)


def phase_random(amplitude: NDArray[np.floating], rng: np.random.Generator) -> Picture:
    """Draw a picture that has an amplitude spectrum and random phases.

    One set of phases serves all channels. Values outside 0 to 1 are clipped, which
    changes the spectrum a little.

    Parameters
    ----------
    amplitude
        As :func:`mean_spectrum` gives it, (C, H, W).
    rng
        Draws the phases.

    Returns
    -------
    NDArray
        Pixels 0 to 1, (C, H, W).
    """
    return np.clip(_turn(amplitude, rng), 0, 1)


def white_noise(image: Picture, rng: np.random.Generator) -> Picture:
    """Draw each pixel of each channel evenly from 0 to 1; only the shape is taken over."""
    return rng.random(image.shape)


def pink_noise(image: Picture, rng: np.random.Generator) -> Picture:
    """Draw noise whose amplitude falls as 1/f, like that of natural scenes.

    Each channel is noise of its own, brought to the mean and the standard deviation
    of the picture's channel and clipped to 0 to 1.
    """
    channels, height, width = image.shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    frequency[0, 0] = np.inf  # no mean: it is set below
    spectrum = np.fft.fft2(rng.standard_normal((channels, height, width))) / frequency
    noise = np.fft.ifft2(spectrum).real
    spread = noise.std(axis=(1, 2), keepdims=True)
    noise = np.divide(noise, spread, out=np.zeros_like(noise), where=spread > 0)
    mean = image.mean(axis=(1, 2), keepdims=True)
    pink: Picture = mean + image.std(axis=(1, 2), keepdims=True) * noise
    return np.clip(pink, 0, 1)


def block_scrambled(image: Picture, rng: np.random.Generator) -> Picture:
    """Cut the picture into blocks and put them back in a random order.

    A block's sides are an eighth of the picture's where that divides it, else the
    next larger part that does, so every pixel keeps its value and has a new place.
    """
    channels, height, width = image.shape
    rows, columns = _parts(height), _parts(width)
    tall, wide = height // rows, width // columns
    blocks = image.reshape(channels, rows, tall, columns, wide).transpose(1, 3, 0, 2, 4)
    shuffled = blocks.reshape(rows * columns, channels, tall, wide)[
        rng.permutation(rows * columns)
    ]
    grid = shuffled.reshape(rows, columns, channels, tall, wide).transpose(2, 0, 3, 1, 4)
    return grid.reshape(channels, height, width)


def _parts(length: int) -> int:
    return next(parts for parts in range(min(8, length), 0, -1) if length % parts == 0)


def checkerboard(image: Picture, rng: np.random.Generator) -> Picture:
    """Draw black and white squares; only the shape is taken over.

    A square's side is an eighth of the picture's shorter side. Where the squares
    begin, and which of them are black, is random.
    """
    _, height, width = image.shape
    side = max(1, round(min(height, width) / 8))
    down, right, polarity = rng.integers(0, (side, side, 2))
    rows = (np.arange(height)[:, None] + down) // side
    columns = (np.arange(width)[None, :] + right) // side
    return _grey((rows + columns + polarity) % 2, image)


def pattern(image: Picture, rng: np.random.Generator) -> Picture:
    """Draw black and white strokes and rings that lie over each other; no pixel stays free.

    In the manner of the pattern of letters N and O of Rolls & Tovee (1994) and of the
    overlapping shapes of Kovacs, Vogels & Orban (1995), not a copy of either: strokes a
    third to two thirds as long as the picture's shorter side, rings a quarter to a half as
    large, lines a tenth of it wide, in any direction. Half of the field is white, as
    nearly as whole shapes allow, so the mean luminance is that of middle grey and the
    contrast is full. All channels are alike; only the shape is taken over.
    """
    _, height, width = image.shape
    side, thickness = min(height, width), max(1.0, min(height, width) / 10)

    def shape(y: int, x: int) -> NDArray[np.bool_]:
        ring, angle, size, along = rng.random(4)
        angle *= 2 * np.pi
        if ring < 0.5:
            radius = side * (1 + size) / 8
            away = _distance(image, y + radius * np.sin(angle), x + radius * np.cos(angle))
            on_ring: NDArray[np.bool_] = np.abs(away - radius) <= thickness / 2
            return on_ring
        return _stroke(image, (y, x), angle, side * (1 + size) / 3, along, thickness)

    return _painted(image, rng, shape)


def texture(image: Picture, rng: np.random.Generator) -> Picture:
    """Draw short black and white line segments of one direction all over the field.

    After the textures of Lamme, Zipser & Spekreijse (2002); here a segment is an eighth to
    a quarter as long as the picture's shorter side and a 32nd of it wide. The direction,
    one for the whole field, is random. Half of the field is white, as in `pattern`.
    """
    _, height, width = image.shape
    side, thickness = min(height, width), max(1.0, min(height, width) / 32)
    angle = np.pi * rng.random()

    def shape(y: int, x: int) -> NDArray[np.bool_]:
        size, along = rng.random(2)
        return _stroke(image, (y, x), angle, side * (1 + size) / 8, along, thickness)

    return _painted(image, rng, shape)


def _painted(image: Picture, rng: np.random.Generator, shape: Shape) -> Picture:
    """Put shape under shape, each through a pixel that is still free, until none is."""
    height, width = image.shape[1:]
    painted = np.full((height, width), -1)
    white, more_white = int(rng.integers(2)), 0
    for place in rng.permutation(height * width):
        y, x = divmod(int(place), width)
        if painted[y, x] >= 0:
            continue
        free = shape(y, x) & (painted < 0)
        free[y, x] = True  # rounding must not leave out the pixel it was drawn for
        painted[free] = white
        more_white += (2 * white - 1) * int(free.sum())
        # the next shape has the colour that is behind
        white = int(more_white < 0) if more_white else 1 - white
    return _grey(painted, image)


def _stroke(
    image: Picture, through: tuple[int, int], angle: float, length: float, along: float,
    thickness: float,
) -> NDArray[np.bool_]:
    """Return the pixels of a line that has a pixel at the fraction `along` of its length."""
    y, x = np.ogrid[: image.shape[1], : image.shape[2]]
    down, right = y - through[0], x - through[1]
    lengthwise = right * np.cos(angle) + down * np.sin(angle) + along * length
    across = down * np.cos(angle) - right * np.sin(angle)
    inside: NDArray[np.bool_] = (
        (lengthwise >= 0) & (lengthwise <= length) & (np.abs(across) <= thickness / 2)
    )
    return inside


def _distance(image: Picture, y: float, x: float) -> NDArray[np.float64]:
    rows, columns = np.ogrid[: image.shape[1], : image.shape[2]]
    away: NDArray[np.float64] = np.hypot(rows - y, columns - x)
    return away


def _grey(plane: NDArray[Any], image: Picture) -> Picture:
    """Return a plane (H, W) as all channels of a picture of the same shape as another."""
    return np.repeat(plane[None].astype(np.float64), image.shape[0], axis=0)


#: Every mask that can be shown, by the name that protocols use.
REGISTRY: dict[str, Mask] = {
    "phase_scrambled": phase_scrambled,
    "white_noise": white_noise,
    "pink_noise": pink_noise,
    "block_scrambled": block_scrambled,
    "pattern": pattern,
    "checkerboard": checkerboard,
    "texture": texture,
}
