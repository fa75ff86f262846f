"""A recorded sequence: what was on, what was asked, and how often the answer was right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cortexsim import analysis
from cortexsim.errors import ProtocolError, RecordingError, SimulationError
from cortexsim.graph import AreaGraph
from cortexsim.models import Network, calibrate
from cortexsim.simulation import simulate
from cortexsim.stimuli.datasets import to_input
from cortexsim.stimuli.movie import Movie
from cortexsim.stimuli.protocol import Protocol
from cortexsim.stimuli.sequences import SequenceTask

from .test_simulate import check

TEXT = """
name: rows
ms_per_step: 10
duration_ms: 100
timeline:
  - {show: sequence, images: 3, at_ms: 10, each_ms: 20, ask: %s, delay_ms: 10}
  - {show: white_noise, at_ms: 80, until: end}
record: {areas: all, reduce: none}
summary: {readout_ms: 60, evidence_ms: [50, 80]}
"""
PREVIOUS = Protocol.from_text(TEXT % "previous")


@pytest.fixture(scope="module")
def recording(network, pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("sequence") / "x.zarr"
    return simulate(network, PREVIOUS, pictures(30), out=out, seed=5, microbatch=8)


def test_a_recorded_sequence_equals_a_plain_loop(recording, network, pictures):
    with torch.no_grad():
        check(recording, network, PREVIOUS, pictures(30), 5)


def test_labels_of_what_is_on_and_of_what_is_asked(recording, pictures):
    images, movie = pictures(30), Movie(PREVIOUS, pictures(30), 5)
    shown = ["nothing", *[name for name in ("target", "other_1", "other_2") for _ in "ab"],
             "other_2", *["white_noise"] * 3]
    asked = ["nothing"] * 4 + ["target"] * 2 + ["other_1"] * 5
    condition = PREVIOUS.conditions[0]
    for trial in range(30):
        assert recording["shown"].values[trial].tolist() == shown
        assert recording["asked"].values[trial].tolist() == asked
        for t in range(11):
            frame = movie.frame(condition, t, [trial])
            label = recording["shown_label"].values[trial, t]
            if shown[t] in ("nothing", "white_noise"):
                assert label == -1
                continue
            pixels = np.rint((frame[0] * 0.25 + 0.5) * 255)
            (row,) = [k for k in range(30) if (images.images[k] == pixels).all()]
            assert label == images.labels[row]
            named = recording["asked_label"].values[trial, asked == np.array(shown[t])]
            assert set(named) <= {label}
    assert (recording["asked_label"].values[:, :4] == -1).all()
    assert (recording["label"].values == images.labels).all()


def test_accuracy_is_about_what_is_asked(recording):
    scores, asked = recording["scores"].values, recording["asked_label"].values
    over_time = analysis.accuracy_over_time(recording)
    for t, (k, n) in enumerate(zip(over_time["k"], over_time["n"], strict=True)):
        answered = (asked[:, t] >= 0) & ~np.isnan(scores[:, t, 0])
        assert n == (30 if t >= 4 else 0) == answered.sum()
        assert k == (scores[:, t].argmax(1) == asked[:, t])[answered].sum()
    assert analysis.accuracy(recording)["k"].item() == over_time["k"][6]
    with pytest.raises(RecordingError, match="nothing is asked at 30 ms; possible.*: 40, 50, 60"):
        analysis.accuracy(recording, 30.0)
    # of summed readouts, what the last one asks
    logs = torch.log_softmax(torch.from_numpy(scores[:, 5:9]).double(), 2).sum(1).numpy()
    assert analysis.accuracy(recording, "evidence")["k"].item() == (
        logs.argmax(1) == asked[:, 8]).sum()


def test_tables_and_figure_say_what_is_asked(recording, tmp_path):
    table = analysis.tables(recording)
    assert table.accuracy[["step", "shown", "asked"]].to_numpy().tolist() == [
        [4, "other_1", "target"], [5, "other_2", "target"], [6, "other_2", "other_1"],
        [7, "other_2", "other_1"], [10, "white_noise", "other_1"]]
    assert "asked" in str(table)
    analysis.save(analysis.figure(recording), tmp_path / "x.png")


def test_a_trial_is_the_same_in_a_smaller_recording(recording, network, pictures, tmp_path):
    few = simulate(network, PREVIOUS, pictures(30), out=tmp_path / "x.zarr", seed=5, trials=6,
                   microbatch=4)
    kept = [list(recording["stimulus_id"].values).index(x) for x in few["stimulus_id"].values]
    assert kept != list(range(6))
    for name in ("scores", "shown_label", "asked_label"):
        np.testing.assert_array_equal(few[name].values, recording[name].values[kept])


def test_what_is_asked_changes_no_activity(recording, network, pictures, tmp_path):
    first = simulate(network, Protocol.from_text(TEXT % "first"), pictures(30),
                     out=tmp_path / "x.zarr", seed=5, microbatch=8)
    np.testing.assert_array_equal(first["scores"].values, recording["scores"].values)
    assert (first["asked_label"].values[:, 2:] == first["label"].values[:, None]).all()


def test_a_network_calibrated_on_sequences_runs_them_with_onset_input(pictures, tmp_path):
    """Without transitions of areas to themselves one picture leaves gaps that others fill."""
    graph = AreaGraph.chain(["V1", "V2", "IT"], channels=[4, 5, 6], sizes=[8, 4, 2], input="onset",
                            self_transitions=False, image=(1, 8, 8), readout_time=4)
    protocol = Protocol.from_text(
        "name: rows\nms_per_step: 10\nduration_ms: 90\ntimeline:\n"
        "  - {show: sequence, images: 3, at_ms: 0, each_ms: 30}\n")
    network, x = Network(graph, classes=3, seed=1), pictures(20)
    one = torch.from_numpy(to_input(x.images))
    calibrate(network, one, 9)
    with pytest.raises(SimulationError, match="a later picture at 30 ms"):
        simulate(network, protocol, x, out=tmp_path / "x.zarr")
    calibrate(network, SequenceTask(3, 3).frames([one, one.flip(0), one.roll(3, 0)], "onset", 9), 9)
    with torch.no_grad():
        check(simulate(network, protocol, x, out=tmp_path / "x.zarr"), network, protocol, x, 0)


def test_too_few_images_for_a_sequence(network, pictures, tmp_path):
    with pytest.raises(ProtocolError, match="shows 2 images besides the target.*has 2 in all"):
        simulate(network, PREVIOUS, pictures(2), out=tmp_path / "x.zarr")
