"""Every file says where it comes from, and the same recording and command give the same bytes."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner
from PIL import Image

from cortexsim import __version__, analysis, provenance, schema
from cortexsim.cli import main
from cortexsim.errors import RecordingError
from cortexsim.experiment import run

COMMAND = "cortexsim run short.yaml --seed 3"


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny) -> Path:
    """Return the folder of a run, its figure left out."""
    from .conftest import SHORT

    place = tmp_path_factory.mktemp("made")
    (place / "short.yaml").write_text(SHORT)
    return run(place / "short.yaml", model=tiny, dataset="digits-clean", trials=8, seed=3,
               out=place / "run", figure=False, command=COMMAND).folder


def check(told: dict, made: Path, command: str = "") -> None:
    with analysis.open(made) as recording:
        attrs = dict(recording.attrs)
    assert told["made_by"] == f"CortexSim {__version__}"
    assert told.get("command", "") == command
    recorded = told["recording"]
    for key in ("created", "command", "model", "weights_sha256", "seed", "dataset"):
        assert recorded[key] == attrs[key]
    assert recorded["protocol"] == "short" and recorded["seed"] == 3
    assert recorded["versions"]["cortexsim"] == attrs["versions"]["cortexsim"]


def described(path: str | Path) -> dict:
    """Return what a PNG says of its origin."""
    with Image.open(path) as image:
        return json.loads(image.info["Description"])


def pdf_text(data: bytes, key: bytes) -> str:
    """Return a text of a PDF's information, whose brackets are escaped."""
    found = re.search(rb"/" + key + rb" \((.*?)(?<!\\)\)", data, re.S)
    assert found is not None
    return re.sub(rb"\\([()\\])", rb"\1", found[1]).decode()


def test_tables_of_a_run_have_theirs_beside_them(made):
    told = json.loads((made / provenance.FILE).read_text())
    tables = {path.name for path in made.glob("*.csv")}
    assert tables and set(told) == tables
    for one in told.values():
        check(one, made, COMMAND)
    assert (made / "accuracy.csv").read_text().startswith("mask,")  # nothing is added there


def test_pictures_of_all_kinds(made, tmp_path):
    from matplotlib.figure import Figure

    paths = {}
    with analysis.open(made) as recording:
        for kind in ("png", "pdf", "svg"):
            figure = Figure((1, 1))
            paths[kind] = analysis.save(figure, tmp_path / f"x.{kind}", recording=recording,
                                        command="it")
            again = analysis.save(figure, tmp_path / f"y.{kind}", command="it")
            assert again.read_bytes() == paths[kind].read_bytes()
        created = recording.attrs["created"]
    check(described(paths["png"]), made, "it")
    with Image.open(paths["png"]) as image:
        assert image.info["Creation Time"] == created
    check(json.loads(pdf_text(paths["pdf"].read_bytes(), b"Subject")), made, "it")
    assert created[:10].replace("-", "") in pdf_text(paths["pdf"].read_bytes(), b"CreationDate")
    svg = paths["svg"].read_text()
    check(json.loads(html.unescape(
        re.search(r"<dc:description>(.*?)</dc:description>", svg)[1])), made, "it")
    assert f"<dc:date>{created}</dc:date>" in svg


def test_a_figure_without_a_recording_and_with_a_label_of_its_own(tmp_path):
    from matplotlib.figure import Figure

    for label in ("", "my figure", "[1]", "3"):
        figure = Figure((1, 1))
        figure.set_label(label)
        path = analysis.save(figure, tmp_path / "x.png")
        assert described(path) == {
            "made_by": f"CortexSim {__version__}"}


@pytest.mark.slow
def test_a_figure_of_a_run_carries_its_recording(made, tmp_path):
    with analysis.open(made) as recording:
        path = analysis.save(analysis.figure(recording), tmp_path / "x.png", command=COMMAND)
    check(described(path), made, COMMAND)


@pytest.mark.slow
def test_comparisons(made, tmp_path):
    with analysis.open(made) as recording:
        found = analysis.compare(recording, "latencies")
    written = found.write(tmp_path, "cortexsim compare run --latencies x")
    told = json.loads((tmp_path / provenance.FILE).read_text())
    assert set(told) == {path.name for path in written}
    for one in told.values():
        check(one, made, "cortexsim compare run --latencies x")
        assert one["measurements"]["citation"] == found.citation != ""
    check(described(written[0]), made,
          "cortexsim compare run --latencies x")


@pytest.mark.parametrize("kind", ["csv", "netcdf", "brainscore", "rsatoolbox"])
def test_exports(made, tmp_path, kind):
    command = f"cortexsim export run --to {kind}"
    path = analysis.export.export(made, kind, tmp_path / "out", command=command)
    if kind == "csv":
        told = json.loads((path / provenance.FILE).read_text())
        assert set(told) == {one.name for one in path.iterdir()} - {provenance.FILE}
        for one in told.values():
            check(one, made, command)
        return
    with h5py.File(path) as file:
        found = (file["descriptors"].attrs if kind == "rsatoolbox" else file.attrs)
        text = found[provenance.NAME]
    check(json.loads(text), made, command)


def test_pictures_of_graphs_and_protocols(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, key in ((["graph", "fig6-2state"], "graph"),
                       (["protocol", "show", "flashed"], "protocol")):
        ended = CliRunner().invoke(main, [*words, "--out", "x.png"])
        assert ended.exit_code == 0, ended.output
        told = described("x.png")
        assert told["made_by"] == f"CortexSim {__version__}" and told["command"]
        assert told[key]["name"] == words[-1] and len(told[key]["sha256"]) == 64


def test_what_stands_in_a_folder_stays_unless_it_is_made_anew(tmp_path):
    provenance.beside(tmp_path, ["a.csv", "b.csv"], provenance.origin("first"))
    provenance.beside(tmp_path, ["b.csv"], provenance.origin("second"))
    told = json.loads((tmp_path / provenance.FILE).read_text())
    assert [told[name]["command"] for name in ("a.csv", "b.csv")] == ["first", "second"]
    (tmp_path / provenance.FILE).write_text("[1,")
    provenance.beside(tmp_path, ["c.csv"], provenance.origin())
    assert set(json.loads((tmp_path / provenance.FILE).read_text())) == {"c.csv"}


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / provenance.FILE).mkdir()
    (tmp_path / provenance.FILE / "in the way").touch()
    with pytest.raises(RecordingError, match="the origin of the tables cannot be written"):
        provenance.beside(tmp_path, ["a.csv"], provenance.origin())


def test_attributes_that_are_not_what_they_should_be():
    assert provenance.recorded({}) == {}
    odd = {"created": ["x"], "versions": 3, "protocol": 7, "seed": None, "model": "ü<b>"}
    assert provenance.recorded(odd) == {"model": "ü<b>", "protocol_sha256": provenance.sha256("7")}
    told = provenance.origin(recording=provenance.recorded(odd))
    assert provenance.text(told).isascii() and "\n" not in provenance.text(told)
    assert provenance.metadata("pdf", "x", told)["CreationDate"] is None


@pytest.mark.slow
def test_a_page_says_it_and_is_the_same_again(made, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(made, copy)
    texts = []
    for _ in range(2):
        path = analysis.report.write(copy, command="cortexsim report run")
        texts.append(path.read_text())
    assert texts[0] == texts[1]
    found = re.search(r'<meta name="provenance" content="([^"]*)">', texts[0])
    check(json.loads(html.unescape(found[1])), made, "cortexsim report run")
    assert schema.RECORDING in {path.name for path in copy.iterdir()}
