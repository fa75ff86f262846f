"""From a ResNet's name and a file of weights to a checkpoint that runs like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from . import __version__
from .errors import CheckpointError, DatasetError, unknown
from .models import PreActResNet, checkpoint, fold
from .stimuli import datasets

#: Of the pixels that torchvision's pretrained networks take.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _torchvision(name: str, classes: int, channels: int) -> nn.Module:
    resnet: nn.Module = getattr(torchvision.models, name)(weights=None, num_classes=classes)
    if channels != 3:
        resnet.conv1 = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
    return resnet


def _preact(blocks: int, classes: int, channels: int) -> nn.Module:
    return PreActResNet((blocks,) * 3, classes=classes, image_channels=channels)


#: ResNets by name: from (classes, image channels) to a module. The number of a
#: pre-activation one counts its layers, as He et al. 2016 do.
RESNETS: dict[str, Callable[[int, int], nn.Module]] = {
    **{name: partial(_torchvision, name) for name in ("resnet18", "resnet34", "resnet50")},
    **{f"preact-resnet{6 * blocks + 2}": partial(_preact, blocks) for blocks in (3, 5, 7, 9, 18)},
}


def convert(name: str, out: Path, *, weights: Path | None = None, dataset: str | None = None,
            seed: int = 0, command: str = "") -> checkpoint.Loaded:
    """Fold a ResNet and save it as a checkpoint.

    Parameters
    ----------
    name
        A key of :data:`RESNETS`.
    out
        The checkpoint's folder.
    weights
        A file of the ResNet's weights, as PyTorch (read without running any code in
        it) or safetensors; without it weights are random. With torchvision's ResNets
        the images are then brought to the range that those are trained on.
    dataset
        The images that it is for, whose classes it names. By default ImageNet's where
        it has 1000 classes.
    seed
        Of random weights.
    command
        The command that does this, for the card.

    Returns
    -------
    Loaded
        The checkpoint.

    Raises
    ------
    CortexSimError
        If there is no such ResNet, the weights do not fit it, or it does not fit the images.
    """
    if name not in RESNETS:
        raise CheckpointError(unknown("ResNet", name, RESNETS))
    if dataset is not None and dataset not in datasets.REGISTRY:
        raise DatasetError(unknown("data set", dataset, datasets.REGISTRY))
    tensors = {} if weights is None else _read(weights)
    channels, classes = _shape(tensors, name, weights, dataset)
    named = _class_names(classes, dataset)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        resnet = RESNETS[name](classes, channels)
    pixels: dict[str, Sequence[float]] = {}
    if weights is not None:
        _fill(resnet, tensors, name, weights)
        if name.startswith("resnet") and channels == 3:
            pixels = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    network = fold(resnet, name=name, **pixels)
    card: dict[str, Any] = {
        "name": out.name, "class_names": named,
        "data": {} if dataset is None else {"dataset": dataset},
        "folded": {"resnet": name, "seed": seed if weights is None else None,
                   "weights_file": None if weights is None else weights.name,
                   "weights_file_sha256": None if weights is None
                   else hashlib.sha256(weights.read_bytes()).hexdigest()},
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"cortexsim": __version__, "torch": torch.__version__,
                     "torchvision": torchvision.__version__},
    }
    return checkpoint.load(checkpoint.save(out, network, card))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            # refuses everything but tensors and plain containers
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path}: is a folder, not a file of weights") from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError):
        raise CheckpointError(f"{path}: cannot be read as PyTorch weights or safetensors") from None
    except Exception as problem:  # pickle.UnpicklingError says at length what it would have run
        raise CheckpointError(
            f"{path}: refused, it holds more than tensors ({type(problem).__name__}); save the "
            "ResNet's state_dict() alone") from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise CheckpointError(f"{path}: holds no weights by name; save the ResNet's state_dict()")
    return {key.removeprefix("module."): tensor for key, tensor in found.items()}


def _shape(tensors: dict[str, Tensor], name: str, path: Path | None, dataset: str | None,
           ) -> tuple[int, int]:
    """Return image channels and classes: those of the weights, else of the data set."""
    if path is not None:
        try:
            return tensors["conv1.weight"].shape[1], tensors["fc.weight"].shape[0]
        except KeyError as missing:
            raise CheckpointError(f"{path}: has no {missing}, so it is no {name}") from None
    if dataset is None:
        return 3, 1000 if name.startswith("resnet") else 10
    source = datasets.REGISTRY[dataset]
    return source.shape[0], len(source.classes)


def _class_names(classes: int, dataset: str | None) -> list[str]:
    if dataset is not None:
        source = datasets.REGISTRY[dataset]
        names = list(source.classes)
        if len(names) != classes:
            raise CheckpointError(f"the weights tell {classes} classes apart, data set '{dataset}' "
                                  f"has {len(names)}: leave --dataset out, or name another")
        return names
    if classes == 1000:
        imagenet: list[str] = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
        return [f"{k} {name}" for k, name in enumerate(imagenet)]  # some names come twice
    return [f"class {k}" for k in range(classes)]


def _fill(resnet: nn.Module, tensors: dict[str, Tensor], name: str, path: Path) -> None:
    expected = {key: tuple(t.shape) for key, t in resnet.state_dict().items()}
    given = {key: tuple(t.shape) for key, t in tensors.items()}
    for key in expected.keys() | given.keys():
        if expected.get(key) != given.get(key) and not key.endswith("num_batches_tracked"):
            raise CheckpointError(
                f"{path}: does not fit a {name}: {key} is {given.get(key, 'missing')}, it should "
                f"be {expected.get(key, 'absent')}")
    resnet.load_state_dict(tensors, strict=False)
