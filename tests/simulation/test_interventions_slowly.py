"""A tree of conditions with interventions equals a slow loop, one connection at a time."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsim.models import plain
from cortexsim.stimuli.gallery import generator
from cortexsim.stimuli.movie import Movie

from .test_interventions import AREAS, END, ON, WHOLE, do, made, of
from .test_tree import BASE, STEPS, assert_same, computed, condition, planned


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
                drawn = [generator(movie.seed, role + movie.dataset.ids[row]).standard_normal(
                    state[area].shape[1:], dtype=np.float32) for row in batch]
                state[area] = state[area] + sd * rms * torch.from_numpy(np.stack(drawn))
            if doing("lesion", t, area):
                state.pop(area, None)
        past[t] = state
        yield t, state


@pytest.fixture(scope="module")
def networks(network, pictures):
    """Return networks of several kinds."""
    rectified = made(pictures, connectivity="full", gain=0.5)
    rectified.graph = replace(rectified.graph, areas=tuple(
        replace(area, activation="relu") for area in rectified.graph.areas))
    return [network, rectified, made(pictures, input="onset", self_transitions=False),
            made(pictures, input="onset", gain=0.5)]


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
