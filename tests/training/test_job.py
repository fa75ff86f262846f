"""Jobs of several processes: really started, stopped, killed, and gone on with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cortexsim import job
from cortexsim.cli import main
from cortexsim.graph import AreaGraph
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


def kill_one(rank: int, folder: Path) -> Path:
    """Kill a process of two, and look at what the other one says; return the checkpoint."""
    out = folder / "out"
    with started(folder, 2, cortexsim, "train", *ARGUMENTS, "--out", str(out)) as members:
        members[rank].wait_for(lambda: epochs(out) >= 0)
        assert members[rank].send(signal.SIGKILL) == -signal.SIGKILL
        left = members[1 - rank]
        assert left.join() == 2
    [line] = [line for line in left.stderr.splitlines() if line.startswith("cortexsim: ")]
    assert line == ("cortexsim: another process of this training was killed, or cannot be reached. "
                    f"Go on with: torchrun --nproc-per-node 2 -m cortexsim train --resume {out}")
    assert "Traceback" not in left.stderr
    return out


def test_the_others_say_that_one_was_killed_and_how_to_go_on(tmp_path):
    assert "position" in checkpoint.load(kill_one(1, tmp_path)).card


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_one_process_goes_on_where_one_of_two_was_killed(rank, alone, tmp_path):
    out = kill_one(rank, tmp_path)
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


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "says"), [
    (["--batch-size", "2"], "a batch of 2 cannot be divided among 3 processes"),
    (["--dataset", "digitz"], "did you mean 'digits'"),
    (["--epoch", "1"], "No such option"),
    (["--device", "cuda:0"], "3 processes on one device"),
])
def test_what_is_wrong_is_said_once(arguments, says, tmp_path):
    out = tmp_path / "out"
    line = ["train", *ARGUMENTS, *arguments, "--out", str(out)]
    with started(tmp_path, 3, cortexsim, *line) as members:
        assert [member.join() for member in members] == [2, 2, 2]
    assert says in members[0].stderr and len(members[0].stderr.splitlines()) == 1
    assert not members[1].stderr and not members[2].stderr
    assert not out.exists()


@pytest.mark.slow
def test_torchrun_is_for_training_alone(tmp_path):
    with started(tmp_path, 2, cortexsim, "models") as members:
        assert [member.join() for member in members] == [2, 2]
    assert "each would do all of 'cortexsim models'" in members[0].stderr
    assert not members[1].stderr and not members[0].stdout and not members[1].stdout


@pytest.mark.parametrize("line", [["train", "--epoch", "1"], ["models"]])
def test_one_that_leaves_the_word_to_the_first_is_ended_without_one(line, tmp_path):
    # as torchrun ends it, once the first one has said what is wrong
    with started(tmp_path, 2, _waiting, tmp_path / "waits", line) as members:
        assert members[0].join() == 2
        members[1].wait_for((tmp_path / "waits").exists)
        time.sleep(0.2)
        assert members[1].send(signal.SIGTERM) == -signal.SIGTERM
    assert len(members[0].stderr.splitlines()) == 1
    assert not members[1].stderr and not members[1].stdout


def _waiting(waits: Path, line: list[str]) -> None:
    sleep = time.sleep
    time.sleep = lambda seconds: (waits.touch(), sleep(seconds))
    sys.argv = ["cortexsim", *line]
    main()  # as a program: with what it does on signals


@pytest.mark.slow
def test_what_is_wrong_in_one_process_alone_is_said_by_it(tmp_path):
    with started(tmp_path, 3, _lack_memory, tmp_path / "out") as members:
        assert [member.join() for member in members] == [2, 2, 2]
    assert [member.stderr for member in members] == [
        "", "", "cortexsim: process 3 of 3: not enough memory to train with batches of 16: let "
        "more processes, on more GPUs or machines, each take a part (torchrun --nproc-per-node 6 "
        f"-m cortexsim train --resume {tmp_path / 'out'}), or begin anew with a smaller "
        "--batch-size\n"]


def _lack_memory(out: Path) -> None:
    step, steps = Learner.step, []
    job.PATIENCE = 1.0  # the first one has nothing to say

    def short(self: Learner, *about: object) -> tuple[float, int]:
        steps.append(None)
        if os.environ["RANK"] == "2" and len(steps) == 3:
            torch.empty(2**60, dtype=torch.uint8)
        return step(self, *about)

    Learner.step = short
    cortexsim("train", *ARGUMENTS, "--out", str(out))


# --- under torchrun itself


class Torchrun:
    """A job under torchrun."""

    def __init__(self, folder: Path, count: int, *line: str) -> None:
        self._said = folder / "said"
        with self._said.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count),
                 "-m", "cortexsim", *line], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1"})

    def wait_for(self, happened: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 300
        while not happened():
            assert self._process.poll() is None and time.monotonic() < deadline, self.said
            time.sleep(0.01)

    def send(self, number: int, rank: int | None = None) -> int:
        """Send a signal to it, or to one of its processes; return its exit status."""
        os.kill(self._process.pid if rank is None else self._member(rank), number)
        return self.join()

    def _member(self, rank: int) -> int:
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if f"\0RANK={rank}\0" in f"\0{Path(f'/proc/{child}/environ').read_text()}":
                return int(child)
        raise AssertionError(f"torchrun has no process {rank}")

    def join(self) -> int:
        """Wait for the end and return the exit status."""
        return self._process.wait(300)

    @property
    def said(self) -> str:
        """What all of them have said so far."""
        return self._said.read_text()

    @property
    def sentences(self) -> list[str]:
        """What we have said of errors so far."""
        return [line for line in self.said.splitlines() if line.startswith("cortexsim: ")]


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@linux
@pytest.mark.slow
def test_torchrun_with_a_killed_process_and_on_with_another_number(alone, tmp_path):
    out = tmp_path / "out"
    run = Torchrun(tmp_path, 2, "train", *ARGUMENTS, "--out", str(out))
    run.wait_for(lambda: epochs(out) >= 1)
    assert run.send(signal.SIGKILL, rank=1) not in (0, None)
    [line] = run.sentences
    assert "was killed" in line and line.endswith(f"train --resume {out}")
    assert "cortexsim/training" not in run.said  # no traceback of ours; torchrun has its own
    assert Torchrun(tmp_path, 3, "train", "--resume", str(out)).join() == 0
    same(out, alone)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_torchrun_that_is_stopped(number, alone, tmp_path):
    out = tmp_path / "out"
    run = Torchrun(tmp_path, 2, "train", *ARGUMENTS, "--out", str(out))
    run.wait_for(lambda: epochs(out) >= 1)
    assert run.send(number) not in (0, None)
    [line] = run.sentences
    assert "everything so far is saved" in line and line.endswith(f"train --resume {out}")
    resume(out)
    same(out, alone)


@linux
@pytest.mark.slow
def test_torchrun_with_a_process_that_hangs(tmp_path):
    out = tmp_path / "out"
    run = Torchrun(tmp_path, 2, "train", *ARGUMENTS, "--epochs", "1000", "--out", str(out))
    run.wait_for(lambda: epochs(out) >= 1)
    os.kill(run._member(1), signal.SIGSTOP)
    time.sleep(1)  # until the other one waits for it
    assert run.send(signal.SIGTERM) not in (0, None)
    assert run.sentences == ["cortexsim: another process does not answer. Go on with: torchrun "
                             f"--nproc-per-node 2 -m cortexsim train --resume {out}"]


@pytest.mark.slow
def test_torchrun_chooses_a_folder_and_compiles(tmp_path, monkeypatch):
    graph = ["--areas", "V1", "--channels", "4", "--sizes", "4", "--readout-time", "2"]
    line = ["train", *ARGUMENTS, *graph, "--epochs", "1"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert Torchrun(tmp_path, 2, *line, "--compile").join() == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["train-1"]
    small = AreaGraph.chain(["V1"], channels=[4], sizes=[4], readout_time=2, image=(1, 32, 32))
    same(tmp_path / "runs" / "train-1",
         train(small, replace(SETTINGS, epochs=1), tmp_path / "alone"))


@pytest.mark.slow
def test_the_benchmark_compares_equal_losses(tmp_path):
    out = tmp_path / "results.json"
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
         "analysis/benchmarks/processes.py", "--rounds", "1", "--steps", "1", "--batch", "4",
         "--out", str(out)], cwd=ROOT, check=True, capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
    found = json.loads(out.read_text())
    assert found["processes"] == 2 and found["loss differs by"] < 1e-5
    assert found["alone"]["ratio"] == 1
    assert found["strong"]["images per second"] > 0 and found["weak"]["images per second"] > 0
