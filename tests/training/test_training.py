"""Training: real processes that are really stopped and killed, and end where the others end."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from cortexsim.cli import main
from cortexsim.errors import CheckpointError, CortexSimError, DatasetError, SimulationError
from cortexsim.graph import AreaGraph
from cortexsim.models import checkpoint, load
from cortexsim.stimuli import datasets
from cortexsim.stimuli.sequences import SequenceTask
from cortexsim.training import Settings, evaluate, recipes, resume, train
from cortexsim.training.batches import (
    DEBRIS,
    Augmentation,
    TrainingImages,
    generator,
    training_images,
)

from ..processes import Started, cortexsim

#: 104 scans to train on, in 6 batches of 16: seconds, not minutes.
ARGUMENTS = ["--dataset", "digits-clean", "--holdout", "1333", "--batch-size", "16",
             "--areas", "V1,IT", "--channels", "4,6", "--sizes", "8,4", "--readout-time", "3",
             "--epochs", "3", "--seed", "5", "--precision", "float32", "--device", "cpu"]
GRAPH = AreaGraph.chain(["V1", "IT"], channels=[4, 6], sizes=[8, 4], readout_time=3,
                        image=(1, 32, 32))
SETTINGS = Settings(dataset="digits-clean", holdout=1333, batch_size=16, epochs=3, seed=5,
                    precision="float32", device="cpu")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    return train(GRAPH, SETTINGS, tmp_path_factory.mktemp("train") / "whole", calibrate_to=9)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    card = json.loads((folder / "network.json").read_text())
    return load_file(folder / card["weights"]["file"])


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[k].nan_to_num(), b[k].nan_to_num())
                                        for k in a)


def start(out: Path, *arguments: str) -> Started:
    """Train in a process of its own until the first epoch is saved."""
    process = Started(out.parent, cortexsim, "train", *arguments, "--out", str(out))
    card = out / "network.json"
    process.wait_for(lambda: card.exists()
                     and json.loads(card.read_text())["position"]["epoch"] >= 1)
    return process


@pytest.mark.parametrize("how", [
    pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGINT])
def test_a_stopped_training_goes_on_to_the_same_weights(how, uninterrupted, tmp_path):
    out = tmp_path / "stopped"
    process = start(out, *ARGUMENTS)
    status = process.send(how)
    if how is signal.SIGINT:
        assert status == 130
        assert f"cortexsim train --resume {out}" in process.stderr
        assert "Traceback" not in process.stderr
    else:
        assert status == -signal.SIGKILL
    assert "position" in json.loads((out / "network.json").read_text())
    assert load(out).card["name"] == "stopped"  # a whole checkpoint at any moment
    resume(out, calibrate_to=9)
    assert same(out, uninterrupted)
    assert "position" not in json.loads((out / "network.json").read_text())
    left = {path.name for path in out.iterdir()}
    assert left == {"network.json", "weights.safetensors", "metrics.csv"}
    with pytest.raises(CheckpointError, match="nothing to resume"):
        resume(out)


def test_what_a_training_leaves(uninterrupted):
    with (uninterrupted / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert {"training_loss", "training_accuracy", "validation_accuracy_t3", "learning_rate",
            "seconds"} <= rows[0].keys()
    loaded = load(uninterrupted)
    card = loaded.card
    assert card["settings"]["seed"] == 5 and card["data"]["training_images"] == 104
    assert card["test_accuracy"].keys() == {"digits-clean", "digits"}
    assert loaded.network.statistics_limit == 9
    # the card's accuracy is what an evaluation gives
    accuracy = evaluate(loaded.network, datasets.load("digits-clean", "test"), [1, 3, 9])
    for t, value in accuracy.items():
        assert card["test_accuracy"]["digits-clean"][str(t)] == pytest.approx(value, abs=1e-4)


def test_same_seed_same_weights_other_seed_other_weights(uninterrupted, tmp_path):
    one = Settings(**{**vars(SETTINGS), "epochs": 1})
    two = Settings(**{**vars(one), "seed": 6})
    a, b, c = (train(GRAPH, settings, tmp_path / name, calibrate_to=3)
               for settings, name in ((one, "a"), (one, "b"), (two, "c")))
    assert same(a, b)
    assert not same(a, c)


@pytest.mark.parametrize(("changes", "error", "says"), [
    ({"dataset": "digit"}, DatasetError, "did you mean 'digits'"),
    ({"recipe": "quick"}, SimulationError, "known: paper, fast"),
    ({"epochs": 0}, SimulationError, "epochs must be 1 or more"),
    ({"images": 0}, SimulationError, "images must be 1 or more"),
    ({"images": 105}, SimulationError, "105 training images.*has 104 that are not held out"),
    ({"learning_rate": -1.0}, SimulationError, "learning rate must be above 0, got -1"),
    ({"batch_size": 4096}, SimulationError, "a batch of 4096 is more than"),
    ({"device": "tpu"}, SimulationError, "unknown device 'tpu'"),
    ({"device": "cuda:99"}, SimulationError, "not there"),
    ({"precision": "float16"}, SimulationError, "known: float32, bf16"),
])
def test_settings_that_do_not_work(changes, error, says, tmp_path):
    with pytest.raises(error, match=says):
        train(GRAPH, Settings(**{**vars(SETTINGS), **changes}), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_there_and_images_that_do_not_fit(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="is there already; name another .* --out$"):
        train(GRAPH, SETTINGS, tmp_path)
    (tmp_path / "network.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is there already.*--resume"):
        train(GRAPH, SETTINGS, tmp_path)
    colour = AreaGraph.chain(["V1", "IT"], channels=[4, 6], sizes=[8, 4])
    with pytest.raises(CortexSimError, match=r"\(1, 32, 32\).*\(3, 32, 32\)"):
        train(colour, SETTINGS, tmp_path / "x")


def test_a_full_disk_keeps_the_checkpoint_before(uninterrupted, tmp_path, monkeypatch):
    loaded = load(uninterrupted)
    checkpoint.save(tmp_path / "c", loaded.network, loaded.card, tag="1")

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.files, "write", full)
    with pytest.raises(CheckpointError, match="No space left.*one that was there before is intact"):
        checkpoint.save(tmp_path / "c", loaded.network, loaded.card, tag="2")
    assert same(tmp_path / "c", uninterrupted)


def test_the_papers_learning_rates():
    rate = recipes.get("paper").learning_rate
    assert [rate(epoch / 60) for epoch in (0, 39.9, 40, 49.9, 50, 59.9)] == [
        0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]
    paper = recipes.get("paper")
    assert (paper.epochs, paper.batch_size, paper.momentum, paper.readouts) == (60, 64, 0.9, 1)
    assert paper.label_smoothing == 0 and not paper.nesterov and not paper.lower_precision


def test_the_papers_augmentation_is_a_crop_of_the_padded_image_or_of_its_mirror():
    pixels = torch.arange(1, 2 * 3 * 32 * 32 + 1).view(2, 3, 32, 32).float()
    augment = Augmentation(**datasets.REGISTRY["cifar10"].augmentation)
    padded = torch.nn.functional.pad(pixels, [4] * 4)
    for seed in range(10):
        result = augment(pixels, generator(seed))
        assert torch.equal(result, augment(pixels, generator(seed)))
        for image, whole in zip(result, padded, strict=True):
            crops = [whole[:, y:y + 32, x:x + 32] for y in range(9) for x in range(9)]
            assert any(torch.equal(image, c) or torch.equal(image, c.flip(2)) for c in crops)


def test_the_papers_recipe_pads_with_the_mean_colour_and_the_fast_one_with_black():
    assert recipes.get("paper").pad_with_mean and not recipes.get("fast").pad_with_mean
    white = datasets.Dataset(np.full((6, 3, 32, 32), 255, np.uint8), np.zeros(6, np.int64),
                             list("abcdef"), ("white",), "cifar10", "train")
    for mean, outside in ((True, (125, 123, 114)), (False, (0, 0, 0))):
        images = TrainingImages(white, SequenceTask.one_image(3), 0, 0, torch.device("cpu"),
                                pad_with_mean=mean)
        pixels, _ = images.epoch(0)
        [found] = images.batch(pixels, 0, 0)
        for channel, value in enumerate(outside):
            expected = {-2 + 4 * v / 255 for v in (255, value)}
            assert sorted(set(found[:, channel].flatten().tolist())) == pytest.approx(
                sorted(expected), abs=1e-6)


@pytest.mark.shared
def test_the_mean_colour_is_that_of_cifar10():
    if not (Path(os.environ.get("CORTEXSIM_DATA", "")) / "cifar-10-batches-py").is_dir():
        pytest.skip("CORTEXSIM_DATA names no folder with CIFAR-10")
    images = datasets.load("cifar10", "train", holdout=0).images
    assert tuple(np.rint(images.mean((0, 2, 3)))) == datasets.REGISTRY["cifar10"].mean


def test_another_highest_rate_scales_the_whole_course():
    for recipe in recipes.RECIPES.values():
        course = [recipe.learning_rate(k / 1000) for k in range(1001)]
        assert max(course) == pytest.approx(recipe.highest)
        assert recipe.course() is recipe.learning_rate
        other = recipe.course(0.3)
        assert [other(k / 1000) for k in range(1001)] == pytest.approx(
            [0.3 * rate / recipe.highest for rate in course])


@pytest.mark.parametrize("dataset", ["digits", "digits-clean"])
def test_a_part_of_the_images(dataset, tmp_path):
    few = Settings(**{**vars(SETTINGS), "dataset": dataset, "images": 16, "epochs": 1,
                      "batch_size": 16})
    card = load(train(GRAPH, few, tmp_path / "few", calibrate_to=1, calibrate_on=8)).card
    assert card["calibration"]["steps"] == 3  # the readout time at least
    assert card["settings"]["images"] == 16 and card["data"]["training_images"] == 16
    assert card["calibration"]["images"] == 8
    whole = datasets.load(dataset, "train", holdout=1333)
    part = training_images(Settings(**card["settings"]), None)
    assert part.ids == whole.ids[:16]
    every = TrainingImages(part, SequenceTask.one_image(3), 1333, 0, torch.device("cpu"))
    pixels, labels = every.epoch(0)
    # each scan as often as debris has levels, and debris from these scans alone
    assert len(pixels) == len(labels) == len(every) == 16 * (len(DEBRIS) if dataset == "digits"
                                                             else 1)


def test_the_command_line_says_it_all_to_the_training(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda f: compiled.append(f) or f)
    result = CliRunner().invoke(main, [
        "train", *ARGUMENTS, "--epochs", "1", "--images", "32", "--learning-rate", "0.02",
        "--compile", "--out", str(tmp_path / "x")], catch_exceptions=False)
    assert result.exit_code == 0
    settings = load(tmp_path / "x").card["settings"]
    assert (settings["images"], settings["learning_rate"], settings["compile"]) == (32, 0.02, True)
    assert len(compiled) == 1
    with (tmp_path / "x" / "metrics.csv").open() as file:
        assert all(float(row["learning_rate"]) <= 0.02 for row in csv.DictReader(file))


@pytest.mark.slow
def test_a_compiled_training_is_the_same_to_rounding(tmp_path):
    graph = AreaGraph.chain(["V1"], channels=[4], sizes=[4], readout_time=2, image=(1, 32, 32))
    one = Settings(**{**vars(SETTINGS), "epochs": 1})
    two = Settings(**{**vars(one), "compile": True})
    a, b = (weights(train(graph, settings, tmp_path / str(settings.compile), calibrate_to=2))
            for settings in (one, two))
    for key in a:
        assert torch.allclose(a[key].nan_to_num(), b[key].nan_to_num(), atol=1e-4), key


def test_rotation_and_scale_keep_the_background():
    grey = torch.full((4, 1, 32, 32), 128.0)
    turned = Augmentation(shift=2, rotate=10, scale=0.1, background=128)(grey, generator(0))
    assert torch.allclose(turned, grey)


def test_a_mirror_without_a_shift():
    pixels = torch.arange(2 * 32 * 32).view(2, 1, 32, 32)
    results = [Augmentation(flip=True)(pixels, generator(seed)) for seed in range(6)]
    assert all(torch.equal(r[i], pixels[i]) or torch.equal(r[i], pixels[i].flip(2))
               for r in results for i in range(2))
    assert len({tuple(r.flatten().tolist()) for r in results}) > 1


def test_the_papers_recipe_holds_no_image_out(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(datasets, "load", lambda *a, **k: seen.append(k["holdout"]) or 1 / 0)
    for recipe in ("paper", "fast"):
        with pytest.raises(ZeroDivisionError):
            train(GRAPH, Settings(dataset="digits", recipe=recipe, device="cpu"), tmp_path / "x")
    assert seen == [0, 137]


def test_settings_of_a_newer_version_are_named_as_such():
    with pytest.raises(CheckpointError, match="may come from a newer one"):
        Settings.from_card({"settings": {"dataset": "digits", "telepathy": True}})
