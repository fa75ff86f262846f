"""Networks against what can be written down: powers, series, unrolled ResNets, sums."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cortexsim.graph import Area, AreaGraph, Connection, PreNet
from cortexsim.models import Network, calibrate


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear_network(input_mode: str, shortcut: str, gain: float = 1.0) -> Network:
    area = Area("V1", 2, 4, 4)
    graph = AreaGraph(
        (area,), (Connection("V1", "V1", "conv", shortcut=shortcut, gain=gain),), image=(2, 4, 4),
        input=input_mode, readout_time=3, pre_net=PreNet(0),
    )
    return Network(graph).double().eval()


def operator(network: Network) -> torch.Tensor:
    """The 32x32 matrix of the lateral convolution, by applying it to every basis image."""
    basis = torch.eye(32, dtype=torch.float64).view(32, 2, 4, 4)
    weight = network.weights["V1>V1:1"]
    return F.conv2d(basis, weight, padding=1).reshape(32, 32).T


@pytest.mark.parametrize(("shortcut", "gain"), [("none", 1.0), ("identity", 1.0),
                                                ("identity", 0.5)])
def test_linear_area_with_onset_input_is_a_matrix_power(shortcut, gain):
    network = linear_network("onset", shortcut, gain)
    matrix = operator(network) + (gain * torch.eye(32) if shortcut == "identity" else 0)
    x = images(3, 2, 4, 4)
    state = network.initial_state(x)
    for t in range(1, 8):
        state = network.step(state, t)
        expected = x.reshape(3, 32) @ torch.linalg.matrix_power(matrix, t).T
        torch.testing.assert_close(state["V1"].reshape(3, 32), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shortcut", ["none", "identity"])
def test_linear_area_with_sustained_input_is_the_power_series_of_appendix_b(shortcut):
    network = linear_network("sustained", shortcut)
    matrix = operator(network) + (torch.eye(32) if shortcut == "identity" else 0)
    x = images(3, 2, 4, 4)
    state = network.initial_state(x)
    for t in range(1, 8):
        state = network.step(state, t, x)
        series = sum(torch.linalg.matrix_power(matrix, k) for k in range(t + 1))
        expected = x.reshape(3, 32) @ series.T
        torch.testing.assert_close(state["V1"].reshape(3, 32), expected, rtol=1e-10, atol=1e-10)


def one_state(channels: int = 8, weights: str = "shared", steps: int = 5) -> AreaGraph:
    return AreaGraph.chain(["V1"], channels=[channels], sizes=[8], image=(3, 8, 8), input="onset",
                           readout_time=steps, weights=weights)


def test_shared_single_area_network_is_an_unrolled_resnet():
    network = Network(one_state(steps=6)).train()
    first, second = network.weights["V1>V1:1"], network.weights["V1>V1:2"]
    x = images(16, 3, 8, 8).float()
    h = F.conv2d(x, network.pre_net.weights[0], padding=1)
    for _ in range(6):
        block = F.conv2d(F.relu(F.batch_norm(h, None, None, training=True)), first, padding=1)
        block = F.conv2d(F.relu(F.batch_norm(block, None, None, training=True)), second, padding=1)
        h = h + block
    post = network.post_net
    h = F.batch_norm(h, None, None, post.scale, post.shift, training=True)
    expected = F.linear(F.relu(h).mean((2, 3)), post.weight, post.bias)
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-5)


def test_a_tied_weights_gradient_is_the_sum_over_its_copies():
    """Equation 6, over time: per-step weights start from equal copies."""
    shared, own = (Network(one_state(weights=kind), seed=3).double().train()
                   for kind in ("shared", "per-step"))
    x, y = images(8, 3, 8, 8), torch.arange(8) % 10
    torch.testing.assert_close(shared(x), own(x))
    for network in (shared, own):
        F.cross_entropy(network(x), y).backward()
    for layer in (1, 2):
        total = sum(own.weights[f"V1>V1:{layer}@{s}"].grad for s in range(1, 6))
        torch.testing.assert_close(shared.weights[f"V1>V1:{layer}"].grad, total)


def test_a_weight_tied_between_connections_gets_the_sum_of_their_gradients():
    areas = (Area("A", 4, 8, 8), Area("B", 4, 8, 8))

    def network(tie: str | None) -> Network:
        connections = (Connection("A", "B", tie=tie), Connection("B", "B", tie=tie),
                       Connection("A", "A", "identity"))
        graph = AreaGraph(areas, connections, image=(3, 8, 8), input="onset", readout_time=4)
        return Network(graph).double().train()

    tied, free = network("w"), network(None)
    assert sum(p.numel() for p in free.weights.values()) == 2 * sum(
        p.numel() for p in tied.weights.values())
    for key, weight in free.weights.items():
        weight.data.copy_(tied.weights[f"w:{key[-1]}"].data)
    x, y = images(8, 3, 8, 8), torch.arange(8) % 10
    for each in (tied, free):
        F.cross_entropy(each(x), y).backward()
    for layer in (1, 2):
        total = free.weights[f"A>B:{layer}"].grad + free.weights[f"B>B:{layer}"].grad
        torch.testing.assert_close(tied.weights[f"w:{layer}"].grad, total)


def test_calibrated_statistics_give_what_the_same_images_give_as_a_batch():
    graph = AreaGraph.chain(["V1", "V2", "IT"], channels=[4, 6, 8], sizes=[8, 4, 2],
                            image=(3, 16, 16), pre_net=PreNet(3, 5), readout_time=6)
    network = Network(graph).double()
    x = images(30, 3, 16, 16)
    calibrate(network, x, 9, batch=7)
    assert network.statistics_limit == 9
    together = network.train().scores(x, [2, 6, 9])
    frozen = network.eval().scores(x, [2, 6, 9])
    for t in (2, 6, 9):
        torch.testing.assert_close(frozen[t], together[t], rtol=1e-8, atol=1e-8)
