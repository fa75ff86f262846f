"""The two tables after a run."""

import numpy as np
import pytest

from cortexsim import analysis
from cortexsim.errors import RecordingError


def test_masking_tables(masking) -> None:
    tables = analysis.tables(masking)
    fixed = analysis.accuracy(masking, by=["soa_ms", "mask"])
    summed = analysis.accuracy(masking, "evidence", by=["soa_ms", "mask"])
    assert tables.accuracy["accuracy"].tolist() == fixed.accuracy.tolist()
    assert tables.accuracy["evidence"].tolist() == summed.accuracy.tolist()
    assert tables.responses["arrival_step"].tolist() == [0, 1, 2, 3]
    assert (tables.responses["onset_ms"].diff().dropna() > 0).all()
    text = str(tables)
    assert "at 175 ms, and with evidence summed from 100 to 300 ms" in text
    assert "chance is 10.0 %" in text
    assert max(map(len, text.splitlines())) <= 100
    rows = [line.split() for line in text.splitlines() if "phase-scrambled" in line]
    assert [row[0] for row in rows] == ["25", "50", "75", "100", "150"]
    assert rows[0][3] == f"{100 * fixed.accuracy[1]:.1f}"


def test_columns_line_up(masking) -> None:
    block = str(analysis.tables(masking)).split("\n\n")[0].splitlines()[1:]
    assert len({line.index("%") for line in block[1:]}) == 1
    assert len({len(line) for line in block}) == 1


def test_without_factors_the_table_runs_over_time(sustained) -> None:
    tables = analysis.tables(sustained)
    assert 2 <= len(tables.accuracy) <= 13
    assert tables.accuracy["n"].eq(30).all()
    assert tables.accuracy.query("summary").time_ms.tolist() == [375]
    assert "Accuracy over readout time" in str(tables)
    moved = analysis.tables(sustained, 112.5)
    assert moved.accuracy.query("summary").time_ms.tolist() == [112.5]


def test_a_plateau_has_an_onset_and_no_peak(sustained) -> None:
    tables = analysis.tables(sustained)
    last = tables.responses.set_index("area").loc["IT"]
    assert last.onset_ms_low < last.onset_ms < last.onset_ms_high
    assert np.isnan(last.peak_ms) and last.note == "no peak: plateau"
    assert max(map(len, str(tables).splitlines())) <= 100


def test_not_saturated_is_said(make) -> None:
    tree = make("", stimuli=5)
    # what adds to itself without a leak
    tree["IT"]["rms"].values[:] = np.arange(31.0)
    tables = analysis.tables(tree)
    last = tables.responses.set_index("area").loc["IT"]
    assert np.isnan(last.onset_ms) and np.isnan(last.peak_ms) and last.note == "not saturated"
    assert "not saturated" in str(tables)


def test_rows_are_all_combinations_that_were_run(designs) -> None:
    rows = {name: analysis.tables(tree).accuracy for name, tree in designs.items()}
    tang = rows["tang"][["hidden", "soa_ms", "mask"]].to_numpy().tolist()
    assert tang == [[hidden, soa, mask] for hidden in (0, 0.8) for soa in (25, 150)
                    for mask in ("grey", "phase_scrambled")]
    # in the order of the file, not of the numbers
    assert rows["kumbhar"][["noise_sd", "blur_sd"]].to_numpy().tolist() == [
        [0, 0], [0.04, 0], [0.16, 0], [0, 1], [0, 3]]
    assert rows["hupe"][["lesion", "from_ms"]].to_numpy().tolist() == [
        ["none", 0], ["feedback", 0], ["feedback", 75]] * 2
    assert rows["keysers"].columns[0] == "each_ms" and len(rows["keysers"]) == 3
    assert rows["keysers"].columns[1] == "n"
    # a catch trial asks for nothing; a factor with one level left tells nothing apart
    assert rows["lamme"].columns[:3].tolist() == ["soa_ms", "mask", "n"]
    assert rows["contrast"]["contrast"].tolist() == [0.05, 0.4, 1]
    assert len(rows["many"]) == 40
    for name, table in rows.items():
        assert table.notna().all(axis=None), name


def test_rows_hold_their_own_accuracies(designs) -> None:
    tree = designs["hupe"]
    by = ["contrast", "lesion", "from_ms"]
    table = analysis.tables(tree).accuracy.set_index(by).accuracy
    for row in analysis.accuracy(tree, by=by).itertuples():
        assert table[row.contrast, row.lesion, row.from_ms] == row.accuracy


def test_captions_say_what_is_pooled_and_what_time_counts_from(designs) -> None:
    pooled = analysis.tables(designs["contrast"])
    assert pooled.accuracy.n.tolist() == [20] * 3
    assert "n counts 2 trials of each image" in pooled.captions[0]
    assert pooled.captions[1].startswith("Response of each area (contrast=1):")
    stream = analysis.tables(designs["keysers"])
    assert "n counts" not in stream.captions[0]
    assert "start of the trial" not in stream.captions[1]
    late = analysis.tables(designs["done"]).captions[1]
    assert late.endswith("from the start of the trial, in which the target comes at 50 ms")
    assert max(len(line) for tree in designs.values()
               for line in str(analysis.tables(tree)).splitlines()) <= 100


def test_no_areas_no_second_table(make) -> None:
    tables = analysis.tables(make(stimuli=2, areas=()))
    assert list(tables.frames) == ["accuracy"]
    assert tables.responses.empty and "Response" not in str(tables)


def test_readout_that_was_not_recorded(masking) -> None:
    thinned = masking.isel(time=slice(0, None, 4))
    with pytest.raises(RecordingError, match="the protocol's readout at 175 ms is not a recorded"):
        analysis.tables(thinned)
    assert "Accuracy at 200 ms" in str(analysis.tables(thinned, 200))
