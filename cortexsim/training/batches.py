"""Training images: rendered once an epoch, augmented batch by batch, on the device.

They come as sequences; an ordinary image is a sequence of one.

All randomness comes from (seed, epoch, batch), so that training can go on from
any batch as if it had never stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import SimulationError
from ..models.frames import Brief, Frames
from ..schema import INPUT_MEAN, INPUT_SCALE
from ..stimuli import datasets, digits
from ..stimuli.datasets import Dataset
from ..stimuli.sequences import SequenceTask
from .state import Settings

#: Fragments of debris in the renderings of each scan that make up one epoch.
DEBRIS = (0, 0, 8, 12, 16, 16, 16, 20)
#: Every row.
ALL = slice(None)


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

    def __call__(self, pixels: Tensor, random: torch.Generator,
                 rows: slice = ALL) -> Tensor:
        """Augment pixels, values kept.

        Parameters
        ----------
        pixels
            The whole batch, shape (batch, channels, height, width): chance is drawn for each
            image of it, so that its parts are augmented as the whole is.
        random
            Where chance comes from.
        rows
            The images wanted.
        """
        drawn, (pixels, device) = len(pixels), (pixels[rows], pixels.device)
        count, _, height, width = pixels.shape
        outside = torch.tensor(self.background, dtype=pixels.dtype, device=device).view(-1, 1, 1)
        if self.rotate or self.scale:
            draw = torch.rand(2, drawn, generator=random)[:, rows].to(device) * 2 - 1
            angle, zoom = torch.deg2rad(draw[0] * self.rotate), 1 + draw[1] * self.scale
            zero = torch.zeros_like(angle)
            turned = [zoom * angle.cos(), -zoom * angle.sin(), zero,
                      zoom * angle.sin(), zoom * angle.cos(), zero]
            grid = F.affine_grid(torch.stack(turned, 1).view(count, 2, 3), list(pixels.shape),
                                 align_corners=False)
            # outside of its input grid_sample sees zeros
            relative = F.grid_sample(pixels.float() - outside, grid, align_corners=False)
            pixels = relative + outside
        if self.shift or self.flip:
            padded = outside.to(pixels.dtype).expand(pixels.shape[1], 1, 1).repeat(
                count, 1, height + 2 * self.shift, width + 2 * self.shift)
            padded[:, :, self.shift:self.shift + height, self.shift:self.shift + width] = pixels
            corner = torch.randint(2 * self.shift + 1, (2, drawn), generator=random)
            corner = corner[:, rows].to(device)
            y = corner[0, :, None] + torch.arange(height, device=device)
            x = corner[1, :, None] + torch.arange(width, device=device)
            if self.flip:
                mirror = (torch.rand(drawn, generator=random) < 0.5)[rows].to(device)
                x = torch.where(mirror[:, None], x.flip(1), x)
            each = torch.arange(count, device=device)[:, None, None]
            pixels = padded.permute(0, 2, 3, 1)[each, y[:, :, None], x[:, None, :]]
            pixels = pixels.permute(0, 3, 1, 2)
        return pixels


class TrainingImages:
    """The training images of a data set, epoch by epoch, in sequences.

    Parameters
    ----------
    dataset
        The training split.
    task
        How many images make a sequence.
    holdout
        The number of training images that were held out of it.
    seed
        Of everything random.
    device
        Where images live.
    pad_with_mean
        As a recipe has it.
    """

    def __init__(self, dataset: Dataset, task: SequenceTask, holdout: int, seed: int,
                 device: torch.device, pad_with_mean: bool = False) -> None:
        self.dataset, self.task, self.seed, self.device = dataset, task, seed, device
        source = datasets.REGISTRY[dataset.name]
        mean = {"background": source.mean} if pad_with_mean and source.mean else {}
        self.augment = Augmentation(**source.augmentation | mean)
        # clutter is drawn anew each epoch; other images stay as they are
        self._scans = digits.scans("train", holdout) if dataset.name == "digits" else None
        self._pixels = torch.from_numpy(dataset.images).to(device)
        self._labels = torch.from_numpy(dataset.labels).to(device)

    def __len__(self) -> int:
        """Return the number of sequences in an epoch."""
        return len(self._labels) * (len(DEBRIS) if self._scans else 1) // self.task.images

    def epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Return an epoch's sequences, in random order, each image in one of them.

        Returns
        -------
        tuple
            Pixels, uint8 (sequences, images, channels, height, width), and labels
            (sequences, images).
        """
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
        order = order[: len(self) * self.task.images].view(len(self), self.task.images)
        return pixels[order], labels[order]

    def batch(self, pixels: Tensor, epoch: int, batch: int,
              share: slice = ALL) -> list[Tensor]:
        """Return one batch as the network takes it, augmented: for each place its images.

        Parameters
        ----------
        pixels
            The whole batch, shape (batch, images, channels, height, width).
        epoch, batch
            Which it is.
        share
            The sequences wanted of it; all by default.
        """
        random, images = generator(self.seed, "batch", epoch, batch), pixels.shape[1]
        first, last, _ = share.indices(len(pixels))
        augmented = as_input(self.augment(pixels.flatten(0, 1), random,
                                          slice(first * images, last * images)))
        return list(augmented.view(last - first, *pixels.shape[1:]).unbind(1))


def training_images(settings: Settings, root: Path | None) -> Dataset:
    """Load the images that a training uses, unaugmented.

    Parameters
    ----------
    settings
        The training's, settled, as a card has them.
    root
        Folder of data sets.

    Raises
    ------
    SimulationError
        If more images are asked for than there are.
    """
    data = datasets.load(settings.dataset, "train", root=root, holdout=settings.holdout)
    if settings.images is not None and settings.images > len(data):
        raise SimulationError(f"{settings.images} training images were asked for; "
                              f"{settings.dataset} has {len(data)} that are not held out")
    return data.take(slice(settings.images))


def in_sequence(count: int, images: int, seed: int) -> Tensor:
    """Put images in sequences so that each comes once at each place.

    Parameters
    ----------
    count
        The number of images, and of sequences.
    images
        The length of a sequence.
    seed
        Of the order at the second place and on; at the first it is their own.

    Returns
    -------
    Tensor
        Rows of the images, shape (images, count): one row for each place.
    """
    orders = [torch.arange(count)]
    orders += [torch.randperm(count, generator=generator(seed, "place", place))
               for place in range(1, images)]
    return torch.stack(orders)


def exposed(images: Tensor, share: float, end: int, random: torch.Generator, *,
            batch: int | None = None, rows: slice = ALL) -> Brief:
    """Let some images go off at random, before the readout.

    Parameters
    ----------
    images
        Shape (batch, channels, height, width).
    share
        How many of them, 0 to 1: each with this probability.
    end
        The readout time. An image that goes off is on for 1 to `end` steps, each number
        equally often; the others stay on for ever.
    random
        Where chance comes from.
    batch, rows
        If the images are these rows of a larger batch: its size, for which chance is drawn.
    """
    count = len(images) if batch is None else batch
    steps = torch.randint(1, end + 1, (count,), generator=random)
    stay = torch.rand(count, generator=random) >= share
    steps = torch.where(stay, torch.iinfo(torch.int64).max, steps)
    return Brief(images, steps[rows].to(images.device))


def calibration_frames(dataset: Dataset, task: SequenceTask, input_mode: str, count: int,
                       seed: int, last: int, brief: float = 0.0) -> Frames:
    """Choose training images for calibration, seeded, unaugmented, as the task shows them.

    Parameters
    ----------
    dataset
        The training split (in clutter, for the digits).
    task
        How they follow each other; the last one stays on.
    input_mode
        The graph's.
    count
        How many images, and sequences; all if there are fewer images.
    seed
        Of the choice and the order.
    last
        The last index.
    brief
        The share of images that go off before the task's end.

    Returns
    -------
    Frames
        What drives at each index 0 to `last`, shape (count, channels, height, width); or
        images that go off one by one.
    """
    chosen = torch.randperm(len(dataset), generator=generator(seed, "calibration"))[:count]
    images = torch.from_numpy(datasets.to_input(dataset.images[chosen.sort().values.numpy()]))
    if brief:
        return exposed(images, brief, task.end, generator(seed, "calibration", "brief"))
    places = in_sequence(len(images), task.images, seed)
    pictures = [images[rows] for rows in places] if task.images > 1 else [images]
    return task.frames(pictures, input_mode, last)
