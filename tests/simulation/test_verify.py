"""A recording comes out again, or what does not is named."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner, Result

from cortexsim import analysis, checksums, experiment
from cortexsim.cli import main
from cortexsim.errors import RecordingError, SimulationError
from cortexsim.simulation import verify

from ..conftest import SHORT


@pytest.fixture(scope="module")
def honest(tiny, tmp_path_factory) -> Path:
    """Return the folder of a run of five chunks with whole maps."""
    work = tmp_path_factory.mktemp("honest")
    (work / "short.yaml").write_text(SHORT)
    return experiment.run(work / "short.yaml", model=tiny, out=work / "x", trials=18, batch=2,
                          reduce="none", dtype="float16", figure=False).folder


@pytest.fixture
def run(honest, tmp_path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(honest, tmp_path / "x"))


def call(line: str) -> Result:
    return CliRunner().invoke(main, shlex.split(line), prog_name="cortexsim")


def change(folder: Path, array: str, place: tuple[int, ...], value: object) -> None:
    """Change one value, and the checksum of its chunk with it, as a forger would."""
    root = zarr.open_group(str(folder / "recording.zarr"), mode="r+")
    root[array][place] = value
    done = root["done"]
    chunk = place[0] // done.attrs["chunk_trials"]
    rows = checksums.rows_of(root["scores"].shape[0], done.attrs["chunk_trials"], chunk)
    arrays = {name: root[name] for name in done.attrs["arrays"]}
    orders = {name: order for name, one in arrays.items() if (order := checksums.order_of(one))}
    done[chunk] = checksums.checksum({name: one[rows] for name, one in arrays.items()}, orders)


def computed_elsewhere(folder: Path) -> None:
    file = folder / "recording.zarr/zarr.json"
    metadata = json.loads(file.read_text())
    metadata["attributes"]["computed_on"][0]["processor"] = "another"
    file.write_text(json.dumps(metadata))


def test_an_honest_run_comes_out_again_and_is_not_changed(run):
    before = {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
              for path in run.rglob("*")}
    result = call(f"run --verify {run} --chunks 99")
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first == ("computed   chunks 0, 1, 2, 3, 4 of 5 once more, 18 trials, drawn with seed 0")
    assert second == "the same   14 of 14 arrays"
    assert before == {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
                      for path in run.rglob("*")}


@pytest.mark.slow
def test_the_sample_is_drawn_with_the_seed(honest):
    drawn = [experiment.verify(honest, chunks=2, seed=seed).chunks for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1] and len(set(drawn)) > 1
    assert all(len(set(chunks)) == 2 and chunks == tuple(sorted(chunks)) for chunks in drawn)


@pytest.mark.parametrize("array, place, value, size", [
    ("V4/activation", (9, 5, 1, 2, 3), 1.0, None),
    ("scores", (9, 5, 3), np.nan, 1.0),  # one of the two is no number
    pytest.param("shown", (9, 5), "grey", 1.0, marks=pytest.mark.slow),
    pytest.param("IT/populated", (9, 5), False, 1.0, marks=pytest.mark.slow),
])
def test_one_changed_value_is_found_and_named(run, array, place, value, size):
    change(run, array, place, value)
    analysis.verify(run)  # its checksum is right
    result = call(f"run --verify {run} --chunks 5")
    assert result.exit_code == 2
    said = f"recording.zarr does not come out again: {array} differs most in trial 9 at step 5, by"
    assert said in result.stderr and "\n" not in result.stderr[:-1]
    assert "the same   13 of 14 arrays" in result.stdout
    found = experiment.verify(run, chunks=5).differences
    assert list(found) == [array]
    assert size is None or found[array].size == size


@pytest.mark.slow
def test_what_is_not_in_the_sample_is_not_found(run):
    change(run, "scores", (9, 5, 3), 1e3)
    # chunk 2 is the one; where it is not in the sample nothing is found
    assert [bool(experiment.verify(run, chunks=1, seed=seed).wrong) for seed in range(6)] == [
        2 in experiment.verify(run, chunks=1, seed=seed).chunks for seed in range(6)]


def test_on_another_processor_rounding_is_allowed_and_no_more(run):
    computed_elsewhere(run)
    root = zarr.open_group(str(run / "recording.zarr"), mode="r")
    largest = float(np.nanmax(np.abs(root["scores"][8:12])))
    value = float(root["scores"][9, 6, 3])
    change(run, "scores", (9, 6, 3), value + 1e-5 * largest)
    found = experiment.verify(run, chunks=5)
    assert found.tolerance == verify.TOLERANCE["float32"] + 2**-10 and found.problem() is None
    assert found.differences["scores"].size == pytest.approx(1e-5, rel=0.1)
    assert "recorded   another" in str(found) and "differences up to 0.0011" in str(found)
    change(run, "scores", (9, 6, 3), value + 1e-2 * largest)
    assert "more than the 0.0011 that rounding explains" in str(
        experiment.verify(run, chunks=5).problem())


@pytest.mark.slow
def test_a_recording_that_does_not_say_what_computed_it(run):
    file = run / "recording.zarr/zarr.json"
    metadata = json.loads(file.read_text())
    del metadata["attributes"]["computed_on"]
    file.write_text(json.dumps(metadata))
    assert experiment.verify(run).tolerance > 0


def test_damage_is_told_from_what_does_not_come_out(run):
    file = next(f for f in (run / "recording.zarr/V4/activation/c/1").rglob("*") if f.is_file())
    file.write_bytes(file.read_bytes()[:100])
    result = call(f"run --verify {run} --chunks 5")
    assert result.exit_code == 2
    assert "is damaged: chunk 1 of 5 is not as it was written; compute it anew with: cortexsim " \
           f"run --resume {run}\n" in result.stderr


def test_what_cannot_be_verified(run, tmp_path):
    def fails(line, *words):
        result = call(line)
        assert result.exit_code == 2 and result.stdout == "", result.output
        for word in words:
            assert word in result.stderr

    fails(f"run --verify {tmp_path}", "there is no recording")
    fails(f"run short.yaml --verify {run} --trials 3", "--verify looks at a finished run",
          "leave out --trials, PROTOCOL")
    fails(f"run --verify {run} --resume {run}", "leave out --resume")
    fails("run short.yaml --chunks 3", "--chunks is for --verify")
    with pytest.raises(SimulationError, match="0 chunks to verify"):
        experiment.verify(run, chunks=0)
    file = run / "recording.zarr/zarr.json"
    file.write_text(file.read_text().replace('"complete": true', '"complete": false'))
    with pytest.raises(RecordingError, match="incomplete.*go on with: cortexsim run --resume"):
        experiment.verify(run)
