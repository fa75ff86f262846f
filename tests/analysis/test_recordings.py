"""Opening recordings and asking what is in them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from cortexsim import analysis, schema
from cortexsim.analysis import recording as rec
from cortexsim.analysis.design import Axis
from cortexsim.analysis.settings import Settings, settings
from cortexsim.errors import RecordingError


def test_public_names_exist() -> None:
    assert all(callable(getattr(analysis, name)) for name in analysis.__all__)
    assert set(dir(analysis)) == set(analysis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_that_name'"):
        _ = analysis.nothing_of_that_name


def test_open_reads_the_same_and_lazily(stored: Path, masking) -> None:
    with analysis.open(stored) as tree:
        assert tree["V4"].dataset.variables["activation"]._in_memory is False
        assert rec.areas(tree) == ["V1", "V2", "V4", "IT"]  # the store lists IT first
        assert rec.areas(tree, ["IT", "V1"]) == ["IT", "V1"]
        assert rec.factors(tree) == ["soa_ms", "mask"]
        assert rec.trials(tree).equals(rec.trials(masking))
        here = analysis.accuracy(tree)
        assert here.equals(analysis.accuracy(masking))
        assert analysis.response(tree).equals(analysis.response(masking))
        # whole maps are never read
        assert tree["V4"].dataset.variables["activation"]._in_memory is False


def test_missing_foreign_and_broken(tmp_path: Path, stored: Path, make, write) -> None:
    with pytest.raises(RecordingError, match="there is no recording at"):
        analysis.open(tmp_path / "nowhere.zarr")
    (tmp_path / "notes.txt").write_text("no recording")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(RecordingError, match="is not a recording of CortexSim"):
            analysis.open(path)
    broken = tmp_path / "broken.zarr"
    broken.mkdir()
    (broken / "zarr.json").write_text((stored / "zarr.json").read_text()[:400])
    with pytest.raises(RecordingError, match="is not a recording of CortexSim"):
        analysis.open(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"complete": False}, "is incomplete: its run was stopped"),
        ({"format": 99}, "recording format 99; this CortexSim reads up to "
                         f"{schema.FORMAT_VERSION}"),
        ({"complete": None}, "a Zarr store, but not a recording of CortexSim"),
    ],
)
def test_root_attributes_decide(tmp_path: Path, make, write, change, message) -> None:
    tree = make(stimuli=1)
    tree.attrs.update(change)
    tree.attrs = {key: value for key, value in tree.attrs.items() if value is not None}
    with pytest.raises(RecordingError, match=message):
        analysis.open(write(tree, tmp_path / "run.zarr"))


def test_a_recording_without_scores_is_damaged(tmp_path: Path, make, write) -> None:
    tree = make(stimuli=1)
    tree.dataset = tree.to_dataset().drop_vars("scores")
    with pytest.raises(RecordingError, match="is damaged: it lacks scores"):
        analysis.open(write(tree, tmp_path / "run.zarr"))


@pytest.fixture
def chunked(tmp_path: Path, make, write) -> Path:
    """Two stimuli in each of four chunks, the last not whole."""
    return write(make(stimuli=7), tmp_path / "run.zarr", chunk_trials=20)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("scores/c/1/0/0", r"run.zarr/scores is damaged: chunk 1 of 4 \(trials 20 to 39\) is miss"),
        ("IT/populated/c/3/0", r"IT/populated is damaged: chunk 3 of 4 \(trials 60 to 69\)"),
        ("label/c/0", r"run.zarr/label is damaged: chunk 0 of 1 \(trials 0 to 69\) is missing"),
        ("time/c/0", "run.zarr/time is damaged: chunk 0 of 1 is missing: run it again, or have "),
        ("done/c/2", "run.zarr/done is damaged: chunk 2 of 4 is missing: run it again, or have "),
        ("V1", r"V1/activation is damaged: .* is missing \(and \d+ more like it\): run it again"),
    ],
)
def test_a_lost_chunk_is_named(chunked: Path, lost: str, message: str) -> None:
    analysis.open(chunked).close()
    gone = chunked / lost
    for file in [gone] if gone.is_file() else [f for f in gone.rglob("*") if f.is_file()]:
        file.unlink()
    with pytest.raises(RecordingError, match=message):
        analysis.open(chunked)


def test_a_chunk_cut_to_nothing_or_never_done(chunked: Path) -> None:
    done = zarr.open_array(str(chunked / "done"), mode="r+")
    done[3] = -1
    message = r"damaged: chunk 3 of 4 \(trials 60 to 69\) was never written"
    with pytest.raises(RecordingError, match=message):
        analysis.open(chunked)
    (chunked / "shown" / "c" / "0" / "0").write_bytes(b"")
    with pytest.raises(RecordingError, match="shown is damaged: chunk 0 of 4"):
        analysis.open(chunked)


def test_verify_compares_every_chunk(chunked: Path) -> None:
    analysis.verify(chunked)
    changed = zarr.open_array(str(chunked / "V2" / "rms"), mode="r+")
    changed[45, 3] = 7.0
    analysis.open(chunked).close()
    chunk = r"is damaged: chunk 2 of 4 \(trials 40 to 59\) is not as it was written: run it again"
    with pytest.raises(RecordingError, match=chunk):
        analysis.verify(chunked)
    # bytes that no codec can make sense of
    (chunked / "scores" / "c" / "0" / "0" / "0").write_bytes(b"nothing of the kind")
    with pytest.raises(RecordingError, match=r"chunk 0 of 4 .* as it was written \(nor are 1 more"):
        analysis.verify(chunked)


def test_no_factor_may_bear_a_columns_name(masking) -> None:
    by = ["soa_ms", "mask"]
    masked, few = {"mask": "phase_scrambled"}, {"by": ["soa_ms"], "resamples": 10}
    effect = analysis.effect(masking, masked, areas=["IT"], **few)
    tables: list[pd.DataFrame] = [
        analysis.accuracy(masking), analysis.accuracy_over_time(masking, ["mask"]),
        analysis.timelines(masking, by=by), analysis.response(masking, by=by, resamples=0),
        analysis.tables(masking).accuracy, analysis.fit_recording(masking, resamples=10),
        analysis.difference(masking, {"mask": "none"}, masked, **few),
        effect, analysis.effects.onsets(effect), analysis.accuracy_effect(masking, masked, **few),
        analysis.displacement(masking, masked, areas=["IT"]),
    ]  # fmt: skip
    columns = {name for table in tables for name in table} - set(by)
    assert columns <= schema.COLUMNS | schema.RESERVED
    assert schema.COLUMNS <= columns | {"index", "summary"}


def test_select(masking) -> None:
    table = rec.trials(masking)
    plainest = table.loc[rec.select(masking)]
    assert set(plainest["condition"]) == {"soa_ms=150, mask=none"}
    assert len(rec.select(masking, {"soa_ms": 25})) == 80
    assert len(rec.select(masking, "soa_ms=25, mask=none")) == 40
    for condition, message in (
        ("soa_ms=25, mask=non", "unknown condition .*; did you mean 'soa_ms=25, mask=none'"),
        ({"soa_ms": 26}, "unknown level of soa_ms '26'"),
        ({"soa": 25}, "unknown factor 'soa'; did you mean 'soa_ms'"),
    ):
        with pytest.raises(RecordingError, match=message):
            rec.select(masking, condition)
    with pytest.raises(RecordingError, match="unknown area 'V3'"):
        rec.areas(masking, ["V3"])


def test_presentations(masking, sustained) -> None:
    masked = rec.presentations(masking, {"soa_ms": 50.0, "mask": "phase_scrambled"})
    assert masked.to_numpy().tolist() == [["target", 0, 50], ["phase_scrambled", 50, 375]]
    alone = rec.presentations(masking, {"soa_ms": 50.0, "mask": "none"})
    assert alone.to_numpy().tolist() == [["target", 0, 50]]
    assert rec.presentations(sustained).to_numpy().tolist() == [["target", 0, 375]]


def test_settings_come_from_the_protocol(masking, flashed, sustained) -> None:
    soa = Axis(("soa_ms",), ((25.0,), (50.0,), (75.0,), (100.0,), (150.0,)), 4, True)
    mask = Axis(("mask",), (("none",), ("phase_scrambled",)), 0, False)
    assert settings(masking) == Settings(175, (100, 300), soa, mask, name="backward_mask")
    found = settings(flashed)
    assert (found.readout_ms, found.evidence_ms, found.name) == (250, (150, 375), "flashed")
    assert found.by and found.factors == ["shown_ms"] and found.split is None
    assert settings(sustained) == Settings(name="readout_time")


def test_settings_at_a_displays_rate_are_times_of_the_axis(make) -> None:
    tree = make("")
    tree.attrs["protocol"] = (
        "name: refresh\nrefresh_hz: 60\nduration: {steps: 30}\narrival_ms: 40\n"
        "timeline: [{show: target, at_ms: 0, until: end}]\nsummary: {readout_ms: 207}\n"
    )
    assert settings(tree).readout_ms == 40 + 10 * 1000 / 60


def test_text_that_cannot_be_read_gives_no_order(make) -> None:
    tree = make(stimuli=1)
    tree.attrs["graph"] = json.dumps({"areas": {"IT": 1, "V4": 2}})
    assert rec.areas(tree) == ["IT", "V4", "V1", "V2"]
    for text in ("[: not yaml", "just words", ""):
        tree.attrs["graph"] = text
        assert rec.areas(tree) == ["V1", "V2", "V4", "IT"]
    assert np.array_equal(rec.axis(tree, "step"), np.arange(31))


def test_a_retinal_delay_is_not_part_of_what_was_shown(make) -> None:
    tree = make(stimuli=1)
    tree.attrs["arrival_ms"] = 12.5
    shown = rec.presentations(tree, {"soa_ms": 50.0, "mask": "none"})
    assert shown.to_numpy().tolist() == [["target", -12.5, 37.5]]


def test_a_recording_is_no_place_to_write_into(stored: Path, monkeypatch) -> None:
    monkeypatch.chdir(stored)
    assert rec.place(".") == stored.resolve()
