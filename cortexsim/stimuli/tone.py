"""Changes of pixel values, and of what is fine and coarse in a picture.

Each takes pixels 0 to 1, float (C, H, W), and returns the same; see
:mod:`cortexsim.stimuli.changes` for the levels each can be told.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .pixels import MIDDLE_GREY, Others, Picture, count

#: Rec. 601 weights of red, green and blue in luminance.
LUMINANCE = (0.299, 0.587, 0.114)
#: In place of a number of cycles: every frequency passes.
ALL = "all"


def contrast(image: Picture, rng: np.random.Generator, others: Others, *, level: float) -> Picture:
    """Scale what differs from middle grey; 1 leaves the picture as it is, 0 is grey."""
    return image if level == 1 else MIDDLE_GREY + level * (image - MIDDLE_GREY)


def greyscale(
    image: Picture, rng: np.random.Generator, others: Others, *, amount: float
) -> Picture:
    """Mix the picture with its luminance; with 1 no colour is left, 0 leaves it as it is.

    Luminance is that of Rec. 601 for three channels; one channel has no colour to lose,
    and of any other number it is their mean.
    """
    channels = len(image)
    if amount == 0 or channels == 1:
        return image
    weights = LUMINANCE if channels == 3 else [1 / channels] * channels
    luminance = np.tensordot(weights, image, axes=1)
    return np.clip((1 - amount) * image + amount * luminance, 0, 1)


def gaussian_noise(
    image: Picture, rng: np.random.Generator, others: Others, *, sd: float
) -> Picture:
    """Add noise of a standard deviation to each pixel of each channel, and clip to 0 to 1.

    Every `sd` scales the same noise.
    """
    noise = rng.standard_normal(image.shape)
    return image if sd == 0 else np.clip(image + sd * noise, 0, 1)


def salt_and_pepper(
    image: Picture, rng: np.random.Generator, others: Others, *, fraction: float
) -> Picture:
    """Turn a fraction of the pixels white or black, all channels of a pixel together.

    Their number is exact; each is white or black with the same chance. Those that a smaller
    fraction hits are among those that a larger one hits, and have the same colour.
    """
    height, width = image.shape[1:]
    order = rng.permutation(height * width)
    white = rng.integers(0, 2, height * width)
    hit = order[: count(fraction, height * width)]
    noisy = image.reshape(len(image), -1).copy()
    noisy[:, hit] = white[hit]
    return noisy.reshape(image.shape)


def blur(image: Picture, rng: np.random.Generator, others: Others, *, sd: float) -> Picture:
    """Blur with a Gaussian, cut off at 4 `sd`; at the edges the outermost pixels go on."""
    from scipy.ndimage import gaussian_filter

    if sd < 0.125:  # no other pixel is within 4 sd, and scipy would divide by sd squared
        return image
    blurred: Picture = gaussian_filter(image, (0, sd, sd), mode="nearest")
    return np.clip(blurred, 0, 1)


def low_pass(
    image: Picture, rng: np.random.Generator, others: Others, *, cycles: float | str
) -> Picture:
    """Keep the frequencies below a cut-off, and the mean; ``all`` keeps every one.

    The filter is Gaussian in frequency and the same in every direction; it halves the
    amplitude at `cycles` per picture, counted along its shorter side. The picture is
    mirrored at its edges, so that they do not meet those on the other side. What leaves
    0 to 1 is clipped.
    """
    return image if cycles == ALL else np.clip(_lower(image, float(cycles)), 0, 1)


def high_pass(
    image: Picture, rng: np.random.Generator, others: Others, *, cycles: float
) -> Picture:
    """Take away the frequencies that :func:`low_pass` keeps, but the mean; 0 takes none.

    Before they are clipped to 0 to 1, the low-passed and the high-passed picture add up
    to the picture and its mean.
    """
    return image if cycles == 0 else np.clip(_higher(image, cycles), 0, 1)


def _lower(image: Picture, cycles: float) -> Picture:
    from scipy.fft import dctn, idctn

    # The cosine transform is the Fourier transform of a picture with its mirror images;
    # its components have 0, 1/2, 1, 3/2, ... cycles in the length of an axis.
    height, width = image.shape[1:]
    per_pixel = np.hypot(np.arange(height)[:, None] / (2 * height),
                         np.arange(width)[None, :] / (2 * width))
    frequency: NDArray[np.float64] = per_pixel * min(height, width)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # 0 cycles or nearly
        gain = np.exp2(-((frequency / cycles) ** 2))
    gain[0, 0] = 1.0  # the mean
    lowered: Picture = idctn(gain * dctn(image, axes=(1, 2)), axes=(1, 2))
    return lowered


def _higher(image: Picture, cycles: float) -> Picture:
    higher: Picture = image - _lower(image, cycles) + image.mean(axis=(1, 2), keepdims=True)
    return higher
