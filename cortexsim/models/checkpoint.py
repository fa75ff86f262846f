"""Checkpoints: a folder with a JSON card and the tensors it names, never a pickle.

::

    network.json               graph, data, recipe, seed, command, accuracy, file and sha256
    weights-0012.safetensors   parameters and statistics
    training-0012.safetensors  what resuming needs; absent once training is done

The card is replaced in one move after the files it names are complete, so a
checkpoint on disk is always whole, whenever the process that writes it dies.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from .. import files, formats, resources
from ..errors import CheckpointError, CortexSimError, unknown
from ..graph import AreaGraph
from .card import problem
from .network import Network
from .weights import check_size

CARD = "network.json"
#: A network of ours is a few MB; a card a few kB.
MAX_CARD_BYTES, MAX_TENSOR_BYTES = 1_000_000, 4_000_000_000


_OURS = re.compile(r"(weights|training)(-[0-9]+)*\.safetensors")


@dataclass(frozen=True)
class Loaded:
    """A network read from disk.

    Attributes
    ----------
    network
        Ready to run, in evaluation mode.
    card
        What is known about it.
    folder
        Where it lies.
    training
        Tensors that resuming needs; empty for a finished network.
    """

    network: Network
    card: dict[str, Any]
    folder: Path
    training: dict[str, Tensor]

    @property
    def name(self) -> str:
        """The network's name."""
        return str(self.card["name"])

    @property
    def sha256(self) -> str:
        """The sha256 of the file of weights."""
        return str(self.card["weights"]["sha256"])


def save(folder: Path, network: Network, card: dict[str, Any], *, tag: str = "",
         training: dict[str, Tensor] | None = None) -> Path:
    """Write a checkpoint; an older one in the same folder is replaced at the last moment.

    Parameters
    ----------
    folder
        Made if it is not there.
    network
        Its parameters and statistics are stored, its graph goes into the card.
    card
        What to say about it; needs ``name``, ``data`` and ``class_names``.
    tag
        Part of the file names, for people who look into the folder.
    training
        Further tensors, to resume from.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CheckpointError
        If it cannot be written; the older checkpoint is then intact.
    """
    parts = {"weights": {k: v.detach().cpu().contiguous()
                         for k, v in network.state_dict().items()}}
    if training:
        parts["training"] = {k: v.detach().cpu().contiguous() for k, v in training.items()}
    card = {"format": formats.NETWORK, **card, "graph": network.graph.to_dict(),
            "steps": network.steps, "parameters": sum(p.numel() for p in network.parameters())}
    card.pop("training", None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        suffix = _free_suffix(folder, tag)
        for part, tensors in parts.items():
            data = save_tensors(tensors)
            file = f"{part}{suffix}.safetensors"
            files.write(folder / file, data)
            card[part] = {"file": file, "sha256": hashlib.sha256(data).hexdigest(),
                          "bytes": len(data)}
        files.write(folder / CARD, json.dumps(card, indent=1, ensure_ascii=False) + "\n")
        tidy(folder)
    except OSError as problem:
        raise CheckpointError(
            f"{folder}: the checkpoint cannot be written ({problem.strerror or problem}); "
            "one that was there before is intact"
        ) from None
    return folder


def tidy(folder: Path) -> None:
    """Remove files of an older checkpoint, and those that a killed process left; no others.

    Parameters
    ----------
    folder
        Of a checkpoint.
    """
    card = read_card(folder)
    named = {card[part]["file"] for part in ("weights", "training") if part in card}
    for old in folder.iterdir():
        if _OURS.fullmatch(old.name.removesuffix(".partial")) and old.name not in named:
            old.unlink(missing_ok=True)


def _free_suffix(folder: Path, tag: str) -> str:
    """Return an end for file names that the checkpoint in a folder does not use."""
    try:
        weights = read_card(folder)["weights"]["file"]
    except CheckpointError:
        weights = None  # none of ours to keep intact
    suffixes = (f"-{tag}", f"-{tag}-1") if tag else ("", "-1")
    return next(suffix for suffix in suffixes if weights != f"weights{suffix}.safetensors")


def find(name: str | Path) -> Path:
    """Return the folder of a shipped network's name, or of a path.

    Raises
    ------
    CheckpointError
        If it is neither, or the path is no checkpoint of ours.
    """
    shipped = resources.networks()
    if str(name) in shipped:
        return shipped[str(name)]
    path = Path(name)
    if not path.exists():
        looks_like_path = path.suffix or len(path.parts) > 1
        if looks_like_path:
            raise CheckpointError(f"{path}: no such checkpoint; networks that come along: "
                                  f"{', '.join(shipped) or 'none'}")
        raise CheckpointError(f"{unknown('network', name, shipped)}, or a checkpoint's path")
    folder = path if path.is_dir() else path.parent
    if path.is_file() and path.name != CARD and path.suffix != ".safetensors":
        raise CheckpointError(
            f"{path}: not a CortexSim checkpoint, which is a folder with {CARD} and safetensors. "
            "Pickled files (.pt, .pth, .ckpt, .pkl) are refused, because opening one can run code"
        )
    if not (folder / CARD).is_file():
        raise CheckpointError(f"{path}: not a CortexSim checkpoint (no {CARD} in {folder})")
    return folder


def read_card(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's card without its tensors.

    Raises
    ------
    CheckpointError
        If it is not a card of ours.
    """
    path = folder / CARD
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CARD_BYTES + 1)  # no more, whatever the system says of its size
        if len(data) > MAX_CARD_BYTES:
            raise CheckpointError(f"{path}: too large for a checkpoint's card")
        card: dict[str, Any] = json.loads(data.decode("utf-8"))
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read ({fault.strerror})") from None
    except (ValueError, RecursionError):
        raise CheckpointError(
            f"{path}: not a CortexSim checkpoint (its card is not JSON)") from None
    formats.check_network(path, card.get("format") if isinstance(card, dict) else None)
    wrong = problem(card)
    if wrong:
        raise CheckpointError(f"{path}: its card {wrong}")
    return card


def load(name: str | Path) -> Loaded:
    """Load a checkpoint by its path or a shipped network's name.

    Returns
    -------
    Loaded
        The network in evaluation mode on the CPU, and its card.

    Raises
    ------
    CheckpointError
        If it is missing, damaged or not ours; no code from the file is ever run.
    """
    folder = find(name)
    card = read_card(folder)
    tensors = _tensors(folder, card["weights"])
    try:
        graph = AreaGraph.from_dict(card["graph"], source=str(folder / CARD))
        # before memory is taken for what a card only says
        check_size(graph, len(card["class_names"]), card["steps"],
                   sum(value.numel() for value in tensors.values()))
        network = Network(graph, classes=len(card["class_names"]), steps=card["steps"])
    except CortexSimError as fault:
        raise CheckpointError(f"{folder / CARD}: {fault}") from None
    network.statistics.resize_as(
        {key.removeprefix("statistics."): value for key, value in tensors.items()})
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    if expected != found:
        wrong = sorted(set(expected.items()) ^ set(found.items()))[0]
        raise CheckpointError(f"{folder}: weights and graph do not fit: {wrong[0]} {wrong[1]}")
    network.load_state_dict(tensors)
    network.origin = {"model": str(card["name"]), "weights_sha256": str(card["weights"]["sha256"])}
    network.calibration = dict(card.get("calibration", {}))
    training = _tensors(folder, card["training"]) if isinstance(card.get("training"), dict) else {}
    return Loaded(network.eval(), card, folder, training)


def _tensors(folder: Path, entry: dict[str, Any]) -> dict[str, Tensor]:
    """Read one file that a card names, checking its place and its sha256."""
    path = folder / entry["file"]
    try:
        if path.resolve().parent != folder.resolve() or not path.is_file() and path.exists():
            raise CheckpointError(f"{path}: leads out of the checkpoint's folder, or is no file: "
                                  "put the file itself there")
        if path.stat().st_size > MAX_TENSOR_BYTES:
            raise CheckpointError(f"{path}: too large")
        data = path.read_bytes()
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read ({fault.strerror})") from None
    if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        raise CheckpointError(
            f"{path}: damaged or cut short (its sha256 differs from the one in {CARD}); "
            "copy or train it again"
        )
    try:
        tensors: dict[str, Tensor] = load_tensors(data)
    except SafetensorError as fault:
        raise CheckpointError(f"{path}: not a safetensors file ({fault})") from None
    except Exception as fault:  # kinds of numbers that this torch does not have
        raise CheckpointError(f"{path}: holds something else than weights ({fault})") from None
    if any(not value.is_floating_point() for value in tensors.values()):
        raise CheckpointError(f"{path}: holds something else than weights")
    return {key: value if value.dtype == torch.float64 else value.float()
            for key, value in tensors.items()}
