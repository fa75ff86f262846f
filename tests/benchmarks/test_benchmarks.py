"""The scripts in analysis/benchmarks: the reference is right, and what is counted is counted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cortexsim.graph import Area, AreaGraph, Connection, PreNet
from cortexsim.models import Network, calibrate, parameter_count, plain
from cortexsim.models.inference import Runner

FOLDER = Path(__file__).parents[2] / "analysis" / "benchmarks"


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    """The scripts by name, imported as they import each other."""
    names = ["common", "reference", "engine", "convolutions", "cornet", "training", "scaling",
             "scaling_plan"]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield SimpleNamespace(**{name: import_module(name) for name in names})
        for name in names:
            sys.modules.pop(name)


@pytest.mark.parametrize("mode", ["onset", "sustained"])
def test_the_reference_is_the_network(scripts, mode):
    graph = AreaGraph.chain(["A", "B", "C"], "full", channels=[3, 4, 5], sizes=[8, 4, 2],
                            image=(2, 16, 16), input=mode, gain=0.5, pre_net=PreNet(3, 4),
                            readout_time=4)
    network = Network(graph).double()
    x = torch.randn(6, 2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    calibrate(network, x, 5)
    with torch.inference_mode():
        expected = plain.run(network, x, 5)
        frames = [x if t == 0 or mode == "sustained" else None for t in range(6)]
        scores, states = scripts.reference.Reference(network).run(frames, [2, 5])
        for state, wanted in zip(states, expected, strict=True):
            assert state.keys() == wanted.keys()
            for area, activity in state.items():
                torch.testing.assert_close(torch.from_numpy(activity), wanted[area],
                                           rtol=1e-10, atol=1e-10)
        for t, values in scores.items():
            torch.testing.assert_close(torch.from_numpy(values), network.readout(expected[t], t))
    assert list(scores) == [2, 5]


def test_the_reference_refuses_what_it_does_not_cover(scripts):
    graph = AreaGraph((Area("A", 4, 8, 8),), (Connection("A", "A", "cbr"),), image=(3, 8, 8),
                      readout_time=1)
    with pytest.raises(SystemExit, match="does not cover"):
        scripts.reference.Reference(Network(replace(graph, name="x")))


def test_operations_are_those_of_the_shapes(scripts):
    """By hand, for one image; and as the meter finds them in a running network."""
    graph = AreaGraph(
        (Area("A", 2, 8, 8), Area("B", 4, 4, 4)),
        (Connection("A", "B"), Connection("B", "A", "brd"), Connection("A", "A", "identity")),
        image=(2, 8, 8), input="sustained", pre_net=PreNet(0), readout_time=2)
    # A to B by 3 channels in between, and back: stride 2 on the way in, gaps on the way out
    by_hand = 16 * 9 * (2 * 3 + 3 * 4) + 9 * (16 * 4 * 3 + 64 * 3 * 2)
    assert scripts.common.macs(graph, 2) == by_hand
    network = Network(graph)
    x = torch.randn(4, 2, 8, 8)
    calibrate(network, x, 2)
    with torch.inference_mode():
        runner = Runner(network)
        drive = runner.drive(x)
        meters = [scripts.convolutions.one_round(runner, network, x, steps) for steps in (1, 2)]
    done = [sum(meter.operations.values()) for meter in meters]
    assert done[1] - done[0] == 2 * 4 * by_hand and len(drive) == 4


def test_the_graph_like_cornet_rt(scripts):
    graph = scripts.cornet.like_cornet_rt()
    assert [area.shape for area in graph.areas[1:]] == [
        (64, 8, 8), (128, 4, 4), (256, 2, 2), (512, 1, 1)]
    populated = graph.populated(5, [True] * 6)
    assert [len(now) for now in populated] == [1, 2, 3, 4, 5, 5]
    # the paper's convolutions, a scale and a shift for each of our normalizations, 10 classes
    convolutions = 3 * 49 * 64 + 64 * 64 * 9 + sum(
        9 * (a * b + b * b) for a, b in ((64, 128), (128, 256), (256, 512)))
    normalizations = 2 * 3 * (64 + 128 + 256 + 512)
    assert parameter_count(Network(graph)) == convolutions + normalizations + 10 * 512 + 10


def test_ratios_are_of_rounds_and_results_are_written(scripts, tmp_path, capsys):
    common = scripts.common
    found = common.ratios({"plain": [4.0, 6.0, 9.0], "ours": [2.0, 2.0, 1.0]}, "plain", "x",
                          {"ours": 2.5})
    assert found["ours"] == {"median": 3.0, "lowest": 2.0, "highest": 9.0, "wanted": 2.5}
    assert "wanted 2.5" in capsys.readouterr().out
    options = common.parser("What it does.", 7).parse_args(["--out", str(tmp_path / "r.json")])
    common.finish(options, {"rounds": options.rounds})
    assert json.loads((tmp_path / "r.json").read_text()) == {"rounds": 7}


def test_scores_that_differ_give_no_ratio(scripts):
    common, engine = scripts.common, scripts.engine
    graph = AreaGraph.chain(["A", "B"], channels=[3, 4], sizes=[8, 4], image=(3, 16, 16),
                            readout_time=3)
    network, images = common.untrained(graph)
    plan = common.planned(network, images, common.shown_for(5), stimuli=6, microbatch=4)
    scores = engine.plain(engine.Reference(network), plan)()
    engine.check("x", scores, plan)
    again = engine.plain(engine.Reference(network), plan, each_readout=True)()
    np.testing.assert_allclose(again, scores, rtol=1e-5)
    with pytest.raises(SystemExit, match="x, float32: scores differ by"):
        engine.check("x", scores * 1.01, plan)


@pytest.mark.slow
def test_workers_are_timed_against_one_process(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        workers = import_module("workers")
    try:
        workers.main(SimpleNamespace(
            network="digits-leaky", protocol="flashed", trials=60, workers=2, rounds=1,
            threads=1, out=tmp_path / "times.json"))
    finally:
        for name in ("workers", "common"):
            sys.modules.pop(name)
    found = json.loads((tmp_path / "times.json").read_text())
    assert found["trials"] == 120 and set(found["seconds"]) == {
        "threads", "one", "single", "all", "share", "cold"}
    assert all(len(times) == 1 and times[0] > 0 for times in found["seconds"].values())


def test_multiply_adds_of_a_plan(scripts):
    scaling, common, size = scripts.scaling, scripts.common, (4, 32)

    def tree(protocol):
        return scaling.planned(size, protocol, 2).tree

    def fired(moment):
        return sum(common.multiply_adds(one.graph, c) for _, firing in moment.fires
                   for c in firing)

    # once all areas are populated, one more step is one of all connections
    ten, eleven = (scaling.computed(tree(common.shown_for(steps))) for steps in (10, 11))
    assert eleven - ten == common.macs(scaling.graph_of(*size), 5)
    # two conditions that differ from index 1 on share the first step, which reads index 0
    one, two = (tree(scaling.shown_then_grey(count)) for count in (1, 2))
    first = next(one.segments()).moments[1]
    assert fired(first) > 0
    assert scaling.computed(two) == 2 * scaling.computed(one) - fired(first)


def test_the_model_of_costs_finds_what_made_them(scripts):
    rows = [{"computed": steps, "multiply_adds": count, "seconds": {
        "median": 2e-3 * steps + count / 5e9}} for steps, count in (
            (5, 1e6), (10, 1e8), (40, 3e8), (20, 2e9), (10, 9e9))]
    found = scripts.scaling.fit(rows)
    assert found["seconds_a_step"] == pytest.approx(2e-3)
    assert found["multiply_adds_a_second"] == pytest.approx(5e9)
    assert found["largest_error"] < 1e-9
    rows[2]["seconds"]["median"] *= 2
    assert scripts.scaling.fit(rows)["errors"][2] == pytest.approx(-0.5)


def test_where_a_million_trials_spend_their_time(scripts, tmp_path):
    plan = scripts.scaling_plan
    found = {
        "experiment": {"conditions": 20, "size": [64, 224], "multiply_adds": 1e12,
                       "trial_bytes": dict.fromkeys(("maps, float32", "maps, float16",
                                                     "channel means, float32"), 1e6),
                       "objects_a_chunk": dict.fromkeys(("maps, float32", "maps, float16",
                                                         "channel means, float32"), 15)},
        "feeding": {"phase_scrambled, 224 px": 0.009, "target, 224 px": 0.001,
                    "JPEG of 500x375 to 224 px": 0.004, "hash, 224 px": 0.001},
        "starting": {"program": 2, "network": 1},
        "writing": dict.fromkeys(("maps, float32", "maps, float16", "channel means, float32"),
                                 {"store_bytes_a_second": 5e8}),
    }
    one, many = plan.stages(found, 1), plan.stages(found, 8)
    assert one["render pictures, one core a worker"] == pytest.approx((500, 500))
    assert one["each worker decodes and hashes all images"] == pytest.approx((250, 250))
    assert one["write maps, float32: one core a worker"] == pytest.approx((2000, 2000))
    # 10 GB/s to 1 GB/s, whoever writes; and 10^17 operations
    assert one["write maps, float32: shared storage"] == pytest.approx((100, 1000))
    assert one["compute, bf16"] == pytest.approx((1e17 / 93.6e12, 1e17 / 31.2e12))
    shrinks = {stage for stage in one if many[stage][0] < one[stage][0]}
    assert {stage for stage in one if stage not in shrinks} == {
        "start, network prepared", "each worker decodes and hashes all images",
        *(stage for stage in one if stage.endswith("shared storage"))}
    assert [plan.span(s) for s in (0.5, 89, 100, 5400, 129600)] == [
        "0.5 s", "89 s", "1.7 min", "1.5 h", "1.5 days"]
    assert [plan.size(n) for n in (12, 2.3e3, 1.66e13)] == ["12 B", "2.3 kB", "17 TB"]
