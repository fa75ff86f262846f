"""Two processes, one folder: one has it, the other is told so, and nothing is mixed up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cortexsim import files
from cortexsim.errors import RecordingError

from .commands import CALIBRATE, COMMANDS, RUN, TRAIN
from .kills import compared, prepared, run_to_end, started

BUSY = "out: another process is at work on it; wait until it is done, or stop it\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def half(made, tmp_path_factory) -> Path:
    """Return a folder with a run, and one with a training, that were killed half way."""
    folder = tmp_path_factory.mktemp("half")
    for name, there in (("run", "out/recording.zarr/done/c/5"), ("train", "out/metrics.csv")):
        story = folder / name
        story.mkdir()
        COMMANDS[name].prepare(made, story)
        process = started(story, COMMANDS[name].begin)
        process.wait_for((story / there).exists)
        process.kill()
    return folder


def both(story: Path, one: list[str], other: list[str]) -> list[tuple[int, str]]:
    """Start two commands at the same moment in one folder; return how each ended."""
    processes = [started(story, line, place=story.with_name(f"{story.name}-{number}"))
                 for number, line in enumerate((one, other))]
    return sorted((process.join(), process.stderr) for process in processes)


CASES = {
    "two runs": ("run", RUN, RUN),
    "two trainings": ("train", TRAIN, TRAIN),
    "a run and a training": ("run", RUN, TRAIN),
    "two calibrations": ("calibrate", CALIBRATE, CALIBRATE),
    "two resumed runs": ("run", ["run", "--resume", "out"], ["run", "--resume", "out"]),
    "two resumed trainings": ("train", ["train", "--resume", "out"], ["train", "--resume", "out"]),
    "a training and its calibration": ("train", ["train", "--resume", "out"], CALIBRATE),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_of_two_one_is_refused(case, made, half, tmp_path):
    name, one, other = CASES[case]
    command, whole, story = COMMANDS[name], tmp_path / "whole", tmp_path / "story"
    whole.mkdir()
    command.prepare(made, whole)
    assert run_to_end(whole, command.begin) == 0
    if "--resume" in one:
        shutil.copytree(half / name, story)
    else:
        story.mkdir()
        command.prepare(made, story)
    if case == "two runs":
        (story / "out").mkdir()  # empty, so that either may take it
    (first, _), (second, told) = both(story, one, other)
    assert first == 0
    if second == 0:  # one was done before the other began: it did the same again
        assert case == "two calibrations" or case == "two resumed runs"
    else:
        assert second == 2 and told.startswith("cortexsim: ") and told.count("\n") == 1
        assert any(words in told for words in (
            "another process is at work", "is there already", "training is complete",
            "training is not complete")), told
    name = "train" if (story / "out/network.json").exists() and name == "run" else name
    if name == command.name:
        assert compared(command.whole(whole), command.whole(story)) == []
    else:
        COMMANDS[name].whole(story)


@pytest.mark.parametrize("name", ["run", *(
    pytest.param(name, marks=pytest.mark.slow) for name in ("train", "calibrate"))])
def test_a_folder_that_another_process_has(name, folder, tiny, tmp_path):
    """The claim is on the folder itself, from before the first file to after the last."""
    shutil.copytree(tiny, "out") if name == "calibrate" else Path("out").mkdir()
    line = {"run": ["run", "short.yaml", "--model", str(tiny), "--trials", "2", "--out", "out"],
            "train": TRAIN, "calibrate": ["calibrate", "out", "--steps", "8", "--images", "9"]}
    with files.Claim(Path("out")):
        process = started(Path.cwd(), line[name])
        assert process.join() == 2
    assert process.stderr == f"cortexsim: {BUSY}"
    with files.Claim(Path("out")) as one, pytest.raises(RecordingError, match="at work on it"):
        files.Claim(Path("out"))
    del one
