"""SIGKILL at random moments of a command, and before changes it makes to files.

Moments are counted in the time that a processor spends on the command, which is the same on a
busy machine.

``python -m tests.faults`` does it as often as one likes, and writes what it saw.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests import processes
from tests.faults.commands import COMMANDS, RUN, TRAIN, Command, material
from tests.processes import Started, cortexsim

#: What these commands import: once, in place of in each process.
_IMPORTED = (
    "scipy.stats", "sklearn.linear_model", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg",
    "cortexsim.analysis.figures.compose", "cortexsim.analysis.report.build",
    "cortexsim.analysis.report.sections", "cortexsim.analysis.report.science",
    "cortexsim.analysis.export", "h5py", "dask.array", "rsatoolbox", "scipy.fftpack",
    "PIL.JpegImagePlugin", "tests.faults.kills")
#: In a row before a story is left to come to its end, at most.
IN_A_ROW = 4
_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")


@dataclass(frozen=True)
class Kill:
    """One kill, and what came of it.

    Attributes
    ----------
    command
        Its first word.
    seed, story
        Of the random moments; the story that the kill belongs to, counted from 0.
    when
        After ``1.234 s`` of a processor, or ``change 12``: before the 12th change to a file.
    of
        What the undisturbed command takes, or how many changes it makes.
    there
        What was there afterwards.
    then
        What was typed to go on.
    lost
        Files that in the end differed from the undisturbed command's, were missing, or were
        too many.
    """

    command: str
    seed: int
    story: int
    when: str
    of: str
    there: str
    then: str
    lost: str


def prepared(folder: Path, names: Iterable[str] = COMMANDS) -> Path:
    """Make what the stories begin with, with the program itself."""
    processes.preload(*_IMPORTED)
    made = material(folder)
    finished = {"calibrate": (TRAIN, "trained"), "report": (RUN, "recorded"),
                "export": (RUN, "recorded")}
    for name in names:
        line, place = finished.get(name, ([], ""))
        if line and not (made / place).exists():
            assert run_to_end(made, line) == 0, said(made)
            (made / "out").rename(made / place)
    return made


@dataclass(frozen=True)
class Undisturbed:
    """A command that nothing happened to: what it left, seconds it took, changes it made."""

    left: dict[str, bytes]
    seconds: float
    changes: int


def undisturbed(command: Command, made: Path, folder: Path) -> Undisturbed:
    """Run a command to its end twice, and see that it leaves the same."""
    for name in ("first", "second"):
        story = _story(command, made, folder / name)
        seconds, changes = measured(story, command.begin)
    left = command.whole(folder / "first")
    differ = compared(left, command.whole(folder / "second"))
    assert not differ, differ
    return Undisturbed(left, seconds, changes)


def measured(story: Path, line: list[str]) -> tuple[float, int]:
    """Give a command; return a processor's seconds that it took, and its changes to files."""
    assert run_to_end(story, line, counting) == 0, said(story)
    seconds, changes = (_beside(story) / "stdout").read_text().split()[-2:]
    return float(seconds), int(changes)


def at_random(command: Command, made: Path, folder: Path, whole: Undisturbed, kills: int,
              seed: int) -> Iterator[Kill]:
    """Kill a command so often, at moments drawn over all that it takes."""
    draw, done = random.Random(f"{seed} {command.name}"), 0
    for number in itertools.count():
        if done >= kills:
            return
        wanted = 1
        while wanted < IN_A_ROW and draw.random() < 0.4:
            wanted += 1
        moments = [draw.uniform(0, whole.seconds) for _ in range(min(wanted, kills - done))]
        ways = [(f"{moment:.3f} s", lambda line, place, at=moment: _after(place, line, at))
                for moment in moments]
        for kill in _told(command, made, folder / f"{number}", whole.left, ways):
            done += 1
            yield replace(kill, seed=seed, story=number, of=f"{whole.seconds:.3f} s")


def at_changes(command: Command, made: Path, folder: Path, whole: Undisturbed,
               changes: Iterable[int]) -> Iterator[Kill]:
    """Kill a command right before given changes to files, counted from 1; each its own story."""
    for number in changes:
        ways = [(f"change {number}", lambda line, place, at=number: _before(place, line, at))]
        for kill in _told(command, made, folder / f"change-{number}", whole.left, ways):
            yield replace(kill, story=number, of=f"{whole.changes} changes")


def some(changes: int, count: int) -> list[int]:
    """Choose among changes: the first and the last ones, and others in between."""
    ends = {*range(1, 6), *range(changes - 5, changes + 1)} & set(range(1, changes + 1))
    others = sorted(set(range(1, changes + 1)) - ends)
    count = max(0, min(len(others), count - len(ends)))
    return sorted([*ends, *random.Random(0).sample(others, count)])


def compared(left: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """Name the files that differ, are missing or too many."""
    return ([f"{name} is missing" for name in left.keys() - found.keys()]
            + [f"{name} is too many" for name in found.keys() - left.keys()]
            + [f"{name} differs" for name in left.keys() & found.keys()
               if left[name] != found[name]])


def _told(command: Command, made: Path, place: Path, left: dict[str, bytes],
          ways: list[tuple[str, Callable[[list[str], Path], bool]]]) -> list[Kill]:
    """Tell one story: kill in these ways one after another, then let it come to its end."""
    story, line, kills = _story(command, made, place), command.begin, list[Kill]()
    for when, way in ways:
        if not way(line, story):
            line = []  # it was at its end before
            break
        there = command.there(story)
        line = command.go_on(story)
        kills.append(Kill(command.name, 0, 0, when, "", there,
                          f"cortexsim {' '.join(line)}", ""))
    if line:
        assert _well(story, run_to_end(story, line)), f"{kills}, {line}: {said(story)}"
    lost = compared(left, command.whole(story))
    shutil.rmtree(story)
    shutil.rmtree(_beside(story))
    return [replace(kill, lost="; ".join(lost) or "nothing") for kill in kills]


def _story(command: Command, made: Path, place: Path) -> Path:
    place.mkdir(parents=True)
    command.prepare(made, place)
    return place


def started(story: Path, line: list[str], function: Callable[..., object] = cortexsim,
              *arguments: object, place: Path | None = None) -> Started:
    """Start a command in a story's folder; what it says goes beside it, or to a place."""
    place = place or _beside(story)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    with contextlib.chdir(story):
        return Started(place, function, *arguments, *line)


def _well(story: Path, status: int) -> bool:
    """Say whether a command came to a good end, or found that an earlier one had."""
    done = ("its training is complete", "is there already, and an export never overwrites")
    return status == 0 or status == 2 and any(words in said(story) for words in done)


def said(story: Path) -> str:
    """Return what the last command in a story's folder said of errors."""
    return (_beside(story) / "stderr").read_text()


def _beside(story: Path) -> Path:
    """Return where a story's commands say things: not in its folder, which is compared."""
    return story.with_name(f"{story.name}-said")


def run_to_end(story: Path, line: list[str],
               function: Callable[..., object] = cortexsim, *arguments: object) -> int:
    """Give a command in a story's folder, and return its exit status."""
    return started(story, line, function, *arguments).join()


def _after(story: Path, line: list[str], moment: float) -> bool:
    """Kill a command, its whole group, after some seconds; say whether it was still at work."""
    process = started(story, line)
    process.work_for(moment)
    status = process.kill()
    assert status == -signal.SIGKILL or _well(story, status), said(story)
    return status == -signal.SIGKILL


def _before(story: Path, line: list[str], change: int) -> bool:
    status = started(story, line, killed_at, change).join()
    assert status == -signal.SIGKILL or _well(story, status), said(story)
    return status == -signal.SIGKILL


def counting(*line: str) -> None:
    """Run a command line; print what it took and how often it changed a file or a folder."""
    changes = itertools.count()
    _on_change(lambda: next(changes))
    try:
        cortexsim(*line)
    except SystemExit as end:
        assert not end.code
    print(f"{time.process_time():.3f} {next(changes)}")


def killed_at(change: int, *line: str) -> None:
    """Run a command line, and kill this process right before a change to a file or a folder."""
    changes = itertools.count(1)

    def kill() -> None:
        if next(changes) == change:
            os.kill(os.getpid(), signal.SIGKILL)

    _on_change(kill)
    cortexsim(*line)


def _on_change(call: Callable[[], object]) -> None:
    """Call a function before each change to a file or a folder within the present one."""
    here = os.getcwd()

    def hook(event: str, about: tuple[object, ...]) -> None:
        if event == "open":
            if not about[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in _CHANGES:
            return
        if isinstance(about[0], (str, bytes, os.PathLike)) and os.path.abspath(
                os.fsdecode(about[0])).startswith(here):
            call()

    sys.addaudithook(hook)
