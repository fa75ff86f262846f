"""Export: what other programs open holds what the recording holds, and never half of it."""

import json
from types import SimpleNamespace

import netCDF4
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from click.testing import CliRunner

from cortexsim import analysis, cli_analysis
from cortexsim.analysis import activity
from cortexsim.analysis import export as exporting
from cortexsim.analysis import recording as rec
from cortexsim.analysis.export import brainscore, choose, export, rsa, selection, tables
from cortexsim.cli import main
from cortexsim.errors import RecordingError
from cortexsim.graph import AreaGraph
from cortexsim.models import Network, calibrate
from cortexsim.simulation import Record, simulate
from cortexsim.stimuli.datasets import Dataset
from cortexsim.stimuli.protocol import Protocol

TEXT = """\
name: two
ms_per_step: 12.5
arrival_ms: 40
duration_ms: 50
repeats: 2
blank: true
factors: {shown_ms: [12.5, 50], mask: [none, phase_scrambled]}
timeline:
  - {show: target, at_ms: 0, for_ms: $shown_ms}
  - {show: $mask, after_ms: 0, until: end}
"""
FORMATS = {"brainscore": "brainscore.nc", "rsatoolbox": "rsatoolbox.h5", "csv": "csv",
           "netcdf": "recording.nc"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of 4 images, one of no known class, 9 conditions and 5 steps, by what they keep."""
    graph = AreaGraph.chain(["V1", "IT"], channels=[3, 4], sizes=[4, 2], readout_time=3,
                            image=(1, 8, 8))
    network = Network(graph, classes=10, seed=0)
    pixels = np.random.default_rng(0).integers(0, 255, (4, 1, 8, 8), dtype=np.uint8)
    calibrate(network, torch.from_numpy(pixels).float() / 64 - 2, 4)
    names = ("aeroplane", "café", *map(str, range(8)))
    images = Dataset(pixels, np.array([0, 1, -1, 3]), [f"image-{i}" for i in range(4)], names,
                     "four", "test")
    found = {}
    for name, record in {"none": {"dtype": "float16"}, "mean": {"summaries": ("mean",)},
                         "units:5": {}, "summary": {}}.items():
        folder = tmp_path_factory.mktemp(name.replace(":", "-"))
        simulate(network, Protocol.from_text(TEXT), images, seed=1, microbatch=2,
                 out=folder / "recording.zarr", record=Record(reduce=name, **record)).close()
        found[name] = folder
    return found


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    """What a run is as a whole in a format, written once."""
    place, done = tmp_path_factory.mktemp("exports"), {}

    def find(name, to):
        if (name, to) not in done:
            done[name, to] = export(runs[name], to, place / f"{len(done)}", units=to == "csv")
        return done[name, to]

    return find


@pytest.fixture
def recording(runs):
    with rec.open(runs["none"] / "recording.zarr") as opened:
        yield opened


def whole(recording, area):
    return activity.units(recording, area).values


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_an_assembly_is_one_flat_array(written, recording, engine):
    with xr.open_dataarray(written("none", "brainscore"), engine=engine) as found:
        # which refuses a file with more than one
        assert found.dims == ("presentation", "neuroid", "time_bin")
        assert found.dtype == np.float32 and not found.indexes
        expected = np.concatenate([whole(recording, area) for area in ("V1", "IT")], axis=2)
        np.testing.assert_array_equal(found.values, expected.transpose(0, 2, 1))
        assert np.isnan(found.values[:, 48:, 0]).all()  # nothing has reached IT yet
        coords = {name: coord.values for name, coord in found.coords.items()}
        assert list(found.region.values) == ["V1"] * 48 + ["IT"] * 16
        assert (coords["layer"] == coords["region"]).all()
        assert found.time_bin_start.dtype == found.time_bin_end.dtype == np.int64
        assert coords["time_bin_start"].tolist() == [40, 53, 65, 78, 90]
        assert coords["time_bin_end"].tolist() == [53, 65, 78, 90, 103]
        assert found.attrs["time_ms"].tolist() == [40, 52.5, 65, 77.5, 90]
        assert found.attrs["step"].tolist() == [0, 1, 2, 3, 4]
        assert len(set(coords["neuroid_id"])) == 64
        unit = found.isel(neuroid=29)
        assert str(unit.neuroid_id.values).endswith(".V1.1.3.1")
        there = recording["V1"].activation.isel(channel=1, y=int(unit.channel_y),
                                                x=int(unit.channel_x))
        np.testing.assert_array_equal(unit.values, there.values.astype(np.float32))
        stimuli = recording.stimulus_id.values.astype(object)
        assert coords["stimulus_id"].tolist() == stimuli.tolist()
        assert coords["object_name"].tolist() == coords["category_name"].tolist()
        assert {"aeroplane", "café", "1", ""} == set(coords["object_name"])


def test_repetitions_of_an_assembly_can_be_averaged(runs, recording):
    table = brainscore.presentations(choose(recording))
    assert list(table)[:2] == ["stimulus_id", "repetition"] and "repeat" not in table
    key = ["stimulus_id", "condition"]
    assert not table.duplicated([*key, "repetition"]).any()
    shown = table[table["condition"] != "blank"]
    assert (shown.groupby(key)["repetition"].apply(sorted).map(tuple) == (0, 1)).all()
    blank = table[table["condition"] == "blank"]
    assert blank["shown_ms"].isna().all() and (blank["mask"] == "").all()
    assert (blank["repetition"] == 0).all() and len(blank) == 4
    second = choose(recording, condition="shown_ms=50, mask=none, repeat=2")
    found = brainscore.presentations(second)
    assert (found["repetition"] == 1).all() and set(found["condition"]) == {
        "shown_ms=50, mask=none"}


def test_runs_of_the_only_condition_bear_the_protocols_name(make):
    once = make("name: again\nms_per_step: 12.5\nduration_ms: 375\nrepeats: 2\n"
                "timeline: [{show: target, at_ms: 0, until: end}]", stimuli=3)
    once.coords["repeat"] = ("trial", np.tile([1.0, 2.0], 3))
    table = choose(once).repetitions()
    assert set(table["condition"]) == {"again"} and table["repetition"].tolist() == [0, 1] * 3


@pytest.mark.parametrize(("rate", "arrival"), [(12.5, 0), (10, 40), (1000 / 60, 0), (1000 / 144, 7),
                                               (1, 0.5), (1.5, 0.25)])
def test_time_bins_neither_overlap_nor_leave_gaps(make, rate, arrival):
    synthetic = make(stimuli=2)
    synthetic.attrs.update(ms_per_step=rate, arrival_ms=arrival)
    bins = brainscore.time_bins(choose(synthetic))
    start, end = bins["time_bin_start"].to_numpy(), bins["time_bin_end"].to_numpy()
    np.testing.assert_array_equal(start[1:], end[:-1])
    exact = arrival + rate * synthetic.step.values
    assert (end > start).all() and (abs(start - exact) <= 0.5 + 1e-9).all()
    synthetic.attrs.update(ms_per_step=0.5)
    with pytest.raises(RecordingError, match="a step lasts 0.5 ms"):
        brainscore.time_bins(choose(synthetic))


def test_means_and_sampled_units_have_the_places_they_have(runs, written, tmp_path):
    for name, count, has in (("mean", 7, False), ("units:5", 10, True)):
        with xr.open_dataarray(written(name, "brainscore")) as found:
            assert found.sizes["neuroid"] == count and ("channel_x" in found.coords) == has
            assert len(set(found.neuroid_id.values)) == count
    pooled = export(runs["none"], "brainscore", tmp_path / "pooled.nc", pool=True)
    with xr.open_dataarray(pooled) as found, xr.open_dataarray(
            written("mean", "brainscore")) as means:
        np.testing.assert_allclose(found.values, means.values, atol=2e-3)  # of half precision


def test_rsatoolbox_reads_its_data_set(runs, tmp_path, recording):
    from rsatoolbox.data.dataset import load_dataset

    with pytest.raises(RecordingError, match="ASCII text only, and class has 'café'"):
        export(runs["none"], "rsatoolbox", tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())
    # without the class that is not ASCII
    path = tmp_path / "b.h5"
    chosen = choose(recording, stimuli=1, seed=next(
        seed for seed in range(20) if "café" not in set(choose(
            recording, stimuli=1, seed=seed).table()["class"])))
    rsa.write(chosen, path)
    found = load_dataset(str(path))
    assert type(found).__name__ == "TemporalDataset"
    expected = np.concatenate([whole(recording, area) for area in ("V1", "IT")], axis=2)
    np.testing.assert_array_equal(found.measurements, expected[chosen.trials].transpose(0, 2, 1))
    table = rec.trials(recording).loc[chosen.trials]
    for name in ("stimulus_id", "label", "condition"):
        assert list(found.obs_descriptors[name]) == table[name].tolist()
    np.testing.assert_array_equal(found.obs_descriptors["shown_ms"], table["shown_ms"])
    assert list(found.time_descriptors["time"]) == [40, 52.5, 65, 77.5, 90]
    places = activity.units(recording, "V1", [0])
    assert list(found.channel_descriptors["region"]) == ["V1"] * 48 + ["IT"] * 16
    np.testing.assert_array_equal(found.channel_descriptors["y"][:48], places.y)
    it = found.subset_channel("region", "IT").subset_time("time", 65, 90)
    np.testing.assert_array_equal(
        it.measurements, whole(recording, "IT")[chosen.trials].transpose(0, 2, 1)[..., 2:])


def test_more_than_memory_may_hold_is_refused(recording, monkeypatch):
    monkeypatch.setattr(rsa, "LARGEST_BYTES", 10_000)
    with pytest.raises(RecordingError, match="choose some with --areas"):
        rsa.dataset(choose(recording))
    assert rsa.dataset(choose(recording, pool=True, stimuli=1)).measurements.shape == (9, 7, 5)


def test_a_disk_without_room_is_refused_before_anything_is_written(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=200_001))
    with pytest.raises(RecordingError, match=r"may take up to .* MB, and there is room for 0.2"):
        export(runs["none"], "netcdf", tmp_path / "x.nc")
    assert list(tmp_path.iterdir()) == []


def test_what_hdf5_says_is_told_in_the_systems_words():
    said = OSError("Unable to write (time = Sat Nov 21 20:59:42 2026\n, errno = 28, error = 'x')")
    assert exporting._reason(said) == "No space left on device"


def test_tables_hold_the_recording(runs, written):
    folder = written("mean", "csv")
    read = {path.stem: pd.read_csv(path, keep_default_na=False, na_values=[""])
            for path in folder.glob("*.csv")}
    assert set(read) == {"trials", "timelines", "scores", "units", "columns"}
    with rec.open(runs["mean"] / "recording.zarr") as recording:
        trials = read["trials"]
        assert trials["stimulus_id"].tolist() == list(recording.stimulus_id.values)
        assert trials.loc[trials["condition"] == "blank", "mask"].isna().all()
        assert trials.loc[trials["condition"] != "blank", "mask"].notna().all()
        lines = read["timelines"]
        assert len(lines) == 36 * 2 * 5
        for area in ("V1", "IT"):
            of = lines[lines["area"] == area].set_index(["trial", "step"])
            for name in ("rms", "mean", "populated"):
                np.testing.assert_array_equal(
                    of[name].to_numpy().reshape(36, 5).astype(np.float32),
                    recording[area][name].values)
        scores = read["scores"]
        values = scores.filter(like="score_").to_numpy().reshape(36, 5, 10)
        np.testing.assert_array_equal(values.astype(np.float32), recording.scores.values)
        assert scores["time_ms"].tolist() == [40, 52.5, 65, 77.5, 90] * 36
        units = read["units"]
        for area, channels in (("V1", 3), ("IT", 4)):
            of = units[units["area"] == area]
            np.testing.assert_array_equal(
                of["activation"].to_numpy().reshape(36, 5, channels).astype(np.float32),
                recording[area].activation.values)
        # accuracy from the table is the library's own
        at = scores[(scores["step"] == 4)].merge(trials, on="trial")
        mine = at.groupby(["shown_ms", "mask"])["correct"].mean()
        theirs = analysis.accuracy(recording, by=["shown_ms", "mask"], readout_ms=90.0)
        assert mine.to_dict() == pytest.approx(
            theirs.set_index(["shown_ms", "mask"])["accuracy"].to_dict())
    blank = scores["trial"].isin(trials.loc[trials["condition"] == "blank", "trial"])
    assert scores.loc[blank, ["asked_class", "correct"]].isna().all(axis=None)
    described = read["columns"]
    for name in ("trials", "timelines", "scores", "units"):
        of = described[described["table"] == name]
        assert of["column"].tolist() == list(read[name]) and of["meaning"].notna().all()
    about = json.loads((folder / "recording.json").read_text())
    assert about["ms_per_step"] == 12.5 and about["protocol"] == TEXT


def test_tables_can_be_compressed(runs, written, tmp_path):
    plain = written("mean", "csv")
    small = export(runs["mean"], "csv", tmp_path / "small", gzip=True)
    assert not (small / "units.csv.gz").exists()
    for name in ("trials", "timelines", "scores"):
        pd.testing.assert_frame_equal(pd.read_csv(plain / f"{name}.csv"),
                                      pd.read_csv(small / f"{name}.csv.gz"))


@pytest.mark.parametrize(("name", "engine"), [("none", "h5netcdf"), ("none", "netcdf4"),
                                              ("units:5", "h5netcdf"), ("summary", "netcdf4")])
def test_netcdf_is_the_recording(runs, written, name, engine):
    path = written(name, "netcdf")
    with (xr.open_datatree(path, engine=engine) as found,
          rec.open(runs[name] / "recording.zarr") as recording):
        assert list(found.children) == ["V1", "IT"]  # in the order of the graph
        for group in ("/", "V1", "IT"):
            was = recording[group].to_dataset().drop_vars("done", errors="ignore")
            now = found[group].to_dataset()
            assert set(now.coords) == set(was.coords) and set(now) == set(was)
            for variable in was.variables:
                assert now[variable].dims == was[variable].dims
                old, new = was[variable].values, now[variable].values
                if old.dtype.kind in "biuf":
                    np.testing.assert_array_equal(new, old)
                    assert new.dtype == (np.float32 if old.dtype == np.float16 else old.dtype)
                else:
                    assert new.tolist() == old.tolist()
        for key, value in recording.attrs.items():
            if isinstance(value, (str, int, float)):
                assert found.attrs[key] == value
            elif isinstance(value, dict):
                assert json.loads(found.attrs[key]) == value
    with netCDF4.Dataset(path) as plain:  # what ncdump -h shows
        assert plain.dimensions["trial"].size == 36 and "V1" in plain.groups


def test_attributes_that_files_do_not_take_are_told_in_text():
    assert selection.plain(None) == "" and selection.plain(True) == 1
    assert selection.plain({"a": None, "ü": [1]}) == '{"a": null, "ü": [1]}'
    assert selection.plain(["a", "b"]) == '["a", "b"]' and selection.plain([]) == "[]"
    assert selection.plain([1, 2.5]).tolist() == [1, 2.5]


def opened(path, to):
    """The activity of IT in a file, as (trial, time, unit)."""
    if to == "brainscore":
        with xr.open_dataarray(path) as found:
            return found.isel(neuroid=found.region.values == "IT").values.transpose(0, 2, 1)
    if to == "netcdf":
        with xr.open_datatree(path) as found:
            values = found["IT"].activation.values
            return values.reshape(*values.shape[:2], -1)
    if to == "csv":
        units = pd.read_csv(path / "units.csv").query("area == 'IT'")
        sizes = [units[name].nunique() for name in ("trial", "step", "unit")]
        return units["activation"].to_numpy(np.float32).reshape(sizes)
    from rsatoolbox.data.dataset import load_dataset

    found = load_dataset(str(path), "hdf5")
    return found.subset_channel("region", "IT").measurements.transpose(0, 2, 1)


@pytest.mark.parametrize("to", FORMATS)
def test_a_part_of_a_recording_read_in_portions(runs, recording, tmp_path, monkeypatch, to):
    monkeypatch.setattr(selection, "BLOCK_BYTES", 1)  # a trial at a time
    monkeypatch.setattr(tables, "PORTION_BYTES", 1)
    monkeypatch.setattr(rsa, "_text", lambda values: np.char.encode(
        values.astype(str), "ascii", "ignore").astype(str) if values.dtype == object else values)
    path = export(runs["none"], to, tmp_path / "x", areas=["IT"], window_ms=(60, 80), stimuli=2,
                  condition="shown_ms=50, mask=none, repeat=1", units=to == "csv")
    index = activity.trials(recording, "shown_ms=50, mask=none, repeat=1", stimuli=2)
    assert len(index) == 2
    np.testing.assert_array_equal(opened(path, to), whole(recording, "IT")[index, 2:4])


def test_stimuli_are_the_same_in_every_condition(recording):
    table = choose(recording, stimuli=2, seed=3).table()
    assert (table.groupby("condition")["stimulus_id"].nunique() == 2).all()
    assert table["stimulus_id"].nunique() == 2 and table.index.is_monotonic_increasing
    assert len(table) == 18


def test_portions_follow_the_chunks_of_the_store(recording, monkeypatch):
    array = recording["V1"].activation
    stored = array.encoding["preferred_chunks"]["trial"]
    chosen = choose(recording)
    monkeypatch.setattr(selection, "BLOCK_BYTES", 4 * array[0].size * (stored + 1))
    rows = list(chosen.blocks(array))
    assert [block.stop - block.start for block in rows] == [stored] * (36 // stored)
    assert rows[0].start == 0 and rows[-1].stop == 36


@pytest.mark.parametrize(("about", "message"), [
    ({"areas": ["V9"]}, "unknown area 'V9'"),
    ({"condition": "shown_ms=13"}, "unknown condition 'shown_ms=13'"),
    ({"window_ms": (200, 300)}, "nothing is recorded from 200 to 300 ms; .* from 40 to 90 ms"),
    ({"to": "matlab"}, "unknown format 'matlab'; .* known: brainscore, rsatoolbox, csv, netcdf"),
    ({"units": True}, "units is for tables"),
    ({"pool": True, "to": "netcdf"}, "maps are not averaged"),
])
def test_what_cannot_be_exported_is_told(runs, tmp_path, about, message):
    with pytest.raises(RecordingError, match=message):
        export(runs["none"], **{"to": "brainscore", "out": tmp_path / "x", **about})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("to", ["brainscore", "rsatoolbox", "csv"])
def test_summaries_alone_are_no_activity(runs, tmp_path, to):
    with pytest.raises(RecordingError, match="summaries alone are recorded"):
        export(runs["summary"], to, tmp_path / "x", units=to == "csv")
    assert not list(tmp_path.iterdir())
    if to == "csv":  # timelines and scores are there
        assert export(runs["summary"], "csv", tmp_path / "t", stimuli=1).is_dir()


def test_a_factor_with_a_name_of_brain_scores_is_refused(make):
    tree = make(stimuli=2)
    tree.coords["region"] = ("trial", np.zeros(tree.sizes["trial"]))
    with pytest.raises(RecordingError, match="the factor 'region' has the name"):
        brainscore.presentations(choose(tree))


@pytest.mark.parametrize("to", ["brainscore", "csv"])
def test_nothing_is_left_of_what_could_not_be_finished(runs, tmp_path, monkeypatch, to):
    module = exporting.import_module(f"cortexsim.analysis.export.{exporting.FORMATS[to][0]}")
    right = module.write

    def full(chosen, path, **more):
        right(chosen, path, **more)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write", full)
    with pytest.raises(RecordingError, match=r"x: the export cannot be written \(No space left"):
        export(runs["mean"], to, tmp_path / "x", stimuli=1)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(runs, tmp_path, monkeypatch):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(RecordingError, match="x is there already"):
        export(runs["mean"], "csv", tmp_path / "x")
    # nor what came while it was written
    monkeypatch.setattr(tables, "write", lambda *about, **more: (tmp_path / "y").mkdir())
    with pytest.raises(RecordingError, match="y is there already"):
        export(runs["mean"], "csv", tmp_path / "y")
    (tmp_path / "y").rmdir()
    assert (tmp_path / "x").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_the_command_writes_into_the_runs_folder(runs):
    folder, run = runs["units:5"], CliRunner().invoke
    assert tuple(cli_analysis.FORMATS) == tuple(exporting.FORMATS) == tuple(FORMATS)
    for to in ("brainscore", "csv"):
        name = FORMATS[to]
        said = run(main, ["export", str(folder), "--to", to, "--areas", "V1", "--stimuli", "1",
                          "--condition", "blank"] + ["--units"] * (to == "csv"))
        assert (said.exit_code, said.output.split()) == (0, [to, str(folder / name)])
        assert (folder / name).exists()
    there = run(main, ["export", str(folder), "--to", "csv"])
    assert there.exit_code == 2 and "csv is there already" in there.output
    assert len(there.output.splitlines()) == 1


@pytest.mark.parametrize(("words", "message"), [
    ([], "Missing option '--to'"),
    (["--to", "csv", "--time", "50"], "expected two times as in 50,250, got '50'"),
    (["--to", "csv", "--time", "50,20"], "the window ends before it begins"),
    (["--to", "netcdf", "--gzip"], "gzip is for tables"),
    (["--to", "csv", "--areas", "V9"], "unknown area 'V9'"),
])
def test_a_wrong_command_ends_in_one_sentence(runs, tmp_path, words, message):
    said = CliRunner().invoke(main, ["export", str(runs["mean"]), "--out", str(tmp_path / "x"),
                                     *words])
    assert said.exit_code == 2 and message in said.output
    assert "Traceback" not in said.output and not list(tmp_path.iterdir())
    nowhere = CliRunner().invoke(main, ["export", str(tmp_path / "none"), "--to", "csv"])
    assert nowhere.exit_code == 2 and "there is no recording" in nowhere.output
