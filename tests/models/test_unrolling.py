"""Networks as feed-forward modules: the same outputs and gradients, without a loop."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cortexsim import presets
from cortexsim.errors import CheckpointError, GraphError
from cortexsim.graph import Area, AreaGraph, Connection
from cortexsim.models import Network, PreActResNet, calibrate, fold, unroll

from .test_network import images, networks


def gradients(scores: Tensor, *inputs: Tensor) -> list[Tensor | None]:
    loss = F.cross_entropy(scores, torch.arange(len(scores)) % scores.shape[1])
    return list(torch.autograd.grad(loss, inputs, allow_unused=True))


def agree(ours: list[Tensor | None], theirs: list[Tensor | None]) -> None:
    # where a gradient is zero by its nature, what is left of it is rounding
    largest = max(float(g.abs().max()) for g in theirs if g is not None)
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10 * largest)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.booleans(), st.data())
def test_outputs_and_gradients_are_equal(network, training, data):
    time = data.draw(st.sampled_from(network.graph.readout_times(4)))
    if not training:
        calibrate(network, images(6, seed=1), 4)
    unrolled = unroll(network.train(training), time)
    assert unrolled.training == training
    x, parameters = images(4).requires_grad_(), list(network.parameters())
    assert set(map(id, unrolled.parameters())) <= set(map(id, parameters))
    ours, theirs = unrolled(x), network.scores(x, [time])[time]
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    agree(gradients(ours, x, *parameters), gradients(theirs, x, *parameters))


@pytest.mark.parametrize("name", [name for name in presets.names() if name.startswith("fig")])
def test_presets(name):
    graph = presets.get(name)
    network = narrow(graph)
    calibrate(network, pictures(4, seed=1), graph.readout_time)
    x = pictures(2)
    with torch.no_grad():
        torch.testing.assert_close(unroll(network)(x), network(x), rtol=1e-10, atol=1e-10)


def narrow(graph: AreaGraph, **options) -> Network:
    """A network with an eighth of the channels."""
    areas = tuple(replace(area, channels=area.channels // 8) for area in graph.areas)
    return Network(replace(graph, areas=areas, **options), seed=1).double()


def pictures(count: int, seed: int = 0) -> Tensor:
    return images(count, channels=3, size=32, seed=seed)


def kinds(module: nn.Module) -> Counter[type]:
    return Counter(type(part) for part in module.modules())


def test_the_3_state_resnet_is_a_resnet():
    network = narrow(presets.get("fig6-3state-resnet"), weights="per-step").train()
    unrolled = unroll(network)
    found = kinds(unrolled)
    blocks, changes = 3 * 3, 2
    assert found[nn.Conv2d] == 1 + 2 * blocks + changes
    assert found[nn.BatchNorm2d] == found[nn.ReLU] == 2 * blocks + 1
    assert found[nn.Identity] == blocks and found[nn.Linear] == 1
    names = [name for name, _ in unrolled.named_children()]
    assert names[:5] == ["pre_net", *(f"S1_to_S1_at_{s}" for s in (1, 2, 3)), "S1_to_S2_at_4"]
    assert names[-2:] == ["S3_to_S3_at_11", "post_net"] and len(names) == 11 + 2
    assert "for " not in unrolled.code and "+" not in unrolled.code
    weights = [part.weight for part in unrolled.modules() if isinstance(part, nn.Conv2d)]
    assert len(set(map(id, weights))) == len(weights)  # each layer has its own
    assert sum(p.numel() for p in unrolled.parameters()) == sum(
        p.numel() for p in network.parameters())


def test_a_tied_weight_is_one_parameter():
    unrolled = unroll(narrow(presets.get("fig7-tied-16")).train())
    weights = {id(part.weight) for part in unrolled.modules() if isinstance(part, nn.Conv2d)}
    assert len(weights) == 2  # and the pre-net's


def chain(**options) -> Network:
    graph = AreaGraph.chain(["V1", "V2"], "full", channels=[4, 6], sizes=[8, 4], image=(2, 8, 8),
                            **{"readout_time": 3, **options})
    return Network(graph, seed=2).double()


def test_copies_learn_apart_and_their_gradients_sum_to_the_networks():
    network = chain().train()
    before = copy.deepcopy(network.state_dict())
    apart, x = unroll(network, copy=True), images(4)
    convolutions = [part for part in apart.modules() if isinstance(part, nn.Conv2d)]
    assert not set(map(id, apart.parameters())) & set(map(id, network.parameters()))
    assert len({id(part.weight) for part in convolutions}) == len(convolutions)
    F.cross_entropy(apart(x), torch.arange(4)).backward()
    own = gradients(network(x), network.weights["V1>V1:1"])[0]
    parts = [apart.get_submodule(f"V1_to_V1_at_{s}.transition.2").weight.grad for s in (1, 2)]
    torch.testing.assert_close(sum(parts), own, rtol=1e-10, atol=1e-10)
    torch.optim.SGD(apart.parameters(), 0.1).step()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not torch.allclose(apart(x), network(x))


def test_statistics_stay_but_those_of_copies_follow_the_batches():
    network, x = chain(), images(4)
    calibrate(network, images(8, seed=1), 3)
    for apart in (False, True):
        unrolled = unroll(network, copy=apart)
        before = unrolled(x)
        unrolled.train()(x + 1)
        assert torch.equal(unrolled.eval()(x), before) != apart


def test_unrolling_draws_no_random_numbers_and_can_be_stored(tmp_path):
    network = chain(input="onset").train()
    before = torch.get_rng_state()
    unrolled = unroll(network)
    assert torch.equal(torch.get_rng_state(), before)
    torch.save(unrolled.state_dict(), tmp_path / "weights.pt")
    other = unroll(chain(input="onset").train(), copy=True)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(images(4)), unrolled(images(4)))


def test_names_that_differ_only_in_signs_stay_apart():
    shape = (3, 4, 4)
    areas = tuple(Area(name, *shape) for name in ("V-1", "V_1", "V1"))
    links = [("V-1", "V_1"), ("V_1", "V1"), ("V-1", "V-1"), ("V_1", "V_1")]
    graph = AreaGraph(areas, tuple(Connection(*link) for link in links), image=(2, 4, 4),
                      input="onset", readout_time=4)
    network = Network(graph).double().train()
    x = images(3, size=4)
    torch.testing.assert_close(unroll(network)(x), network(x), rtol=1e-10, atol=1e-10)


def test_times_that_cannot_be_unrolled():
    network = chain(input="onset", self_transitions=False)
    with pytest.raises(GraphError, match="'V2' is empty at readout time 2; .* 1, 3, 5, 7, 9, 11"):
        unroll(network, 2)
    with pytest.raises(CheckpointError, match="no normalization statistics"):
        unroll(network.eval())
    calibrate(network, images(8), 3)
    assert unroll(network)(images(2)).shape == (2, 10)
    with pytest.raises(CheckpointError, match="V2>V1:2 at index 4 .*up to 2"):
        unroll(network, 5)
    network.beyond = "last"
    torch.testing.assert_close(unroll(network, 5)(images(2)), network.scores(images(2), [5])[5])
    with pytest.raises(CheckpointError, match="trained to step 3: step 4 has none"):
        unroll(chain(weights="per-step").train(), 4)


@pytest.mark.parametrize("name", ["resnet18", "preact"])
def test_a_folded_resnet_unrolls_to_itself(name):
    torch.manual_seed(0)
    if name == "resnet18":
        from torchvision.models import resnet18

        original = resnet18(num_classes=5).double()
    else:
        original = PreActResNet((2, 2, 2), (4, 8, 12), 5).double()
    x = pictures(2)
    original.train()(pictures(8, seed=1))  # statistics of its own
    original.eval()
    unrolled = unroll(fold(original))
    with torch.no_grad():
        torch.testing.assert_close(unrolled(x), original(x), rtol=1e-10, atol=1e-10)
    ours, theirs = kinds(unrolled), kinds(original)
    # a pre-activation projection has a normalization of its own, with the same numbers
    twice = 0 if name == "resnet18" else 2
    assert ours[nn.BatchNorm2d] == theirs[nn.BatchNorm2d] + twice
    for kind in (nn.Conv2d, nn.Linear, nn.MaxPool2d):
        assert ours[kind] == theirs[kind]
    count = sum(p.numel() for p in original.parameters())
    assert sum(p.numel() for p in unrolled.parameters()) == count
    ours, theirs = unrolled.train(), original.train()
    ours = gradients(ours(x), next(ours.get_submodule("pre_net").parameters()))
    agree(ours, gradients(theirs(x), original.conv1.weight))
