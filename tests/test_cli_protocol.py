"""cortexsim protocol: list, show, schema."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cortexsim import resources
from cortexsim.cli import main
from cortexsim.stimuli.protocol import Protocol
from cortexsim.stimuli.protocol.json_schema import schema

TWO = """\
name: two
dataset: digits-clean
ms_per_step: 10
duration_ms: 50
factors: {cut: [none, feedback]}
timeline:
  - {show: target, at_ms: 0, for_ms: 20, change: {contrast: 0.5, occlude: 0.2}}
  - {show: stream, images: 2, target: 2, after_ms: 0, each_ms: 10}
interventions: [{lesion: $cut, from_ms: 20, until_ms: 40}, {clamp: V4, to: hold}]
"""


def call(line: str) -> Result:
    return CliRunner().invoke(main, shlex.split(line), prog_name="cortexsim")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORTEXSIM_DATA", str(tmp_path / "none"))
    Path("two.yaml").write_text(TWO)
    return tmp_path


def test_the_protocols_that_come_along_are_listed() -> None:
    lines = call("protocol list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(resources.protocols())
    for line in lines:
        found = Protocol.from_yaml(resources.protocols()[line.split()[0]])
        assert line.endswith(f"  {found.description}")
    assert call("protocol").stdout == call("protocol --help").stdout


def test_a_protocol_is_shown_as_text_and_as_a_picture(work: Path) -> None:
    result = call("protocol show two.yaml --out two.svg")
    assert result.exit_code == 0
    assert result.stdout == (
        "two: 2 conditions, 5 steps of 10 ms (indices 0 to 5, 0 to 50 ms)\n"
        "ms                 0   40\n"
        "cut=none           TT1T..\n"
        "  clamp V4, held   ======\n"
        "cut=feedback       TT1T..\n"
        "  lesion feedback    ==\n"
        "  clamp V4, held   ======\n"
        "T target, 1 other_1, . nothing\n"
        "target: contrast (level 0.5), occlude (hidden 0.2, by bubbles, shade 0.5)\n"
        "picture    two.svg\n"
    )
    drawn = Path("two.svg").read_text()
    assert drawn.count("<image") == 3 and "lesion feedback" in drawn
    assert call("protocol show two.yaml --out again.svg --seed 1").exit_code == 0
    assert Path("again.svg").read_text() != drawn
    assert call("protocol show backward_mask").stdout == (
        Protocol.from_yaml(resources.protocols()["backward_mask"]).describe() + "\n")


def test_without_images_the_picture_has_none_and_says_why(work: Path) -> None:
    for given, why in (("", "protocol 'two' names no data set"),
                       ("dataset: cifar10", "cifar-10-batches-py is not there"),
                       ("dataset: ./nowhere", "nowhere")):
        Path("two.yaml").write_text(TWO.replace("dataset: digits-clean", given))
        result = call("protocol show two.yaml --out two.svg")
        assert result.exit_code == 0
        last = result.stdout.splitlines()[-1]
        assert last.startswith("picture    two.svg (without what is shown: ") and why in last
        assert "<image" not in Path("two.svg").read_text()


@pytest.mark.parametrize(("line", "says"), [
    ("protocol show backward", "did you mean 'backward_mask'"),
    ("protocol show two.yaml --out two.gif", "a picture ends in one of"),
    ("protocol show wrong.yaml --out two.png", "wrong.yaml:2: unknown key 'dataste'"),
    ("protocol schema --out two.yaml/s.json", "two.yaml"),
    ("protocol draw", "No such command 'draw'"),
])
def test_mistakes_leave_nothing_behind(work: Path, line: str, says: str) -> None:
    Path("wrong.yaml").write_text(TWO.replace("dataset", "dataste"))
    result = call(line)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("cortexsim: ") and says in result.stderr
    assert {path.name for path in work.iterdir()} == {"two.yaml", "wrong.yaml"}


def test_the_schema_is_printed_or_written(work: Path) -> None:
    assert json.loads(call("protocol schema").stdout) == schema()
    result = call("protocol schema --out deep/schema.json")
    assert json.loads(Path("deep/schema.json").read_text()) == schema()
    assert "# yaml-language-server: $schema=deep/schema.json" in result.stdout
