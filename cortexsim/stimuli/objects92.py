"""The 92 objects of Kiani et al. 2007 and Kriegeskorte et al. 2008, from their published file.

Faces and body parts of humans and animals, natural and artificial objects, each cut out and
laid on grey. What monkey and human inferotemporal cortex make of them is published, too
(:mod:`cortexsim.analysis.representations.inferotemporal`). The file does not come along: it is the
supplement of Kriegeskorte et al. 2008, Neuron 60:1126.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import places
from ..errors import DatasetError
from .datasets import Dataset

#: The published file, and what its arrays are called.
FILE = "Kriegeskorte_Neuron2008_supplementalData.mat"
STIMULI = "stimuli_92objs"
COUNT = 92
NAME = "objects92"
#: Of a MATLAB file, unpacked; the largest of those published has 9 MB.
MOST_BYTES, _COMPRESSED = 2**27, 15
#: The categories, in the order in which the file has them.
CATEGORIES = ("human bodypart", "human face", "nonhuman bodypart", "nonhuman face",
              "natural inanimate", "artificial inanimate")


def is_there(path: str | Path) -> bool:
    """Say whether a path is a MATLAB file, or a folder that holds the published one."""
    place = places.expanded(path)
    return place.suffix.lower() == ".mat" or (place / FILE).is_file()


def load(path: str | Path, shape: tuple[int, ...]) -> Dataset:
    """Load the 92 images, brought to the shape that a network takes.

    Parameters
    ----------
    path
        The file, or the folder it is in; ``~`` is the user's own.
    shape
        Channels (1 or 3), height and width; or channels alone, for the 175x175 pixels that the
        images have. They are made grey by the luminance of Rec. 601, and brought to the size as
        pictures of a folder are (:func:`cortexsim.stimuli.folder.load`).

    Returns
    -------
    Dataset
        Named ``objects92``, the split ``test``; ids such as ``object-01-human-bodypart``, in
        the file's order, which is that of published RDMs; labels among `CATEGORIES`.

    Raises
    ------
    DatasetError
        If the file is not there, cannot be read, or holds something else.
    """
    from PIL import Image, ImageOps

    if not shape or shape[0] not in (1, 3):
        raise DatasetError(f"{path}: the 92 objects are made grey or RGB, for networks that take "
                           f"1 or 3 channels, not {shape[0] if shape else 'none'}")
    pixels, labels = read(path)
    size = (shape[1], shape[2]) if len(shape) == 3 else pixels.shape[1:3]
    images = np.empty((len(pixels), shape[0], *size), dtype=np.uint8)
    for place, image in enumerate(pixels):
        picture = Image.fromarray(image).convert("L" if shape[0] == 1 else "RGB")
        if picture.size != size[::-1]:
            picture = ImageOps.fit(picture, size[::-1], Image.Resampling.BILINEAR)
        images[place] = np.asarray(picture).reshape(*size, shape[0]).transpose(2, 0, 1)
    return Dataset(images, labels, ids(labels), CATEGORIES, NAME, "test")


def ids(labels: NDArray[np.int64]) -> list[str]:
    """Return the name of each object, from the categories of all in the file's order."""
    return [f"object-{place:02d}-{CATEGORIES[label].replace(' ', '-')}"
            for place, label in enumerate(labels, start=1)]


def divisions(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Divide objects as IT does.

    Parameters
    ----------
    names
        From :func:`ids`.

    Returns
    -------
    dict of str to dict of str to str
        For each division the group of each object that is divided: ``animacy`` (animate and
        inanimate, of all), ``faces`` (face and body, of what is animate), ``humanness`` (human
        and nonhuman, of what is animate).
    """
    found: dict[str, dict[str, str]] = {"animacy": {}, "faces": {}, "humanness": {}}
    for name in names:
        owner, _, kind = name.split("-", 2)[2].rpartition("-")
        if kind == "inanimate":
            found["animacy"][name] = "inanimate"
            continue
        found["animacy"][name] = "animate"
        found["faces"][name] = "face" if kind == "face" else "body"
        found["humanness"][name] = owner
    return found


def read(path: str | Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the images as they are in the file, and their categories.

    Parameters
    ----------
    path
        The file, or the folder it is in.

    Returns
    -------
    NDArray[np.uint8]
        Pixels (92, height, width, 3).
    NDArray[np.int64]
        Index into `CATEGORIES` of each.

    Raises
    ------
    DatasetError
        If the file is not there, cannot be read, or holds something else.
    """
    file = places.expanded(path)
    file = file / FILE if file.is_dir() else file
    wanted = f"give {FILE}, the supplement of Kriegeskorte et al. 2008"
    content = matlab(file, wanted)
    found = content.get(STIMULI)
    if found is None or found.dtype.names is None or not {"image", "category"} <= {
            *found.dtype.names}:
        there = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise DatasetError(f"{file} does not hold the 92 objects: it has {there}, not "
                           f"{STIMULI} with image and category; {wanted}")
    entries = found.ravel()
    if len(entries) != COUNT:
        raise DatasetError(f"{file}: {STIMULI} has {len(entries)} objects, not {COUNT}; {wanted}")
    images = [np.asarray(entry["image"]) for entry in entries]
    names = [_text(entry["category"]) for entry in entries]
    if any(image.shape != images[0].shape or image.ndim != 3 or image.shape[2] != 3
           or image.dtype != np.uint8 for image in images):
        raise DatasetError(f"{file}: its images are not all of one size in 8-bit RGB; {wanted}")
    strange = sorted({name for name in names if name not in CATEGORIES})
    if strange:
        raise DatasetError(f"{file} has objects of the category '{strange[0]}'; known: "
                           f"{', '.join(CATEGORIES)}; {wanted}")
    return np.stack(images), np.array([CATEGORIES.index(name) for name in names], dtype=np.int64)


def matlab(file: Path, wanted: str) -> dict[str, Any]:
    """Read a MATLAB file, or say why that cannot be done and what is wanted."""
    from scipy.io import loadmat

    if not file.is_file():
        raise DatasetError(f"{file}: there is no such file; {wanted}")
    try:
        _check_size(file)
        content: dict[str, Any] = loadmat(file)
    except Exception as problem:  # on broken files the reader raises nearly anything
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise DatasetError(f"{file} cannot be read as a MATLAB file ({reason}); {wanted}"
                           ) from None
    return content


def _check_size(file: Path) -> None:
    """Raise ValueError if what a file holds, unpacked, is more than any of those published."""
    left = MOST_BYTES
    with file.open("rb") as data:
        order = "<" if data.read(128)[126:128] == b"IM" else ">"
        while left > 0 and len(tag := data.read(8)) == 8:
            kind, length = struct.unpack(f"{order}II", tag)
            packed = zlib.decompressobj() if kind == _COMPRESSED else None
            while length > 0 and left > 0 and (piece := data.read(min(length, 2**16))):
                length -= len(piece)
                while piece and left > 0 and packed:
                    left -= len(packed.decompress(piece, 2**20))
                    piece = packed.unconsumed_tail
                left -= len(piece)
    if left <= 0:
        raise ValueError(f"it holds more than {MOST_BYTES // 2**20} MiB")


def _text(cell: Any) -> str:
    values = np.asarray(cell).ravel()
    return str(values[0]) if values.size else ""
