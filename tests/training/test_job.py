"""Jobs of several processes: really started, stopped, killed, and gone on with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
import torch

from cortexsim.models import checkpoint
from cortexsim.training import resume, train
from cortexsim.training.learning import Learner

from ..processes import cortexsim
from .jobs import started
from .test_training import ARGUMENTS, GRAPH, SETTINGS, weights

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """Train in one process."""
    return train(GRAPH, SETTINGS, tmp_path_factory.mktemp("train") / "alone")


def same(found: Path, expected: Path) -> None:
    """Compare two trained networks, up to rounding."""
    one, other = weights(found), weights(expected)
    assert one.keys() == other.keys()
    for key, value in other.items():
        torch.testing.assert_close(one[key], value, rtol=2e-3, atol=2e-4, equal_nan=True)
    cards = [checkpoint.read_card(folder) for folder in (found, expected)]
    for lines in zip(*(card["history"] for card in cards), strict=True):
        assert lines[0]["training_loss"] == pytest.approx(lines[1]["training_loss"], abs=1e-5)
    assert cards[0]["test_accuracy"].keys() == cards[1]["test_accuracy"].keys()


def epochs(out: Path) -> int:
    """Return how many epochs a checkpoint has seen; -1 if there is none."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads((out / "network.json").read_text())["position"]["epoch"]
    return -1


@pytest.mark.slow
def test_a_job_leaves_what_one_process_leaves_and_the_first_one_speaks(alone, tmp_path):
    line = ["train", *ARGUMENTS, "--out", str(tmp_path / "out")]
    with started(tmp_path, 2, cortexsim, *line) as members:
        assert [member.join() for member in members] == [0, 0]
    same(tmp_path / "out", alone)
    card = checkpoint.read_card(tmp_path / "out")
    assert card["processes"] == 2 and checkpoint.read_card(alone)["processes"] == 1
    assert card["command"].startswith("torchrun --nproc-per-node 2 -m cortexsim train --dataset")
    assert "network" in members[0].stdout and not members[1].stdout
    assert not members[1].stderr


@pytest.mark.parametrize("killed", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_the_others_say_that_one_was_killed_and_how_to_go_on(killed, alone, tmp_path):
    out = tmp_path / "out"
    with started(tmp_path, 2, cortexsim, "train", *ARGUMENTS, "--out", str(out)) as members:
        members[killed].wait_for(lambda: epochs(out) >= 1)
        assert members[killed].send(signal.SIGKILL) == -signal.SIGKILL
        left = members[1 - killed]
        assert left.join() == 2
    [line] = [line for line in left.stderr.splitlines() if line.startswith("cortexsim: ")]
    assert line == ("cortexsim: another process of this training was killed, or cannot be reached. "
                    f"Go on with: torchrun --nproc-per-node 2 -m cortexsim train --resume {out}")
    assert "Traceback" not in left.stderr
    resume(out)
    same(out, alone)
    assert checkpoint.read_card(out)["processes"] == 1


@pytest.mark.slow
def test_all_stop_at_one_batch_and_more_of_them_go_on(alone, tmp_path):
    out = tmp_path / "out"
    with started(tmp_path, 2, cortexsim, "train", *ARGUMENTS, "--out", str(out)) as members:
        members[0].wait_for(lambda: epochs(out) >= 1)
        # Ctrl-C comes from the terminal, and from torchrun again
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(members[1]._process.pid, number)
        assert [member.join() for member in members] == [130, 130]
    assert "everything so far is saved. Go on with: torchrun" in members[0].stderr
    assert not members[1].stderr
    with started(tmp_path / "again", 3, cortexsim, "train", "--resume", str(out)) as members:
        assert [member.join() for member in members] == [0, 0, 0]
    same(out, alone)
    assert checkpoint.read_card(out)["processes"] == 3


@pytest.mark.parametrize(("arguments", "says"), [
    (["--batch-size", "2"], "a batch of 2 cannot be divided among 3 processes"),
    pytest.param(["--dataset", "digitz"], "did you mean 'digits'", marks=pytest.mark.slow),
    pytest.param(["--epoch", "1"], "No such option", marks=pytest.mark.slow),
    pytest.param(["--device", "cuda:0"], "3 processes on one device", marks=pytest.mark.slow),
])
def test_what_is_wrong_is_said_once(arguments, says, tmp_path):
    out = tmp_path / "out"
    line = ["train", *ARGUMENTS, *arguments, "--out", str(out)]
    with started(tmp_path, 3, cortexsim, *line) as members:
        assert [member.join() for member in members] == [2, 2, 2]
    assert says in members[0].stderr and len(members[0].stderr.splitlines()) == 1
    assert not members[1].stderr and not members[2].stderr
    assert not out.exists()


def test_what_is_wrong_in_one_process_alone_is_said_by_it(tmp_path):
    with started(tmp_path, 3, _lack_memory, tmp_path / "out") as members:
        assert [member.join() for member in members] == [2, 2, 2]
    assert [member.stderr for member in members] == [
        "", "", "cortexsim: process 3 of 3: not enough memory to train with batches of 16: begin "
        "anew with a smaller --batch-size, or let more processes, on more devices, have a part of "
        f"each: torchrun --nproc-per-node 6 -m cortexsim train --resume {tmp_path / 'out'}\n"]


def _lack_memory(out: Path) -> None:
    step, steps = Learner.step, []

    def short(self: Learner, *about: object) -> tuple[float, int]:
        steps.append(None)
        if os.environ["RANK"] == "2" and len(steps) == 3:
            torch.empty(2**60, dtype=torch.uint8)
        return step(self, *about)

    Learner.step = short
    cortexsim("train", *ARGUMENTS, "--out", str(out))
