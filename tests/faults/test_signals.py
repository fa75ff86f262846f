"""Ctrl-C and SIGTERM, at any moment: one sentence, nothing that looks whole, and a way to go on."""

from __future__ import annotations

import random
import re
import shlex
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.processes import Started, cortexsim

from .commands import COMMANDS, files
from .kills import compared, measured, prepared, run_to_end, started

#: What is done to a finished run or network, each in a folder of its own.
LINES = {
    **{name: command.begin for name, command in COMMANDS.items()},
    "evaluate": ["evaluate", "out", "--dataset", "digits"],
    "compare": ["compare", "out", "--latencies", "schmolesky1998"],
}
#: Whose files a stop leaves alone, or has not made.
NOTHING = "stopped; no file is left half-written. To do it again, give the same command"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("made"))


@pytest.fixture
def story(made, tmp_path):
    """Return the function that makes the folder in which a command is to be given."""
    def make(name: str) -> Path:
        place = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        like = {"evaluate": "calibrate", "compare": "report"}.get(name, name)
        COMMANDS[like].prepare(made, place)
        return place

    return make


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", LINES)
def test_stopped_at_a_random_moment(name, number, story):
    line, draw = LINES[name], random.Random(f"{name} {number}")
    whole = story(name)
    seconds, _ = measured(whole, line)
    stopped = 0
    for _ in range(8):
        place = story(name)
        before = dict(files(place))
        process = started(place, line)
        process.work_for(draw.uniform(0.05, 0.95) * seconds)
        if not process.running:
            assert process.join() == 0
            continue
        status = process.send(number)
        if process.stdout:  # it was about to end
            assert status in (0, -number, 128 + number)
            continue
        stopped += 1
        assert status == 128 + number, process.stderr
        said = process.stderr
        assert re.fullmatch(r"cortexsim: stopped[^\n]*\n", said), said
        if name in COMMANDS:
            COMMANDS[name].there(place)  # never whole when it is not
            again = re.search(r"Go on with: cortexsim (.*)\n", said)
            if not again:
                assert said in (f"cortexsim: {NOTHING}\n", "cortexsim: stopped\n",
                                "cortexsim: stopped; nothing was written\n"), said
            line_again = shlex.split(again[1]) if again else line
            assert run_to_end(place, line_again) == 0
            assert compared(COMMANDS[name].whole(whole), COMMANDS[name].whole(place)) == []
        else:
            assert said == f"cortexsim: {NOTHING}\n"
            new = {path for path, _ in files(place)} - before.keys()
            assert new <= {path for path, _ in files(whole)}
        shutil.rmtree(place)
        if stopped == 2:
            break
    assert stopped, f"it takes {seconds} s and was never at work"


def stubborn(*line: str) -> None:
    """Run a command that takes its time to stop."""
    from cortexsim.simulation import writer

    end = writer.Writer.__exit__

    def slowly(self, *about):
        print("stopping", flush=True)
        time.sleep(60)
        end(self, *about)

    writer.Writer.__exit__ = slowly
    cortexsim(*line)


def test_a_second_signal_stops_at_once(tmp_path, tiny, folder):
    process = Started(tmp_path, stubborn, "run", "backward_mask", "--model", str(tiny), "--out",
                      "out", "--reduce", "none")
    process.wait_for(lambda: list(Path("out").glob("recording.zarr/done/c/*")))
    process.signal(signal.SIGTERM)
    process.wait_for(lambda: process.stdout == "stopping\n")
    begun = time.monotonic()
    assert process.send(signal.SIGTERM) == -signal.SIGTERM
    assert time.monotonic() - begun < 10 and process.stderr == ""


def ignoring(*line: str) -> None:
    """Run a command as nohup and jobs in the background do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        cortexsim(*line)
    finally:
        print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)


@pytest.mark.slow
def test_what_is_ignored_stays_ignored(tmp_path):
    process = Started(tmp_path, ignoring, "models")
    assert process.join() == 0 and process.stdout.endswith("True\n")
