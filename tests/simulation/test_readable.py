"""What is written can be opened again, and what cannot be is refused before it is written."""

from __future__ import annotations

import errno
import fcntl
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from cortexsim import analysis, files, metadata, schema, terminal
from cortexsim.errors import RecordingError, SimulationError
from cortexsim.simulation import plan as planning
from cortexsim.simulation import simulate
from cortexsim.simulation.plan import prepare

OPTIONS = {"record": None, "seed": 0, "trials": None, "device": "cpu", "precision": "float32"}


@pytest.fixture
def layout(network, protocol, pictures):
    return prepare(network, protocol, pictures(5), microbatch=2, **OPTIONS).layout


def test_a_chunk_that_could_not_be_read_is_not_written(network, protocol, pictures, tmp_path,
                                                       monkeypatch):
    # two stimuli in four conditions, six or seven steps, six channels, four bytes each
    monkeypatch.setattr(metadata, "MAX_CHUNK", 2000)
    simulate(network, protocol, pictures(5), out=tmp_path / "x", microbatch=2).close()
    analysis.open(tmp_path / "x").close()
    with pytest.raises(SimulationError, match=r"a chunk of IT/activation, which has 4 stimuli in 4 "
                                              r"conditions each, .* give a smaller --batch"):
        simulate(network, protocol, pictures(5), out=tmp_path / "y", microbatch=4)
    assert not (tmp_path / "y").exists()


def million(layout, trials=10**6):
    values = np.broadcast_to(np.int64(0), trials)
    coords = {name: ((schema.TRIAL,), values) if dims == (schema.TRIAL,) else (dims, kept)
              for name, (dims, kept) in layout.coords.items()}
    return replace(layout, stimuli=trials // layout.conditions, coords=coords)


def test_a_million_trials_can_be_recorded_and_opened(network, protocol, pictures, layout, tmp_path):
    planning._check_sizes(million(layout))
    with pytest.raises(SimulationError, match=r"20,000,000 trials are too many for one recording"):
        planning._check_sizes(million(layout, 20_000_000))
    simulate(network, protocol, pictures(5), out=tmp_path / "x", microbatch=2).close()
    file = tmp_path / "x/zarr.json"
    whole = json.loads(file.read_text())
    for about in whole["consolidated_metadata"]["metadata"].values():
        if schema.TRIAL in about.get("dimension_names", ()):
            about["shape"][0] = 10**6
            if len(about["shape"]) == 1:
                about["chunk_grid"]["configuration"]["chunk_shape"] = [10**6]
    file.write_text(json.dumps(whole))
    metadata.check(tmp_path / "x")


@pytest.mark.parametrize("provenance, said", [
    ({"workers": "two"}, "its attribute 'workers' has another form"),
    ({"note": "a\x1bb"}, "its attributes hold text with the control character"),
])
def test_attributes_that_no_reader_takes_are_not_written(network, protocol, pictures, tmp_path,
                                                         provenance, said):
    with pytest.raises(SimulationError, match=f"could not be opened again: {said}"):
        simulate(network, protocol, pictures(5), out=tmp_path / "x", provenance=provenance)
    assert not (tmp_path / "x").exists()


def test_a_command_with_a_name_that_is_no_text(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cortexsim", "run", "--out", "caf\udce9"])
    assert terminal.command() == r"cortexsim run --out 'caf\udce9'"


def test_a_recording_nobody_may_read_is_not_said_to_be_none(network, protocol, pictures, tmp_path,
                                                            monkeypatch):
    simulate(network, protocol, pictures(2), out=tmp_path / "x").close()

    def refused(*about, **more):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(metadata.Path, "read_text", refused)
    with pytest.raises(RecordingError, match=r"x cannot be read \(Permission denied\)"):
        analysis.open(tmp_path / "x")


@pytest.mark.parametrize("change, said", [
    (lambda whole: whole["attributes"].pop("protocol"), "attributes do not say its protocol"),
    (lambda whole: whole["attributes"].update(record=None), "attributes do not say its record"),
    (lambda whole: whole["consolidated_metadata"]["metadata"]["scores"]["codecs"].insert(
        0, {"name": "numcodecs.pickle", "configuration": {}}), "scores is coded by"),
])
def test_nothing_is_decoded_to_go_on_that_could_not_be_opened(network, protocol, pictures, tmp_path,
                                                              change, said):
    simulate(network, protocol, pictures(2), out=tmp_path / "x").close()
    file = tmp_path / "x/zarr.json"
    whole = json.loads(file.read_text())
    change(whole)
    file.write_text(json.dumps(whole))
    with pytest.raises(RecordingError, match=said):
        simulate(network, protocol, pictures(2), out=tmp_path / "x", resume=True)


def test_a_file_system_that_locks_nothing(tmp_path, monkeypatch):
    def cannot(*about):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", cannot)
    with files.taken(tmp_path / "x", "runs/x") as folder:
        assert folder.is_dir()
