"""What a finished recording lost is found, named and computed anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from numcodecs import Zstd

from cortexsim import analysis, experiment
from cortexsim.errors import Interrupted, RecordingError, SimulationError
from cortexsim.simulation import simulate
from cortexsim.simulation.again import plan_again
from cortexsim.simulation.batches import Batches
from cortexsim.simulation.repair import lost_parts

from ..conftest import SHORT
from .test_resume import contents

RECORDING = Path("recording.zarr")


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory) -> Path:
    """Return the folder of a run of five chunks, with its tables and figure."""
    work = tmp_path_factory.mktemp("finished")
    (work / "short.yaml").write_text(SHORT)
    made = experiment.run(work / "short.yaml", model=tiny, out=work / "x", trials=20, batch=2,
                          figure=False)
    (made.folder / "figure.png").write_text("a picture")
    return made.folder


@pytest.fixture
def damaged(finished, tmp_path) -> Path:
    """Return a copy of it, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "x"))


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """Return the list of the chunks that are computed."""
    chunks, compute = [], Batches.compute
    monkeypatch.setattr(Batches, "compute",
                        lambda self, chunk: chunks.append(chunk) or compute(self, chunk))
    return chunks


def chunk_file(run: Path, array: str, chunk: int) -> Path:
    folder = run / RECORDING / array / "c" / str(chunk)
    return folder if folder.is_file() else next(f for f in folder.rglob("*") if f.is_file())


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


#: The others are slow tests.
QUICK = [("V2/activation", truncated), ("scores", Path.unlink), ("shown", flipped),
         ("done", truncated)]


@pytest.fixture(scope="module")
def whole(network, protocol, pictures, tmp_path_factory) -> Path:
    """Return a recording of three chunks, made in Python."""
    path = tmp_path_factory.mktemp("whole") / "x" / RECORDING
    path.parent.mkdir()
    simulate(network, protocol, pictures(5), out=path, microbatch=2).close()
    return path


@pytest.fixture
def again(network, protocol, pictures):
    """Return the function that goes on with such a recording."""
    return lambda path: simulate(network, protocol, pictures(5), out=path, resume=True)


DAMAGES = [pytest.param(array, damage, marks=() if (array, damage) in QUICK else pytest.mark.slow)
           for array in ("V2/activation", "scores", "shown", "done")
           for damage in (Path.unlink, truncated, flipped)]


@pytest.mark.parametrize("array, damage", DAMAGES)
def test_a_damaged_chunk_is_named_and_computed_anew(whole, tmp_path, again, computed, damage,
                                                    array):
    run = Path(shutil.copytree(whole.parent, tmp_path / "x"))
    damage(chunk_file(run, array, 1))
    with pytest.warns(UserWarning, match=r"recording.zarr is damaged: chunk 1 of 3 \(trials 8 to "
                                         r"15\) is not as it was written; computing anew "
                                         r"what is lost$"):
        tree = again(run / RECORDING)
    assert computed == [1]
    assert contents(run / RECORDING) == contents(whole)
    assert tree.attrs["complete"] is True and len(tree.attrs["resumed"]) == 1
    analysis.verify(run)


@pytest.mark.parametrize("part", [
    "label/c/0", *(pytest.param(part, marks=pytest.mark.slow) for part in (
        "time/c/0", "V1/stimulus_id/c/0", "IT/zarr.json", "V2/activation/zarr.json"))])
def test_a_part_of_the_layout_that_is_gone_comes_back(whole, tmp_path, again, computed, part):
    run = Path(shutil.copytree(whole.parent, tmp_path / "x"))
    (run / RECORDING / part).unlink()
    with pytest.warns(UserWarning, match=rf"recording.zarr is damaged: {part} is not as"):
        again(run / RECORDING)
    assert computed == []
    for file in whole.rglob("*"):
        if file.is_file() and file != whole / "zarr.json":
            assert (run / RECORDING / file.relative_to(whole)).read_bytes() == file.read_bytes()


def test_tables_and_figure_were_made_when_it_was_whole(damaged, finished, computed):
    truncated(chunk_file(damaged, "V2/activation", 3))
    (damaged / RECORDING / "label/c/0").unlink()
    table = (damaged / "accuracy.csv").stat().st_mtime_ns
    with pytest.warns(UserWarning, match=r"chunk 3 of 5 \(trials 12 to 15\), and label/c/0 are"):
        experiment.resume(damaged)
    assert computed == [3]
    assert contents(damaged / RECORDING) == contents(finished / RECORDING)
    assert (damaged / "accuracy.csv").stat().st_mtime_ns == table
    assert (damaged / "figure.png").read_text() == "a picture"
    # nothing is left to do
    before = {path: path.stat().st_mtime_ns for path in damaged.rglob("*")}
    experiment.resume(damaged)
    assert {path: path.stat().st_mtime_ns for path in damaged.rglob("*")} == before


def test_a_coordinate_is_compared_by_what_it_says(whole, tmp_path, network, protocol, pictures):
    path = Path(shutil.copytree(whole, tmp_path / "x.zarr"))
    layout = plan_again(network, protocol, pictures(5), path)[0].layout
    label, file = layout.coords["label"][1], path / "label/c/0"
    written = file.read_bytes()
    file.write_bytes(Zstd(level=19, checksum=True).encode(label.tobytes()))  # as others may
    assert file.read_bytes() != written
    assert lost_parts(path, layout) == {}
    file.write_bytes(Zstd().encode((label + 1).tobytes()))
    assert lost_parts(path, layout) == {"label/c/0": written}
    truncated(file)
    assert lost_parts(path, layout) == {"label/c/0": written}


@pytest.mark.slow
def test_several_chunks_and_a_table_that_is_gone(damaged, finished, computed):
    for chunk in (4, 0, 2):
        truncated(chunk_file(damaged, "IT/rms", chunk))
    (damaged / "accuracy.csv").unlink()
    with pytest.warns(UserWarning, match=r"chunk 0 of 5 \(trials 0 to 3\) and 2 more are "):
        experiment.resume(damaged)
    assert computed == [0, 2, 4]
    assert contents(damaged / RECORDING) == contents(finished / RECORDING)
    assert (damaged / "accuracy.csv").read_text() == (finished / "accuracy.csv").read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* is damaged")
@pytest.mark.parametrize("problem", [KeyboardInterrupt(), SimulationError("no more")])
def test_while_it_is_repaired_it_is_not_complete(damaged, finished, monkeypatch, problem):
    for chunk in (1, 3):
        chunk_file(damaged, "scores", chunk).unlink()
    compute = Batches.compute

    def stop(self, chunk):
        if chunk == 3:
            raise problem
        return compute(self, chunk)

    monkeypatch.setattr(Batches, "compute", stop)
    with pytest.raises((Interrupted, SimulationError)):
        experiment.resume(damaged)
    with pytest.raises(RecordingError, match="incomplete.*go on with: cortexsim run --resume"):
        analysis.open(damaged)
    monkeypatch.undo()
    experiment.resume(damaged)
    assert contents(damaged / RECORDING) == contents(finished / RECORDING)


def test_a_damaged_recording_of_something_else_is_left_as_it_is(damaged, tiny, tmp_path):
    chunk_file(damaged, "scores", 1).unlink()
    file = damaged / RECORDING / "zarr.json"
    metadata = json.loads(file.read_text())
    metadata["attributes"]["images_sha256"] = "0" * 64
    file.write_text(json.dumps(metadata))
    before = contents(damaged)
    with pytest.raises(RecordingError, match="begun with other images"):
        experiment.resume(damaged)
    assert contents(damaged) == before and '"complete": true' in file.read_text()
