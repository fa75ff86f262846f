"""What is done to a network does what it says, by mathematics and by a slow loop."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsim.errors import SimulationError
from cortexsim.graph import Area, AreaGraph, Connection, Normalization
from cortexsim.models import Network, calibrate, plain
from cortexsim.simulation import Record, simulate
from cortexsim.simulation.checks import readout_instead
from cortexsim.simulation.course import plan_courses
from cortexsim.simulation.tree import grow
from cortexsim.simulation.walk import _generator
from cortexsim.stimuli.datasets import to_input
from cortexsim.stimuli.movie import Movie
from cortexsim.stimuli.protocol import Intervention

from .test_tree import BASE, STEPS, assert_same, computed, condition, planned

END = STEPS + 1
WHOLE = Record(reduce="none")
ON = ("target", 0, END)


def do(kind, where, value=None, start=0, stop=END):
    return Intervention(kind, where, value, start, stop)


def of(found, name, area, what="activation"):
    """Return index to what was computed for a condition and an area, maps channels first."""
    values = found.get((str(name), f"{area}/{what}"), {})
    return {t: x.movedim(-1, 1) if x.ndim == 4 else x for t, x in values.items()}


# --- against a slow loop -----------------------------------------------------------------


class Only:
    """A graph or a network with one connection, whose areas have no activation."""

    def __init__(self, whole, connection):
        self.whole, self.connections = whole, (connection,)
        if hasattr(whole, "graph"):
            self.graph = Only(whole.graph, connection)

    def area(self, name):
        return replace(self.whole.area(name), activation="none")

    def __getattr__(self, name):
        return getattr(self.whole, name)


def slowly(network, condition, movie, batch):
    """Yield index and state, one connection at a time, nothing left out."""
    graph, clock, state, underway, past = network.graph, None, {}, defaultdict(list), {}

    def doing(kind, t, *places):
        return [one for one in condition.interventions
                if one.kind == kind and one.where in places and one.start <= t < one.stop]

    for t in range(STEPS + 1):
        frame = movie.frame(condition, t, batch)
        if clock is None and frame is None:
            continue
        clock = t if clock is None else clock
        for c in graph.connections:
            names = (c.name, *graph.kinds(c))
            if c.source not in state or not c.active(t - clock) or doing("lesion", t - 1, *names):
                continue
            x = plain.step(Only(network, c), state, t - clock)[c.target]
            own = c.gain * state[c.source] if c.source == c.target else 0 * x
            if c.shortcut != "identity":
                own = 0 * x
            late = [int(one.value) - 1 for one in doing("delay", 0, *names)]
            underway[t + sum(late)].append((c.target, x, own))
        if frame is not None:
            drive = network.drive(torch.from_numpy(frame))
            underway[t].append((graph.first.name, drive, 0 * drive))
        state = {}
        for area in graph.names:
            coming = [(x, own) for target, x, own in underway[t] if target == area]
            if coming:
                x, own = (sum(each) for each in zip(*coming, strict=True))
                for one in doing("scale", t, area, "all"):
                    x = one.value * (x - own) + own
                x = x.relu() if graph.area(area).activation == "relu" else x
                state[area] = x
            clamps = [one for one in doing("clamp", t, area, "all")
                      if one.value != "hold" or t > one.start]
            for one in clamps[-1:]:
                if one.value != "hold" and area in state:
                    state[area] = torch.full_like(state[area], one.value)
                elif one.value == "hold":
                    held = past.get(one.start, {})
                    state = {a: x for a, x in state.items() if a != area}
                    state |= {area: held[area]} if area in held else {}
            if area in state:
                sd = math.hypot(*(one.value for one in doing("noise", t, area, "all")))
                rms = state[area].square().mean((1, 2, 3), keepdim=True).sqrt()
                role = f"noise\n{area}\n{t}\n{condition.repeat}\n"
                drawn = [_generator(movie.seed, role + movie.dataset.ids[row]).standard_normal(
                    state[area].shape[1:], dtype=np.float32) for row in batch]
                state[area] = state[area] + sd * rms * torch.from_numpy(np.stack(drawn))
            if doing("lesion", t, area):
                state.pop(area, None)
        past[t] = state
        yield t, state


def made(pictures, **options):
    """Return a network with statistics for any time."""
    graph = AreaGraph.chain(["V1", "V2", "IT"], channels=[3, 4, 5], sizes=[8, 4, 2],
                            image=(1, 8, 8), readout_time=4,
                            normalization=Normalization("shared"), **options)
    network = Network(graph, classes=3, seed=2)
    calibrate(network, torch.from_numpy(to_input(pictures(10).images)), 12)
    return network.eval()


@pytest.fixture(scope="module")
def networks(network, pictures):
    """Return networks of several kinds."""
    rectified = made(pictures, connectivity="full", gain=0.5)
    rectified.graph = replace(rectified.graph, areas=tuple(
        replace(area, activation="relu") for area in rectified.graph.areas))
    return [network, rectified, made(pictures, input="onset", self_transitions=False),
            made(pictures, input="onset", gain=0.5)]


AREAS = ["V1", "V2", "IT"]
CONNECTIONS = ["V1>V2", "V2>V1", "V2>IT", "IT>V2", "feedforward", "feedback"]


@st.composite
def interventions(draw):
    """One to four of them; no connection is delayed twice."""
    found, late = [], False
    for kind in draw(st.lists(st.sampled_from(["lesion", "noise", "clamp", "scale", "delay"]),
                              min_size=1, max_size=4)):
        start = draw(st.integers(0, STEPS))
        stop = draw(st.sampled_from([start + 1, start + 3, END]))
        area = draw(st.sampled_from([*AREAS, "all"]))
        if kind == "lesion":
            where, value = draw(st.sampled_from([*AREAS, *CONNECTIONS])), None
        elif kind == "delay":
            if late:
                continue
            late, start, stop = True, 0, END
            where, value = draw(st.sampled_from(CONNECTIONS)), float(draw(st.integers(1, 4)))
        else:
            values = {"noise": [0.0, 0.2], "scale": [0.0, 1.5], "clamp": [0.0, 0.3, "hold"]}
            where, value = area, draw(st.sampled_from(values[kind]))
        found.append(do(kind, where, value, start, stop))
    return tuple(found)


@pytest.mark.filterwarnings("ignore:conditions .* are the same")
@settings(max_examples=30)
@given(st.integers(0, 3), st.lists(interventions(), min_size=1, max_size=3), st.integers(0, 2),
       st.integers(1, 2))
def test_a_tree_equals_a_slow_loop(networks, pictures, number, done, onset, repeat):
    network, batch = networks[number], [0, 1]
    conditions = [condition(k, ("target", onset, 3), ("grey", 4, END), interventions=each,
                            repeat=repeat) for k, each in enumerate([(), *done])]
    plan = planned(network, conditions, pictures(2), WHOLE)
    found, movie = computed(plan), Movie(BASE, pictures(2), 0, network.graph.input)
    with torch.no_grad():
        for one in conditions:
            for t, state in slowly(network, one, movie, batch):
                for area in AREAS:
                    values = of(found, one.name, area)
                    assert (t in values) == (area in state), (area, t)
                    if area in state:
                        torch.testing.assert_close(values[t], state[area], rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:conditions .* are the same")
@settings(max_examples=15)
@given(st.integers(0, 3), st.lists(interventions(), min_size=2, max_size=4))
def test_conditions_that_share_are_as_if_alone(networks, pictures, number, done):
    conditions = [condition(k, ON, interventions=each) for k, each in enumerate(done)]
    plan = planned(networks[number], conditions, pictures(2), WHOLE)
    apart = {}
    for k in range(len(conditions)):
        apart |= computed(plan, plan.tree.alone(k))
    # where one branch lacks what a lesion keeps out, the others are joined with more
    assert_same(computed(plan), apart, 1e-6)


# --- against mathematics -----------------------------------------------------------------


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


# --- noise -------------------------------------------------------------------------------


def test_noise_has_the_size_it_says_and_is_independent(network, pictures):
    shown = [condition("none", ON), condition("some", ON, interventions=(
        do("noise", "all", 0.3), do("noise", "V1", 0.4)))]
    plan = planned(network, shown, pictures(60), WHOLE, microbatch=60)
    found = computed(plan)
    x, noisy = of(found, "none", "V1")[0], of(found, "some", "V1")[0]
    rms = x.square().mean((1, 2, 3), keepdim=True).sqrt()
    draws = ((noisy - x) / rms / 0.5).flatten(1)  # variances add: 0.3, 0.4, 0.5
    count = draws.numel()
    assert abs(draws.mean()) < 4 / count**0.5 and abs(draws.std() - 1) < 4 / (2 * count) ** 0.5
    assert abs(draws.pow(4).mean() - 3) < 4 * (96 / count) ** 0.5
    among = torch.corrcoef(draws) - torch.eye(60)
    assert among.abs().max() < 5 / draws.shape[1] ** 0.5
    # at the next index it is drawn anew
    later = of(found, "some", "V1")[1] - of(found, "none", "V1")[1]
    both = torch.corrcoef(torch.stack([later.flatten(), (noisy - x).flatten()]))
    assert both[0, 1] < 0.9


def test_levels_of_noise_are_the_same_draws_and_repeats_others(network, pictures):
    shown = [condition("none", ON), *(
        condition(f"{sd} {repeat}", ON, interventions=(do("noise", "V1", sd, 0, 1),),
                  repeat=repeat) for sd in (0.1, 0.2) for repeat in (1, 2))]
    found = computed(planned(network, shown, pictures(3), WHOLE))
    noise = {name: of(found, name, "V1")[0] - of(found, "none", "V1")[0]
             for name in ("0.1 1", "0.2 1", "0.1 2")}
    torch.testing.assert_close(2 * noise["0.1 1"], noise["0.2 1"], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(noise["0.1 1"], noise["0.1 2"], rtol=0.5)
    other = computed(planned(network, shown, pictures(3), WHOLE, seed=1))
    assert not torch.equal(of(other, "0.1 1", "V1")[0], of(found, "0.1 1", "V1")[0])


@pytest.mark.parametrize("microbatch", [1, 2, 3])
def test_a_trial_is_the_same_in_any_batch(network, pictures, tmp_path, microbatch):
    done = (do("noise", "all", 0.2), do("scale", "V2", 1.5, 2), do("delay", "feedback", 2.0),
            do("clamp", "IT", "hold", 3, 5), do("lesion", "V2", None, 5, 6))
    protocol = replace(BASE, conditions=(
        condition("a", ON), condition("b", ON, interventions=done),
        condition("c", ON, interventions=done, repeat=2)))
    trees = [simulate(network, protocol, pictures(6), out=tmp_path / f"{size}.zarr", record=WHOLE,
                      microbatch=size) for size in (6, microbatch)]
    for path in ("scores", *(f"{a}/{x}" for a in AREAS for x in trees[0][a].data_vars)):
        np.testing.assert_array_equal(trees[0][path].values, trees[1][path].values)
    assert not trees[0]["V2/populated"].values[1::3, 5].any()


# --- what is shared, what is warned of, what is refused --------------------------------------


def test_what_cannot_act_keeps_no_conditions_apart(network, pictures):
    idle = [do("noise", "IT", 0.1, 0, 1), do("scale", "V1", 1.0), do("noise", "V1", 0.0),
            do("lesion", "IT", None, 0, 2), do("lesion", "IT>V2", None, 0, 2),
            do("clamp", "IT", 3.0, 0, 1), do("delay", "V1>V2", 1.0)]
    shown = [condition("plain", ON), *(
        condition(k, ON, interventions=(each,)) for k, each in enumerate(idle[:3]))]
    with pytest.warns(UserWarning, match=r"'plain' and '0' are the same \(2 more .*does not act"):
        plan = planned(network, shown, pictures(2))
    assert plan.tree.steps == STEPS
    graph = AreaGraph.chain(["V1", "V2", "IT"])
    shown = [condition(k, interventions=(each,)) for k, each in enumerate(idle)]
    courses = plan_courses(graph, shown, [["x"] * END] * len(idle))
    assert grow(graph, courses, [graph.names] * END).steps == STEPS


def test_a_lesion_parts_conditions_where_it_begins(network, pictures):
    shown = [condition(k, ON, interventions=(do("lesion", "feedback", None, k),))
             for k in (2, 4, 9)]
    tree = planned(network, shown, pictures(2)).tree
    # silent from 2: the step from 2 to 3 is the first that differs
    assert [(s.conditions, s.start, s.stop) for s in tree.segments()] == [
        ((0, 1, 2), 0, 3), ((0,), 3, 7), ((1, 2), 3, 5), ((1,), 5, 7), ((2,), 5, 7)]
    assert tree.steps == 2 + 4 + 2 + 2 + 2


def test_nothing_leads_into_an_area_that_is_silenced_or_set(network, pictures):
    for done in (do("lesion", "IT"), do("clamp", "IT", 0.0)):
        plan = planned(network, [condition("x", ON, interventions=(done,))], pictures(2))
        fired = {c.target for s in plan.tree.segments() for m in s.moments
                 for _, firing in m.fires for c in firing}
        assert fired == {"V1", "V2"}


@pytest.mark.parametrize("shown, reason", [
    ([condition(k, ("target", 0, k)) for k in (1, 2, 3)],
     "conditions '1' and '2' are the same (1 more are the same as others, too): this network "
     "takes each picture's onset only, so how long it is on cannot matter"),
    ([condition("a", ("target", 0, 1), repeat=k) for k in (1, 2)],
     "conditions 'a' and 'a' are the same: nothing random is in these repeats"),
])
def test_conditions_that_are_one_are_named(onset_network, pictures, shown, reason, monkeypatch):
    # whatever movies make of repeats: here nothing is random
    monkeypatch.setattr(Movie, "frame_key", lambda self, one, t: next(
        (p.picture for p in one.presentations if p.start == t), None))
    with pytest.warns(UserWarning) as warned:
        planned(onset_network, shown, pictures(2))
    assert [str(one.message) for one in warned] == [reason]


def test_no_word_about_conditions_that_the_protocol_makes_alike(network, pictures):
    shown = [condition("no mask, 1", ON), condition("no mask, 2", ON), condition("catch 1"),
             condition("catch 2"), condition("masked", ("target", 0, 1), ("grey", 1, 3))]
    assert planned(network, shown, pictures(2)).tree.steps == 2 * STEPS - 1


@pytest.mark.parametrize("done, message", [
    (do("lesion", "V4"), "unknown area or connection 'V4'; did you mean 'V2'"),
    (do("lesion", "V2>V4"), "unknown area or connection 'V2>V4'"),
    (do("delay", "V1", 2.0), "unknown connection 'V1'.* known: V1>V1, V1>V2"),
    (do("lesion", "bypass"), "this network has no bypass connections"),
    (do("delay", "bypass", 2.0), "this network has no bypass connections"),
    (do("noise", "V1>V2", 0.1), "unknown area 'V1>V2'.* known: V1, V2, IT, all"),
    (do("clamp", "V9", 0.0), "unknown area 'V9'"), (do("scale", "v1", 2.0), "unknown area 'v1'"),
    (do("lesions", "V1"), "unknown intervention 'lesions'; did you mean 'lesion'"),
    (do("scale", "V1", None), "scale of V1 needs a number, got None"),
    (do("noise", "V1", "much"), "noise of V1 needs a number, got 'much'"),
])
def test_what_the_network_has_not(pictures, tmp_path, done, message):
    placed = replace(done, where_in_file="x.yaml:7")
    protocol = replace(BASE, conditions=(condition("x", ON, interventions=(placed,)),))
    with pytest.raises(SimulationError, match=f"^x.yaml:7: {message}"):
        simulate(made(pictures), protocol, pictures(2), out=tmp_path / "x.zarr")
    assert list(tmp_path.iterdir()) == []


def test_a_delay_given_twice(network, pictures):
    twice = (do("delay", "feedback", 2.0), do("delay", "V2>V1", 2.0))
    with pytest.raises(SimulationError, match="the delay of V2>V1 is given twice"):
        planned(network, [condition("x", ON, interventions=twice)], pictures(2))


def test_nothing_reaches_the_readout(network, pictures, tmp_path):
    cut = condition("cut", ON, interventions=(do("lesion", "feedforward"), do("lesion", "bypass")))
    nothing = condition("nothing")
    protocol = replace(BASE, conditions=(condition("whole", ON), cut, nothing), readout_index=4)
    assert readout_instead(network.graph, protocol, "x") is None
    tree = simulate(network, protocol, pictures(2), out=tmp_path / "x.zarr")
    missing = np.isnan(tree["scores"].values).all(2)
    assert missing[[1, 2, 4, 5]].all() and not missing[[0, 3], 1:].any()
    assert tree["V1/populated"].values[1].all() and not tree["V1/populated"].values[2].any()
    with pytest.raises(SimulationError, match="nothing is in IT .* make the trial longer"):
        readout_instead(network.graph, replace(protocol, conditions=(cut, nothing)), "x")
    brief = condition("brief", ON, interventions=(do("lesion", "IT", None, 4),))
    with pytest.warns(UserWarning, match="it is read at 30 ms"):
        assert readout_instead(network.graph, replace(protocol, conditions=(brief,)), "x") == 30


def test_activity_where_calibration_finds_none(pictures):
    """Without self-transitions, onset input leaves V1 empty at odd indices; a hold fills it."""
    graph = AreaGraph.chain(["V1", "V2", "IT"], channels=[2, 3, 4], sizes=[8, 4, 2],
                            image=(1, 8, 8), readout_time=2, input="onset",
                            self_transitions=False)
    network = Network(graph, classes=3)
    calibrate(network, torch.from_numpy(to_input(pictures(4).images)), 12)
    held = condition("held", ON, interventions=(do("clamp", "V1", "hold", 0, 3),))
    with pytest.raises(SimulationError, match="the delays or clamps let activity be in V1 at "
                                              "t = 1.*; use --beyond last"):
        planned(network.eval(), [held], pictures(2))
    network.beyond = "last"
    computed(planned(network, [held], pictures(2)))
