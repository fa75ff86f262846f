"""Fold a ResNet into an area graph: its stages become areas, its blocks steps.

A ResNet is a recurrent network whose transitions are open at certain steps and have
weights of their own at each (Liao & Poggio 2016, figure 3). The graph that
:func:`fold` makes has an area ``stem`` and one for each stage; block ``s`` is the
transition of step ``s``, and the readout time is the number of blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ..errors import GraphError
from ..graph import Area, AreaGraph, Connection, Normalization, PreNet
from .engine import site
from .network import Network
from .resnet import PreActBlock, PreActResNet
from .statistics import EPSILON

if TYPE_CHECKING:
    from torchvision.models import ResNet

ACCEPTED = "torchvision's ResNet of BasicBlocks or Bottlenecks, and PreActResNet"


@dataclass(frozen=True)
class _Block:
    """A residual block in the graph's words.

    Parameters
    ----------
    transition
        ``"brc"`` or ``"cbr"``.
    convolutions, norms
        In order; a norm comes before, or after, the convolution of its place.
    projection
        The shortcut's convolution and, in ``cbr``, its norm; None is the identity.
    """

    transition: str
    convolutions: list[nn.Conv2d]
    norms: list[nn.BatchNorm2d]
    projection: tuple[nn.Conv2d, nn.BatchNorm2d | None] | None


@dataclass(frozen=True)
class _Layout:
    """A whole ResNet in the graph's words."""

    stem: nn.Conv2d
    stem_norm: nn.BatchNorm2d | None
    pool: int
    stages: dict[str, list[_Block]]
    last_norm: nn.BatchNorm2d | None
    classifier: nn.Linear


def fold(resnet: nn.Module, *, name: str = "", mean: Sequence[float] | None = None,
         std: Sequence[float] | None = None) -> Network:
    """Turn a ResNet into a network that does the same, step by step.

    Parameters
    ----------
    resnet
        torchvision's ``ResNet`` (of ``BasicBlock`` or ``Bottleneck``), or
        :class:`PreActResNet`. Its weights and statistics are copied.
    name
        Of the graph.
    mean, std
        Of pixels from 0 to 1 in each channel, if images are to come in CortexSim's own
        range and be brought to the ResNet's; by default images come as the ResNet
        takes them.

    Returns
    -------
    Network
        In evaluation mode, for images of any size, with weights, scale and shift of
        their own at each step. ``network(images)`` equals ``resnet(images)``.

    Raises
    ------
    GraphError
        If the ResNet has a part that an area graph cannot express; names it.
    """
    layout = _read(resnet)
    relu = "relu" if layout.last_norm is None else "none"
    areas = [Area("stem", layout.stem.out_channels)]
    connections: list[Connection] = []
    steps: list[tuple[Connection, _Block]] = []
    for stage, blocks in layout.stages.items():
        areas.append(Area(stage, blocks[0].convolutions[-1].out_channels, activation=relu))
        first = len(steps) + 1
        made = [_connection(blocks[0], areas[-2].name, stage, (first, first))]
        if len(blocks) > 1:
            made.append(_connection(blocks[1], stage, stage, (first + 1, first + len(blocks) - 1)))
        connections += made
        steps += [(made[min(k, 1)], block) for k, block in enumerate(blocks)]
    graph = AreaGraph(
        tuple(areas), tuple(connections), image=(layout.stem.in_channels,), input="onset",
        weights="per-step", readout_time=len(steps), name=name,
        pre_net=PreNet(
            kernel=layout.stem.kernel_size[0], stride=layout.stem.stride[0],
            normalize=layout.stem_norm is not None, pool=layout.pool,
            mean=None if mean is None else tuple(mean), std=None if std is None else tuple(std)),
        post_net="pool-fc" if layout.last_norm is None else "bn-relu-pool-fc",
        normalization=Normalization(scale_shift="time-specific"),
    )
    # in its precision before anything is copied, so that nothing is rounded
    network = Network(graph, classes=layout.classifier.out_features).to(layout.stem.weight.dtype)
    with torch.no_grad():
        _copy(network, layout, steps)
    return network.eval()


def _connection(block: _Block, source: str, target: str, steps: tuple[int, int]) -> Connection:
    kernels = tuple(c.kernel_size[0] for c in block.convolutions)
    strides = [c.stride[0] for c in block.convolutions]
    return Connection(
        source, target, block.transition, len(kernels),
        "identity" if block.projection is None else "projection", steps=steps,
        kernel=kernels[0] if len(set(kernels)) == 1 else kernels, stride=max(strides),
        stride_layer=strides.index(max(strides)) + 1,
        middle=tuple(c.out_channels for c in block.convolutions[:-1]),
    )


def _copy(network: Network, layout: _Layout, steps: list[tuple[Connection, _Block]]) -> None:
    """Copy every weight and statistic to the step that uses it."""

    def weight(connection: Connection, layer: int, s: int, module: nn.Conv2d) -> None:
        network.weight(connection, layer, s).copy_(module.weight)

    def norm(place: str, index: int, module: nn.BatchNorm2d) -> None:
        _statistics(network, place, index, module)
        pair = network.affine.at(place, index)
        assert pair is not None, "the graph has scales and shifts"
        for mine, theirs in zip(pair, (module.weight, module.bias), strict=True):
            mine.copy_(theirs)

    network.pre_net.weights[0].copy_(layout.stem.weight)
    if layout.stem_norm is not None:
        norm("pre_net:2", 0, layout.stem_norm)
    for s, (c, block) in enumerate(steps, start=1):
        before = block.transition == "brc"
        for layer, (convolution, bn) in enumerate(
            zip(block.convolutions, block.norms, strict=True), start=1
        ):
            weight(c, layer, s, convolution)
            if before and layer == 1:
                norm(c.source, s - 1, bn)
            else:
                norm(site(c, layer if before else layer + 1), s, bn)
        if block.projection is not None:
            weight(c, 0, s, block.projection[0])
            if block.projection[1] is not None:
                norm(site(c, 0), s, block.projection[1])
    post = network.post_net
    if layout.last_norm is not None:
        _statistics(network, network.graph.last.name, len(steps), layout.last_norm)
        post.scale.copy_(layout.last_norm.weight)
        post.shift.copy_(layout.last_norm.bias)
    post.weight.copy_(layout.classifier.weight)
    if layout.classifier.bias is not None:
        post.bias.copy_(layout.classifier.bias)


def _statistics(network: Network, place: str, index: int, module: nn.BatchNorm2d) -> None:
    assert module.running_mean is not None and module.running_var is not None, "checked"
    network.statistics.put(place, index, module.running_mean, module.running_var)


# --- reading a ResNet, and saying what cannot be read


def _read(resnet: nn.Module) -> _Layout:
    from torchvision.models import ResNet  # takes a second, and most users never need it

    names = {id(module): name for name, module in resnet.named_modules()}

    def refuse(module: nn.Module, why: str) -> GraphError:
        name = names.get(id(module)) or type(module).__name__
        return GraphError(f"cannot fold this ResNet: '{name}' {why}")

    if isinstance(resnet, ResNet) and type(resnet).forward is ResNet.forward:
        layout = _read_torchvision(resnet, refuse)
    elif isinstance(resnet, PreActResNet) and type(resnet).forward is PreActResNet.forward:
        layout = _Layout(resnet.conv1, None, 1, {
            f"stage{number}": _blocks(stage, refuse)
            for number, stage in enumerate(resnet.stages, start=1)
        }, resnet.bn, resnet.fc)
    else:
        raise GraphError(f"cannot fold a {type(resnet).__name__}, only {ACCEPTED}")
    for module in _modules(layout):
        _check(module, refuse)
    for blocks in layout.stages.values():
        for block in blocks[2:]:
            if _connection(block, "a", "b", (1, 1)) != _connection(blocks[1], "a", "b", (1, 1)):
                raise refuse(block.convolutions[0], "and its block have another shape than the "
                             "blocks before it in its stage")
    return layout


Refuse = Callable[[nn.Module, str], GraphError]


def _read_torchvision(resnet: ResNet, refuse: Refuse) -> _Layout:
    pool = resnet.maxpool
    if isinstance(pool, nn.MaxPool2d):
        if (pool.kernel_size, pool.padding, pool.dilation) != (3, 1, 1):
            raise refuse(pool, "must pool 3x3 with padding 1, or be nn.Identity")
    elif not isinstance(pool, nn.Identity):
        raise refuse(pool, f"is a {type(pool).__name__}; it must be MaxPool2d or Identity")
    if not isinstance(resnet.avgpool, nn.AdaptiveAvgPool2d) or resnet.avgpool.output_size not in (
        1, (1, 1)
    ):
        raise refuse(resnet.avgpool, "must average over the whole map")
    if not isinstance(resnet.relu, nn.ReLU):
        raise refuse(resnet.relu, "must be ReLU")
    stages = {name: _blocks(getattr(resnet, name), refuse)
              for name in ("layer1", "layer2", "layer3", "layer4")}
    return _Layout(resnet.conv1, resnet.bn1, getattr(pool, "stride", 1), stages, None, resnet.fc)


def _blocks(stage: nn.Module, refuse: Refuse) -> list[_Block]:
    from torchvision.models.resnet import BasicBlock, Bottleneck

    found = []
    for block in cast(Iterable[Any], stage.children()):
        if type(block) is PreActBlock:
            projection = None if block.shortcut is None else (block.shortcut, None)
            found.append(_Block("brc", [block.conv1, block.conv2], [block.bn1, block.bn2],
                                projection))
            continue
        if type(block) not in (BasicBlock, Bottleneck):
            raise refuse(block, f"is a {type(block).__name__}; it must be a BasicBlock, Bottleneck "
                         "or PreActBlock")
        if not isinstance(block.relu, nn.ReLU):
            raise refuse(block.relu, "must be ReLU")
        numbers = (1, 2, 3) if isinstance(block, Bottleneck) else (1, 2)
        down = block.downsample
        parts = [] if down is None else list(down.children())
        if down is not None and [type(part) for part in parts] != [nn.Conv2d, nn.BatchNorm2d]:
            raise refuse(down, "must be a convolution and a batch normalization")
        found.append(_Block("cbr", [getattr(block, f"conv{n}") for n in numbers],
                            [getattr(block, f"bn{n}") for n in numbers],
                            (parts[0], parts[1]) if parts else None))
    return found


def _modules(layout: _Layout) -> Iterator[nn.Module]:
    yield layout.stem
    for blocks in layout.stages.values():
        for block in blocks:
            yield from (*block.convolutions, *block.norms, *(block.projection or ()))
    yield from (layout.stem_norm, layout.last_norm, layout.classifier)  # type: ignore[misc]


def _check(module: nn.Module | None, refuse: Refuse) -> None:
    """Refuse a layer that an area graph has no word for."""
    if module is None:
        return
    if type(module) is nn.Conv2d:
        size = module.kernel_size[0]
        usual = {"groups": 1, "dilation": (1, 1), "padding_mode": "zeros", "bias": None,
                 "kernel_size": (size, size), "stride": (module.stride[0],) * 2,
                 "padding": (size // 2, size // 2)}
        for key, value in usual.items():
            given = getattr(module, key)
            if isinstance(given, Tensor) or given != value:
                said = "one" if isinstance(given, Tensor) else given
                raise refuse(module, f"has {key} {said}; an area graph has {value}")
        if size % 2 == 0:
            raise refuse(module, f"has an even kernel, {size}x{size}")
    elif type(module) is nn.BatchNorm2d:
        if not module.affine or not module.track_running_stats or module.eps != EPSILON:
            raise refuse(module, f"must have affine=True, track_running_stats=True and "
                         f"eps={EPSILON:g}")
    elif type(module) is not nn.Linear:
        raise refuse(module, f"is a {type(module).__name__}; an area graph has Conv2d, "
                     "BatchNorm2d and Linear")
