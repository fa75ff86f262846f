"""Training with images of which some go off before the readout: ``train --brief``."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from cortexsim.cli import main
from cortexsim.errors import Interrupted, SimulationError
from cortexsim.graph import AreaGraph
from cortexsim.models import Network, calibrate, load
from cortexsim.models.frames import Brief
from cortexsim.stimuli import datasets
from cortexsim.stimuli.sequences import SequenceTask
from cortexsim.training import Settings, learning, resume, train
from cortexsim.training.batches import calibration_frames, exposed, generator

from .test_training import GRAPH, same

FOREVER = torch.iinfo(torch.int64).max
SETTINGS = Settings(dataset="digits-clean", holdout=1333, images=48, batch_size=16, epochs=2,
                    seed=5, precision="float32", device="cpu", brief=0.5)
SHORTLY = {"calibrate_to": 4, "calibrate_on": 32}


def steps(share: float, count: int, end: int, *parts: object) -> torch.Tensor:
    return exposed(torch.zeros(count, 1, 1, 1), share, end, generator(*parts)).steps


def test_the_share_that_goes_off_and_when():
    assert (steps(0, 100, 4) == FOREVER).all()
    every = steps(1, 4000, 4)
    assert sorted(set(every.tolist())) == [1, 2, 3, 4]
    # 1000 each; four standard deviations are 110
    assert all(abs(int((every == k).sum()) - 1000) < 110 for k in (1, 2, 3, 4))
    some = steps(0.3, 4000, 4)
    assert abs(int((some < FOREVER).sum()) - 1200) < 116
    assert set(some.tolist()) == {1, 2, 3, 4, FOREVER}
    assert (steps(1, 50, 1) == 1).all()


def test_chance_belongs_to_the_batch():
    images = torch.rand(20, 1, 2, 2)
    one = exposed(images, 0.5, 6, generator(3, "brief", 0, 1))
    assert one.images is images
    assert torch.equal(one.steps, exposed(images, 0.5, 6, generator(3, "brief", 0, 1)).steps)
    for other in ((4, "brief", 0, 1), (3, "brief", 1, 1), (3, "brief", 0, 2)):
        assert not torch.equal(one.steps, exposed(images, 0.5, 6, generator(*other)).steps)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, list[tuple[bool, object]]]:
    """Return a network, and what it was shown: in training or not, and the images."""
    shown, scores = [], Network.scores
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "scores", lambda self, images, times: shown.append(
            (self.training, images)) or scores(self, images, times))
        out = tmp_path_factory.mktemp("brief") / "whole"
        return train(GRAPH, SETTINGS, out, **SHORTLY), shown


def test_networks_are_trained_on_images_that_go_off_and_tested_on_images_that_stay(trained):
    _, shown = trained
    images = [images for training, images in shown if training]
    assert len(images) == 2 * 3 and all(isinstance(batch, Brief) for batch in images)
    counts = [batch.steps for batch in images]
    assert set(torch.cat(counts).tolist()) == {1, 2, 3, FOREVER}  # the readout is at 3
    assert len({tuple(count.tolist()) for count in counts}) == len(counts)
    tested = [images for training, images in shown if not training]
    assert tested and not any(isinstance(batch, Brief) for batch in tested)


def test_a_stopped_training_goes_on_to_the_same_weights(trained, tmp_path, monkeypatch):
    losses, cross_entropy = [], learning.F.cross_entropy

    def stop_in_the_second_epoch(*scores, **options):
        losses.append(1)
        if len(losses) == 3 * 3 + 5:  # of three readouts, in the fifth batch
            os.kill(os.getpid(), signal.SIGINT)
        return cross_entropy(*scores, **options)

    monkeypatch.setattr(learning.F, "cross_entropy", stop_in_the_second_epoch)
    with pytest.raises(Interrupted, match="stopped at epoch 2, batch 2"):
        train(GRAPH, SETTINGS, tmp_path / "x", **SHORTLY)
    monkeypatch.undo()
    resume(tmp_path / "x")
    assert same(tmp_path / "x", trained[0])


def test_it_is_calibrated_on_images_that_go_off(trained):
    loaded = load(trained[0])
    assert loaded.card["settings"]["brief"] == 0.5
    assert Settings.from_card(loaded.card).brief == 0.5
    assert Settings.from_card({"settings": {"seed": 1}}).brief == 0  # of a version before
    data = datasets.load("digits-clean", "train", holdout=1333).take(range(48))
    one_image = SequenceTask.one_image(3)
    frames = calibration_frames(data, one_image, "sustained", 32, 5, 4, 0.5)
    assert isinstance(frames, Brief) and len(frames.images) == 32
    assert set(frames.steps.tolist()) == {1, 2, 3, FOREVER}
    stay = calibration_frames(data, one_image, "sustained", 32, 5, 4)
    assert torch.equal(frames.images, stay[0])  # the same choice of images
    own = load(trained[0]).network
    for images, equal in ((frames, True), (stay, False)):
        calibrate(own, images, 4)
        assert equal == all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(
            own.state_dict().values(), loaded.network.state_dict().values(), strict=True))


@pytest.mark.parametrize(("changes", "says"), [
    ({"brief": -0.1}, "share of brief images lies between 0 and 1, got -0.1"),
    ({"brief": 1.5}, "between 0 and 1, got 1.5"),
    ({"brief": float("nan")}, "between 0 and 1, got nan"),
    ({"sequence": SequenceTask(3, 2)}, "images of a sequence follow each other: leave out --brief"),
])
def test_settings_that_do_not_work(changes, says, tmp_path):
    with pytest.raises(SimulationError, match=says):
        train(GRAPH, Settings(**{**vars(SETTINGS), **changes}), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_onset_input_is_refused_before_anything_is_written(tmp_path):
    graph = AreaGraph.chain(["V1", "IT"], channels=[4, 6], sizes=[8, 4], readout_time=3,
                            image=(1, 32, 32), input="onset")
    with pytest.raises(SimulationError, match="need sustained input.*leave out --brief"):
        train(graph, SETTINGS, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_option(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("cortexsim.training.train",
                        lambda graph, settings, out, **more: asked.append(settings) or 1 / 0)
    line = ["train", "--dataset", "digits-clean", "--out", str(tmp_path / "x")]
    for more in ([], ["--brief", "0.25"]):
        CliRunner().invoke(main, [*line, *more])
    assert [settings.brief for settings in asked] == [0, 0.25]
    for more, says in ((["--brief", "2"], "the share of brief images lies between 0 and 1, got 2"),
                       (["--brief", "half"], "'half' is not a valid float"),
                       (["--brief", "0.5", "--sequence", "last"], "leave out --brief")):
        monkeypatch.undo()
        result = CliRunner().invoke(main, [*line, *more])
        assert result.exit_code == 2 and says in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "x").exists()
