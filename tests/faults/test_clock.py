"""A clock that is set back, or far forward: no number depends on it.

The clock is turned by a small library that the program is started with, under which the date
is what we say; no clock of the machine is touched.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .commands import COMMANDS, Command
from .kills import compared, prepared, run_to_end

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
#: Turns the date, and leaves the clock that durations are measured with alone, as a user would.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long turned(void) {
    const char *by = getenv("TURNED_BY");
    return by ? atol(by) : 0;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(which, now);
    if (which == CLOCK_REALTIME) now->tv_sec += turned();
    return status;
}

time_t time(time_t *there) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (there) *there = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    now->tv_sec = real.tv_sec;
    now->tv_usec = real.tv_nsec / 1000;
    return 0;
}
"""
YEAR = 365 * 24 * 3600


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler, and Linux's way to load a library before others")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "shim.so", folder / "shim.c",
                    "-ldl"], check=True)
    return folder / "shim.so"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("made"), ["run"])


def given(story: Path, line: list[str], shim: Path, by: int) -> subprocess.Popen[str]:
    """Give a command to the program, started anew, under a clock that is turned."""
    return subprocess.Popen(
        [sys.executable, "-m", "cortexsim", *line], cwd=story, text=True, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT),
                                        "LD_PRELOAD": str(shim), "TURNED_BY": str(by)})


def test_the_clock_is_turned(shim):
    said = subprocess.run(
        [sys.executable, "-c", "import time, datetime; print(time.time(), datetime.datetime.now("
         ").timestamp())"], text=True, capture_output=True, check=True,
        env={**os.environ, "LD_PRELOAD": str(shim), "TURNED_BY": str(-YEAR)}).stdout
    assert all(abs(float(found) - (time.time() - YEAR)) < 60 for found in said.split())


@pytest.mark.parametrize("name", ["run", "train"])
@pytest.mark.parametrize("then", [-YEAR, 50 * YEAR], ids=["back", "forward"])
def test_between_a_stop_and_going_on(name, then, shim, made, tmp_path):
    command: Command = COMMANDS[name]
    whole, story = tmp_path / "whole", tmp_path / "story"
    for place in (whole, story):
        place.mkdir()
        command.prepare(made, place)
    assert run_to_end(whole, command.begin) == 0
    there = {"run": "out/recording.zarr/done/c/3", "train": "out/metrics.csv"}[name]
    process = given(story, command.begin, shim, 0)
    while not (story / there).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, told
    process = given(story, command.go_on(story), shim, then)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert compared(command.whole(whole), command.whole(story)) == []
    if name == "train":
        card = json.loads((story / "out/network.json").read_text())
        seconds = [row["seconds"] for row in card["history"]]
        assert 0 < seconds[0] < 600 and seconds == sorted(seconds)
        assert seconds[-1] <= card["seconds"] < 600
