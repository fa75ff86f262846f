"""Training images: rendered once an epoch, augmented batch by batch, on the device.

All randomness comes from (seed, epoch, batch), so that training can go on from
any batch as if it had never stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..schema import INPUT_MEAN, INPUT_SCALE
from ..stimuli import datasets, digits
from ..stimuli.datasets import Dataset

#: Fragments of debris in the renderings of each scan that make up one epoch.
DEBRIS = (0, 0, 8, 12, 16, 16, 16, 20)


def generator(*parts: object) -> torch.Generator:
    """Return a random stream that belongs to these words and numbers alone."""
    digest = sha256("/".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))


def as_input(pixels: Tensor) -> Tensor:
    """Bring pixels 0 to 255 to what networks take, as :func:`datasets.to_input` does."""
    return pixels.float() * (1 / (255 * INPUT_SCALE)) - INPUT_MEAN / INPUT_SCALE


@dataclass(frozen=True)
class Augmentation:
    """What is done at random to each training image.

    Attributes
    ----------
    shift
        Largest shift in pixels, each way (a random crop from a padded image).
    flip
        Whether half of the images are mirrored.
    rotate, scale
        Largest rotation in degrees, and relative change of size.
    background
        Pixel value that comes in from outside, or one for each channel.
    """

    shift: int = 0
    flip: bool = False
    rotate: float = 0.0
    scale: float = 0.0
    background: int | tuple[int, ...] = 0

    def __call__(self, pixels: Tensor, random: torch.Generator) -> Tensor:
        """Augment pixels, shape (batch, channels, height, width), values kept."""
        count, _, height, width = pixels.shape
        device = pixels.device
        outside = torch.tensor(self.background, dtype=pixels.dtype, device=device).view(-1, 1, 1)
        if self.rotate or self.scale:
            draw = torch.rand(2, count, generator=random).to(device) * 2 - 1
            angle, zoom = torch.deg2rad(draw[0] * self.rotate), 1 + draw[1] * self.scale
            zero = torch.zeros_like(angle)
            rows = [zoom * angle.cos(), -zoom * angle.sin(), zero,
                    zoom * angle.sin(), zoom * angle.cos(), zero]
            grid = F.affine_grid(torch.stack(rows, 1).view(count, 2, 3), list(pixels.shape),
                                 align_corners=False)
            # outside of its input grid_sample sees zeros
            relative = F.grid_sample(pixels.float() - outside, grid, align_corners=False)
            pixels = relative + outside
        if self.shift or self.flip:
            padded = outside.to(pixels.dtype).expand(pixels.shape[1], 1, 1).repeat(
                count, 1, height + 2 * self.shift, width + 2 * self.shift)
            padded[:, :, self.shift:self.shift + height, self.shift:self.shift + width] = pixels
            corner = torch.randint(2 * self.shift + 1, (2, count), generator=random).to(device)
            y = corner[0, :, None] + torch.arange(height, device=device)
            x = corner[1, :, None] + torch.arange(width, device=device)
            if self.flip:
                mirror = (torch.rand(count, generator=random) < 0.5).to(device)
                x = torch.where(mirror[:, None], x.flip(1), x)
            each = torch.arange(count, device=device)[:, None, None]
            pixels = padded.permute(0, 2, 3, 1)[each, y[:, :, None], x[:, None, :]]
            pixels = pixels.permute(0, 3, 1, 2)
        return pixels


class TrainingImages:
    """The training images of a data set, epoch by epoch.

    Parameters
    ----------
    dataset
        The training split.
    holdout
        The number of training images that were held out of it.
    seed
        Of everything random.
    device
        Where images live.
    pad_with_mean
        As a recipe has it.
    """

    def __init__(self, dataset: Dataset, holdout: int, seed: int, device: torch.device,
                 pad_with_mean: bool = False) -> None:
        self.dataset, self.seed, self.device = dataset, seed, device
        source = datasets.REGISTRY[dataset.name]
        mean = {"background": source.mean} if pad_with_mean and source.mean else {}
        self.augment = Augmentation(**source.augmentation | mean)
        # clutter is drawn anew each epoch; other images stay as they are
        self._scans = digits.scans("train", holdout) if dataset.name == "digits" else None
        self._pixels = torch.from_numpy(dataset.images).to(device)
        self._labels = torch.from_numpy(dataset.labels).to(device)

    def __len__(self) -> int:
        """Return the number of images in an epoch."""
        return len(self._labels) * (len(DEBRIS) if self._scans else 1)

    def epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Return an epoch's images (uint8) and labels, in random order."""
        pixels, labels = self._pixels, self._labels
        random = generator(self.seed, "epoch", epoch)
        if self._scans:
            rng = np.random.default_rng([self.seed, 1, epoch])
            scans = self._scans.pixels[:len(labels)]  # as many as are used
            pixels = torch.cat([
                torch.from_numpy(digits.to_pixels(digits.clutter(scans, scans, rng, debris=count)))
                for count in DEBRIS
            ]).to(self.device)
            labels = labels.repeat(len(DEBRIS))
        order = torch.randperm(len(labels), generator=random).to(self.device)
        return pixels[order], labels[order]

    def batch(self, pixels: Tensor, epoch: int, batch: int) -> Tensor:
        """Return one batch as the network takes it, augmented."""
        return as_input(self.augment(pixels, generator(self.seed, "batch", epoch, batch)))


def calibration_images(dataset: Dataset, count: int, seed: int) -> Tensor:
    """Choose training images for calibration, seeded, unaugmented.

    Parameters
    ----------
    dataset
        The training split (in clutter, for the digits).
    count
        How many; all if there are fewer.
    seed
        Of the choice.

    Returns
    -------
    Tensor
        Shape (count, channels, height, width), as the network takes them.
    """
    order = torch.randperm(len(dataset), generator=generator(seed, "calibration"))[:count]
    chosen = dataset.images[order.sort().values.numpy()]
    return torch.from_numpy(datasets.to_input(chosen))
