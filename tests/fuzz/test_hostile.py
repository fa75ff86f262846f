"""What was unsafe, or could be, each by its name: refused in a sentence, and at once."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import zarr
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from cortexsim import analysis, models, yamlio
from cortexsim.analysis import references
from cortexsim.analysis.figures.look import style
from cortexsim.errors import (
    CheckpointError,
    CortexSimError,
    DatasetError,
    GraphError,
    ProtocolError,
    RecordingError,
    ReferenceFileError,
    printable,
)
from cortexsim.graph import AreaGraph
from cortexsim.models.checkpoint import read_card
from cortexsim.models.weights import check_size
from cortexsim.simulation import resume
from cortexsim.stimuli import datasets, folder, objects92
from cortexsim.stimuli.protocol import Protocol
from cortexsim.terminal import say

from .targets import lay_out

HEAD = "name: x\nany_rate: true\nms_per_step: 1\nduration_ms: 30\n"
TARGET = "timeline: [{show: target, at_ms: 0, for_ms: 5}]\n"


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory) -> Path:
    return lay_out(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def place(laid_out, tmp_path) -> Path:
    return Path(shutil.copytree(laid_out, tmp_path / "place"))


# --- YAML

@pytest.mark.parametrize(("text", "says"), [
    ("a: 1\nb: " + "[" * 50_000, "p.yaml:2: nested deeper"),
    ("a: [" + "1, " * 30_000 + "1]", "p.yaml:1: has more entries"),
    ("x" * (yamlio.MAX_BYTES + 1), "p.yaml: larger than"),
    ("a: &a {b: 1}\nc:\n  <<: *a\n", "p.yaml:3: merging with << is not read"),
    ("a: !!python/object/apply:os.system ['true']\n", "p.yaml:1: the tag"),
    ("a: 1\nb: !!binary aGk=\n", "p.yaml:2: the tag"),
    ("a: " + "9" * 5000, "is not a number"),
    ("a: 1\nb: 9223372036854775808\n", "p.yaml:2: a whole number of more than 64 bits"),
    ('a: 1\nb: "\\x1b[2J"\n', "p.yaml:2: text with '\\x1b', which controls a terminal"),
    ('a: "\\ud800"', "p.yaml:1: text with '\\ud800'"),
    ("? {a: 1}\n: 2\n", "p.yaml:1: a key must be a word"),
    ("%YAML 9.9\n---\na: 1\n", "p.yaml"),
])
def test_yaml_that_is_no_file_of_ours(text, says):
    with pytest.raises(ProtocolError) as caught:
        yamlio.loads(text, ProtocolError, "p.yaml")
    assert str(caught.value).startswith("p.yaml") and says in str(caught.value)


def test_aliases_count_as_often_as_they_stand():
    part = "a: &a [" + "1, " * 99 + "1]\nb: [" + "*a, " * 98 + "*a]\n"
    with pytest.raises(ProtocolError, match=r"p.yaml:\d+: has more entries"):
        yamlio.loads(part, ProtocolError, "p.yaml")
    assert yamlio.loads("a: &a [1, 2]\nb: *a\n", ProtocolError).data == {"a": [1, 2], "b": [1, 2]}


# --- protocols

@pytest.mark.parametrize(("text", "says"), [
    (HEAD + "repeats: 100000\n" + TARGET, "100,000 conditions of 31 indices"),
    (HEAD + "repeats: 1000000000\n" + TARGET, "100,000 is the most"),
    (HEAD + f"factors: {{a: {[*range(4500)]}}}\n" + TARGET
     + f"interventions: [{', '.join(['{noise: V1, sd: $a}'] * 5)}]\n",
     "4,500 combinations of levels with 11 entries"),
    (HEAD.replace("30", "100000") + "timeline: [{show: stream, images: 60000, target: 1, "
     "each_ms: 1, at_ms: 0}]\n", "more than 50,000 pictures"),
    (HEAD.replace("30", "1.0e+18") + TARGET, "a time or rate must be 1000000000 at most"),
    (HEAD.replace("ms_per_step: 1\n", "ms_per_step: 1.0e-9\n") + TARGET, "1 to 100000 steps"),
    (HEAD.replace("name: x", "name: ../../x") + TARGET, "p.yaml:1: name: should be a word"),
    (HEAD.replace("name: x", 'name: "a\\nb"') + TARGET, "p.yaml:1: name: should be a word"),
])
def test_protocols_that_would_take_all_memory_or_time(text, says):
    with pytest.raises(ProtocolError) as caught:
        Protocol.from_text(text, "p.yaml")
    assert str(caught.value).startswith("p.yaml:") and says in str(caught.value)


def test_a_protocol_at_the_limits_is_drawn_at_once():
    stream = Protocol.from_text(
        HEAD.replace("30", "50000") + "timeline: [{show: stream, images: 9000, target: 1, "
        "each_ms: 1, at_ms: 0}]\n")
    assert "0-9 other_1 to other_8999" in stream.describe()
    many = "".join(f"- {{lesion: V{n}}}\n" for n in range(300))
    long = Protocol.from_text(HEAD.replace("30", "100000") + TARGET + f"interventions:\n{many}")
    assert long.describe().count("lesion") == 300


@pytest.mark.parametrize(("line", "way"), [
    ("dataset: /etc/pictures", "--dataset"), ("dataset: ../../pictures", "--dataset"),
    ("dataset: ~/pictures", "--dataset"), ("model: /etc/network", "--model"),
    ("sources: {a: /etc/x}", "set CORTEXSIM_DATA"), ("dataset: ./link", "--dataset"),
    ("dataset: ~nobody-of-this-name/x", "no folder's name"),
])
def test_a_protocols_file_names_nothing_outside_of_its_folders(line, way, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    (here / "link").symlink_to("/etc")
    monkeypatch.chdir(here)
    monkeypatch.delenv("CORTEXSIM_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Path("p.yaml").write_text(HEAD + TARGET + line + "\n")
    with pytest.raises(ProtocolError, match=way) as caught:
        Protocol.from_yaml("p.yaml")
    assert str(caught.value).startswith("p.yaml:6: ")


def test_a_protocols_file_names_what_lies_beside_it_or_with_the_data(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTEXSIM_DATA", str(tmp_path / "data"))
    (tmp_path / "p.yaml").write_text(
        f"{HEAD}{TARGET}dataset: {tmp_path}/data/x\nsources: {{a: ./y, b: {tmp_path}/z}}\n")
    assert Protocol.from_yaml(tmp_path / "p.yaml").dataset == f"{tmp_path}/data/x"


def test_a_home_folder_that_nobody_knows_matters_only_where_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTEXSIM_DATA", "~nobody-of-this-name/x")
    path = tmp_path / "p.yaml"
    path.write_text(HEAD + TARGET)
    assert Protocol.from_yaml(path).name == "x"
    path.write_text(HEAD + TARGET + "dataset: ./y\n")
    for ask in (lambda: Protocol.from_yaml(path), lambda: datasets.load("cifar10", "test")):
        with pytest.raises(CortexSimError, match="~nobody-of-this-name.*CORTEXSIM_DATA names"):
            ask()
    for ask in (lambda: datasets.load("cifar10", "test", root="~nobody-of-this-name"),
                lambda: folder.load("~nobody-of-this-name/x", (3, 8, 8)),
                lambda: objects92.read("~nobody-of-this-name/x.mat")):
        with pytest.raises(CortexSimError, match="no home folder is known for '~nobody"):
            ask()


# --- graphs and checkpoints

def graph(**change) -> dict:
    return {"areas": {"V1": [1, 4, 4], "IT": [1, 4, 4]}, "image": [1, 4, 4], "readout_time": 3,
            "connections": [{"from": "V1", "to": "IT"}], **change}


@pytest.mark.parametrize(("change", "says"), [
    ({"areas": {f"V{n}": [1, 4, 4] for n in range(101)}}, "101 areas are given"),
    ({"connections": [{"from": "V1", "to": "IT"}] * 1001}, "1,001 connections are given"),
    ({"connections": [{"from": "V1", "to": "IT", "steps": [2 * n + 1, 2 * n + 1]}
                      for n in range(200)]}, "too many connections"),
    ({"connections": [{"from": "V1", "to": "IT", "layers": 10**9}]}, "layers is 100 at most"),
    ({"connections": [{"from": "V1", "to": "IT", "kernel": 10**9 + 1}]}, "kernel is 255 at most"),
    ({"areas": {"V1": [10**9, 4, 4], "IT": [1, 4, 4]}}, "65,536 channels"),
    ({"image": [1, 10**9, 10**9]}, "an image has 65,536 channels and 16,384 rows"),
    ({"areas": {"V1": [1, 16_000, 16_383], "IT": [1, 16_000, 7]}, "image": [1, 16_000, 16_384]},
     "nearest sizes that fit are"),
    ({"readout_time": 10**9}, "readout_time must be a step from 1 to 10000"),
])
def test_graphs_that_would_take_all_memory_or_time(change, says):
    with pytest.raises(GraphError, match=says):
        AreaGraph.from_dict(graph(**change), "g.yaml")


def test_a_large_graph_is_followed_at_once():
    names = [f"V{n}" for n in range(30)]
    links = [{"from": a, "to": b, "steps": [1, 9000 + n]} for n, a in enumerate(names)
             for b in names]
    read = AreaGraph.from_dict(graph(areas={name: [1, 4, 4] for name in names}, connections=links,
                                     readout_time=8000))
    assert read.arrival("V29") == 1


def test_a_network_of_more_parameters_than_its_file_takes_no_memory(place):
    path = place / "network" / "network.json"
    card = json.loads(path.read_text())
    card["graph"]["areas"] = {"V1": [60_000, 4, 4], "IT": [60_000, 2, 2]}
    path.write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="as many as its file holds numbers"):
        models.load(place / "network")
    big = AreaGraph.from_dict(graph(areas={"V1": [60_000, 4, 4], "IT": [60_000, 4, 4]}))
    with pytest.raises(GraphError, match="more than 536,870,912 parameters, the most"):
        models.Network(big)
    check_size(AreaGraph.from_dict(graph()), 10, 3)


@pytest.mark.parametrize(("change", "says"), [
    ({"steps": -1}, "'steps'"), ({"steps": 10**9}, "'steps'"), ({"steps": True}, "'steps'"),
    ({"class_names": ["a", 1, "c"]}, "'class_names.1'"),
    ({"class_names": ["a", "a", "c"]}, "has a class twice"),
    ({"class_names": []}, "'class_names'"), ({"name": "\x1b[2J"}, "control character"),
    ({"name": "x" * 2000}, "'name'"), ({"calibration": {"images": "many"}}, "'calibration.images'"),
    ({"calibration": []}, "'calibration'"), ({"settings": 3}, "'settings'"),
    ({"settings": {"epochs": "x"}}, "'settings.epochs'"),
    ({"settings": {"dataset": "../x"}}, "no data set's name"),
    ({"data": {"dataset": "/etc/pictures"}}, "no data set's name"),
    ({"history": [1]}, "'history.0'"), ({"test_accuracy": {"digits": 1}}, "'test_accuracy.digits'"),
    ({"position": {"epoch": -1}}, "'position.epoch'"), ({"final_calibration": 1}, "'final_cal"),
    ({"parameters": 10**30}, "more than 64 bits"), ({"init": {"name": 1}}, "'init.name'"),
    ({"weights": {"file": "weights.safetensors/../../x.safetensors"}}, "not a safetensors file"),
    ({"extra": json.loads("[" * 60 + "]" * 60)}, "nested deeper"),
])
def test_a_card_with_values_of_another_form(change, says, place):
    path = place / "network" / "network.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError) as caught:
        models.load(place / "network")
    assert says in str(caught.value)


def test_weights_that_are_a_link_out_of_the_folder(place):
    file = place / "network" / "weights.safetensors"
    file.rename(place / "elsewhere.safetensors")
    file.symlink_to(place / "elsewhere.safetensors")
    with pytest.raises(CheckpointError, match="leads out of the checkpoint's folder"):
        models.load(place / "network")


@pytest.mark.parametrize("header", [
    {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
    {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
     "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
    {"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}},
    {"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}, {}, [],
])
def test_safetensors_whose_header_lies(header, place):
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(8)
    (place / "network" / "weights.safetensors").write_bytes(data)
    path = place / "network" / "network.json"
    card = json.loads(path.read_text())
    card["weights"]["sha256"] = hashlib.sha256(data).hexdigest()
    path.write_text(json.dumps(card))
    with pytest.raises(CheckpointError):
        models.load(place / "network")


# --- recordings

def rewrite(store: Path, change) -> None:
    path = store / "zarr.json"
    whole = json.loads(path.read_text())
    change(whole, whole["consolidated_metadata"]["metadata"])
    path.write_text(json.dumps(whole))


CHANGES = {
    "pickled": (lambda whole, of: of["shown"].update(codecs=[{"name": "numcodecs.pickle"}]),
                "coded by"),
    "by another": (lambda whole, of: of["shown"]["codecs"].append({"name": "x.y:run"}), "coded by"),
    "objects": (lambda whole, of: of["label"].update(data_type="object"), "no type of numbers"),
    "huge": (lambda whole, of: of["scores"]["chunk_grid"]["configuration"].update(
        chunk_shape=[10**9, 5, 3]), "GiB of memory"),
    "endless": (lambda whole, of: of["scores"].update(shape=[10**15, 5, 3]), "chunks"),
    "coordinates": (lambda whole, of: (
        of["label"].update(shape=[10**9]),
        of["label"]["chunk_grid"]["configuration"].update(chunk_shape=[10**8])), "values, more"),
    "climbing": (lambda whole, of: of.update({"../../x": of["label"]}), "'../../x'"),
    "absolute": (lambda whole, of: of.update({"/etc": of["label"]}), "'/etc'"),
    "old": (lambda whole, of: whole.update(zarr_format=2), "no group of Zarr v3"),
    "other axes": (lambda whole, of: of["label"].update(dimension_names=["time"]), "other axes"),
    "elsewhere": (lambda whole, of: of["done"]["attributes"].update(arrays=["../x"]),
                  "which arrays"),
    "chunks": (lambda whole, of: of["done"]["attributes"].update(chunk_trials=0), "which arrays"),
    "unjoined": (lambda whole, of: whole.pop("consolidated_metadata"), "which arrays there are"),
    "without a time": (lambda whole, of: of.pop("time"), "lacks time"),
    "a seed of text": (lambda whole, of: whole["attributes"].update(seed="x"), "'seed'"),
    "no rate": (lambda whole, of: whole["attributes"].update(ms_per_step=0), "'ms_per_step'"),
    "an experiment": (lambda whole, of: whole["attributes"].update(experiment={"model": 1}),
                      "'experiment."),
    "escapes": (lambda whole, of: whole["attributes"].update(model="\x1b[2J"), "control character"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_recording_with_metadata_of_another_form(name, place):
    change, says = CHANGES[name]
    rewrite(place / "recording.zarr", change)
    with pytest.raises(RecordingError) as caught:
        analysis.open(place / "recording.zarr")
    assert says in str(caught.value)


def test_attributes_are_checked_before_a_run_goes_on(place):
    rewrite(place / "recording.zarr", lambda whole, of: whole["attributes"].update(
        experiment={"model": 3}, complete=False))
    with pytest.raises(RecordingError, match="'experiment."):
        resume.read(place / "recording.zarr")


def test_zarr_2_is_not_opened_since_its_codecs_can_run_code(tmp_path):
    store = tmp_path / "old.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(RecordingError, match="only Zarr v3 is read"):
        analysis.open(store)


def test_links_out_of_a_recording(place):
    chunk = place / "recording.zarr" / "label" / "c" / "0"
    chunk.unlink()
    chunk.symlink_to("/etc/hostname")
    with pytest.raises(RecordingError, match="leads out of the recording's folder"):
        analysis.open(place / "recording.zarr")


@pytest.mark.parametrize(("array", "data"), [
    ("scores/c/0/0/0", b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**40) + b"bomb"),
    ("scores/c/0/0/0", b"no zstd"),
    ("shown/c/0/0", b"\x28\xb5\x2f\xfd\x20\x04\x21\x00\x00" + b"\xff" * 4),
    ("V1/activation/c/0/0/0", b"123"),
])
def test_chunks_that_unpack_to_more_or_are_something_else(array, data, place):
    (place / "recording.zarr" / array).write_bytes(data)
    with pytest.raises(RecordingError, match="not as it was written"), analysis.open(
            place / "recording.zarr") as found:
        for values in (found.dataset["scores"], found.dataset["shown"],
                       found["V1"].dataset["activation"]):
            values.load()


def test_labels_and_times_that_make_no_sense(place):
    label = zarr.open_array(str(place / "recording.zarr" / "label"), mode="r+")
    label[:] = 99
    with pytest.raises(RecordingError, match="a label names no class"):
        analysis.open(place / "recording.zarr")


# --- pictures and other files

def test_a_picture_is_never_given_to_a_program(tmp_path, monkeypatch):
    # by its first bytes Pillow takes it for EPS, for which it runs ghostscript
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript",
                        lambda *about, **more: pytest.fail("a program was run"))
    (tmp_path / "x.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(DatasetError, match=r"x\.png is broken, or not a picture"):
        folder.load(tmp_path, (3, 8, 8))


@pytest.mark.parametrize("kind", ["png", "gif", "tif", "bmp"])
def test_the_size_of_a_picture_is_looked_at_before_it_is_decoded(kind, tmp_path, monkeypatch):
    Image.new("L", (100, 90)).save(tmp_path / f"x.{kind}")
    monkeypatch.setattr(folder, "MOST_PIXELS", 8000)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *about: pytest.fail("decoded"))
    with pytest.raises(DatasetError, match="has more than 8,000 pixels"):
        folder.load(tmp_path, (3, 8, 8))


def test_a_matlab_file_that_unpacks_to_more(tmp_path, monkeypatch):
    packed = zlib.compress(bytes(3_000_000))
    (tmp_path / "x.mat").write_bytes(
        b"MATLAB".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed)
    monkeypatch.setattr(objects92, "MOST_BYTES", 2_000_000)
    with pytest.raises(DatasetError, match="it holds more than"):
        objects92.read(tmp_path / "x.mat")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a file without an end")
def test_a_file_without_an_end(tmp_path):
    with pytest.raises(ProtocolError, match="larger than 100,000 bytes"):
        Protocol.from_yaml("/dev/zero")
    (tmp_path / "network.json").symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="too large for a checkpoint's card"):
        read_card(tmp_path)


def test_a_large_table_of_measurements(tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_text("area,latency_ms\n" + "V1,50\n" * 100)
    monkeypatch.setattr(references, "MAX_BYTES", 500)
    with pytest.raises(ReferenceFileError, match="more than 500 bytes"):
        references.read(tmp_path / "x.csv")


# --- what a terminal is told

def test_messages_are_short_and_command_no_terminal():
    said = str(CortexSimError("a\x1b[31m\x07\u202eb\nc" + "x" * 10**5))
    assert said.startswith("a\\x1b[31m\\x07\\u202eb\nc") and len(said) < 2000


def test_what_commands_print_commands_no_terminal(capsys):
    say("\x1b]0;title\x07 caf\u00e9\t\ud800")
    assert capsys.readouterr().out == "\\x1b]0;title\\x07 caf\u00e9\t\\ud800\n"
    assert printable("plain\ntext") == "plain\ntext"


def test_numbers_of_a_picture_of_16_bits_are_as_before(tmp_path):
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "x.png")
    found = folder.load(tmp_path, (1,)).images
    assert np.array_equal(found.ravel(), np.arange(256))


def test_names_in_figures_are_no_formulas():
    with rc_context(style()):
        drawn = Figure()
        drawn.text(0, 0, "$\\frac{x$ <script>")
        stream = io.StringIO()
        drawn.savefig(stream, format="svg")
    assert "<script>" not in stream.getvalue()
