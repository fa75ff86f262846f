"""What is done to a linear network is what matrices say; delays add to the shortest path."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cortexsim.graph import Area, AreaGraph, Connection
from cortexsim.models import Network
from cortexsim.simulation.course import plan_courses
from cortexsim.simulation.tree import grow
from cortexsim.stimuli.datasets import to_input

from .test_interventions import END, ON, WHOLE, do
from .test_tree import STEPS, computed, condition, planned

LINEAR = AreaGraph(
    (Area("V1", 2, 4, 4), Area("IT", 3, 2, 2)),
    (Connection("V1", "IT", transition="conv"), Connection("IT", "V1", transition="conv"),
     Connection("V1", "V1", transition="conv", shortcut="identity", gain=0.5),
     Connection("IT", "IT", transition="conv", shortcut="identity", gain=0.5)),
    image=(1, 8, 8), post_net="pool-fc", readout_time=1)


@pytest.fixture(scope="module")
def linear():
    """Return a network that is linear all through."""
    return Network(LINEAR, classes=3, seed=4).eval()


@torch.no_grad()
def matrix(network, name):
    """Return a connection as a matrix, without its identity path."""
    (c,) = [c for c in network.graph.connections if c.name == name]
    shape = network.graph.area(c.source).shape
    basis = torch.eye(math.prod(shape)).reshape(-1, *shape)
    bare = replace(c, shortcut="none", gain=1.0)
    (x,) = network.arrivals({c.source: basis}, 1, (bare,))[c.target]
    return x.flatten(1).T.double().numpy()


def run(network, pictures, *conditions):
    """Return condition and area to activity of two stimuli by index, and the drive."""
    plan = planned(network, conditions, pictures(2), WHOLE)
    found = computed(plan)
    with torch.no_grad():
        drive = network.drive(torch.from_numpy(to_input(pictures(2).images)))
    flat = {(key[0], key[1].split("/")[0]): {t: x.movedim(-1, 1).flatten(1).double().numpy().T
                                             for t, x in values.items()}
            for key, values in found.items() if key[1].endswith("activation")}
    return flat, drive.flatten(1).double().numpy().T


def assert_near(some, other):
    np.testing.assert_allclose(some, other, rtol=1e-4, atol=1e-5)


def test_lesions_leave_out_products(linear, pictures):
    """Feedback silent from 2 to 4: what IT holds at 2 and 3 is not handed back."""
    back, forth = matrix(linear, "IT>V1"), matrix(linear, "V1>IT")
    own, its = matrix(linear, "V1>V1"), matrix(linear, "IT>IT")
    shown = [condition("kind", ON, interventions=(do("lesion", "feedback", None, 2, 4),)),
             condition("one", ON, interventions=(do("lesion", "IT>V1", None, 2, 4),)),
             condition("area", ON, interventions=(do("lesion", "IT", None, 2, 4),))]
    with pytest.warns(UserWarning, match="'kind' and 'one' are the same"):
        found, drive = run(linear, pictures, *shown)
    for name in ("kind", "area"):
        v1, it = drive, 0 * (forth @ drive)
        for t in range(1, END):
            fed_back = 0 if name == "kind" and t - 1 in (2, 3) else back @ it
            v1, it = (drive + own @ v1 + 0.5 * v1 + fed_back, forth @ v1 + its @ it + 0.5 * it)
            if name == "area" and t in (2, 3):
                assert t not in found[name, "IT"]
                it = 0 * it
            else:
                assert_near(found[name, "IT"][t], it)
            assert_near(found[name, "V1"][t], v1)
    assert found.pop(("one", "V1")).keys() == found["kind", "V1"].keys()


def test_a_delay_adds_what_was_sent_earlier(linear, pictures):
    back, forth = matrix(linear, "IT>V1"), matrix(linear, "V1>IT")
    own, its = matrix(linear, "V1>V1"), matrix(linear, "IT>IT")
    # what IT sends at 1 is underway when IT falls silent
    late = (do("delay", "IT>V1", 3.0), do("lesion", "IT>V1", None, 2, 3))
    found, drive = run(linear, pictures, condition("late", ON, interventions=late))
    v1s, its_past = [drive], [0 * (forth @ drive)]
    for t in range(1, END):
        sent = back @ its_past[t - 3] if t >= 3 and t - 3 != 2 else 0
        v1, it = v1s[-1], its_past[-1]
        v1s.append(drive + own @ v1 + 0.5 * v1 + sent)
        its_past.append(forth @ v1 + its @ it + 0.5 * it)
        assert_near(found["late", "V1"][t], v1s[t])
        assert_near(found["late", "IT"][t], its_past[t])


@pytest.mark.parametrize("gain", [0.0, 0.5, 3.0])
def test_a_gain_scales_the_steady_state_of_a_leaky_area(pictures, gain):
    """Alone, x' = 0.5 x + drive goes to 2 drive: to gain times that, whatever the start."""
    graph = replace(LINEAR, connections=(
        *LINEAR.connections[:1], *[replace(c, transition="conv") for c in LINEAR.connections[2:]]))
    network = Network(graph, classes=3, seed=4).eval()
    with torch.no_grad():
        for key in ("V1>V1:1", "IT>IT:1"):
            network.weights[key].zero_()
    done = [do("scale", "V1", gain), do("scale", "IT", gain, 3)]
    found, drive = run(network, pictures, condition("scaled", ON, interventions=tuple(done)))
    v1, it, forth = gain * drive, None, matrix(network, "V1>IT")
    for t in range(1, END):
        new = (gain if t >= 3 else 1) * (forth @ v1)
        v1, it = 0.5 * v1 + gain * drive, new if it is None else 0.5 * it + new
        assert_near(found["scaled", "V1"][t], v1)
        assert_near(found["scaled", "IT"][t], it)
    assert_near(v1, gain * (2 - 0.5**STEPS) * drive)


def test_a_gain_leaves_out_what_an_identity_transition_keeps(pictures):
    graph = replace(LINEAR, connections=(LINEAR.connections[0], Connection(
        "V1", "V1", transition="identity")))
    network = Network(graph, classes=3, seed=4).eval()
    found, drive = run(network, pictures, condition("x", ON, interventions=(
        do("scale", "V1", 3.0),)))
    for t in range(END):
        assert_near(found["x", "V1"][t], 3 * (t + 1) * drive)


def test_a_late_lateral_connection_keeps_what_it_kept_then(linear, pictures):
    """A gain leaves out the own state of three steps ago, which is what arrives of it."""
    done = (do("delay", "V1>V1", 3.0), do("scale", "V1", 2.0, 3), do("lesion", "IT>V1"))
    found, drive = run(linear, pictures, condition("x", ON, interventions=done))
    own, v1 = matrix(linear, "V1>V1"), []
    for t in range(END):
        before = v1[t - 3] if t >= 3 else 0 * drive
        v1.append((2 if t >= 3 else 1) * (drive + own @ before) + 0.5 * before)
        assert_near(found["x", "V1"][t], v1[t])


def test_clamps(linear, pictures):
    done = {"low": do("clamp", "IT", -0.25, 0, 4), "held": do("clamp", "V1", "hold", 2, 5),
            "empty": do("clamp", "IT", "hold", 0, 3)}
    found, drive = run(linear, pictures, *(
        condition(name, ON, interventions=(each,)) for name, each in done.items()))
    # at 0 IT is empty, and a number does not fill it
    assert set(found["low", "IT"]) == {1, 2, 3, 4, 5, 6}
    for t in (1, 2, 3):
        assert (found["low", "IT"][t] == -0.25).all()
    assert_near(found["low", "IT"][4], matrix(linear, "V1>IT") @ found["low", "V1"][3]
                + matrix(linear, "IT>IT") @ np.full((12, 2), -0.25) - 0.125)
    for t in (3, 4):
        np.testing.assert_array_equal(found["held", "V1"][t], found["held", "V1"][2])
    assert not np.array_equal(found["held", "V1"][5], found["held", "V1"][2])
    assert set(found["empty", "IT"]) == {3, 4, 5, 6}


@st.composite
def random_graphs(draw):
    """A chain of areas, further connections at random, and how long each takes."""
    count = draw(st.integers(2, 5))
    names = [f"A{k}" for k in range(count)]
    pairs = {(a, b) for a, b in zip(names, names[1:], strict=False)} | draw(st.sets(
        st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=8))
    graph = AreaGraph(tuple(Area(name, 2, 4, 4) for name in names),
                      tuple(Connection(a, b, transition="conv") for a, b in sorted(pairs)),
                      image=(1, 4, 4), readout_time=count - 1)
    return graph, {c.name: draw(st.integers(1, 4)) for c in graph.connections}


@given(random_graphs(), st.integers(0, 2))
def test_arrivals_are_shortest_paths_with_delays_added(drawn, onset):
    graph, takes = drawn
    distance = dict.fromkeys(graph.names, math.inf) | {graph.first.name: 0}
    for _ in graph.names:
        for c in graph.connections:
            distance[c.target] = min(distance[c.target], distance[c.source] + takes[c.name])
    late = condition("late", interventions=tuple(
        do("delay", name, float(count)) for name, count in takes.items()))
    end = onset + 18
    frames = [None] * onset + ["picture"] + [None] * (end - onset)
    tree = grow(graph, plan_courses(graph, [late], [frames]), [graph.names] * (end + 1))
    found = {}
    for segment in tree.segments():
        for moment in segment.moments:
            for area in moment.areas:
                found.setdefault(area, moment.index - onset)
    assert found == distance
