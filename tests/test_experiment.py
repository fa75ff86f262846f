"""From a protocol to recording, tables and figure; and what is left when something goes wrong."""

from __future__ import annotations

import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cortexsim import analysis, experiment, files, ready
from cortexsim.errors import (
    Interrupted,
    ProtocolError,
    RecordingError,
    SimulationError,
)
from cortexsim.experiment import RECORDING, run
from cortexsim.processes import Processes
from cortexsim.ready import prepare
from cortexsim.stimuli.lookup import find_protocol
from cortexsim.training.state import write_metrics


@pytest.fixture
def limited():
    """Return a function that lets no file grow beyond so many bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


#: What stands beside a recording without a figure.
BESIDE = ("provenance.json", "accuracy.csv", "responses.csv")


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("inner, problem", [
    ("", "the pictures in './own' lie in no folders, so they have no class, and no accuracy"),
    ("cats", "knows 0 of the 1 classes of data set './own': others have the label -1"),
])
def test_pictures_without_a_known_class_are_told_how_to_get_one(folder, tiny, inner, problem):
    (folder / "own" / inner).mkdir(parents=True)
    Image.new("L", (40, 40), 90).save(folder / "own" / inner / "a.png")
    with pytest.warns(UserWarning, match="folders named as its classes give some: 0, 1, 2") as told:
        ready = prepare("short.yaml", model=tiny, dataset="./own")
    assert problem in str(told[0].message)
    assert ready.images.labels.tolist() == [-1]


def test_same_seed_same_numbers_other_seed_other_masks(folder, tiny):
    found = []
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        ready = prepare("short.yaml", model=tiny, dataset="digits-clean", seed=seed)
        tree = replace(ready, images=ready.images.take(range(6))).simulate(folder / out)
        found.append([tree["scores"].values[tree["condition"].values == condition]
                      for condition in ("mask=none", "mask=phase_scrambled")])
    (plain, masked), (plain_b, masked_b), (plain_c, masked_c) = found
    assert np.isfinite(masked).any()
    assert np.array_equal(plain, plain_b, equal_nan=True)
    assert np.array_equal(masked, masked_b, equal_nan=True)
    # the images are the same ones: only the masks are drawn from the seed
    assert np.array_equal(plain, plain_c, equal_nan=True)
    assert not np.array_equal(masked, masked_c, equal_nan=True)


def test_the_seed_chooses_the_stimuli_of_a_shorter_run(folder, tiny):
    chosen = []
    for seed in (0, 1):
        made = run("short.yaml", model=tiny, trials=8, seed=seed, figure=False)
        chosen.append(made.recording["stimulus_id"].values.tolist())
        assert made.folder == Path(f"runs/short-{seed + 1}") and made.figure is None
        assert left(made.folder) == {RECORDING, *BESIDE}
    assert len(chosen[0]) == 8 and chosen[0] != chosen[1]


def test_defaults_come_from_protocol_and_network(folder, tiny):
    ready = prepare("short.yaml", model=tiny)
    assert ready.images.name == "digits" and ready.trials is None
    assert ready.record.areas is None and ready.record.reduce == "mean"
    text = Path("short.yaml").read_text().replace("areas: all", "areas: [IT]")
    shutil.copytree(tiny, "net")
    Path("own.yaml").write_text(f"model: ./net\ndataset: digits-clean\ntrials: 6\n{text}")
    ready = prepare("own.yaml")
    assert (ready.images.name, ready.trials, ready.record.areas) == ("digits-clean", 6, ("IT",))
    # another model brings its own images
    assert prepare("own.yaml", model=tiny).images.name == "digits"
    ready = prepare("own.yaml", areas=("all",), reduce="units:5", trials=4)
    assert (ready.record.areas, ready.record.reduce, ready.trials) == (None, "units:5", 4)


def test_a_protocol_is_found_by_path_or_by_name(folder):
    assert find_protocol("short.yaml").name == "short"
    assert find_protocol("flashed").name == "flashed"
    Path("flashed").mkdir()  # a folder of that name stands in nobody's way
    assert find_protocol("flashed").name == "flashed"
    with pytest.raises(ProtocolError, match="cortexsim run flashed"):
        find_protocol("elsewhere/flashed.yaml")


def test_no_model_and_no_dataset(folder, tiny, tmp_path):
    with pytest.raises(ProtocolError, match="names no model: give one with --model"):
        prepare("short.yaml")
    with pytest.raises(SimulationError, match="seed cannot be negative, got -1"):
        prepare("short.yaml", model=tiny, seed=-1)
    card = (tiny / "network.json").read_text()
    silent = tmp_path / "silent"
    silent.mkdir()
    (silent / "network.json").write_text(card.replace('"dataset": "digits"', '"note": ""'))
    (silent / "weights.safetensors").write_bytes((tiny / "weights.safetensors").read_bytes())
    with pytest.raises(SimulationError, match="which images it was trained on.*--dataset"):
        prepare("short.yaml", model=silent)
    (silent / "network.json").write_text(card.replace('"9"', '"nine"'))
    with pytest.raises(SimulationError, match="tells apart 0, .*, nine; data set 'digits' has 0"):
        prepare("short.yaml", model=silent)


def test_a_summary_read_before_anything_arrives(folder, tiny):
    early = Path("short.yaml").read_text().replace("readout_ms: 75", "readout_ms: 25")
    Path("early.yaml").write_text(early)
    with pytest.raises(SimulationError, match=r"reads at 25 ms \(step 2\), when nothing is in IT "
                                              ".*set readout_ms to 37.5 or later"):
        prepare("early.yaml", model=tiny)
    brief = early.replace("duration_ms: 100", "duration_ms: 25").replace(", evidence_ms: "
                                                                         "[37.5, 100]", "")
    Path("brief.yaml").write_text(brief.replace("for_ms: 25", "for_ms: 12.5"))
    with pytest.raises(SimulationError, match="make the trial longer"):
        prepare("brief.yaml", model=tiny)


def test_a_full_disk_leaves_an_incomplete_recording_and_no_tables(folder, tiny, limited):
    limited(100_000)  # the layout has room, whole maps have not
    with pytest.raises(RecordingError, match="the disk is full: .* incomplete; make room and "
                       "go on with: cortexsim run --resume out"):
        run("short.yaml", model=tiny, out="out", reduce="none", trials=40)
    limited(resource.RLIM_INFINITY)
    assert left(folder / "out") == {RECORDING}
    with pytest.raises(RecordingError):
        analysis.open("out/recording.zarr")
    result = experiment.resume("out", figure=False)
    assert left(folder / "out") == {RECORDING, *BESIDE}
    analysis.verify("out/recording.zarr")
    assert result.recording.attrs["resumed"]


def test_a_disk_that_is_full_when_the_figure_comes(folder, tiny, blank, limited, monkeypatch):
    def full_now(drawn, path, **more):
        limited(100)
        return save(drawn, path, **more)

    save = analysis.save
    monkeypatch.setattr(analysis, "save", full_now, raising=False)
    with pytest.raises(RecordingError, match=r"out/figure.pdf: the figure cannot be written \("):
        run("short.yaml", model=tiny, out="out", trials=2)
    limited(resource.RLIM_INFINITY)
    assert left(folder / "out") == {RECORDING, *BESIDE}
    assert analysis.open("out/recording.zarr").attrs["complete"] is True


def stop(*anything, **more):
    raise KeyboardInterrupt


def test_a_stop_before_and_after_the_recording(folder, tiny, monkeypatch):
    monkeypatch.setattr(ready, "simulate", stop)
    with pytest.raises(Interrupted, match="stopped; nothing was written"):
        run("short.yaml", model=tiny)
    assert left(folder) == {"short.yaml"}
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(analysis, "figure", stop, raising=False)
    with pytest.raises(Interrupted, match="recording.zarr is complete, its tables and figure"):
        run("short.yaml", model=tiny, trials=2)


def test_new_folders(folder):
    with files.new_folder(None, "runs/x") as first, files.new_folder(None, "runs/x") as second:
        assert (str(first), str(second)) == ("runs/x-1", "runs/x-2")
        (second / "result").touch()
    assert left(folder / "runs") == {"x-2"}  # nothing went into the first
    with files.new_folder("empty", "") as first:
        with pytest.raises(RecordingError, match="empty: another process is at work on it"):
            with files.new_folder("empty", ""):
                pass
        # as a run that is killed at once leaves them
        (first / RECORDING).mkdir()
        (first / RECORDING / f"zarr.{'0' * 32}.partial").touch()
    with files.new_folder("empty", ""):
        pass
    (first / RECORDING / "zarr.json").touch()
    with pytest.raises(RecordingError, match="empty is there already"):
        with files.new_folder("empty", ""):
            pass
    Path("taken").symlink_to("nowhere")
    with pytest.raises(RecordingError, match="taken is there already"):
        with files.new_folder("taken", ""):
            pass
    with pytest.raises(RecordingError, match=r"short.yaml/x: this folder cannot be made \(Not a"):
        with files.new_folder("short.yaml/x", ""):
            pass


def test_a_folder_that_cannot_be_made(folder):
    Path("runs").symlink_to("nowhere")
    for out in (None, "runs/mine"):
        with pytest.raises(RecordingError, match="this folder cannot be made"):
            files.make_folder(out, "runs/x")


def test_a_file_is_replaced_whole_or_not_at_all(folder, limited):
    path = Path("deep/table.csv")
    files.write(path, b"old", "the table")
    limited(10)
    with pytest.raises(RecordingError, match="the table cannot be written"):
        files.write(path, b"x" * 100, "the table")
    limited(resource.RLIM_INFINITY)
    assert path.read_bytes() == b"old" and left(path.parent) == {"table.csv"}
    files.write(path, "ä\n")
    assert path.read_bytes() == "ä\n".encode()
    limited(10)
    with pytest.raises(OSError, match="File too large"):  # without a kind, as the system says it
        files.write(path, "x" * 100)
    limited(resource.RLIM_INFINITY)
    assert path.read_text() == "ä\n" and left(path.parent) == {"table.csv"}


def test_a_disk_that_is_full_when_a_training_writes_its_metrics(folder, limited):
    rows = [{"epoch": float(number)} for number in range(100)]
    write_metrics(Path("metrics.csv"), rows[:1])
    limited(100)
    with pytest.raises(SimulationError, match="metrics.csv cannot be written .*--resume"):
        write_metrics(Path("metrics.csv"), rows)
    with pytest.raises(SimulationError, match="go on with: torchrun --nproc-per-node 2 "):
        write_metrics(Path("metrics.csv"), rows, Processes(0, 2, 0, 2))
    limited(resource.RLIM_INFINITY)
    assert left(folder) == {"metrics.csv", "short.yaml"}
    assert Path("metrics.csv").read_text().split() == ["epoch", "0.0"]
