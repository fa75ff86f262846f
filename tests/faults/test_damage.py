"""Bytes that change, or go, after they were written: found, named, and done again."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

from cortexsim import analysis, simulate, training
from cortexsim.errors import CheckpointError, CortexSimError, DatasetError, RecordingError
from cortexsim.graph import AreaGraph
from cortexsim.models import checkpoint
from cortexsim.simulation import Record
from cortexsim.stimuli import cifar10, datasets
from cortexsim.stimuli.protocol import Protocol
from tests.simulation.conftest import PROTOCOL, _calibrated, _pictures, _small_graph

from .commands import files


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0b1000
    path.write_bytes(data)


DAMAGES = [truncated, emptied, removed, flipped]
#: A damage, and of how many arrays one is damaged alone.
EACH = [(flipped, 9), *(pytest.param(damage, 1, marks=pytest.mark.slow) for damage in DAMAGES)]


# --- recordings


def recorded(folder: Path, **more: object) -> None:
    """Record a few trials into two chunks; maps and text and summaries are in it."""
    simulate(_calibrated(_small_graph()), Protocol.from_text(PROTOCOL), _pictures(4), out=folder,
             microbatch=2, record=Record(reduce="units:5", summaries=("distance",)),
             **more).close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "x.zarr"
    recorded(path)
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {name: file.read_bytes() for name, file in files(path) if file.name != "zarr.json"}


def arrays(path: Path) -> list[str]:
    return sorted({name.partition("/c/")[0] for name in contents(path)})


@pytest.mark.filterwarnings("ignore:.*damaged")
@pytest.mark.parametrize("damage, each", EACH)
def test_every_array_of_a_recording(damage, each, whole, tmp_path):
    """Each is found and named, whichever is damaged; all of them are mended."""
    path = Path(shutil.copytree(whole, tmp_path / "x.zarr"))
    assert len(arrays(path)) > 30
    for name in arrays(path)[::each]:
        file = next(file for file in sorted((path / name / "c").rglob("*")) if file.is_file())
        before = file.read_bytes()
        damage(file)
        if file.exists() and file.read_bytes() == before:
            continue
        with pytest.raises(RecordingError, match="damaged") as told:
            analysis.verify(path)
        assert name in str(told.value) or "chunk 0 of 2" in str(told.value), (name, told.value)
        assert "resume=True" in str(told.value)
        file.write_bytes(before)
    analysis.verify(path)
    for name in arrays(path):
        damage(next(file for file in sorted((path / name / "c").rglob("*")) if file.is_file()))
    recorded(path, resume=True)
    analysis.verify(path)
    assert contents(path) == contents(whole)


def test_older_recordings_have_no_checksums_of_coordinates(whole, tmp_path):
    path = Path(shutil.copytree(whole, tmp_path / "x.zarr"))
    for place in ("zarr.json", "done/zarr.json"):
        text = json.loads((path / place).read_text())
        members = text.get("consolidated_metadata") or {"metadata": {"done": text}}
        del members["metadata"]["done"]["attributes"]["coords"]
        (path / place).write_text(json.dumps(text))
    assert "coords" not in zarr.open_group(str(path), mode="r")["done"].attrs
    analysis.verify(path)


# --- checkpoints


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """Return a checkpoint of a training that is not at its end."""
    out = tmp_path_factory.mktemp("stopped") / "out"
    graph = AreaGraph.chain(["V1", "IT"], channels=[4, 6], sizes=[8, 4], readout_time=3,
                            image=(1, 32, 32))
    settings = training.Settings(dataset="digits-clean", holdout=1333, batch_size=16, epochs=2,
                                 seed=5, precision="float32", device="cpu")

    class Stop(Exception):
        pass

    def stop(*about: object) -> None:
        raise Stop

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("cortexsim.training.loop.write_metrics", stop)
        with pytest.raises(Stop):
            training.train(graph, settings, out, progress=False)
    return out


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["weights-0001.safetensors", "training-0001.safetensors"])
def test_each_file_of_a_checkpoint(file, damage, stopped, tmp_path):
    out = Path(shutil.copytree(stopped, tmp_path / "out"))
    damage(out / file)
    says = "cannot be read" if damage is removed else "damaged or cut short .its sha256 differs"
    for use in (checkpoint.load, training.resume):
        with pytest.raises(CheckpointError, match=f"{file}: {says}"):
            use(out)


def test_each_byte_of_a_card(stopped, tmp_path):
    """A card is text: a flipped bit of it is refused, or changes what it says, never weights."""
    out = Path(shutil.copytree(stopped, tmp_path / "out"))
    card = (out / checkpoint.CARD).read_bytes()
    weights = checkpoint.load(out).network.state_dict()
    for place in range(0, len(card), 37):
        data = bytearray(card)
        data[place] ^= 0b1
        (out / checkpoint.CARD).write_bytes(data)
        try:
            found = checkpoint.load(out).network.state_dict()
        except CortexSimError:
            continue
        assert all(np.array_equal(found[key], weights[key], equal_nan=True) for key in weights)


# --- images


@pytest.mark.parametrize("damage", [truncated, emptied, flipped])
def test_each_official_file(damage, tmp_path, monkeypatch):
    """CIFAR-10's files are pickles: not one is opened whose checksum is not the published one."""
    folder, known = tmp_path / cifar10.FOLDER, {}
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in cifar10.official_files():
        (folder / name).write_bytes(rng.bytes(5000))
        known[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(cifar10, "official_files", lambda: known)
    monkeypatch.setattr(pickle, "load", None)
    cifar10.check(tmp_path)
    for name in known:
        before = (folder / name).read_bytes()
        damage(folder / name)
        for split in ("train", "test"):
            with pytest.raises(DatasetError, match=f"{name} is damaged .its md5 differs"):
                datasets.load("cifar10", split, root=tmp_path)
        (folder / name).write_bytes(before)


def picture(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 256, (40, 40), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("damage", [truncated, emptied, flipped])
@pytest.mark.parametrize("end", ["png", "jpg"])
def test_a_picture_in_a_folder(end, damage, tmp_path):
    pictures = tmp_path / "pictures"
    for number in range(3):
        picture(pictures, f"{number}/{number}.{end}")
    broken = pictures / f"1/1.{end}"
    damage(broken)
    if damage is flipped and end == "jpg":
        pytest.skip("a JPEG has no checksum: a flipped bit is another picture")
    with pytest.raises(DatasetError, match=re.escape(f"1/1.{end}")):
        datasets.load(str(pictures), "test", shape=(1, 32, 32))
