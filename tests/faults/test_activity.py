"""Activity that becomes infinite, or no number, in the middle of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from cortexsim import analysis, experiment
from cortexsim.errors import RecordingError
from cortexsim.models import load, save
from cortexsim.models.inference import Runner
from cortexsim.simulation.batches import Batches
from tests.processes import Started, cortexsim

from .commands import chunks_done, files

#: Activity of the last area is scaled at the last step alone, so nothing follows from it.
LOUD = """\
name: loud
ms_per_step: 12.5
duration_ms: 100
timeline: [{{show: target, at_ms: 0, until: end}}]
interventions: [{{scale: V1, by: {by:.9g}, from_ms: 100}}]
record: {{areas: [V1], reduce: none}}
"""


def run(*line: str) -> list[str]:
    return ["run", "--dataset", "digits-clean", "--batch", "2", "--no-figure", *line]


@pytest.fixture(scope="module")
def loudness(tiny, tmp_path_factory) -> np.ndarray:
    """Return, of each stimulus of a run, the largest activity that the scale acts on."""
    found = []
    for by in (1, 2):
        folder = tmp_path_factory.mktemp("quiet")
        (folder / "loud.yaml").write_text(LOUD.format(by=by))
        made = experiment.run(folder / "loud.yaml", model=tiny, dataset="digits-clean", trials=12,
                              batch=2, figure=False, out=folder / "out")
        found.append(made.recording["V1/activation"].values[:, -1])
    return np.abs(found[1] - found[0]).max(axis=(1, 2, 3))  # the drive is not scaled


def said(work: Path, *line: str, function: Callable[..., object] = cortexsim) -> str:
    """Run a command that fails, and return what it says."""
    place = work.parent / f"said-{len(list(work.parent.iterdir()))}"
    place.mkdir()
    process = Started(place, function, *line)
    assert process.join() == 2, process.stderr
    assert re.fullmatch(r"cortexsim: [^\n]+\n", process.stderr), process.stderr
    return process.stderr


@pytest.mark.slow
def test_beyond_float16_in_a_later_chunk(loudness, tiny, folder):
    chunks = loudness.reshape(-1, 2).max(axis=1)
    first = int(chunks.argmax())
    assert first and chunks[first] > 1.2 * chunks[:first].max()
    by = 1.05 * float(np.finfo(np.float16).max) / float(chunks[first])
    Path("loud.yaml").write_text(LOUD.format(by=by))
    told = said(folder, *run("loud.yaml", "--model", str(tiny), "--trials", "12", "--dtype",
                             "float16", "--out", "out"))
    assert "activity of V1 at step 8 is beyond 65504" in told
    assert chunks_done(Path()) == first  # what came before is kept
    with pytest.raises(RecordingError, match="is incomplete"):
        analysis.open("out")
    before = dict(files(Path("out")))
    again = said(folder, "run", "--resume", "out", "--no-figure")
    assert again == told and chunks_done(Path()) == first
    assert dict(files(Path("out"))).keys() == before.keys()


def upset(value: float, *line: str) -> None:
    """Run a command, in the third batch of which a number is not what was computed."""
    compute, arrivals, chunks = Batches.compute, Runner.arrivals, []

    def computed(self, chunk):
        chunks.append(chunk)
        return compute(self, chunk)

    def arrived(self, state, s, firing):
        found = arrivals(self, state, s, firing)
        if chunks[-1] == 2 and "V2" in found:
            found["V2"][0][0, 0, 0, 0] = value
        return found

    Batches.compute, Runner.arrivals = computed, arrived
    cortexsim(*line)


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_changes_in_memory(value, tiny, folder):
    line = run("short.yaml", "--model", str(tiny), "--trials", "20", "--out")
    told = said(folder, *line, "out", function=partial(upset, value))
    assert re.search(r"activity of V2 is infinite or not a number at step 1 \(condition", told)
    assert chunks_done(Path()) == 2
    with pytest.raises(RecordingError, match="is incomplete"):
        analysis.open("out")
    for again in (["run", "--resume", "out", "--no-figure"], [*line, "whole"]):
        place = Path(f"../{again[-1]}-said")
        place.mkdir()
        assert Started(place, cortexsim, *again).join() == 0
    chunks = {name: path.read_bytes() for name, path in files(Path("out")) if "/c/" in name}
    assert chunks == {name: path.read_bytes() for name, path in files(Path("whole"))
                      if "/c/" in name}


@pytest.mark.slow
def test_a_norm_that_is_no_number(tiny, folder):
    Path("loud.yaml").write_text(LOUD.format(by=1e20))
    told = said(folder, *run("loud.yaml", "--model", str(tiny), "--trials", "4", "--out", "out"))
    assert "activity of V1 at step 8 is beyond 1e19" in told
    assert not Path("out").exists()


@pytest.mark.slow
def test_a_weight_that_is_no_number(tiny, folder):
    """Nothing is recorded: it is so from the first step on."""
    loaded = load(tiny)
    weights = loaded.network.state_dict()
    name = next(name for name in weights if "V1>V2" in name)
    weights[name].view(-1)[0] = torch.nan
    loaded.network.load_state_dict(weights)
    save(Path("broken"), loaded.network, loaded.card)
    told = said(folder, *run("short.yaml", "--model", "broken", "--trials", "4", "--out", "out"))
    assert "activity of V2 is infinite or not a number at step 1 (condition" in told
    assert not Path("out").exists()
