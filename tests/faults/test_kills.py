"""SIGKILL, at any moment: what was there stays, and the end is the same to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commands import COMMANDS
from .kills import Kill, Undisturbed, at_changes, at_random, prepared, some, undisturbed


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module", params=COMMANDS)
def one(request, made, tmp_path_factory) -> tuple[str, Undisturbed]:
    """Return a command's name, and what it leaves when nothing happens to it."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, undisturbed(COMMANDS[request.param], made, folder)


def nothing_lost(kills: list[Kill], count: int) -> None:
    assert len(kills) >= count
    assert [kill for kill in kills if kill.lost != "nothing"] == []


@pytest.mark.slow
def test_killed_at_random_moments(one, made, tmp_path):
    name, whole = one
    nothing_lost(list(at_random(COMMANDS[name], made, tmp_path, whole, 10, seed=0)), 10)


@pytest.mark.slow
def test_killed_between_two_changes_to_files(one, made, tmp_path):
    name, whole = one
    changes = some(whole.changes, 12)
    nothing_lost(list(at_changes(COMMANDS[name], made, tmp_path, whole, changes)), 1)


@pytest.mark.soak
def test_killed_as_often_as_there_are_moments(one, made, tmp_path):
    name, whole = one
    nothing_lost(list(at_random(COMMANDS[name], made, tmp_path, whole, 50, seed=1)), 50)
    changes = range(1, whole.changes + 1)
    nothing_lost(list(at_changes(COMMANDS[name], made, tmp_path, whole, changes)), 1)
