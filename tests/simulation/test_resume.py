"""A run that was killed goes on, and ends in the same bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import xarray as xr
import zarr

from cortexsim import analysis, files
from cortexsim.checksums import bad_chunks
from cortexsim.errors import Interrupted, RecordingError, SimulationError
from cortexsim.models.inference import Runner
from cortexsim.simulation import Record, batches, blank, recorder, simulate
from cortexsim.simulation.batches import Batches
from cortexsim.simulation.plan import prepare
from cortexsim.stimuli.protocol import Protocol

from ..processes import Started
from .conftest import PROTOCOL, _calibrated, _pictures, _small_graph

RUN = {"record": None, "seed": 0, "device": "cpu", "precision": "float32", "microbatch": None}
MAPS = Record(reduce="none", dtype="float16", summaries=("distance",))


def contents(path: Path) -> dict[str, bytes]:
    """Return the chunk files of all arrays."""
    return {str(file.relative_to(path)): file.read_bytes()
            for file in path.rglob("*") if file.is_file() and file.name != "zarr.json"}


@pytest.fixture(scope="module")
def whole(network, protocol, pictures, tmp_path_factory) -> Path:
    """Return a recording of three chunks that nothing stopped."""
    path = tmp_path_factory.mktemp("runs") / "whole.zarr"
    simulate(network, protocol, pictures(5), out=path, microbatch=2, record=MAPS).close()
    return path


@pytest.fixture(scope="module")
def stopped_once(network, protocol, pictures, tmp_path_factory) -> Path:
    """Return one that Ctrl-C stopped while the third chunk was computed."""
    path, compute = tmp_path_factory.mktemp("stopped") / "x.zarr", Batches.compute

    def stop(self, chunk):
        if chunk == 2:
            raise KeyboardInterrupt
        return compute(self, chunk)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Batches, "compute", stop)
        # what was being written is written to its end
        with pytest.raises(Interrupted, match=r"stopped at trial 16 of 20\. Go on with: simulate"
                                              r"\(\.\.\., out='.*x.zarr', resume=True\)"):
            simulate(network, protocol, pictures(5), out=path, microbatch=2, record=MAPS)
    return path


@pytest.fixture
def stopped(stopped_once, tmp_path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(stopped_once, tmp_path / "x.zarr"))


def test_a_stopped_run_goes_on(stopped, whole, network, protocol, pictures):
    with pytest.raises(RecordingError, match=r"incomplete.*go on with: simulate\(.*resume=True"):
        analysis.open(stopped)
    computed = []
    compute = Batches.compute
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Batches, "compute",
                        lambda self, chunk: computed.append(chunk) or compute(self, chunk))
        tree = simulate(network, protocol, pictures(5), out=stopped, record=MAPS, resume=True)
        assert computed == [2]
        assert tree.attrs["complete"] is True and len(tree.attrs["resumed"]) == 1
        assert contents(stopped) == contents(whole)
        # complete: nothing is left to do
        simulate(network, protocol, pictures(5), out=stopped, record=MAPS, resume=True)
        assert computed == [2]
    analysis.verify(stopped)


def test_damaged_chunks_are_computed_anew(stopped, whole, network, protocol, pictures):
    file = next(f for f in (stopped / "V2/activation/c/0").rglob("*") if f.is_file())
    file.write_bytes(b"\0" * 64 + file.read_bytes()[64:])
    next(f for f in (stopped / "scores/c/1").rglob("*") if f.is_file()).unlink()
    assert bad_chunks(stopped) == [0, 1, 2]
    simulate(network, protocol, pictures(5), out=stopped, record=MAPS, resume=True)
    assert contents(stopped) == contents(whole)


def test_what_was_half_written_is_taken_away(stopped, whole, network, protocol, pictures):
    # as zarr and we name files that have yet to take their place
    for name in ("V2/activation/c/2/0/0/0/0.0123456789abcdef.partial", "zarr.json.partial"):
        (stopped / name).parent.mkdir(parents=True, exist_ok=True)
        (stopped / name).write_bytes(b"half")
    simulate(network, protocol, pictures(5), out=stopped, record=MAPS, resume=True)
    assert contents(stopped) == contents(whole)


def test_a_store_that_was_not_laid_out_to_its_end(stopped, whole, network, protocol, pictures):
    metadata = json.loads((stopped / "zarr.json").read_text())
    del metadata["consolidated_metadata"]
    (stopped / "zarr.json").write_text(json.dumps(metadata))
    for item in ("scores/zarr.json", "IT/rms/zarr.json"):
        (stopped / item).unlink()
    simulate(network, protocol, pictures(5), out=stopped, record=MAPS, resume=True)
    assert contents(stopped) == contents(whole)


@pytest.mark.parametrize("change, message", [
    ({"seed": 1}, r"another seed \(0, now 1\)"),
    ({"trials": 16}, "begun with 20 trials, not 16"),
    ({"record": replace(MAPS, dtype="float32")}, r"what to record \(\{'dtype': 'float16'"),
    ({"precision": "bf16"}, r"another precision \(float32, now bf16\)"),
])
def test_what_differs_is_named(stopped, network, protocol, pictures, change, message):
    before = contents(stopped)
    with pytest.raises(RecordingError, match=message):
        simulate(network, protocol, pictures(5), out=stopped, resume=True,
                 **{"record": MAPS, **change})
    assert contents(stopped) == before


def test_ctrl_c_while_the_store_is_laid_out(network, protocol, pictures, tmp_path, monkeypatch):
    def stop(*about):
        raise KeyboardInterrupt

    monkeypatch.setattr(blank, "_write_coords", stop)
    with pytest.raises(Interrupted, match="^stopped; nothing was written$"):
        simulate(network, protocol, pictures(2), out=tmp_path / "x.zarr")
    assert list(tmp_path.iterdir()) == []


def test_a_complete_recording_of_something_else_is_not_passed_off_as_this(
    whole, network, protocol, pictures,
):
    with pytest.raises(RecordingError, match=r"another seed \(0, now 3\)"):
        simulate(network, protocol, pictures(5), out=whole, record=MAPS, seed=3, resume=True)


@pytest.mark.filterwarnings("ignore:conditions .* onset only")
def test_other_weights_images_and_protocols(stopped, network, onset_network, protocol, pictures):
    options = {"record": MAPS, "out": stopped, "resume": True}
    with pytest.raises(RecordingError, match="begun with other weights: go on"):
        simulate(onset_network, protocol, pictures(5), **options)
    changed = pictures(5)
    changed.images[3, 0, 0, 0] ^= 1
    with pytest.raises(RecordingError, match="begun with other images: go on"):
        simulate(network, protocol, changed, **options)
    other = Protocol.from_text(protocol.text + "# a word\n")
    with pytest.raises(RecordingError, match="begun with another protocol: go on with what"):
        simulate(network, other, pictures(5), **options)


@pytest.mark.parametrize("what", [
    "target, change: {clutter: 4}", "phase_scrambled, of: set", "other_1",
    "white_noise, of: other_1"])
def test_images_that_are_in_the_picture_but_no_targets(network, pictures, tmp_path, what):
    protocol = Protocol.from_text(f"name: x\nms_per_step: 10\nduration_ms: 40\ntimeline:\n"
                                  f"  - {{show: target, at_ms: 0, for_ms: 10}}\n"
                                  f"  - {{show: {what}, at_ms: 10, for_ms: 20}}\n")
    options = {"trials": 4, "out": tmp_path / "x.zarr"}
    simulate(network, protocol, pictures(20), **options).close()
    changed = pictures(20)
    targets = prepare(network, protocol, pictures(20), **RUN, trials=4).images.ids
    other = next(k for k, name in enumerate(changed.ids) if name not in targets)
    changed.images[other, 0, 0, 0] ^= 1
    with pytest.raises(RecordingError, match="begun with other images: go on"):
        simulate(network, protocol, changed, **options, resume=True)


def test_there_is_something_to_go_on_with(network, protocol, pictures, tmp_path):
    def fails(out, message):
        with pytest.raises((RecordingError, SimulationError), match=message):
            simulate(network, protocol, pictures(2), out=out, resume=True)

    fails(None, "say which")
    fails(tmp_path / "gone", "gone: there is no recording to go on with \\(no such folder\\)")
    fails(tmp_path, "nothing was recorded there before it stopped; run it again")
    (tmp_path / "zarr.json").write_text("{}")
    fails(tmp_path, "is not a recording of CortexSim")
    (tmp_path / "zarr.json").write_text('{"attributes": {"format": 1, "complete": false}}')
    fails(tmp_path, "begun in recording format 1, and this CortexSim writes format 2")


def test_two_processes_cannot_write_one_recording(stopped, network, protocol, pictures):
    other = files.Claim(stopped)
    try:
        with pytest.raises(RecordingError, match="x.zarr: another process is at work on it"):
            simulate(network, protocol, pictures(5), out=stopped, record=MAPS, resume=True)
    finally:
        other.close()
    simulate(network, protocol, pictures(5), out=stopped, record=MAPS, resume=True)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_another_kind_of_computer_is_said_once_and_kept(stopped, network, protocol, pictures,
                                                        device):
    metadata = json.loads((stopped / "zarr.json").read_text())
    begun = {**metadata["attributes"]["computed_on"][0], "torch": "1.0"}
    metadata["attributes"].update(computed_on=[begun], device=device)
    (stopped / "zarr.json").write_text(json.dumps(metadata))
    with pytest.warns(UserWarning, match=r"is computed on .*, and on .*, torch 1\.0: numbers agree"
                      ) as told:
        made = simulate(network, protocol, pictures(5), out=stopped, record=MAPS, resume=True,
                        device="cpu")
    assert len(told) == 1
    # verifying it later allows for rounding
    assert made.attrs["computed_on"][0] == begun and len(made.attrs["computed_on"]) == 2


def test_an_error_of_the_writer_stops_the_run(network, protocol, pictures, tmp_path, monkeypatch):
    computed = []
    compute = Batches.compute
    monkeypatch.setattr(Batches, "compute",
                        lambda self, chunk: computed.append(chunk) or compute(self, chunk))

    def fail(self, chunk, values):
        raise RecordingError(f"no pencil for chunk {chunk}")

    monkeypatch.setattr(recorder.Recorder, "write", fail)
    with pytest.raises(RecordingError, match="no pencil for chunk 0"):
        simulate(network, protocol, pictures(20), out=tmp_path / "x.zarr", microbatch=2)
    assert computed == [0, 1]  # one chunk is computed while the one before is written


def killed_again_and_again(path: Path) -> None:
    """Run in children that are killed after random times, until one comes to the end."""
    torch.set_num_threads(1)  # threads do not survive a fork
    network, draw, killed = _calibrated(_small_graph()), random.Random(0), 0
    while True:
        child = os.fork()
        if child == 0:
            resume = (path / "zarr.json").exists()
            if not resume:
                shutil.rmtree(path, ignore_errors=True)
            simulate(network, Protocol.from_text(PROTOCOL), _pictures(20), out=path, microbatch=2,
                     record=MAPS, resume=resume)
            os._exit(0)
        time.sleep(draw.uniform(0.1, 0.3) * 1.3 ** killed)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if status == 0:
            break
        assert os.WIFSIGNALED(status), status
        killed += 1
    print(killed)


def test_killed_again_and_again(network, protocol, pictures, tmp_path):
    path = tmp_path / "x.zarr"
    process = Started(tmp_path, killed_again_and_again, path)
    assert process.join() == 0, process.stderr
    assert int(process.stdout) >= 2
    simulate(network, protocol, pictures(20), out=tmp_path / "whole.zarr", microbatch=2,
             record=MAPS)
    assert contents(path) == contents(tmp_path / "whole.zarr")
    assert xr.open_datatree(path, engine="zarr").attrs["complete"] is True


# --- memory that does not suffice


class Scarce:
    """A network's steps, for which there is memory up to some batch."""

    def __init__(self, most, problem):
        self.arrivals, self.most, self.problem = Runner.arrivals, most, problem
        self.sizes = []

    def __call__(self, network, state, s, firing):
        size = len(next(iter(state.values())))
        self.sizes.append(size)
        if size > self.most and s == 3:
            raise self.problem
        return self.arrivals(network, state, s, firing)


def test_batches_get_smaller_and_numbers_stay(network, protocol, pictures, tmp_path, monkeypatch):
    problem = torch.OutOfMemoryError("CUDA out of memory")  # test_memory knows what others say
    options = {"microbatch": 7, "record": MAPS}
    simulate(network, protocol, pictures(9), out=tmp_path / "whole.zarr", **options)
    scarce = Scarce(2, problem)
    monkeypatch.setattr(Runner, "arrivals", lambda *args: scarce(*args))
    with pytest.warns(UserWarning, match="not enough memory for") as told:
        simulate(network, protocol, pictures(9), out=tmp_path / "x.zarr", **options)
    assert [str(one.message).partition(": ")[2] for one in told] == [
        "going on with one after another", "going on with 4", "going on with 2"]
    apart = scarce.sizes[max(k for k, size in enumerate(scarce.sizes) if size > 8) + 1 :]
    assert set(apart) == {8, 4, 2}
    root = zarr.open_group(str(tmp_path / "x.zarr"), mode="r")
    assert root.attrs["microbatch"] == 7 and root["done"].attrs["chunk_trials"] == 28
    assert contents(tmp_path / "x.zarr") == contents(tmp_path / "whole.zarr")


@pytest.mark.filterwarnings("ignore:not enough memory")
def test_no_memory_for_two_stimuli(network, protocol, pictures, tmp_path, monkeypatch):
    scarce = Scarce(0, MemoryError())
    monkeypatch.setattr(Runner, "arrivals", lambda *args: scarce(*args))
    with pytest.raises(SimulationError, match="not enough memory, even for two stimuli"):
        simulate(network, protocol, pictures(9), out=tmp_path / "x.zarr")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_are_not_taken_for_lack_of_memory(network, protocol, pictures, tmp_path,
                                                       monkeypatch):
    scarce = Scarce(0, RuntimeError("shapes do not fit"))
    monkeypatch.setattr(Runner, "arrivals", lambda *args: scarce(*args))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        simulate(network, protocol, pictures(2), out=tmp_path / "x.zarr")


def test_no_memory_for_a_chunk(network, protocol, pictures, tmp_path, monkeypatch):
    def none(layout, device):
        raise MemoryError

    monkeypatch.setattr(batches, "Chunk", none)
    with pytest.raises(SimulationError, match="not enough memory for chunks of 2 stimuli.*--batch"):
        simulate(network, protocol, pictures(2), out=tmp_path / "x.zarr")
