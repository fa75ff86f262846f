"""A disk that is full, at any stage, and a folder that nothing can be written into.

The disks are real ones, in memory, of which another program takes the rest while ours is at
work; where nobody may mount one, the system lets no file grow beyond so many bytes.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import cortexsim

from .commands import COMMANDS, files
from .kills import compared, prepared, run_to_end, said

LINES = {name: command.begin for name, command in COMMANDS.items()}


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        if sys.platform != "linux" or os.geteuid() or self._mount("size=200m").returncode:
            pytest.skip("may not mount a disk here")

    def _mount(self, options: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.place],
                              capture_output=True)

    def again(self, options: str) -> None:
        """Mount it with other options."""
        assert self._mount(f"remount,{options}").returncode == 0

    @property
    def used(self) -> int:
        """How many bytes are taken."""
        about = os.statvfs(self.place)
        return (about.f_blocks - about.f_bfree) * about.f_frsize

    def clear(self) -> None:
        """Remove all that is on it."""
        for item in self.place.iterdir():
            shutil.rmtree(item) if item.is_dir() else item.unlink()

    def remove(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", self.place], check=True)


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    found = Disk(tmp_path / "disk")
    yield found
    found.remove()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("made"))


def begun(name: str, made: Path, place: Path) -> Path:
    """Put into a place what a command begins with."""
    place.mkdir(exist_ok=True)
    COMMANDS[name].prepare(made, place)
    return place


def contents(story: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() if path.is_file() else b"" for name, path in files(story)}


def filling(left: int, *line: str) -> None:
    """Run a command, while another program takes all but some bytes of the disk."""
    from cortexsim.simulation import loop

    def fill() -> None:
        about = os.statvfs(".")
        assert about.f_blocks * about.f_frsize < 2**30, "a disk of our own is to be filled"
        with open("of another program", "wb") as file:
            file.write(bytes(max(0, about.f_bavail * about.f_frsize - left)))

    checked = loop.check_space

    def check(*about: object) -> None:
        checked(*about)
        fill()

    if line[0] == "run":
        loop.check_space = check  # a run looks whether there is room before it begins
    else:
        fill()
    cortexsim(*line)


def limited(size: int, *line: str) -> None:
    """Run a command that no file of which may grow beyond some bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    cortexsim(*line)


def failed(name: str, story: Path, function, number: int, before: dict[str, bytes]) -> list[str]:
    """Run a command into a full disk, and return what it says to do."""
    assert run_to_end(story, LINES[name], function, number) == 2, said(story)
    told = said(story)
    assert re.fullmatch(r"cortexsim: [^\n]+\n", told), told
    left = contents(story)
    left.pop("of another program", None)
    assert all(left[path] == data for path, data in before.items())
    COMMANDS[name].there(story)
    if name not in ("run", "train"):
        assert left.keys() == before.keys()
    assert not [path for path in left if path.endswith(".partial")]
    (story / "of another program").unlink(missing_ok=True)
    go_on = re.search(r"[Gg]o on with: cortexsim (.*)\n", told)
    return shlex.split(go_on[1]) if go_on else LINES[name]


#: Of all that a command writes, what there is room for: none, some, and nearly all.
SHARES = {"run": [0, 0.02, 0.3, 0.9, 0.99], "train": [0, 0.5, 0.999], "calibrate": [0, 0.5],
          "report": [0, 0.9], "export": [0, 0.9]}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARES)
def test_a_full_disk(name, made, disk, tmp_path):
    story = begun(name, made, disk.place)
    before, empty = contents(story), disk.used
    assert run_to_end(story, LINES[name]) == 0, said(story)
    expected = COMMANDS[name].whole(story)
    # what is replaced lies there twice for a moment
    takes = max(disk.used - empty, *map(len, contents(story).values()))
    for share in SHARES[name]:
        disk.clear()
        begun(name, made, story)
        go_on = failed(name, story, filling, int(share * takes), before)
        assert run_to_end(story, go_on) == 0, (share, go_on, said(story))
        assert compared(expected, COMMANDS[name].whole(story)) == [], share


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of processes")
@pytest.mark.parametrize("name, sizes", [
    ("run", [100, 2000, 30_000, 45_000]), ("train", [1000, 20_000]), ("calibrate", [1000]),
    ("report", [100_000]), ("export", [20_000])])
def test_files_that_may_not_grow(name, sizes, made, tmp_path):
    undisturbed = begun(name, made, tmp_path / "undisturbed")
    before = contents(undisturbed)
    assert run_to_end(undisturbed, LINES[name]) == 0
    expected = COMMANDS[name].whole(undisturbed)
    for size in sizes:
        story = begun(name, made, tmp_path / f"{size}")
        go_on = failed(name, story, limited, size, before)
        assert run_to_end(story, go_on) == 0, (size, go_on, said(story))
        assert compared(expected, COMMANDS[name].whole(story)) == [], size


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_a_folder_that_can_only_be_read(name, made, tmp_path, request):
    if os.geteuid():
        story = begun(name, made, tmp_path / "story")
        for path in [story, *story.rglob("*")]:
            path.chmod(path.stat().st_mode & 0o555)
    else:  # root may write everywhere but on a disk that is mounted so
        disk = request.getfixturevalue("disk")
        story = begun(name, made, disk.place)
        disk.again("ro")
    before = contents(story)
    assert run_to_end(story, LINES[name]) == 2
    assert re.fullmatch(r"cortexsim: [^\n]*(Read-only|Permission denied)[^\n]*\n", said(story))
    assert contents(story) == before
    if name == "calibrate":  # what only reads, works
        assert run_to_end(story, ["evaluate", "out"]) == 0
