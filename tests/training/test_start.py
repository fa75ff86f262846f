"""Training from a trained network's weights: ``cortexsim train --init``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from cortexsim.errors import CheckpointError, SimulationError
from cortexsim.graph import AreaGraph, Normalization
from cortexsim.models import Network, load, save, unshare
from cortexsim.training import Settings, recipes, resume, train
from cortexsim.training.learning import _optimizer
from cortexsim.training.start import starting_network

GRAPH = AreaGraph.chain(["V1", "IT"], channels=[4, 6], sizes=[8, 4], readout_time=3,
                        image=(1, 32, 32), normalization=Normalization(scale_shift="shared"))
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture
def first(tmp_path) -> Path:
    network = Network(GRAPH, seed=9)
    return save(tmp_path / "first", network, {"name": "first", "class_names": DIGITS,
                                              "data": {"dataset": "digits-clean"}})


def settings(init: Path, **options) -> Settings:
    return Settings(**{"dataset": "digits-clean", "holdout": 1333, "batch_size": 16, "epochs": 1,
                       "precision": "float32", "device": "cpu", "init": str(init)} | options)


def test_a_training_starts_from_the_weights_and_resumes_without_them(first, tmp_path, monkeypatch):
    graph, seen = unshare(load(first).network).graph, []
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: seen.append(1) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(graph, settings(first), tmp_path / "second")
    monkeypatch.undo()
    begun, source = load(tmp_path / "second"), load(first)
    assert begun.card["init"] == {"name": "first", "sha256": source.sha256}
    assert begun.card["settings"]["init"] == str(first)
    for key, value in begun.network.weights.items():
        assert torch.equal(value, source.network.weights[key.split("@")[0]])
    shutil.rmtree(first)
    resume(tmp_path / "second")
    card = load(tmp_path / "second").card
    assert card["init"]["sha256"] == source.sha256 and "position" not in card


def test_what_cannot_be_started_from(first, tmp_path):
    for graph, dataset, error, says in (
            (AreaGraph.chain(["V1", "IT"], channels=[4, 5], sizes=[8, 4], image=(1, 32, 32)),
             "digits-clean", CheckpointError, "first: the weights are those of another graph"),
            (GRAPH, "nobody", CheckpointError, "unknown network 'nobody'")):
        init = first if dataset != "nobody" else Path("nobody")
        with pytest.raises(error, match=says):
            train(graph, settings(init), tmp_path / "x")
    card = first / "network.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"class_names": list("abcdefghij")}))
    with pytest.raises(SimulationError, match="'first' tells apart a, b, .* has 0, 1"):
        train(GRAPH, settings(first), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_without_init_weights_are_random():
    network, entries = starting_network(GRAPH, Settings(seed=4), DIGITS)
    assert entries == {} and torch.equal(network.weights["V1>V1:1"],
                                         Network(GRAPH, seed=4).weights["V1>V1:1"])


@pytest.mark.parametrize("recipe", ["fast", "paper"])
def test_only_the_papers_weight_decay_pulls_scales_and_shifts(recipe):
    network = Network(GRAPH)
    optimizer = _optimizer(network, recipes.get(recipe), {})
    rates = {id(p): group["weight_decay"] for group in optimizer.param_groups
             for p in group["params"]}
    assert {rates[id(p)] for p in network.affine.parameters()} == {
        "fast": {0.0}, "paper": {recipes.get("paper").weight_decay}}[recipe]
