"""What must hold for every area graph, on random ones."""

import json
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsim.graph import Area, AreaGraph, Connection, PreNet
from cortexsim.graph.geometry import join

from .strategies import with_sharing

few = settings(max_examples=40, deadline=None)


@st.composite
def connections_between(draw, source, target, windows):
    """A connection that fits its areas; with `windows` perhaps not always active."""
    grows = target.height > source.height
    transition = "brd" if grows else draw(st.sampled_from(["brc", "cbr"]))
    allowed = [transition, "conv"]
    shortcuts = ["none", "linear"]
    if source.shape == target.shape:
        allowed.append("max_pool")
        shortcuts.append("identity")
    shortcut = draw(st.sampled_from(shortcuts))
    start = draw(st.integers(1, 4)) if windows else 1
    stop = draw(st.none() | st.integers(start, 6)) if windows else None
    transition = draw(st.sampled_from(allowed))
    name = f"tie-{source.name}-{target.name}"
    layers = draw(st.integers(1, 3)) if transition in ("brc", "brd", "cbr") else None
    if layers and shortcut == "linear":
        shortcut = draw(st.sampled_from(["linear", "projection"]))
    kernels = [3, 5] + ([(1, 3, 1)[:layers]] if layers else [])
    made = Connection(
        source.name, target.name, transition, layers, shortcut,
        kernel=draw(st.sampled_from(kernels)) if transition != "max_pool" else 3,
        stride_layer=draw(st.integers(1, layers)) if layers and not grows else 1,
        middle=draw(st.sampled_from([None, (2, 3)[:layers - 1]])) if layers else None,
        gain=draw(st.floats(0.01, 1)) if shortcut == "identity" else 1.0, steps=(start, stop),
        weights=draw(st.sampled_from([None, "shared", "per-step"])),
    )
    if not made.layers or draw(st.booleans()):
        return made
    tie = draw(st.sampled_from([name, tuple(f"{name}-{i}" for i in range(made.layers))]))
    return Connection(**{**vars(made), "tie": tie})


@st.composite
def graphs(draw, windows=True):
    """A valid graph: a spine from first to last that is always active, and anything else."""
    count = draw(st.integers(1, 5))
    areas = tuple(
        Area(f"A{i}", draw(st.integers(1, 4)), *[draw(st.sampled_from([16, 8, 4, 2]))] * 2,
             activation=draw(st.sampled_from(["none", "relu"])))
        for i in range(count)
    )
    inner = draw(st.sets(st.integers(1, count - 2))) if count > 2 else set()
    spine = sorted({0, *inner, count - 1})
    pairs = set(zip(spine, spine[1:], strict=False))
    if count == 1:
        pairs = {(0, 0)}
    connections = [draw(connections_between(areas[i], areas[j], False)) for i, j in sorted(pairs)]
    ends = st.integers(0, count - 1)
    others = draw(st.sets(st.tuples(ends, ends), max_size=8)) - pairs
    connections += [
        draw(connections_between(areas[i], areas[j], windows)) for i, j in sorted(others)
    ]
    graph = AreaGraph(
        areas, tuple(connections), image=(1, 16, 16),
        input=draw(st.sampled_from(["sustained", "onset"])),
        weights=draw(st.sampled_from(["shared", "per-step"])),
        readout_time=max(1, len(spine) - 1), name=draw(st.sampled_from(["", "a name", "12", "no"])),
        pre_net=draw(st.sampled_from([
            PreNet(), PreNet(3), PreNet(3, 5), PreNet(1, kernel=7, normalize=True),
            PreNet(mean=(0.25,), std=(0.5,))])),
        post_net=draw(st.sampled_from(["bn-relu-pool-fc", "pool-fc"])),
    )
    return draw(with_sharing(graph))


@few
@given(graphs(windows=False))
def test_arrival_is_graph_distance(graph):
    distance = {graph.first.name: 0}
    waiting = deque(distance)
    while waiting:
        here = waiting.popleft()
        for connection in graph.connections:
            if connection.source == here and connection.target not in distance:
                distance[connection.target] = distance[here] + 1
                waiting.append(connection.target)
    assert {name: graph.arrival(name) for name in graph.names} == {
        name: distance.get(name) for name in graph.names
    }


def reached(graph, name, index, drive):
    """Say whether a walk of active connections leads from drive to an area."""
    if name == graph.first.name and index < len(drive) and drive[index]:
        return True
    return index > 0 and any(
        reached(graph, c.source, index - 1, drive)
        for c in graph.connections if c.target == name and c.active(index)
    )


def reaches(graph, name, index, wanted):
    """Say whether a walk of active connections leads from an area to a wanted one."""
    if name in wanted[index]:
        return True
    return index + 1 < len(wanted) and any(
        reaches(graph, c.target, index + 1, wanted)
        for c in graph.connections if c.source == name and c.active(index + 1)
    )


@few
@given(graphs(), st.lists(st.booleans(), max_size=6))
def test_populated_agrees_with_brute_force(graph, drive):
    for index, areas in enumerate(graph.populated(4, drive)):
        assert areas == {name for name in graph.names if reached(graph, name, index, drive)}


@few
@given(graphs(), st.data())
def test_needed_agrees_with_brute_force(graph, data):
    some = st.sets(st.sampled_from(graph.names), max_size=1)
    wanted = data.draw(st.lists(some, min_size=1, max_size=5))
    for index, areas in enumerate(graph.needed(wanted)):
        assert areas == {name for name in graph.names if reaches(graph, name, index, wanted)}


@few
@given(graphs())
def test_arrival_is_the_first_index_populated(graph):
    history = graph.populated(30, [True])
    for name in graph.names:
        assert graph.arrival(name) == next((t for t, a in enumerate(history) if name in a), None)


@few
@given(graphs(), st.randoms())
def test_order_of_connections_changes_nothing(graph, random):
    shuffled = list(graph.connections)
    random.shuffle(shuffled)
    other = AreaGraph(**{**_fields(graph), "connections": tuple(shuffled)})
    drive = [True, False, True]
    assert other.populated(5, drive) == graph.populated(5, drive)
    wanted = [()] * 5 + [graph.names]
    assert other.needed(wanted) == graph.needed(wanted)
    assert other.readout_times(9) == graph.readout_times(9)
    assert other.matrix() == graph.matrix()
    assert other.sha256 == graph.sha256
    assert set(other.firing(2, graph.names, graph.names)) == set(
        graph.firing(2, graph.names, graph.names)
    )


def _fields(graph):
    return {name: getattr(graph, name) for name in graph.__dataclass_fields__}


@few
@given(graphs())
def test_dict_and_yaml_round_trip(graph):
    plain = json.loads(json.dumps(graph.to_dict(), allow_nan=False))
    assert AreaGraph.from_dict(plain) == graph
    again = AreaGraph.from_text(graph.to_yaml())
    assert again == graph
    assert hash(again) == hash(graph)
    assert again.sha256 == graph.sha256


@few
@given(graphs())
def test_readout_time_is_possible_and_firing_is_what_populates(graph):
    assert graph.readout_time in graph.readout_times(graph.readout_time)
    history = graph.populated(4, [True] * 5)
    for step in range(1, 5):
        fired = graph.firing(step, history[step - 1], graph.names)
        assert history[step] == {c.target for c in fired} | {graph.first.name}


@given(st.integers(1, 64), st.integers(1, 64))
def test_stride_is_the_smallest_that_joins(one, other):
    large, small = max(one, other), min(one, other)
    possible = [k for k in range(1, large + 1) if -(-large // k) == small]
    assert join(one, other) == join(other, one) == (possible[0] if possible else None)
