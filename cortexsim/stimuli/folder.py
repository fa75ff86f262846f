"""Pictures from a folder of the user's own, made to fit a network."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import places
from ..errors import DatasetError
from .datasets import GREY, Dataset

if TYPE_CHECKING:
    from PIL.Image import Image

#: Ends of the names of pictures that are read.
FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp")
#: Of pictures that are not: one of these must not go missing without a word.
FOREIGN = (".avif", ".eps", ".heic", ".heif", ".jp2", ".pdf", ".pgm", ".ppm", ".psd", ".svg",
           ".tga")
#: What they are written in, whatever their names say: by others, such as EPS, programs are run.
DECODERS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP")
#: Most memory that a folder's pictures may take, in bytes.
MOST = 16 * 2**30
#: Pixels of a picture at most, looked at before any is decoded; the largest of ImageNet's and of
#: usual cameras' have 61 million. So many take up to 1 GB of memory for a moment.
MOST_PIXELS = 64_000_000


def load(path: str | Path, shape: tuple[int, ...]) -> Dataset:
    """Load all pictures of a folder, in the order of their names.

    In a folder of folders, each of these is a class; pictures may lie deeper in it. In a
    folder of pictures, they have no class. Files and folders whose name begins with a dot
    are left out, and so is all that is no picture, such as lists and scripts.

    A picture is turned as its EXIF orientation says, laid on middle grey (128) where it is
    transparent, made grey (luminance of Rec. 601) or RGB, brought to the size with an
    antialiasing filter that never overshoots so that its shorter side fits, and cut at the
    centre. 16-bit grey is divided by 257. Of several frames the first is taken.

    Parameters
    ----------
    path
        The folder; ``~`` is the user's own.
    shape
        Channels (1 or 3), height and width; or channels alone, if all pictures have one
        size, which they keep.

    Returns
    -------
    Dataset
        Of the folder's name, the split ``test``; ids are paths in the folder, such as
        ``faces/ann.png``, labels the index of the class among the sorted names of folders
        that hold pictures, -1 where there are no classes.

    Raises
    ------
    DatasetError
        If it is no folder, has no pictures, has some both beside and in class folders, or
        one that is broken, of a format that cannot be read, or not of the size of others.
    """
    folder = places.expanded(path)
    if not shape or shape[0] not in (1, 3):
        raise DatasetError(f"{path}: pictures of a folder are made grey or RGB, for networks that "
                           f"take 1 or 3 channels, not {shape[0] if shape else 'none'}")
    ids = _names(folder)
    size = (shape[1], shape[2]) if len(shape) == 3 else None
    first = _pixels(folder / ids[0], shape[0], size)
    needed = first.size * len(ids)
    if needed > MOST:
        raise DatasetError(
            f"{path}: {len(ids)} pictures of {_by(first)} pixels in {shape[0]} channels would take "
            f"{needed / 2**30:.0f} GiB of memory, more than {MOST / 2**30:.0f} GiB: take fewer or "
            "smaller ones"
        )
    images = np.empty((len(ids), *first.shape), dtype=np.uint8)
    for place, name in enumerate(ids):
        picture = _pixels(folder / name, shape[0], size)
        if picture.shape != first.shape:
            raise DatasetError(
                f"{folder / name} is {_by(picture)} pixels (width x height) and {ids[0]} "
                f"{_by(first)}: a network that takes any size takes pictures of one size in a run"
            )
        images[place] = picture
    owners = [name.split("/")[0] if "/" in name else None for name in ids]
    classes = tuple(sorted({owner for owner in owners if owner is not None}))
    labels = [-1 if owner is None else classes.index(owner) for owner in owners]
    return Dataset(images, np.array(labels, dtype=np.int64), ids, classes,
                   folder.resolve().name or str(folder), "test")


def _by(picture: NDArray[np.uint8]) -> str:
    return f"{picture.shape[2]}x{picture.shape[1]}"


def _names(folder: Path) -> list[str]:
    """Return the path of each picture in a folder, with ``/``, sorted."""
    if not folder.is_dir():
        said = "is not a folder" if folder.exists() else "there is no such folder"
        raise DatasetError(f"{folder}: {said}; give one that holds pictures")

    def refuse(problem: OSError) -> None:
        raise DatasetError(f"{problem.filename} cannot be read: {problem.strerror}")

    names = []
    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            file = Path(here) / name
            if name.startswith(".") or file.suffix.lower() not in (*FORMATS, *FOREIGN):
                continue
            if file.suffix.lower() in FOREIGN:
                raise DatasetError(f"{file} is of a format that is not read: convert it to one "
                                   f"of {', '.join(FORMATS)}, or take it out of the folder")
            names.append(_id(file, folder))
    if not names:
        raise DatasetError(f"{folder}: no pictures in it, nor in its folders (names that end in "
                           f"{', '.join(FORMATS)})")
    names.sort()
    lone = [name for name in names if "/" not in name]
    if lone and len(lone) < len(names):
        owned = next(name for name in names if "/" in name)
        raise DatasetError(f"{folder}: {lone[0]} lies beside the folder of {owned}; either all "
                           "pictures lie in folders, one for each class, or none does")
    return names


def _id(file: Path, folder: Path) -> str:
    name = file.relative_to(folder).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no text, which no recording could keep
        raise DatasetError(f"{ascii(str(file))}: the name is not valid UTF-8: rename it") from None
    return name


def _pixels(file: Path, channels: int, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Read one picture as pixels (channels, height, width)."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # what a camera wrote wrongly beside the pixels is no concern of ours
            warnings.simplefilter("ignore")
            with Image.open(file, formats=DECODERS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise Image.DecompressionBombError
                opened.load()
                ImageOps.exif_transpose(opened, in_place=True)
                picture = _plain(opened, channels)
    except Image.DecompressionBombError:
        raise DatasetError(f"{file} has more than {MOST_PIXELS:,} pixels: make it smaller"
                           ) from None
    except Exception as problem:  # on broken files decoders raise nearly anything
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise DatasetError(f"{file} is broken, or not a picture, and cannot be read: {reason}"
                           ) from problem
    if size is not None and picture.size != size[::-1]:
        picture = ImageOps.fit(picture, size[::-1], Image.Resampling.BILINEAR)
    return np.ascontiguousarray(
        np.asarray(picture).reshape(picture.height, picture.width, channels).transpose(2, 0, 1))


def _plain(picture: Image, channels: int) -> Image:
    """Return a picture with 8 bits a channel, in grey or RGB, with nothing transparent."""
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        # convert() would cut these off at 255
        values = np.array(picture, dtype=np.float32)
        white = 1 if picture.mode == "F" else 65535
        if not (values >= 0).all() or not (values <= white).all():
            raise ValueError(f"its values are not from 0 to {white}")
        values *= 255 / white  # in place, as below: a large picture takes much memory
        picture = Image.fromarray(np.rint(values, out=values).astype(np.uint8))
    elif picture.has_transparency_data:
        ground = Image.new("RGBA", picture.size, (GREY, GREY, GREY, 255))
        ground.alpha_composite(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
        picture = ground
    return picture.convert("L" if channels == 1 else "RGB")
