"""A folded ResNet does what the ResNet does: outputs, gradients, any size; and what cannot be."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from cortexsim.errors import GraphError
from cortexsim.graph import Area, AreaGraph, Connection
from cortexsim.models import Network, PreActResNet, calibrate, fold, load, save


def stirred(resnet: nn.Module, seed: int = 0) -> nn.Module:
    """Give normalizations statistics, scales and shifts as after a training."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in resnet.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.running_mean, module.bias):
                    tensor.copy_(0.2 * torch.randn(tensor.shape, generator=random))
                for tensor in (module.running_var, module.weight):
                    tensor.copy_(0.5 + torch.rand(tensor.shape, generator=random))
    return resnet.eval()


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    one, other = one.detach(), other.detach()
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize(("make", "steps", "size"), [
    (lambda: torchvision.models.resnet18(num_classes=7), 8, (97, 65)),
    (torchvision.models.resnet34, 16, (64, 64)),
    (torchvision.models.resnet50, 16, (65, 33)),
    (lambda: PreActResNet((3, 3, 3)), 9, (32, 32)),
    (lambda: PreActResNet((1, 2), (8, 12), image_channels=1), 3, (21, 30)),
], ids=["18", "34", "50", "preact-20", "preact-small"])
def test_a_folded_resnet_equals_the_resnet(make, steps, size):
    resnet = stirred(make())
    network = fold(resnet)
    channels = network.graph.image[0]
    assert network.graph.readout_time == steps
    x = images(2, channels, *size)
    with torch.no_grad():
        assert relative(network(x), resnet(x)) < 1e-4
    assert sum(p.numel() for p in network.parameters()) == sum(
        p.numel() for p in resnet.parameters())


@pytest.mark.parametrize("make", [torchvision.models.resnet18, PreActResNet])
def test_so_do_its_gradients_in_training(make):
    resnet = stirred(make())
    network = fold(resnet)
    x = images(3, 3, 32, 32)
    for module in (resnet, network):
        module.train()
    one, other = network(x), resnet(x)
    assert relative(one, other) < 1e-4
    for scores in (one, other):
        scores.square().sum().backward()
    mine, theirs = ([p.grad for p in m.parameters()] for m in (network, resnet))
    assert relative(network.pre_net.weights[0].grad, resnet.conv1.weight.grad) < 1e-3
    assert sum(g.double().square().sum() for g in mine) == pytest.approx(
        float(sum(g.double().square().sum() for g in theirs)), rel=1e-3)


def test_areas_are_stages_and_blocks_are_steps():
    graph = fold(torchvision.models.resnet50()).graph
    assert graph.names == ("stem", "layer1", "layer2", "layer3", "layer4")
    assert [graph.arrival(name) for name in graph.names] == [0, 1, 4, 8, 14]
    assert graph.readout_times(30) == [14, 15, 16]
    assert [a.height for a in graph.for_image(225, 225).areas] == [57, 57, 29, 15, 8]
    assert AreaGraph.from_text(graph.to_yaml()) == graph
    assert "CBRx3+Projection @4" in graph.matrix()


def test_each_area_holds_what_its_stage_puts_out():
    resnet = stirred(torchvision.models.resnet18())
    network, seen = fold(resnet), {}
    for name in ("layer1", "layer2", "layer3", "layer4"):
        getattr(resnet, name).register_forward_hook(
            lambda module, args, out, name=name: seen.setdefault(name, out))
    x = images(2, 3, 40, 40)
    with torch.no_grad():
        resnet(x)
        state = network.initial_state(x)
        for s in range(1, 9):
            state = network.step(state, s)
            (area, activity), = state.items()  # one at a time: a ResNet is a wave
            if s % 2 == 0:
                assert area == f"layer{s // 2}"
                assert relative(activity, seen[area]) < 1e-4


def test_a_folded_resnet_is_saved_and_loaded(tmp_path):
    network = fold(stirred(PreActResNet((1, 1), (4, 8))), name="small")
    save(tmp_path / "small", network, {"name": "small", "data": {},
                                       "class_names": list("0123456789")})
    x = images(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "small").network(x), network(x))


def test_pixels_can_come_in_our_range():
    resnet, mean, std = stirred(PreActResNet((1,), (4,))), (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    network = fold(resnet, mean=mean, std=std)
    pixels = torch.rand(2, 3, 8, 8)
    theirs = torchvision.transforms.functional.normalize(pixels, mean, std)
    with torch.no_grad():
        assert relative(network((pixels - 0.5) / 0.25), resnet(theirs)) < 1e-4


class Other(torchvision.models.ResNet):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1


def _with_dropout() -> nn.Module:
    resnet = torchvision.models.resnet18()
    resnet.fc = nn.Sequential(nn.Dropout(), nn.Linear(512, 10))
    return resnet


def _with_gelu() -> nn.Module:
    resnet = torchvision.models.resnet18()
    resnet.layer2[1].relu = nn.GELU()
    return resnet


@pytest.mark.parametrize(("make", "message"), [
    (torchvision.models.resnext50_32x4d, r"'layer1\.0\.conv2' has groups 32; .* has 1"),
    (lambda: torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True]),
     r"'layer3\.1\.conv2' has dilation \(2, 2\)"),
    (lambda: torchvision.models.resnet18(norm_layer=lambda n: nn.GroupNorm(8, n)),
     r"must be a convolution and a batch normalization"),
    (_with_dropout, "'fc' is a Sequential"),
    (_with_gelu, r"'layer2\.1\.relu' must be ReLU"),
    (lambda: Other(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1]), "cannot fold a Other"),
    (lambda: nn.Linear(3, 4), "cannot fold a Linear, only torchvision's ResNet"),
])
def test_what_cannot_be_folded_is_named(make, message):
    with pytest.raises(GraphError, match=message):
        fold(make())


def test_sizes_are_free_only_where_all_are():
    network = fold(PreActResNet((1, 1), (4, 8)))
    assert isinstance(network, Network)
    graph = network.graph
    with pytest.raises(GraphError, match="has no fixed size and the image has one"):
        AreaGraph(graph.areas, graph.connections, image=(3, 8, 8), input="onset", readout_time=2)
    with pytest.raises(GraphError, match="takes images of 8x8, not 9x9"):
        graph.for_image(8, 8).for_image(9, 9)
    with pytest.raises(GraphError, match=r"takes images of shape \[3\] .* got \[1, 8, 8\]"):
        network(images(2, 1, 8, 8))


def free(*connections: Connection, areas: str = "AB", **options) -> AreaGraph:
    return AreaGraph(tuple(Area(name, 4) for name in areas), connections, image=(3,),
                     **{"readout_time": 2} | options)


@pytest.mark.parametrize("graph", [
    # a stride that leaves gaps between the windows of its kernel
    free(Connection("A", "B", kernel=(1, 3), stride=2), Connection("B", "B")),
    # last layers that carry the stride, from maps of different sizes
    free(Connection("A", "B", stride=2), Connection("A", "C", stride=3),
         Connection("B", "D", stride=3, stride_layer=2),
         Connection("C", "D", stride=2, stride_layer=2), areas="ABCD"),
], ids=["gaps", "sizes"])
def test_areas_of_any_size_are_trained_and_run_as_those_of_one(graph):
    x = images(4, 3, 7, 7).double()
    network, fixed = (Network(g).double() for g in (graph, graph.for_image(7, 7)))
    for each in (network, fixed):
        calibrate(each, x, 2)
    for training in (True, False):
        torch.testing.assert_close(network.train(training)(x), fixed.train(training)(x))


def test_an_area_that_nothing_reaches_has_no_size():
    graph = free(Connection("A", "C"), Connection("B", "C"), areas="ABC", readout_time=1)
    with pytest.raises(GraphError, match="no connections lead from 'A' to 'B'"):
        graph.for_image(8, 8)
