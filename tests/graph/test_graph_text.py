"""YAML and plain data in and out; errors name file and line."""

import pytest

from cortexsim.errors import GraphError
from cortexsim.graph import AreaGraph, Connection, Normalization, SharingSet, Use

GOOD = """\
name: small
areas:
  V1: [8, 16, 16]
  V2: [8, 8, 8]
connections:
  - {from: V1, to: V2, transition: brc, layers: 2, shortcut: none, steps: [1, inf]}
  - {from: V2, to: V2, shortcut: identity, gain: 0.5, weights: per-step, tie: name}
image: [3, 32, 32]
input: onset
weights: shared
readout_time: 4
pre_net: {layers: 3, channels: 32}
"""


def test_every_key(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(GOOD, encoding="utf-8")
    graph = AreaGraph.from_yaml(path)
    assert graph.name == "small"
    assert graph.names == ("V1", "V2")
    assert graph.connections[1] == Connection(
        "V2", "V2", shortcut="identity", gain=0.5, weights="per-step", tie="name"
    )
    assert (graph.input, graph.readout_time, graph.pre_net.channels) == ("onset", 4, 32)
    assert AreaGraph.from_text(graph.to_yaml()) == graph


def test_areas_keep_the_order_in_which_they_are_written():
    text = GOOD.replace("  V1: [8, 16, 16]\n  V2: [8, 8, 8]\n", "  V2: [8, 8, 8]\n"
                        "  V1: [8, 16, 16]\n").replace("from: V1, to: V2", "from: V2, to: V1")
    graph = AreaGraph.from_text(text.replace("transition: brc", "transition: brd"))
    assert graph.names == ("V2", "V1")


@pytest.mark.parametrize("end", ["inf", ".inf", "null"])
def test_endless_windows(end):
    text = GOOD.replace("[1, inf]", f"[2, {end}]").replace("onset", "sustained")
    graph = AreaGraph.from_text(text)
    assert graph.connections[0].steps == (2, None)


def test_connections_by_rule():
    text = (
        "areas: {V1: [24, 16, 16], V2: [32, 8, 8], V4: [48, 8, 8], IT: [64, 4, 4]}\n"
        "connectivity: full\ngain: 0.5\n"
    )
    assert AreaGraph.from_text(text) == AreaGraph.chain(["V1", "V2", "V4", "IT"], "full", gain=0.5)


@pytest.mark.parametrize(("old", "new", "words"), [
    ("readout_time", "readout_tim", ["g.yaml:11:", "unknown key", "did you mean 'readout_time'"]),
    ("shortcut: none", "shortcuts: none", ["g.yaml:6:", "did you mean 'shortcut'"]),
    ("to: V2, transition", "to: V3, transition", ["g.yaml:6:", "unknown area 'V3'"]),
    ("transition: brc", "transition: brd", ["g.yaml:6:", "use 'brc'"]),
    ("from: V1, ", "", ["g.yaml:6:", "'from' is missing"]),
    ("gain: 0.5", "gain: -1", ["g.yaml:7:", "gain"]),
    ("gain: 0.5", "gain: high", ["g.yaml:7:", "gain", "number"]),
    ("[8, 8, 8]", "[8, 8]", ["g.yaml:4:", "areas.V2: must be channels, height and width"]),
    ("[8, 8, 8]", "[8, 8, 0]", ["g.yaml:4:", "area 'V2'"]),
    ("[8, 8, 8]", "[8, 8, 7.5]", ["g.yaml:4:", "areas.V2.2", "integer"]),
    ("  V2: [8, 8, 8]", "  V1: [8, 8, 8]", ["g.yaml", "given twice"]),
    ("  V2: [8, 8, 8]", "  time: [8, 8, 8]", ["g.yaml:4:", "used by recordings"]),
    ("[1, inf]", "[1, ever]", ["g.yaml:6:", "steps"]),
    ("onset", "onse", ["g.yaml:9:", "did you mean 'onset'"]),
    ("readout_time: 4", "readout_time: 0", ["g.yaml:11:", "readout_time"]),
    ("layers: 3, channels", "layers: 2, channels", ["g.yaml:12:", "pre_net"]),
    ("input: onset", "connectivity: full", ["g.yaml:9:", "cannot stand beside"]),
    ("readout_time: 4", "readout_time: [", ["g.yaml:"]),
])
def test_errors_name_the_line(tmp_path, monkeypatch, old, new, words):
    monkeypatch.chdir(tmp_path)
    assert old in GOOD
    (tmp_path / "g.yaml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(GraphError) as caught:
        AreaGraph.from_yaml("g.yaml")
    for word in words:
        assert word in str(caught.value)

SHARING = """\
areas: {S1: [8, 8, 8], S2: [8, 8, 8], S3: [4, 8, 8]}
connections:
  - {from: S1, to: S1, shortcut: identity, tie: own}
  - {from: S1, to: S2, transition: brc}
  - {from: S2, to: S2, transition: max_pool}
  - {from: S2, to: S3, steps: [2, 5]}
weights: per-step
readout_time: 5
sharing:
  early: [{from: S1, to: S1, steps: [1, 2]}, {from: S1, to: S2, steps: 3}]
  late:
    - {from: S1, to: S2, steps: [4, inf]}
    - {from: S1, to: S1, steps: [5, 6]}
"""


def test_sharing_sets():
    graph = AreaGraph.from_text(SHARING)
    own, across, pool, out = graph.connections
    assert graph.sharing[0] == SharingSet("early", (Use("S1", "S1", (1, 2)), Use("S1", "S2", 3)))
    keys = [graph.weight_key(own, 2, step) for step in range(1, 8)]
    assert keys == ["early:2", "early:2", "own:2@3", "own:2@4", "late:2", "late:2", "own:2@7"]
    keys = [graph.weight_key(across, 1, step) for step in (2, 3, 4, 99)]
    assert keys == ["S1>S2:1@2", "early:1", "late:1", "late:1"]
    assert "note     shared as late: S1>S2 @4-inf, S1>S1 @5-6" in str(graph)
    assert AreaGraph.from_text(graph.to_yaml()) == graph
    data = graph.to_dict()
    data["sharing"] = {name: uses[::-1] for name, uses in reversed(data["sharing"].items())}
    assert AreaGraph.from_dict(data).sha256 == graph.sha256
    assert AreaGraph.from_dict({**data, "sharing": {}}).sha256 != graph.sha256


@pytest.mark.parametrize(("old", "new", "words"), [
    ("steps: 3}", "steps: 0}", ["g.yaml:10:", "S1>S2: steps"]),
    ("steps: 3}", "steps: [3]}", ["g.yaml:10:", "first and the last step"]),
    ("to: S2, steps: 3", "to: S9, steps: 3", ["g.yaml:10:", "'early'", "unknown area 'S9'"]),
    ("to: S2, steps: 3", "to: S2, step: 3",
     ["g.yaml:10:", "unknown key 'step'; did you mean 'steps'"]),
    ("to: S2, steps: 3", "to: S3", ["g.yaml:10:", "no connection leads from S1 to S3"]),
    ("from: S1, to: S2, steps: [4", "from: S2, to: S3, steps: [6",
     ["g.yaml:12:", "S2>S3 is not active at steps 6-inf, only at 2-5"]),
    ("to: S2, steps: [4", "to: S2, steps: [2",
     ["g.yaml:12:", "S1>S2 at step 3 is in 'early', too"]),
    ("steps: [5, 6]", "steps: 2", ["g.yaml:13:", "S1>S1 at step 2 is in 'early', too"]),
    ("to: S2, steps: 3", "to: S1, steps: 2", ["g.yaml:10:", "S1>S1 at step 2 is twice in it"]),
    ("from: S1, to: S1, steps: [5", "from: S2, to: S2, steps: [5",
     ["g.yaml:13:", "'max_pool' has no weights to share"]),
    ("from: S1, to: S1, steps: [5, 6]", "from: S2, to: S3",
     ["g.yaml:13:", "kernel of layer 1 has the shape [6, 8, 3, 3] in S2>S3 and [8, 8, 3, 3] in "
                    "S1>S2"]),
    ("early:", "own:", ["g.yaml:10:", "'own'", "a tie has this name"]),
    ("early:", "'1':", ["g.yaml:10:", "a name begins with a letter"]),
    ("[{from: S1, to: S1, steps: [1, 2]}, {from: S1, to: S2, steps: 3}]", "[]",
     ["g.yaml:10:", "'early' is empty"]),
])
def test_errors_in_sharing_name_the_line(tmp_path, monkeypatch, old, new, words):
    monkeypatch.chdir(tmp_path)
    assert old in SHARING
    (tmp_path / "g.yaml").write_text(SHARING.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(GraphError) as caught:
        AreaGraph.from_yaml("g.yaml")
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_missing_connections():
    with pytest.raises(GraphError, match="cannot be read"):
        AreaGraph.from_yaml("nowhere.yaml")
    with pytest.raises(GraphError, match="either 'connections' or 'connectivity"):
        AreaGraph.from_text("areas: {V1: [8, 16, 16], V2: [8, 8, 8]}")
    with pytest.raises(GraphError, match="'areas' is missing"):
        AreaGraph.from_dict({})


def test_hash_is_of_what_the_graph_does():
    graph = AreaGraph.chain(["V1", "V2"], name="one")
    assert graph.sha256 == AreaGraph.chain(["V1", "V2"], name="two").sha256
    assert graph.sha256 != AreaGraph.chain(["V1", "V2"], readout_time=9).sha256
    # the order of the areas says which is first and last
    data = AreaGraph.chain(["V1", "V2"], sizes=[16, 16], channels=[8, 8]).to_dict()
    turned = {**data, "areas": dict(reversed(data["areas"].items()))}
    assert AreaGraph.from_dict(data).sha256 != AreaGraph.from_dict(turned).sha256


def test_normalization_in_yaml():
    text = GOOD + "normalization: {statistics: shared, scale_shift: time-specific}\n"
    graph = AreaGraph.from_text(text)
    assert graph.normalization == Normalization("shared", "time-specific")
    assert AreaGraph.from_text(graph.to_yaml()) == graph
    assert AreaGraph.from_dict(graph.to_dict()) == graph
    assert "note     normalization: shared statistics" in str(graph)
    assert "time-specific scale and shift" in str(graph)
    for old, words in (("shared, scale", ["g.yaml:13:", "unknown statistics of normalization"]),
                       ("time-specific}", ["g.yaml:13:", "known: none, shared, time-specific"]),
                       ("statistics:", ["g.yaml:13:", "unknown key", "statistics, scale_shift"])):
        with pytest.raises(GraphError) as problem:
            AreaGraph.from_text(text.replace(old, "x" + old), "g.yaml")
        for word in words:
            assert word in str(problem.value)
