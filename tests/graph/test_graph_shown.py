"""Chains, presets, the transition matrix and the picture."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from cortexsim import presets
from cortexsim.errors import GraphError
from cortexsim.graph import Area, AreaGraph, Connection, PreNet
from cortexsim.graph.draw import draw, kind, svg

VENTRAL = ["V1", "V2", "V4", "IT"]


def test_matrix_of_the_full_chain():
    assert AreaGraph.chain(VENTRAL, "full").matrix() == (
        "from\\to  V1       V2       V4       IT\n"
        "V1       BRCx2+I  BRCx2    BRCx2    BRCx2\n"
        "V2       BRDx2    BRCx2+I  BRCx2    BRCx2\n"
        "V4       BRDx2    BRCx2    BRCx2+I  BRCx2\n"
        "IT       BRDx2    BRDx2    BRDx2    BRCx2+I"
    )


def test_matrix_shows_gain_windows_and_empty_cells():
    a, b = Area("a", 8, 8, 8), Area("b", 8, 8, 8)
    graph = AreaGraph((a, b), (
        Connection("a", "a", shortcut="identity", gain=0.5, steps=(1, 3)),
        Connection("a", "a", "identity", steps=(4, None)),
        Connection("a", "b", "conv", steps=(4, 4)),
        Connection("b", "b", layers=1, shortcut="linear"),
    ), image=(1, 8, 8), readout_time=4)
    assert graph.matrix() == (
        "from\\to  a                          b\n"
        "a        BRCx2+0.5I @1-3, I @4-inf  Conv @4\n"
        "b        .                          BRC+Linear"
    )
    assert "time constant of 1.44 steps: a>a" in str(graph)


@pytest.mark.parametrize(("options", "cells"), [
    ({}, 10), ({"connectivity": "full"}, 16), ({"self_transitions": False}, 6),
    ({"feedback": False}, 7), ({"connectivity": "full", "bypass": False}, 10),
    ({"connectivity": "full", "feedback": False, "self_transitions": False}, 6),
    ({"bypass": True}, 16),
])
def test_chain_switches(options, cells):
    assert len(AreaGraph.chain(VENTRAL, **options).connections) == cells


def test_chain_defaults():
    graph = AreaGraph.chain(VENTRAL)
    assert [a.shape for a in graph.areas] == [
        (24, 16, 16), (32, 8, 8), (48, 8, 8), (64, 4, 4)
    ]
    assert {c.shortcut for c in graph.connections if c.source == c.target} == {"identity"}
    for count in (1, 2, 3, 5, 9):
        for size in (28, 32, 97):
            made = AreaGraph.chain([f"A{i}" for i in range(count)], "full", image=(1, size, size))
            assert len(made.areas) == count
    direct = AreaGraph.chain(["a", "b"], pre_net=PreNet(0), image=(1, 28, 28))
    assert direct.first.shape == (1, 28, 28)


def test_chain_refuses():
    with pytest.raises(GraphError, match="3 given for 4 areas"):
        AreaGraph.chain(VENTRAL, channels=[1, 2, 3])
    with pytest.raises(GraphError, match="did you mean 'full'"):
        AreaGraph.chain(VENTRAL, "ful")
    with pytest.raises(GraphError, match="at least one area"):
        AreaGraph.chain([])


def test_presets():
    assert {"ventral-adjacent", "ventral-adjacent-leaky", "ventral-full"} <= set(presets.names())
    for name in presets.names():
        assert presets.get(name).name == name
    leaky = presets.get("ventral-adjacent-leaky")
    assert leaky == AreaGraph.chain(VENTRAL, gain=0.5, name=leaky.name)
    assert presets.get("ventral-full") == AreaGraph.chain(
        VENTRAL, "full", readout_time=6, name="ventral-full"
    )
    with pytest.raises(GraphError, match="did you mean 'ventral-full'"):
        presets.get("ventral-ful")


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_pictures_are_written(tmp_path, suffix):
    path = tmp_path / f"graph.{suffix}"
    draw(presets.get("ventral-full"), path)
    assert path.stat().st_size > 1000


def test_pictures_that_cannot_be_written(tmp_path):
    graph = AreaGraph.chain(["V1", "V2"])
    with pytest.raises(GraphError, match=r"\.svg, \.png, \.pdf"):
        draw(graph, tmp_path / "graph.gif")
    with pytest.raises(GraphError, match="cannot be written"):
        draw(graph, tmp_path / "nowhere" / "graph.png")


def test_nothing_in_the_picture_leaves_the_sheet_or_overlaps():
    for graph in (*map(presets.get, presets.names()), _long()):
        figure = draw(graph)
        sheet = figure.bbox
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        for box in boxes:
            assert sheet.x0 <= box.x0 and box.x1 <= sheet.x1
            assert sheet.y0 <= box.y0 and box.y1 <= sheet.y1
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[i + 1:])


def test_cells_say_when_and_which_weights_are_tied():
    words = [text.get_text() for text in draw(presets.get("fig7-tied-16")).axes[0].texts]
    assert "BRC\N{MULTIPLICATION SIGN}2+I\nsteps 5\N{EN DASH}7\ntied: conv" in words
    assert "MaxPool\nstep 8" in words
    data = AreaGraph.chain(["a", "b"]).to_dict()
    data["sharing"] = {"early": [{"from": "a", "to": "a"}, {"from": "b", "to": "b", "steps": 3}]}
    data["areas"]["b"] = data["areas"]["a"]
    data["connections"][2]["transition"] = "brc"
    words = "\n".join(text.get_text() for text in draw(AreaGraph.from_dict(data)).axes[0].texts)
    assert "tied: early\n" in words and "tied: early, step 3" in words


def _long():
    return AreaGraph.chain(
        ["retina-ganglion", "superior_colliculus"], "full", gain=0.123456,
        name="$a name that is much longer than any picture of two areas would ever be wide$",
    )


def test_html_holds_table_and_picture():
    graph = AreaGraph.chain(["V1", "V2"], gain=0.5, name="<b>")
    text = graph._repr_html_()
    assert "&lt;b&gt;" in text and "<b>" not in text
    assert text.count("<td>") == 4 and "BRCx2+0.5I" in text
    assert ElementTree.fromstring(svg(graph)).tag.endswith("svg")
    assert svg(graph) == svg(graph)


def test_kinds_in_the_legend():
    graph = AreaGraph.chain(VENTRAL, "full")
    assert {kind(graph, c) for c in graph.connections} == {
        "feedforward", "feedback", "lateral", "feedforward bypass", "feedback bypass"
    }


def test_import_is_light():
    heavy = "torch matplotlib pydantic ruamel xarray pandas numpy".split()
    code = f"import sys, cortexsim.graph; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert found.strip() == "[]"
