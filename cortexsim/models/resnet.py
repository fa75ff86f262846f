"""Pre-activation ResNets for small images, as plain feed-forward modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class PreActBlock(nn.Module):
    """BN-ReLU-Conv twice, and a shortcut around both.

    The shortcut is the identity, or, where the shape changes, a strided 1x1
    convolution of the first BN-ReLU (He et al. 2016, Identity Mappings).

    Parameters
    ----------
    inputs, outputs
        Channels.
    stride
        Of the first convolution and of the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block, shape (batch, inputs, height, width) to (batch, outputs, ...)."""
        active = F.relu(self.bn1(x))
        around = x if self.shortcut is None else self.shortcut(active)
        result: Tensor = around + self.conv2(F.relu(self.bn2(self.conv1(active))))
        return result


class PreActResNet(nn.Module):
    """A pre-activation ResNet: one convolution, stages of blocks, BN-ReLU-pool-FC.

    The layout for CIFAR-10 of He et al. 2016; ``blocks=(18, 18, 18)`` has their 110
    layers. Each stage after the first halves the size.

    Parameters
    ----------
    blocks
        Number of blocks in each stage.
    channels
        Of each stage.
    classes
        Number of classes.
    image_channels
        Channels of an image.
    """

    def __init__(self, blocks: Sequence[int] = (3, 3, 3), channels: Sequence[int] = (16, 32, 64),
                 classes: int = 10, image_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(image_channels, channels[0], 3, padding=1, bias=False)
        stages, before = [], channels[0]
        for number, (count, width) in enumerate(zip(blocks, channels, strict=True)):
            strides = [1 if number == 0 else 2] + [1] * (count - 1)
            stages.append(nn.Sequential(*(
                PreActBlock(before if k == 0 else width, width, stride)
                for k, stride in enumerate(strides))))
            before = width
        self.stages = nn.ModuleList(stages)
        self.bn = nn.BatchNorm2d(before)
        self.fc = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores of images, shape (batch, classes)."""
        x = self.conv1(x)
        for stage in self.stages:
            x = stage(x)
        scores: Tensor = self.fc(F.relu(self.bn(x)).mean((2, 3)))
        return scores
