"""Memory that is not there: one sentence, or a kill by the system; nothing lost by either."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import cortexsim

from .commands import COMMANDS, RUN
from .kills import compared, prepared, run_to_end, said

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(sys.platform != "linux", reason="needs limits of processes")]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("made"), ["run", "train", "report"])


def scarce(more: int, *line: str) -> None:
    """Run a command that may take so many bytes more than this process has."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + more, held + more))
    cortexsim(*line)


def limited(group: str, *line: str) -> None:
    """Run a command in a group of processes whose memory is limited."""
    (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    cortexsim(*line)


@pytest.mark.parametrize("name", ["run", "train", "report"])
def test_memory_that_does_not_suffice(name, made, tmp_path):
    command, told = COMMANDS[name], []
    whole = tmp_path / "whole"
    whole.mkdir()
    command.prepare(made, whole)
    assert run_to_end(whole, command.begin) == 0
    for megabytes in (1, 32, 256):
        story = tmp_path / f"{megabytes}"
        story.mkdir()
        command.prepare(made, story)
        status = run_to_end(story, command.begin, scarce, megabytes * 2**20)
        if status:
            assert status == 2, said(story)
            last = said(story).splitlines()[-1]
            assert re.fullmatch(r"cortexsim: [^\n]*memory[^\n]*", last), said(story)
            assert "Traceback" not in said(story)
            told.append(last)
            command.there(story)
            assert run_to_end(story, command.go_on(story)) == 0
        assert compared(command.whole(whole), command.whole(story)) == []
    assert told


@pytest.fixture
def group() -> Iterator[Path]:
    """Return a control group that kills what takes more than some megabytes."""
    for above, name in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
                        (Path("/sys/fs/cgroup"), "memory.max")):
        place = above / f"cortexsim-{os.getpid()}"
        try:
            place.mkdir()
            (place / name).write_text(str(24 * 2**20))
        except OSError:
            if place.is_dir():
                place.rmdir()
            continue
        yield place
        place.rmdir()
        return
    pytest.skip("may not limit the memory of processes here")


def test_killed_by_the_system(group, made, tmp_path):
    run, whole, story = COMMANDS["run"], tmp_path / "whole", tmp_path / "story"
    for place in (whole, story):
        place.mkdir()
        run.prepare(made, place)
    assert run_to_end(whole, RUN) == 0
    assert run_to_end(story, RUN, limited, str(group)) == -signal.SIGKILL
    run.there(story)
    assert run_to_end(story, run.go_on(story)) == 0
    assert compared(run.whole(whole), run.whole(story)) == []
