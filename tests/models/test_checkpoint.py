"""Checkpoints: what goes in comes out, and what is not ours is refused with a sentence."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from cortexsim.errors import CheckpointError
from cortexsim.graph import AreaGraph
from cortexsim.models import Network, calibrate, load, save

CARD = {"name": "small", "class_names": list("abc"), "data": {"dataset": "digits"}}


@pytest.fixture
def folder(tmp_path) -> Path:
    graph = AreaGraph.chain(["V1", "IT"], channels=[4, 6], sizes=[8, 4], image=(1, 16, 16),
                            readout_time=3, gain=0.5)
    network = Network(graph, classes=3, seed=2)
    calibrate(network, torch.randn(20, 1, 16, 16), 7)
    return save(tmp_path / "net", network, CARD)


def test_round_trip(folder, tmp_path):
    first = load(folder)
    again = load(save(tmp_path / "copy", first.network, first.card))
    x = torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        for t in (1, 3, 7):
            assert torch.equal(first.network.scores(x, [t])[t], again.network.scores(x, [t])[t])
    assert first.network.graph == again.network.graph
    assert first.sha256 == again.sha256 and again.network.statistics_limit == 7
    assert load(folder / "network.json").name == load(folder / "weights.safetensors").name


def test_a_flipped_byte_and_a_lost_end(folder):
    file = folder / "weights.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged or cut short"):
            load(folder)
    file.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(folder)


class Trap:
    """What a pickle can do: run a function of its author's choice when it is opened."""

    def __reduce__(self):
        return (open, ("pickle_was_run", "w"))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".ckpt"])
def test_a_pickle_is_refused_and_never_opened(suffix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="Pickled files .* are refused"):
        load(path)
    assert not (tmp_path / "pickle_was_run").exists()


def test_a_pickle_that_calls_itself_safetensors(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(Trap())
    (folder / "weights.safetensors").write_bytes(data)
    import hashlib

    card = json.loads((folder / "network.json").read_text())
    card["weights"]["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "network.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load(folder)
    assert not (tmp_path / "pickle_was_run").exists()


@pytest.mark.parametrize(("change", "says"), [
    ({"format": "other"}, "format 'other'"),
    ({"graph": {"areas": {"V1": [1, 2, 3]}, "connection": []}}, "connection"),
    ({"class_names": list("abcd")}, "do not fit"),
    ({"weights": {"file": "../secret.safetensors"}}, "not a safetensors file beside it"),
    ({"weights": {"file": "/etc/passwd"}}, "not a safetensors file beside it"),
    ({"steps": "many"}, "lacks 'steps'"),
])
def test_a_foreign_card(folder, change, says):
    path = folder / "network.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=says):
        load(folder)


def test_what_is_not_there(tmp_path, folder):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load(tmp_path / "nothing" / "here")
    with pytest.raises(CheckpointError, match="unknown network 'digits-leeky'"):
        load("digits-leeky")
    with pytest.raises(CheckpointError, match="no network.json"):
        load(tmp_path)
    (folder / "network.json").write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        load(folder)
    shutil.rmtree(folder)
