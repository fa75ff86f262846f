"""What is fuzzed: each parser, called as a user's own file reaches it, on bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cortexsim import analysis, models
from cortexsim.analysis import references
from cortexsim.graph import AreaGraph
from cortexsim.models import Network, calibrate, checkpoint
from cortexsim.simulation import resume, simulate
from cortexsim.stimuli import folder as pictures
from cortexsim.stimuli.datasets import Dataset, to_input
from cortexsim.stimuli.protocol import Protocol
from cortexsim.training import Settings

ROOT = Path(__file__).parents[2]
PROTOCOL = """\
name: small
ms_per_step: 12.5
duration_ms: 50
factors: {mask: [none, white_noise]}
timeline:
  - {show: target, at_ms: 0, for_ms: 12.5}
  - {show: $mask, at_ms: 12.5, until: end}
record: {areas: all, reduce: mean}
summary: {readout_ms: 37.5, by: mask}
"""


@dataclass(frozen=True)
class Target:
    """A parser.

    ``seeds`` gives whole files that are as they should be, ``run`` reads one from a folder
    that :func:`lay_out` made, and ``form`` says what the file is written in.
    """

    run: Callable[[bytes, Path], object]
    seeds: Callable[[Path], list[bytes]]
    form: str


def lay_out(place: Path) -> Path:
    """Make a small checkpoint, a small recording and a picture, which the targets write into."""
    rng = np.random.default_rng(3)
    graph = AreaGraph.chain(["V1", "IT"], channels=[2, 3], sizes=[4, 2], image=(1, 4, 4),
                            readout_time=3, gain=0.5)
    network = Network(graph, classes=3, seed=1)
    images = Dataset(rng.integers(0, 256, (6, 1, 4, 4), dtype=np.uint8), np.arange(6) % 3,
                     [f"p-{i}" for i in range(6)], ("a", "b", "c"), "pictures", "test")
    calibrate(network, torch.from_numpy(to_input(images.images)), 6)
    card = {"name": "small", "class_names": ["a", "b", "c"], "data": {"dataset": "digits"},
            "settings": {"dataset": "digits", "epochs": 2},
            "calibration": {"images": 6, "steps": 6},
            "test_accuracy": {"digits": {"3": 0.5}},
            "history": [{"epoch": 1, "training_loss": 1.5}], "versions": {"torch": "2"}}
    checkpoint.save(place / "network", network, card)
    simulate(checkpoint.load(place / "network").network, Protocol.from_text(PROTOCOL), images,
             out=place / "recording.zarr").close()
    shutil.copytree(place / "recording.zarr", place / "attributes.zarr")
    shutil.copytree(place / "network", place / "weights")
    (place / "pictures").mkdir()
    Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(
        place / "pictures" / "one.png")
    return place


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="surrogateescape")


def protocol(data: bytes, place: Path) -> None:
    """Read a protocol file and draw its timeline, as ``cortexsim protocol show`` does."""
    path = place / "protocol.yaml"
    path.write_bytes(data)
    read = Protocol.from_yaml(path)
    read.describe()


def graph(data: bytes, place: Path) -> None:
    """Read an area graph, make its network and show it, as ``cortexsim graph`` does."""
    path = place / "graph.yaml"
    path.write_bytes(data)
    read = AreaGraph.from_yaml(path)
    str(read), read.sha256, read.to_yaml()


def card(data: bytes, place: Path) -> None:
    """Load a checkpoint with this card, and read what commands read of it."""
    (place / "network" / checkpoint.CARD).write_bytes(data)
    loaded = checkpoint.load(place / "network")
    Settings.from_card(loaded.card)
    models.statistics_used(loaded.network, 5)


def weights(data: bytes, place: Path) -> None:
    """Load a checkpoint with these weights, whose card names their sha256."""
    path = place / "weights" / checkpoint.CARD
    (place / "weights" / "weights.safetensors").write_bytes(data)
    card = json.loads(path.read_text())
    card["weights"]["sha256"] = hashlib.sha256(data).hexdigest()
    path.write_text(json.dumps(card))
    loaded = checkpoint.load(place / "weights")
    with torch.no_grad():
        loaded.network.scores(torch.zeros(1, 1, 4, 4), [3])


def _recording(store: Path) -> None:
    resume.read(store)
    with analysis.open(store) as recording, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's and pandas' on numbers that make no sense
        str(analysis.tables(recording))


def attributes(data: bytes, place: Path) -> None:
    """Open a recording with these attributes, and make the tables of a run."""
    path = place / "attributes.zarr" / "zarr.json"
    whole = json.loads((place / "recording.zarr" / "zarr.json").read_bytes()
                       if not (place / "whole.json").exists()
                       else (place / "whole.json").read_bytes())
    head = json.dumps({**whole, "attributes": 0})
    path.write_bytes(head.encode().replace(b'"attributes": 0', b'"attributes": ' + data, 1))
    _recording(place / "attributes.zarr")


def metadata(data: bytes, place: Path) -> None:
    """Open a recording with these metadata of all its arrays, and make the tables of a run."""
    (place / "recording.zarr" / "zarr.json").write_bytes(data)
    _recording(place / "recording.zarr")


def reference(data: bytes, place: Path) -> None:
    """Read a table of measurements."""
    path = place / "own.csv"
    path.write_bytes(data)
    references.read(path)


def picture(data: bytes, place: Path) -> None:
    """Read a folder with one picture."""
    (place / "pictures" / "one.png").write_bytes(data)
    pictures.load(place / "pictures", (1, 8, 8))


def _files(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(ROOT.glob(pattern))]


def _cards(place: Path) -> list[bytes]:
    return [(place / "network" / checkpoint.CARD).read_bytes()]


def _weights(place: Path) -> list[bytes]:
    return [(place / "weights" / "weights.safetensors").read_bytes()]


def _metadata(place: Path) -> list[bytes]:
    whole = (place / "recording.zarr" / "zarr.json").read_bytes()
    (place / "whole.json").write_bytes(whole)
    return [json.dumps(json.loads(whole)).encode()]


def _attributes(place: Path) -> list[bytes]:
    return [json.dumps(json.loads(whole)["attributes"]).encode() for whole in _metadata(place)]


TARGETS = {
    "protocol": Target(protocol, lambda place: _files("protocols/*.yaml"), "yaml"),
    "graph": Target(graph, lambda place: _files("cortexsim/presets/*.yaml"), "yaml"),
    "card": Target(card, _cards, "json"),
    "weights": Target(weights, _weights, "tensors"),
    "attributes": Target(attributes, _attributes, "json"),
    "metadata": Target(metadata, _metadata, "json"),
    "reference": Target(reference, lambda place: _files("data/reference/*.csv"), "text"),
    "picture": Target(picture, lambda place: [
        (place / "pictures" / "one.png").read_bytes()], "bytes"),
}
