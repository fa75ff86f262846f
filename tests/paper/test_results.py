"""The results that lie beside the scripts, and the notebook that is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ANALYSIS = Path(__file__).parents[2] / "analysis"


def test_every_experiment_has_a_table_of_three_seeds_or_more_and_a_figure(paper):
    for experiment in paper.everything.EXPERIMENTS:
        table = experiment.results()
        last = table[(table.split == "test") & (table.condition == "")]
        seeds = last.groupby("configuration").seed.nunique()
        assert set(seeds.index) == set(experiment.trained)
        assert (seeds >= 3).all(), experiment.name
        assert (paper.runner.RESULTS / "small" / f"{experiment.name}.png").is_file()
        for verdict in paper.claims.CLAIMS[experiment.name](table):
            assert len(verdict.values) >= 3, verdict
        assert table.error.between(0, 100).all()


def test_the_results_are_those_of_the_networks_as_they_are_configured(paper):
    from cortexsim.models import Network, parameter_count

    built = paper.configurations.build("small")
    for experiment in paper.everything.EXPERIMENTS:
        table = experiment.results()
        for name, rows in table.groupby("configuration"):
            assert rows.parameters.unique() == [parameter_count(Network(built[name].graph))]
            assert rows.epoch.max() == built[name].settings.epochs


@pytest.fixture(scope="module")
def cells() -> list[dict]:
    return json.loads((ANALYSIS / "paper.ipynb").read_text(encoding="utf-8"))["cells"]


def test_the_notebook_shows_every_experiment_and_holds_no_output_and_no_logic(paper, cells):
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for experiment in paper.everything.EXPERIMENTS:
        assert f'experiments["{experiment.name}"].shown()' in code
    assert "def " not in code and "class " not in code
