"""A run on many workers leaves the store that one process leaves, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
import warnings
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import xarray as xr
from click.testing import CliRunner, Result
from distributed import Client, LocalCluster

from cortexsim import analysis, experiment
from cortexsim.cli import main
from cortexsim.errors import CortexSimError, Interrupted, RecordingError, SimulationError
from cortexsim.simulation import cluster, worker
from cortexsim.simulation.batches import Batches
from cortexsim.simulation.recorder import Recorder

from .test_resume import contents

#: Ten stimuli in two conditions, and so five chunks.
RUN = {"trials": 20, "batch": 2, "figure": False, "reduce": "none"}
ROOT = Path(__file__).parents[2]
#: What depends on when, where and by what command a recording was made.
OWN = {"created", "command", "workers", "resumed", "computed_on"}


@pytest.fixture(scope="module")
def scheduler():
    """Return the address of a cluster whose workers are threads of this process."""
    with LocalCluster(n_workers=2, threads_per_worker=2, processes=False, dashboard_address=None,
                      scheduler_kwargs={"dashboard": False, "dashboard_address": ":0"}) as there:
        yield there.scheduler_address


@pytest.fixture(scope="module")
def alone(tiny, tmp_path_factory) -> Path:
    """Return the recording that one process makes."""
    from ..conftest import SHORT

    work = tmp_path_factory.mktemp("alone")
    (work / "short.yaml").write_text(SHORT)
    return experiment.run(work / "short.yaml", model=tiny, out=work / "x", **RUN
                          ).folder / "recording.zarr"


def attributes(path: Path) -> dict[str, object]:
    """Return what a recording says of itself, but for times and places."""
    attrs = json.loads((path / "zarr.json").read_text())["attributes"]
    return {key: value for key, value in attrs.items() if key not in OWN}


def same(path: Path, other: Path) -> None:
    """See that two stores are the same, byte for byte."""
    assert contents(path) == contents(other)
    assert attributes(path) == attributes(other)
    metadata = {file.relative_to(other) for file in other.rglob("zarr.json")}
    assert {file.relative_to(path) for file in path.rglob("zarr.json")} == metadata
    for file in metadata - {Path("zarr.json")}:
        assert (path / file).read_bytes() == (other / file).read_bytes()
    assert not list(path.rglob("*.partial"))


def call(line: str) -> Result:
    return CliRunner().invoke(main, shlex.split(line), prog_name="cortexsim")


def fails(line: str, *words: str) -> None:
    """One sentence on stderr, status 2, and nothing left behind."""
    before = set(Path().rglob("*"))
    result = call(line)
    assert result.exit_code == 2 and result.stdout == "", repr(result.exception)
    assert result.stderr.startswith("cortexsim: ") and "\n" not in result.stderr[:-1]
    for word in words:
        assert word in result.stderr
    assert set(Path().rglob("*")) == before


def test_the_store_of_many_workers_is_that_of_one_process(folder, tiny, scheduler, alone):
    made = experiment.run("short.yaml", model=tiny, out="x", scheduler=scheduler, **RUN)
    same(Path("x/recording.zarr"), alone)
    assert {path.name for path in Path("x").iterdir()} == {
        path.name for path in alone.parent.iterdir()}
    assert made.recording.attrs["workers"] == 2
    with xr.open_datatree(alone, engine="zarr") as tree:
        assert made.recording.attrs["computed_on"] == tree.attrs["computed_on"]
    analysis.verify("x")


def test_nothing_of_size_passes_through_the_scheduler(folder, tiny, scheduler, monkeypatch):
    said, sizes = cluster.Team._result, []

    def result(self, future):
        found = said(self, future)
        sizes.append(len(pickle.dumps(found)))
        return found

    monkeypatch.setattr(cluster.Team, "_result", result)
    asked, submit = [], Client.map

    def ask(self, function, chunks, **more):
        asked.append(len(pickle.dumps((function, chunks))))
        return submit(self, function, chunks, **more)

    monkeypatch.setattr(Client, "map", ask)
    made = experiment.run("short.yaml", model=tiny, scheduler=scheduler, **RUN)
    assert len(sizes) == 5 and max(sizes) < 500 and len(asked) == 1 and asked[0] < 500
    assert made.recording["V1/activation"].nbytes / 5 > 10 * 1000
    assert worker._ready is None  # nor does anything stay with the workers


def stop_at(monkeypatch, chunk: int, problem: BaseException) -> None:
    compute = Batches.compute

    def stop(self, number):
        if number == chunk:
            raise problem
        return compute(self, number)

    monkeypatch.setattr(Batches, "compute", stop)


@pytest.mark.slow
@pytest.mark.parametrize("first, then", [
    (True, False), pytest.param(False, True, marks=pytest.mark.slow)])
def test_going_on_with_workers_or_without(folder, tiny, scheduler, alone, monkeypatch, first,
                                          then):
    said = ("activity of V4 is infinite or not a number at step 3 (condition mask=none); a gain "
            "below 1 may help")
    stop_at(monkeypatch, 3, SimulationError(said))
    with pytest.raises(SimulationError) as told:
        experiment.run("short.yaml", model=tiny, out="x", scheduler=scheduler if first else None,
                       **RUN)
    assert str(told.value) == said
    with pytest.raises(RecordingError, match="incomplete"):
        analysis.open("x")
    done = set(contents(Path("x/recording.zarr")))
    assert any(name.startswith("done/c/") for name in done)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    experiment.resume("x", figure=False, scheduler=scheduler if then else None)
    same(Path("x/recording.zarr"), alone)


@pytest.mark.slow
@pytest.mark.parametrize("owner, name, problem, said", [
    (Batches, "compute", SimulationError("no good"), "no good"),
    (cluster.Team, "_result", KeyboardInterrupt(), "stopped; nothing was written")])
def test_what_fails_at_once_leaves_nothing_behind(folder, tiny, scheduler, monkeypatch, owner,
                                                  name, problem, said):
    def fail(*about):
        raise problem

    monkeypatch.setattr(owner, name, fail)
    # a stop comes before a worker has written anything
    monkeypatch.setattr(Recorder, "write", lambda *about: None)
    with pytest.raises(SimulationError, match=said):
        experiment.run("short.yaml", model=tiny, scheduler=scheduler, **RUN)
    assert {path.name for path in folder.iterdir()} == {"short.yaml"}


@pytest.mark.slow
def test_a_stop_is_said_with_how_to_go_on(folder, tiny, scheduler, alone, monkeypatch):
    result, seen = cluster.Team._result, []

    def two(self, future):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(future)
        return result(self, future)

    monkeypatch.setattr(cluster.Team, "_result", two)
    with pytest.raises(Interrupted, match=r"stopped at trial \d+ of 20. Go on with: cortexsim run "
                                          "--resume x$"):
        experiment.run("short.yaml", model=tiny, out="x", scheduler=scheduler, **RUN)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    experiment.resume("x", figure=False)
    same(Path("x/recording.zarr"), alone)


@pytest.mark.slow
def test_a_scheduler_that_is_lost(folder, tiny, scheduler, alone, monkeypatch):
    result, seen = cluster.Team._result, []

    def two(self, future):
        seen.append(future)
        if len(seen) == 3:
            raise cluster._told(CancelledError(), 0)
        return result(self, future)

    monkeypatch.setattr(cluster.Team, "_result", two)
    with pytest.raises(SimulationError, match="the Dask scheduler was lost.* What is done is kept; "
                                              "go on with: cortexsim run --resume x"):
        experiment.run("short.yaml", model=tiny, out="x", scheduler=scheduler, **RUN)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    experiment.resume("x", figure=False)
    same(Path("x/recording.zarr"), alone)


@pytest.mark.slow
def test_a_defect_of_a_worker_keeps_its_traceback(folder, tiny, scheduler, monkeypatch):
    stop_at(monkeypatch, 0, ZeroDivisionError("a defect"))
    with pytest.raises(ZeroDivisionError, match="a defect"):
        experiment.run("short.yaml", model=tiny, scheduler=scheduler, **RUN)


class Here:
    """Workers that are this thread, in place of Dask's."""

    def __init__(self, plan, here, job):
        self.job, self.size, self.here = {"plan": plan, "threads": 1, **job}, 1, here

    @contextmanager
    def gather(self, most):
        yield self

    def compute(self, store, chunks):
        job = worker.Job(**{"name": uuid.uuid4().hex, "store": store, **self.job})
        for chunk in chunks:
            found = worker.compute(job, chunk)
            if isinstance(found, CortexSimError):
                raise found
            yield found

    def stop(self):
        pass


@pytest.fixture
def here(monkeypatch):
    """Return a function that lets runs on workers run here, told something else of the job."""
    def let(**job):
        monkeypatch.setattr(experiment, "Cluster",
                            lambda count, scheduler, plan: Here(plan, scheduler is None, job))
    return let


@pytest.mark.slow
def test_warnings_of_workers_are_said_once(folder, tiny, here, monkeypatch):
    compute = Batches.compute

    def warn(self, chunk):
        warnings.warn("not enough memory: going on with 2", stacklevel=2)
        return compute(self, chunk)

    here()
    monkeypatch.setattr(Batches, "compute", warn)
    with pytest.warns(UserWarning) as told:
        experiment.run("short.yaml", model=tiny, workers=1, **RUN)
    assert [str(one.message) for one in told] == ["not enough memory: going on with 2"]


@pytest.mark.slow
def test_what_a_killed_worker_was_writing_is_taken_away(folder, tiny, here, monkeypatch):
    write = Recorder.write

    def killed_before(self, chunk, values):
        (self.path / "scores" / f"zarr.{uuid.uuid4().hex}.partial").write_bytes(b"half")
        write(self, chunk, values)

    here()
    monkeypatch.setattr(Recorder, "write", killed_before)
    made = experiment.run("short.yaml", model=tiny, workers=1, **RUN)
    assert not list(made.folder.rglob("*.partial"))


@pytest.mark.slow
def test_workers_of_another_kind_are_said_and_kept(folder, tiny, here, monkeypatch):
    kinds = iter(["old", "old", "new", "old", "new"])
    monkeypatch.setattr(worker, "computer",
                        lambda device: {"processor": next(kinds), "torch": "2.0"})
    here()
    with pytest.warns(UserWarning, match="is computed on new, torch 2.0, and on old, torch 2.0: "
                                         "numbers agree to rounding") as told:
        made = experiment.run("short.yaml", model=tiny, workers=1, **RUN)
    assert len(told) == 1
    assert [one["processor"] for one in made.recording.attrs["computed_on"]] == ["old", "new"]


@pytest.mark.slow
@pytest.mark.parametrize("job, said", [
    ({"version": "0.0.1"}, "CortexSim is .* there and 0.0.1 here: install the same one"),
    ({"store": "/not/here.zarr"}, r"/not/here.zarr: .* \(no such folder\); .* all workers share"),
    # of a package that this worker lacks, say
    ({"store": "s4://lab/x"}, "s4://lab/x: unknown kind of store 's4'.* all workers share"),
])
def test_workers_that_differ_or_do_not_see_the_folder(folder, tiny, here, job, said):
    here(**job)
    with pytest.raises(SimulationError, match=f"on the worker of .*: {said}"):
        experiment.run("short.yaml", model=tiny, workers=1, **RUN)
    assert {path.name for path in folder.iterdir()} == {"short.yaml"}


@pytest.mark.slow
def test_a_gpu_that_only_workers_have(folder, tiny, here, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SimulationError, match="^device 'cuda' is not there"):
        experiment.run("short.yaml", model=tiny, device="cuda", **RUN)
    here()
    with pytest.raises(SimulationError, match="on the worker of .*: device 'cuda' is not there"):
        experiment.run("short.yaml", model=tiny, device="cuda", scheduler="tcp://x:1", **RUN)
    assert {path.name for path in folder.iterdir()} == {"short.yaml"}


@pytest.mark.slow
def test_into_an_object_store(folder, tiny, here, alone):
    pytest.importorskip("upath")
    here()
    made = experiment.run("short.yaml", model=tiny, workers=1, out="memory://workers/x", **RUN)
    with xr.open_datatree(alone, engine="zarr") as tree:
        for path in ("scores", "shown", "V1/activation", "IT/rms", "done"):
            np.testing.assert_array_equal(made.recording[path].values, tree[path].values)


@pytest.mark.slow
def test_a_worker_that_has_other_images(folder, tiny, here):
    def other(store):
        plan = experiment.plan_at(store)
        raise RecordingError(f"{plan.images.name} differ")

    here(plan=other)
    with pytest.raises(SimulationError, match="on the worker of .*: digits differ"):
        experiment.run("short.yaml", model=tiny, workers=1, **RUN)


@pytest.mark.parametrize("problem", [
    ModuleNotFoundError("No module named 'cortexsim'"),
    AttributeError("module 'cortexsim.simulation.worker' has no attribute 'compute'"),
    RuntimeError("Error during deserialization of the task graph: No module named 'cortexsim'")])
def test_workers_without_cortexsim(problem):
    assert "a worker, or the scheduler, has no CortexSim" in str(cluster._told(problem, 0))
    assert cluster._told(RuntimeError("shapes do not fit"), 0) is None


def test_wrong_words(folder, tiny, monkeypatch):
    line = f"run short.yaml --model {tiny} --trials 4 "
    fails(line + "--workers 2 --scheduler tcp://x:1", "not both")
    fails(line + "--workers 0", "--workers", "0 is not in the range")
    fails(line + "--scheduler gone.json", "there is no scheduler's file gone.json")
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    fails(line + "--workers 2", "takes Dask", "pip install 'cortexsim[cluster]'")


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer(folder, tiny, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        fails(f"run short.yaml --model {tiny} --trials 4 --scheduler {address}",
              f"the Dask scheduler {address} does not answer within 0.5 s")
    fails(f"run short.yaml --model {tiny} --trials 4 --scheduler nonsense://x:1",
          "the Dask scheduler nonsense://x:1 does not answer")
    Path("s.json").write_text("{}")
    fails(f"run short.yaml --model {tiny} --trials 4 --scheduler s.json",
          "s.json is not what a Dask scheduler writes")
    Path("s.json").write_text(json.dumps({"address": address}))
    fails(f"run short.yaml --model {tiny} --trials 4 --scheduler s.json",
          f"the Dask scheduler {address} does not answer")


@pytest.mark.slow
def test_workers_that_come_later(folder, tiny, alone):
    nobody = {"dashboard": False, "dashboard_address": ":0"}
    with LocalCluster(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None,
                      scheduler_kwargs=nobody) as there:
        later = threading.Timer(1, there.scale, [1])
        later.start()
        with pytest.warns(UserWarning, match="has no workers yet: the run begins when they come"):
            experiment.run("short.yaml", model=tiny, out="x",
                           scheduler=there.scheduler_address, **RUN)
        later.join()
    same(Path("x/recording.zarr"), alone)


# --- real processes


#: What a worker runs as it starts, so that a chunk takes a while, or is a worker's last.
SLOWLY = """
import time
from cortexsim.simulation.batches import Batches
def slowly(self, chunk, compute=Batches.compute):  # Dask runs this twice
    time.sleep(0.3)
    return compute(self, chunk)
Batches.compute = slowly
"""
DEADLY = """
import os
from cortexsim.simulation.batches import Batches
Batches.compute = lambda self, chunk: os.kill(os.getpid(), 9)
"""
LINE = "run short.yaml --trials 20 --batch 2 --reduce none --no-figure"


class Program:
    """The program with its workers, in processes of their own."""

    def __init__(self, tiny: Path, line: str, preload: str = SLOWLY) -> None:
        Path("preload.py").write_text(preload)
        places = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cortexsim", *shlex.split(line)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1",
                 "DASK_DISTRIBUTED__WORKER__PRELOAD": str(Path("preload.py").absolute())})

    def workers(self) -> list[psutil.Process]:
        """Return its workers, once two chunks are written."""
        deadline = time.monotonic() + 200
        while len(list(Path("x/recording.zarr/done/c").glob("*"))) < 2:
            assert self.process.poll() is None, self.ended()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return [child for child in psutil.Process(self.process.pid).children()
                if "spawn_main" in " ".join(child.cmdline())]

    def ended(self) -> tuple[int, str, str]:
        """Return its exit status and what it said, once it has ended."""
        try:
            said = self.process.communicate(timeout=500)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            raise
        return self.process.returncode, *said


@pytest.mark.slow
def test_a_worker_that_is_killed(folder, tiny, alone):
    program = Program(tiny, f"{LINE} --model {tiny} --out x --workers 2")
    workers = program.workers()
    assert len(workers) == 2
    workers[0].kill()
    status, stdout, stderr = program.ended()
    assert (status, stderr) == (0, "") and "recording  x/recording.zarr" in stdout
    same(Path("x/recording.zarr"), alone)


@pytest.mark.slow
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_to_all_of_them(folder, tiny, alone, number, status):
    program = Program(tiny, f"{LINE} --model {tiny} --out x --workers 2")
    workers = program.workers()
    os.killpg(program.process.pid, number)
    ended, _, stderr = program.ended()
    assert ended == status
    assert re.fullmatch(r"cortexsim: stopped at trial \d+ of 20. Go on with: cortexsim run "
                        r"--resume x\n", stderr), stderr
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    experiment.resume("x", figure=False)
    same(Path("x/recording.zarr"), alone)


@pytest.mark.slow
def test_the_program_is_killed_and_its_workers_end_with_it(folder, tiny, alone):
    program = Program(tiny, f"{LINE} --model {tiny} --out x --workers 2")
    workers = program.workers()
    program.process.kill()
    program.ended()
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    status, stdout, stderr = Program(tiny, "run --resume x --workers 2 --no-figure").ended()
    assert (status, stderr) == (0, "")
    same(Path("x/recording.zarr"), alone)


@pytest.mark.slow
def test_workers_that_die_again_and_again(folder, tiny):
    status, stdout, stderr = Program(tiny, f"{LINE} --model {tiny} --out x --workers 1",
                                     DEADLY).ended()
    assert (status, stdout) == (2, "")
    assert stderr.startswith("cortexsim: workers died again and again while they computed "
                             "chunk ") and stderr.count("\n") == 1
    assert not Path("x").exists()


@pytest.mark.slow
def test_from_a_script_that_has_no_guard(folder, tiny, alone):
    Path("script.py").write_text(
        "import cortexsim\nprint('once')\n"
        f"made = cortexsim.run('short.yaml', model={str(tiny)!r}, out='x', workers=2, trials=20, "
        "batch=2, reduce='none', figure=False)\nprint(made.recording.attrs['workers'])\n")
    said = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True,
                          timeout=200, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (said.returncode, said.stdout, said.stderr) == (0, "once\n2\n", "")
    same(Path("x/recording.zarr"), alone)
