"""The benchmark's networks in PyTorch, as its users write them; they need PyTorch."""

import torch
from torch import nn
from torch.nn import functional as F


def documented_cnn() -> nn.Module:
    """Builds the network of runs 10 and 11, for images (N, 3, 32, 32)."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.added = stride, outputs - inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
        return F.relu(y + shortcut)


def resnet20() -> nn.Module:
    """Builds ResNet-20 for CIFAR, with shortcuts free of parameters (He et al. 2016, 4.2)."""
    blocks, inputs = [], 16
    for outputs, first_stride in ((16, 1), (32, 2), (64, 2)):
        for stride in (first_stride, 1, 1):
            blocks.append(_Block(inputs, outputs, stride))
            inputs = outputs
    stem = (nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def speednet(*, widths: tuple[int, ...], inputs: int) -> nn.Module:
    """Builds the speed network behind its fixed whitening, for images of `inputs` channels."""
    layers = [nn.GELU(approximate="tanh")]
    for features in widths:
        for number in range(2):
            layers.append(nn.Conv2d(features if number else inputs, features, 3, 1, 1, bias=False))
            if not number:
                layers.append(nn.MaxPool2d(2))
            layers += [nn.BatchNorm2d(features), nn.GELU(approximate="tanh")]
        inputs = features
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))
