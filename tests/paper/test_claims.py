"""Claims: tables whose answer is known, and every figure drawn from a table."""

from __future__ import annotations

import sys

import pytest
from PIL import Image

from cortexsim.analysis.verdict import HELD, NOT_HELD, UNDECIDED
from cortexsim.training import sweep


def shifted(table, configuration: str, points: float, condition: str = ""):
    rows = (table.configuration == configuration) & (table.condition == condition)
    return table.assign(error=table.error.where(~rows, table.error + points))


#: An experiment, which of its claims, and by how much whose error differs for it to hold or not.
CASES = [
    ("figure06", 0, "1state-shared", "", 3.9, 4.1), ("figure06", 3, "2state-shared", "", -1, 1),
    ("figure07", 1, "tied-32", "", -6, 2), ("figure07", 2, "tied-32", "", -1, 1),
    ("figure08", 0, "2state-shared", "", -1, 1), ("figure08", 2, "2state-T5", "", -1, 1),
    ("figure09", 0, "3state-adjacent", "", 0.9, 1.1), ("figure09", 1, "4state-full", "", -1, 1),
    ("figure11", 0, "plain-rnn", "", 1, -1),
    ("figure13", 0, "1state-sustained", "", 1, -1), ("figure13", 1, "3state-sustained", "", -1, 1),
    ("normalization", 0, "2state-shared", "shared statistics", 1, -1),
    ("normalization", 1, "2state-scale-shift", "", 0.9, 1.1),
    ("pre_net", 0, "3state-full", "", -1, 1), ("pre_net", 1, "3state-full", "", -0.9, -1.1),
    ("states", 1, "3state-onset", "", -1, 1),
    ("masking", 3, "3state-sustained", "mask at 1", 1, -1),
    ("masking", 6, "3state-leaky", "mask at 4", -1, 1),
    ("masking", 7, "3state-leaky", "mask at 8", -1, 1),
]


@pytest.mark.parametrize(("name", "which", "configuration", "condition", "holds", "fails"), CASES)
def test_a_known_difference(paper, table, name, which, configuration, condition, holds, fails):
    claims = paper.claims.CLAIMS[name]
    for points, outcome in ((holds, HELD), (fails, NOT_HELD)):
        verdict = claims(shifted(table, configuration, points, condition))[which]
        assert verdict.outcome == outcome, verdict
        assert len(verdict.values) == 3


def test_reading_at_another_time(paper, table):
    for time, which in ((6, 0), (12, 2), (20, 4)):
        at = (table.configuration == "adjacent-T10") & (table.time == time) & (
            table.condition == "")
        for points, outcome in ((19, HELD), (21, NOT_HELD)):
            moved = table.assign(error=table.error.where(~at, table.error + points))
            assert paper.claims.figure10(moved)[which].outcome == outcome


def test_a_flash_without_a_mask(paper, table):
    at = (table.condition == "no mask") & (table.time == 5)
    for points, outcome in ((-1, HELD), (1, NOT_HELD)):
        moved = table.assign(error=table.error.where(~at, table.error + points))
        assert [paper.claims.masking(moved)[k].outcome for k in (2, 5, 8)] == [outcome] * 3


def test_seeds_that_disagree_or_are_missing_decide_nothing(paper, table):
    one = (table.configuration == "plain-rnn") & (table.seed == 0)
    mixed = shifted(table, "plain-rnn", 1).assign(
        error=lambda t: t.error.where(~one, t.error - 3))
    assert paper.claims.figure11(mixed)[0].outcome == UNDECIDED
    # the seeds of a pair are those that both have
    few = shifted(table, "plain-rnn", 1)[lambda t: ~one & (t.seed < 2)]
    assert paper.claims.figure11(few)[0].values == pytest.approx((1.0,))
    for claims in paper.claims.CLAIMS.values():
        for verdict in claims(table.iloc[:0]):
            assert verdict.outcome == UNDECIDED and verdict.numbers == "not measured"


def test_a_script_says_what_is_not_there_yet_and_how_it_is_used(
        paper, tmp_path, monkeypatch, capsys):
    for arguments, code, says in (
        (["--draw-only", "--root", str(tmp_path / "none"), "--out", str(tmp_path / "out")], 0,
         "undecided: the plain recurrent network"),
        (["--scale", "huge"], 2, "'huge' is not one of 'small', 'full'"),
        (["--help"], 0, "--scale [small|full]"),
    ):
        monkeypatch.setattr(sys, "argv", ["figure11.py", *arguments])
        with pytest.raises(SystemExit) as stopped:
            paper.runner.main([paper.figure11.EXPERIMENT])
        assert stopped.value.code == code
        said = capsys.readouterr()
        assert says in said.out + said.err
    assert (tmp_path / "out" / "figure11.png").exists()


@pytest.mark.slow
def test_every_figure_is_drawn_beside_its_verdicts(paper, table, tmp_path, capsys):
    for experiment in paper.everything.EXPERIMENTS:
        own = table[table.configuration.isin(list(experiment.trained))]
        experiment.write(own, tmp_path, "small")
        said = capsys.readouterr().out.splitlines()
        assert said == [str(v) for v in paper.claims.CLAIMS[experiment.name](own)]
        again = sweep.read(tmp_path / f"{experiment.name}.csv")
        assert [str(v) for v in paper.claims.CLAIMS[experiment.name](again)] == said
        with Image.open(tmp_path / f"{experiment.name}.png") as picture:
            assert picture.width > picture.height > 500
