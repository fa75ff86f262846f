"""The paper's networks at both scales."""

from __future__ import annotations

import pytest

from cortexsim import presets
from cortexsim.models import Network, parameter_count
from cortexsim.training import recipes, sweep

#: By hand: 3x3 convolutions without bias, an affine post-net, only what reaches the readout.
PARAMETERS = {
    "1state-shared": 76_234, "1state-per-step": 739_786, "plain-rnn": 76_234,
    "3resnet-shared": 121_018, "3resnet-per-step": 314_554,
    "2state-shared": 297_418, "2state-per-step": 2_656_714,
    "2state-T1": 76_234, "2state-T2": 223_690, "2state-T5": 297_418,
    "tied-16": 2_938, "tied-32": 10_474,
    "3state-full": 4_207_306, "3state-adjacent": 3_285_706,
    "4state-full": 327_586, "4state-adjacent": 208_930,
}


def test_the_full_scale_is_the_papers(paper):
    full = paper.configurations.build("full")
    counted = {name: parameter_count(Network(full[name].graph)) for name in PARAMETERS}
    assert counted == PARAMETERS
    known = {presets.get(name).sha256 for name in presets.names()}
    for name in ("1state-shared", "2state-shared", "3resnet-shared", "adjacent-T10", "plain-rnn"):
        assert full[name].graph.sha256 in known
    for name, configuration in full.items():
        settings = configuration.settings
        assert (settings.recipe, settings.precision, settings.compile) == ("paper", "bf16", True)
        assert settings.batch_size is None and recipes.get("paper").batch_size == 64
        assert settings.epochs == (120 if name.startswith("tied") else None)
        assert settings.images is None


def test_the_small_scale_halves_the_maps_and_nothing_else_but_widths(paper):
    small, full = paper.configurations.build("small"), paper.configurations.build("full")
    assert small.keys() - full.keys() == {"3resnet-narrow"} and not full.keys() - small.keys()
    for name in full:
        one, other = small[name].graph, full[name].graph
        assert [2 * a.height for a in one.areas] == [a.height for a in other.areas]
        # nothing to widen, nothing to narrow: then they are the same
        assert one.connections == other.connections
        assert (one.input, one.weights, one.readout_time, one.pre_net, one.normalization) == (
            other.input, other.weights, other.readout_time, other.pre_net, other.normalization)
        assert one.pre_net_stride == (2, 2)
    sweep.check(list(small.values()))
    assert len({c.settings for c in small.values()}) == 1


def test_networks_that_are_compared_differ_in_one_thing(paper):
    from dataclasses import replace

    for scale in paper.configurations.SCALES:
        found = {name: c.graph for name, c in paper.configurations.build(scale).items()}
        same = [
            ("1state-shared", "1state-per-step", {"weights": "per-step"}),
            ("2state-shared", "2state-per-step", {"weights": "per-step"}),
            ("1state-shared", "1state-sustained", {"input": "sustained"}),
            ("3state-onset", "3state-sustained", {"input": "sustained"}),
            ("3state-onset", "3state-full", {"pre_net": found["3state-full"].pre_net}),
            ("3state-full", "3state-adjacent", {
                "connections": found["3state-adjacent"].connections}),
            ("1state-shared", "plain-rnn", {"connections": found["plain-rnn"].connections}),
        ]
        for one, other, change in same:
            assert replace(found[one], **change).sha256 == found[other].sha256, (one, other)
        gains = {c.gain for c in found["3state-leaky"].connections if c.shortcut == "identity"}
        assert gains == {0.5}


@pytest.mark.parametrize("scale", ["small", "full"])
def test_every_experiment_trains_what_there_is(paper, scale):
    built = paper.configurations.build(scale)
    trained = {name for e in paper.everything.EXPERIMENTS for name in e.trained}
    assert trained - {"3resnet-narrow"} == built.keys() - {"3resnet-narrow"}
