"""Networks of inverted residuals in plain PyTorch, written from the papers, to compare ours with.

Modules carry the names Flax gives to ours, so that weights and gradients map by name.
"""

import math
from functools import partial

from torch import nn

_B5_NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)


class Squeeze(nn.Module):
    def __init__(self, channels: int, squeezed: int, activation, gate):
        super().__init__()
        self.reduce, self.expand = (
            nn.Conv2d(channels, squeezed, 1),
            nn.Conv2d(squeezed, channels, 1),
        )
        self.activation, self.gate = activation, gate

    def forward(self, x):
        means = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.expand(self.activation(self.reduce(means))))


class Block(nn.Module):
    def __init__(self, shape, activation, norm, squeeze=None):
        super().__init__()
        inputs, expanded, outputs, size, stride = shape
        self.activation = activation
        self.has_shortcut = stride == 1 and inputs == outputs
        self.expand_conv = None
        if expanded != inputs:
            self.expand_conv, self.expand_norm = _conv(inputs, expanded, 1), norm(expanded)
        self.depthwise_conv = _conv(expanded, expanded, size, stride, expanded)
        self.depthwise_norm = norm(expanded)
        self.squeeze = squeeze or nn.Identity()
        self.project_conv, self.project_norm = _conv(expanded, outputs, 1), norm(outputs)

    def forward(self, x):
        y = x
        if self.expand_conv is not None:
            y = self.activation(self.expand_norm(self.expand_conv(y)))
        y = self.activation(self.depthwise_norm(self.depthwise_conv(y)))
        y = self.project_norm(self.project_conv(self.squeeze(y)))
        return x + y if self.has_shortcut else y


class Network(nn.Module):
    """Stem, blocks by name, 1x1 convolution, mean, perhaps a dense layer, head."""

    def __init__(self, classes, stem, blocks, top, activation, norm, hidden=0):
        super().__init__()
        self.activation, self.blocks = activation, tuple(blocks)
        self.stem_conv, self.stem_norm = _conv(3, stem, 3, 2), norm(stem)
        for name, block in blocks.items():
            self.add_module(name, block)
        last = block.project_conv.out_channels
        self.top_conv, self.top_norm = _conv(last, top, 1), norm(top)
        self.top_dense = nn.Linear(top, hidden) if hidden else None
        self.head = nn.Linear(hidden or top, classes)

    def forward(self, x):
        x = self.activation(self.stem_norm(self.stem_conv(x)))
        for name in self.blocks:
            x = self.get_submodule(name)(x)
        x = self.activation(self.top_norm(self.top_conv(x))).mean((2, 3))
        if self.top_dense is not None:
            x = self.activation(self.top_dense(x))
        return self.head(x)


def _mobilenet_v2(classes: int) -> Network:
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
    stages += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    blocks, inputs, act = {}, 32, nn.ReLU6()
    for s, (expansion, outputs, count, stride) in enumerate(stages, 1):
        for b in range(1, count + 1):
            shape = inputs, inputs * expansion, outputs, 3, stride if b == 1 else 1
            blocks[f"stage{s}_block{b}"] = Block(shape, act, nn.BatchNorm2d)
            inputs = outputs
    return Network(classes, 32, blocks, 1280, act, nn.BatchNorm2d)


def _eights(channels: float) -> int:
    nearest = max(8, 8 * math.floor(channels / 8 + 0.5))
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _efficientnet(classes: int, width: float, depth: float, norm=nn.BatchNorm2d) -> Network:
    stages = [(1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2)]
    stages += [(6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1)]
    stem = inputs = _eights(32 * width)
    blocks, act = {}, nn.SiLU()
    for s, (expansion, size, outputs, count, stride) in enumerate(stages, 1):
        outputs = _eights(outputs * width)
        for b in range(1, math.ceil(count * depth) + 1):
            expanded = inputs * expansion
            squeeze = Squeeze(expanded, inputs // 4, act, nn.Sigmoid())
            shape = inputs, expanded, outputs, size, stride if b == 1 else 1
            blocks[f"stage{s}_block{b}"] = Block(shape, act, norm, squeeze)
            inputs = outputs
    return Network(classes, stem, blocks, _eights(1280 * width), act, norm)


def _small_mobilenet_v3(classes: int) -> Network:
    relu, swish = nn.ReLU(), nn.Hardswish()

    def squeeze(channels: int, squeezed: int) -> Squeeze:
        return Squeeze(channels, squeezed, nn.ReLU(), nn.Hardsigmoid())

    blocks = {
        "stage1_block1": Block((16, 16, 16, 3, 1), relu, _B5_NORM, squeeze(16, 8)),
        "stage1_block2": Block((16, 48, 16, 3, 1), relu, _B5_NORM, squeeze(48, 16)),
        "stage2_block1": Block((16, 48, 24, 5, 2), swish, _B5_NORM),
        "stage2_block2": Block((24, 72, 24, 5, 1), swish, _B5_NORM),
    }
    return Network(classes, 16, blocks, 144, swish, _B5_NORM, hidden=40)


_COEFFICIENTS = (  # of B0 to B7: width, depth
    (1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2.0, 3.1),
)  # fmt: skip
MODELS = {
    "mobilenet_v2": _mobilenet_v2,
    "small_mobilenet_v3": _small_mobilenet_v3,
    "small_efficientnet": lambda classes: _efficientnet(classes, 0.25, 0.5),
    **{
        f"efficientnet_b{i}": partial(
            _efficientnet, width=w, depth=d, norm=_B5_NORM if i > 4 else nn.BatchNorm2d
        )
        for i, (w, d) in enumerate(_COEFFICIENTS)
    },
}
