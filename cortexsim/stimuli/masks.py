"""Masks: pictures that follow a target, each a function of it and of a random generator.

A mask takes pixels 0 to 1, float (C, H, W), and returns the same. Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.floating]
Mask = Callable[[Picture, np.random.Generator], Picture]


def _unclipped_phase_scrambled(image: Picture, rng: np.random.Generator) -> Picture:
    # phases of a real picture of noise: they have the symmetry that keeps the result real
    phases = np.angle(np.fft.fft2(rng.standard_normal(image.shape[-2:])))
    phases[0, 0] = 0.0  # the mean stays
    turned: Picture = np.fft.ifft2(np.fft.fft2(image) * np.exp(1j * phases)).real
    return turned


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


#: Every mask that can be shown, by the name that protocols use.
REGISTRY: dict[str, Mask] = {
    "phase_scrambled": phase_scrambled,
    "white_noise": white_noise,
    "pink_noise": pink_noise,
    "block_scrambled": block_scrambled,
}
