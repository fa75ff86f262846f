"""What is done to a network: what conditions share then, what is warned of, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cortexsim.errors import SimulationError
from cortexsim.graph import AreaGraph, Normalization
from cortexsim.models import Network, calibrate
from cortexsim.simulation import Record, simulate
from cortexsim.simulation.checks import readout_instead
from cortexsim.simulation.course import plan_courses
from cortexsim.simulation.tree import grow
from cortexsim.stimuli.datasets import to_input
from cortexsim.stimuli.movie import Movie
from cortexsim.stimuli.protocol import Intervention

from .test_tree import BASE, STEPS, assert_same, computed, condition, planned

END = STEPS + 1
WHOLE = Record(reduce="none")
ON = ("target", 0, END)
AREAS = ["V1", "V2", "IT"]


def do(kind, where, value=None, start=0, stop=END):
    return Intervention(kind, where, value, start, stop)


def of(found, name, area, what="activation"):
    """Return index to what was computed for a condition and an area, maps channels first."""
    values = found.get((str(name), f"{area}/{what}"), {})
    return {t: x.movedim(-1, 1) if x.ndim == 4 else x for t, x in values.items()}


def made(pictures, **options):
    """Return a network with statistics for any time."""
    graph = AreaGraph.chain(["V1", "V2", "IT"], channels=[3, 4, 5], sizes=[8, 4, 2],
                            image=(1, 8, 8), readout_time=4,
                            normalization=Normalization("shared"), **options)
    network = Network(graph, classes=3, seed=2)
    calibrate(network, torch.from_numpy(to_input(pictures(10).images)), 12)
    return network.eval()


@pytest.mark.parametrize("microbatch", [1, 3])
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


def test_what_is_underway_stays_with_its_branch(pictures):
    """Branches that ran side by side part while delayed connections have yet to arrive."""
    late = do("delay", "feedback", 3.0)
    brief = do("lesion", "V1>V2", None, 4, 5)
    shown = [condition("a", ("target", 0, 2), ("white_noise", 2, END), interventions=(late,)),
             condition("b", ("target", 0, 2), ("grey", 2, END), interventions=(late, brief))]
    plan = planned(made(pictures), shown, pictures(4), WHOLE)
    apart = computed(plan, plan.tree.alone(0)) | computed(plan, plan.tree.alone(1))
    assert_same(computed(plan), apart, 1e-6)


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
    (do("delay", "V2>V1", 2.5), "V2>V1 takes a whole number of steps, 1 or more, not 2.5"),
    (do("delay", "V2>V1", 0), "V2>V1 takes a whole number of steps, 1 or more, not 0"),
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


def test_statistics_are_needed_only_for_what_fires(pictures):
    network = made(pictures)
    network.graph = replace(network.graph, normalization=Normalization())
    network.statistics.shared = False  # they are those of index 0 alone
    with pytest.raises(SimulationError, match="statistics to t = 0, the protocol needs"):
        planned(network, [condition("x", ON)], pictures(2))
    silent = tuple(do("lesion", kind) for kind in ("feedforward", "feedback", "lateral"))
    found = computed(planned(network, [condition("x", ON, interventions=silent)], pictures(2)))
    assert {path for _, path in found} == {"V1/activation", "V1/rms"}


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
