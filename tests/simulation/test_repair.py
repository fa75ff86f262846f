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


@pytest.mark.parametrize("damage", [Path.unlink, truncated, flipped])
@pytest.mark.parametrize("array", ["V2/activation", "scores", "shown", "done"])
def test_a_damaged_chunk_is_named_and_computed_anew(damaged, finished, computed, damage, array):
    damage(chunk_file(damaged, array, 3))
    table = (damaged / "accuracy.csv").stat().st_mtime_ns
    with pytest.warns(UserWarning, match=r"recording.zarr is damaged: chunk 3 of 5 \(trials 12 to "
                                         r"15\) is not as it was written; computing it anew$"):
        result = experiment.resume(damaged)
    assert computed == [3]
    assert contents(damaged / RECORDING) == contents(finished / RECORDING)
    analysis.verify(damaged)
    assert len(result.recording.attrs["resumed"]) == 1
    # they were made when it was whole
    assert (damaged / "accuracy.csv").stat().st_mtime_ns == table
    assert (damaged / "figure.png").read_text() == "a picture"


@pytest.mark.parametrize("part", ["label/c/0", "time/c/0", "V4/stimulus_id/c/0", "IT/zarr.json",
                                  "V2/activation/zarr.json"])
def test_a_coordinate_that_is_gone_comes_back(damaged, finished, computed, part):
    (damaged / RECORDING / part).unlink()
    chunk_file(damaged, "scores", 1).unlink()  # of metadata alone nobody would take notice
    with pytest.warns(UserWarning, match=rf"chunk 1 of 5 \(trials 4 to 7\), and {part} is not as"):
        experiment.resume(damaged)
    assert computed == [1]
    for file in (finished / RECORDING).rglob("*"):
        if file.is_file() and file != finished / RECORDING / "zarr.json":
            assert (damaged / file.relative_to(finished)).read_bytes() == file.read_bytes()


def test_a_coordinate_is_compared_by_what_it_says(damaged):
    layout = experiment.plan_at(str(damaged)).layout
    label, file = layout.coords["label"][1], damaged / RECORDING / "label/c/0"
    written = file.read_bytes()
    file.write_bytes(Zstd(level=19, checksum=True).encode(label.tobytes()))  # as others may
    assert file.read_bytes() != written
    assert lost_parts(damaged / RECORDING, layout) == {}
    file.write_bytes(Zstd().encode((label + 1).tobytes()))
    assert lost_parts(damaged / RECORDING, layout) == {"label/c/0": written}
    truncated(file)
    assert lost_parts(damaged / RECORDING, layout) == {"label/c/0": written}


def test_what_is_whole_is_left_alone(damaged, computed):
    before = {path: path.stat().st_mtime_ns for path in damaged.rglob("*")}
    experiment.resume(damaged)
    assert {path: path.stat().st_mtime_ns for path in damaged.rglob("*")} == before
    assert computed == []


def test_several_chunks_and_a_table_that_is_gone(damaged, finished, computed):
    for chunk in (4, 0, 2):
        truncated(chunk_file(damaged, "IT/rms", chunk))
    (damaged / "accuracy.csv").unlink()
    with pytest.warns(UserWarning, match=r"chunk 0 of 5 \(trials 0 to 3\), and 2 more, "):
        experiment.resume(damaged)
    assert computed == [0, 2, 4]
    assert contents(damaged / RECORDING) == contents(finished / RECORDING)
    assert (damaged / "accuracy.csv").read_text() == (finished / "accuracy.csv").read_text()


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


def test_recordings_made_in_python_are_repaired_there(network, protocol, pictures, tmp_path,
                                                      computed):
    options = {"out": tmp_path / "x.zarr", "microbatch": 2}
    simulate(network, protocol, pictures(5), **options).close()
    before = contents(tmp_path)
    next(f for f in (tmp_path / "x.zarr/V1/activation/c/2").rglob("*") if f.is_file()).unlink()
    computed.clear()
    with pytest.warns(UserWarning, match=r"chunk 2 of 3 \(trials 16 to 19\)"):
        simulate(network, protocol, pictures(5), resume=True, **options).close()
    assert computed == [2] and contents(tmp_path) == before
