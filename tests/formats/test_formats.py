"""What an older CortexSim wrote is read, and what a newer one wrote is refused.

``oldest.tar.xz`` was written by commit 5858b97, the first with a command line: a checkpoint of
three small areas, calibrated on ten clean digits, and in ``run`` what ``cortexsim run --model
network --dataset digits-clean --trials 64 --seed 3 --no-figure`` made with it, format 1.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cortexsim import analysis, experiment, formats, ready, schema
from cortexsim.cli import main
from cortexsim.errors import CheckpointError, RecordingError
from cortexsim.models import load
from cortexsim.stimuli import datasets


@pytest.fixture(scope="module")
def oldest(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("oldest")
    with tarfile.open(Path(__file__).with_name("oldest.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


def attributes(path: Path) -> dict:
    return json.loads((path / "zarr.json").read_text())["attributes"]


def test_a_recording_of_format_1_is_read_whole(oldest):
    store = oldest / "run" / schema.RECORDING
    assert attributes(store)["format"] == 1
    analysis.verify(store)
    with analysis.open(oldest / "run") as recording:
        assert analysis.recording.areas(recording) == ["V1", "V2", "IT"]
        assert analysis.recording.factors(recording) == ["soa_ms", "mask"]
        # the table that the old version wrote, number for number
        then = pd.read_csv(oldest / "run" / "accuracy.csv")
        now = analysis.tables(recording).frames["accuracy"]
        pd.testing.assert_frame_equal(now[list(then)], then, check_dtype=False, rtol=1e-12)
        assert now["accuracy"].nunique() > 2
        V2 = recording["V2"].dataset
        assert V2["activation"].dims == ("trial", "time", "channel")
        assert np.isnan(V2["activation"].values[:, 0]).all()  # nothing has reached it yet
        assert np.isfinite(V2["activation"].values[:, 1:]).all()


def test_what_format_2_adds_is_there_and_the_file_is_as_it_was(oldest):
    store = oldest / "run" / schema.RECORDING
    before = (store / "zarr.json").read_bytes()
    with analysis.open(store) as recording:
        assert recording.attrs["trials"] == 64 and recording.attrs["format"] == 1
        assert recording.attrs["record"] == {
            "areas": ["V1", "V2", "IT"], "every": 1, "from_step": 0, "until_step": 8,
            "reduce": "mean", "dtype": "float32", "summaries": []}
    assert (store / "zarr.json").read_bytes() == before
    assert "trials" not in attributes(store)


def test_every_format_before_this_one_has_a_reader():
    assert list(formats._ADDED) == list(range(1, schema.FORMAT_VERSION))


def test_an_old_run_gets_its_figure_and_is_not_computed_again(oldest, blank):
    result = experiment.resume(oldest / "run")
    assert result.figure is not None and result.figure.is_file()
    with pytest.raises(RecordingError, match="format 1, .* can be read as ever"):
        ready.plan_at(str(oldest / "run"))


def test_a_chunk_of_an_old_recording_that_is_damaged_is_found(oldest, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(oldest / "run" / schema.RECORDING, copy)
    chunk = next((copy / "V1" / "activation").rglob("c/0/0/0"))
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 255
    chunk.write_bytes(data)
    with pytest.raises(RecordingError, match="is not as it was written"):
        analysis.verify(copy)


def test_the_oldest_checkpoint_gives_the_scores_it_gave(oldest):
    loaded = load(oldest / "network")
    assert loaded.name == "old" and loaded.network.statistics_limit == 10
    store = oldest / "run" / schema.RECORDING
    with analysis.open(store) as recording:
        assert recording.attrs["weights_sha256"] == loaded.sha256
        whole = datasets.load("digits-clean", "test")
        longest = np.flatnonzero((recording["soa_ms"].values == 50)
                                 & (recording["mask"].values == "none"))
        ids = recording["stimulus_id"].values[longest]
        rows = [whole.ids.index(str(name)) for name in ids]
        pictures = torch.from_numpy(datasets.to_input(whole.images[rows]))
        with torch.no_grad():
            state = loaded.network.initial_state(pictures)
            # shown for 50 ms, 4 steps of 12.5
            for step in (1, 2, 3):
                state = loaded.network.step(state, step, pictures)
            now = loaded.network.readout(state, 3).numpy()
        then = recording["scores"].sel(time=37.5).values[longest]
    assert np.allclose(now, then, atol=1e-5 * np.abs(then).max())


@pytest.mark.parametrize("number, says", [
    (99, "has recording format 99; this CortexSim reads up to 2: update it"),
    (0, "none of CortexSim's"), (-1, "none of CortexSim's"), (True, "none of CortexSim's"),
    ("2", "none of CortexSim's"), (None, "none of CortexSim's"),
])
def test_numbers_of_recordings_that_are_refused(number, says):
    with pytest.raises(RecordingError, match=says):
        formats.check_recording(Path("x.zarr"), number)


@pytest.mark.parametrize("given, says", [
    ("cortexsim-network-2", "has checkpoint format 2; this CortexSim reads up to 1: update it"),
    ("cortexsim-network-0", "not a CortexSim checkpoint"), ("cortexsim-network-", "not a"),
    ("cortexsim-network--1", "not a"), ("2", "not a"), (2, "not a"), (None, "not a"),
])
def test_checkpoints_that_are_refused(given, says, tmp_path, oldest):
    card = json.loads((oldest / "network" / "network.json").read_text())
    (tmp_path / "network.json").write_text(json.dumps({**card, "format": given}))
    with pytest.raises(CheckpointError, match=says):
        load(tmp_path)


@pytest.mark.slow
def test_commands_on_an_old_run(oldest, tmp_path):
    from click.testing import CliRunner

    for command in (["report", "--out", str(tmp_path / "x.html")],
                    ["compare", "--latencies", "schmolesky1998", "--out", str(tmp_path)],
                    *(["export", "--to", kind, "--out", str(tmp_path / kind)]
                      for kind in ("csv", "netcdf", "brainscore", "rsatoolbox"))):
        ended = CliRunner().invoke(main, [command[0], str(oldest / "run"), *command[1:]])
        assert ended.exit_code == 0, ended.output
