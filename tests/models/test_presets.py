"""Every graph that comes along: as the paper has it, and ready to train, run and keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cortexsim import presets
from cortexsim.errors import GraphError
from cortexsim.graph import AreaGraph
from cortexsim.models import Network, calibrate, load, parameter_count, save
from cortexsim.simulation import simulate
from cortexsim.stimuli.datasets import Dataset
from cortexsim.stimuli.protocol import Protocol

PAPER = ["fig1-resnet", "fig4a-cortex", "fig6-1state", "fig6-2state", "fig6-3state-resnet",
         "fig7-tied-16", "fig7-tied-32", "fig9-3state-adjacent", "fig9-3state-full",
         "fig9-4state-adjacent", "fig9-4state-full", "fig10-adjacent", "fig11-plain-rnn",
         "fig13-onset", "fig13-sustained"]

#: Preset, readout time, sharing over time, parameters. Derived from the text: Liao & Poggio
#: 2016 print none that could be read.
COUNTS = [
    ("fig1-resnet", 10, "shared", 76_234),
    ("fig11-plain-rnn", 10, "shared", 76_234),
    ("fig6-1state", 10, "shared", 76_234),
    ("fig6-1state", 10, "per-step", 739_786),
    ("fig6-3state-resnet", 11, "shared", 121_018),
    ("fig6-3state-resnet", 11, "per-step", 314_554),
    ("fig6-2state", 1, "shared", 76_234),
    ("fig6-2state", 2, "shared", 223_690),
    ("fig6-2state", 3, "shared", 297_418),
    ("fig6-2state", 10, "shared", 297_418),
    ("fig6-2state", 10, "per-step", 2_656_714),
    ("fig9-3state-full", 5, "shared", 4_207_306),
    ("fig9-3state-adjacent", 5, "shared", 3_285_706),
    ("fig9-4state-full", 5, "shared", 327_586),
    ("fig9-4state-adjacent", 5, "shared", 208_930),
    ("fig7-tied-16", 11, "shared", 2_938),
    ("fig7-tied-32", 11, "shared", 10_474),
]

FLASH = Protocol.from_text("""
name: flash
ms_per_step: 10
duration_ms: 30
timeline: [{show: target, at_ms: 0, until: end}]
record: {areas: all, reduce: mean}
""")


def pictures() -> Dataset:
    values = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    return Dataset(values, np.arange(2), ["a", "b"], tuple("0123456789"), "pictures", "test")


def test_the_papers_networks_are_all_there_and_sorted_by_figure():
    assert [name for name in presets.names() if name.startswith("fig")] == PAPER
    for name in PAPER:
        graph = presets.get(name)
        assert graph.image == (3, 32, 32) and graph.weights == "shared"
        sustained = name in ("fig13-sustained", "fig4a-cortex")
        assert graph.input == ("sustained" if sustained else "onset")


@pytest.mark.parametrize(("name", "time", "weights", "count"), COUNTS)
def test_parameter_counts(name, time, weights, count):
    graph = replace(presets.get(name), readout_time=time, weights=weights)
    assert parameter_count(Network(graph)) == count


def test_64_features_tied():
    data = presets.get("fig7-tied-32").to_dict()
    data["areas"] = {area: [64, *shape[1:]] for area, shape in data["areas"].items()}
    assert parameter_count(Network(AreaGraph.from_dict(data))) == 39_370


@pytest.mark.parametrize(("name", "matrix"), [
    ("fig1-resnet", "S1       BRCx2+I"),
    ("fig11-plain-rnn", "S1       BRCx2"),
    ("fig6-2state", "S1       BRCx2+I  BRCx2\n"
                    "S2       BRCx2    BRCx2+I"),
    ("fig6-3state-resnet", "S1       BRCx2+I @1-3  Conv @4       .\n"
                           "S2       .             BRCx2+I @5-7  Conv @8\n"
                           "S3       .             .             BRCx2+I @9-11"),
    ("fig7-tied-16", "S1       BRCx2+I @1-3  MaxPool @4    .\n"
                     "S2       .             BRCx2+I @5-7  MaxPool @8\n"
                     "S3       .             .             BRCx2+I @9-11"),
    ("fig9-3state-full", "S1       BRCx2+I  BRCx2    BRCx2\n"
                         "S2       BRDx2    BRCx2+I  BRCx2\n"
                         "S3       BRDx2    BRDx2    BRCx2+I"),
    ("fig9-4state-adjacent", "S1       BRCx2+I  BRCx2    .        .\n"
                             "S2       BRDx2    BRCx2+I  BRCx2    .\n"
                             "S3       .        BRDx2    BRCx2+I  BRCx2\n"
                             "S4       .        .        BRDx2    BRCx2+I"),
    ("fig10-adjacent", "S1       .      BRCx2  .\n"
                       "S2       BRDx2  .      BRCx2\n"
                       "S3       .      BRDx2  ."),
    ("fig4a-cortex", "V1       BRCx2+I  BRCx2    BRCx2    BRCx2\n"
                     "V2       BRDx2    BRCx2+I  BRCx2    BRCx2\n"
                     "V4       BRDx2    BRDx2    BRCx2+I  BRCx2\n"
                     "IT       BRDx2    BRDx2    BRDx2    BRCx2+I"),
])
def test_matrices(name, matrix):
    assert presets.get(name).matrix().partition("\n")[2] == matrix


def test_fig10_has_parity_and_a_resnet_has_one_area_at_a_time():
    with pytest.raises(GraphError, match="empty at readout time 3; .*: 2, 4, 6, 8, 10, 12"):
        replace(presets.get("fig10-adjacent"), readout_time=3)
    history = presets.get("fig6-3state-resnet").populated(11, [True])
    areas = [sorted(now) for now in history]
    assert areas == [["S1"]] * 4 + [["S2"]] * 4 + [["S3"]] * 4


@pytest.mark.parametrize("name", presets.names())
def test_trains_simulates_saves_and_loads(name, tmp_path):
    graph = presets.get(name)
    # read as soon as it can be, which is quick and uses every area
    soon = next(time for time in graph.readout_times(graph.readout_time) if time > 0)
    graph = replace(graph, readout_time=soon)
    network = Network(graph, seed=1).train()
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 3, 32, 32, generator=generator), torch.tensor([3, 7])
    optimizer = torch.optim.SGD(network.parameters(), 1e-4)
    before = F.cross_entropy(network(x), y)
    before.backward()
    optimizer.step()
    with torch.no_grad():
        assert F.cross_entropy(network(x), y) < before

    steps = max(3, graph.readout_time)
    assert calibrate(network, x, steps) == steps
    card = {"name": name, "class_names": list("0123456789"), "data": {}}
    again = load(save(tmp_path / name, network, card)).network
    with torch.no_grad():
        scores = network(x)
        assert scores.isfinite().all() and torch.equal(scores, again(x))

    recording = simulate(again, FLASH, pictures(), out=tmp_path / "run.zarr", device="cpu",
                         microbatch=2, progress=False)
    read = recording["scores"].notnull().all(("trial", "class"))
    assert [t for t in range(4) if read[t]] == graph.readout_times(3)
