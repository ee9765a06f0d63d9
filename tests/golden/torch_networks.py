"""Residual networks in plain PyTorch, written from the papers, to compare ours with.

Modules carry the names Flax gives to ours, so that weights and gradients map by name.
"""

import numpy as np
import torch
from golden import networks, torch_inverted
from torch import nn
from torch.nn import functional as F

_KINDS = {"running_mean": "mean", "running_var": "var", "bias": "bias"}


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class Block(nn.Module):
    """Post-activation, with a projection or the padded shortcut where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool, padded: bool):
        super().__init__()
        outputs = width * 4 if bottleneck else width
        shapes = [(inputs, width, 3, stride), (width, width, 3, 1)]
        if bottleneck:
            shapes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        self.depth, self.stride, self.added = len(shapes), stride, outputs - inputs
        self.projected = not padded and (stride != 1 or inputs != outputs)
        if self.projected:
            shapes.append((inputs, outputs, 1, stride))
        for i, shape in enumerate(shapes):
            self.add_module(f"Conv_{i}", _conv(*shape))
            self.add_module(f"BatchNorm_{i}", nn.BatchNorm2d(shape[1]))

    def _layer(self, i: int, x):
        return self.get_submodule(f"BatchNorm_{i}")(self.get_submodule(f"Conv_{i}")(x))

    def forward(self, x):
        y = self._layer(0, x)
        for i in range(1, self.depth):
            y = self._layer(i, F.relu(y))
        if self.projected:
            x = self._layer(self.depth, x)
        elif self.added:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self, classes, sizes, width=64, bottleneck=False, padded=False, stem="imagenet"):
        super().__init__()
        self.pool = stem == "imagenet"
        self.Conv_0 = _conv(3, width, 7, 2) if self.pool else _conv(3, width, 3)
        self.BatchNorm_0 = nn.BatchNorm2d(width)
        self.blocks, inputs = sum(sizes), width
        strides = [2 if s and not i else 1 for s, size in enumerate(sizes) for i in range(size)]
        widths = [width << s for s, size in enumerate(sizes) for _ in range(size)]
        for i, (w, stride) in enumerate(zip(widths, strides, strict=True)):
            self.add_module(f"Block_{i}", Block(inputs, w, stride, bottleneck, padded))
            inputs = w * 4 if bottleneck else w
        self.Dense_0 = nn.Linear(inputs, classes)

    def forward(self, x):
        x = F.relu(self.BatchNorm_0(self.Conv_0(x)))
        if self.pool:
            x = F.max_pool2d(x, 3, 2, 1)
        for i in range(self.blocks):
            x = self.get_submodule(f"Block_{i}")(x)
        return self.Dense_0(x.mean((2, 3)))


class WideBlock(nn.Module):
    """Pre-activation; a projecting shortcut sees the activations."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.BatchNorm_0, self.BatchNorm_1 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.Conv_0, self.Conv_1 = _conv(inputs, outputs, 3, stride), _conv(outputs, outputs, 3)
        self.Conv_2 = _conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x):
        active = F.relu(self.BatchNorm_0(x))
        y = self.Conv_1(F.relu(self.BatchNorm_1(self.Conv_0(active))))
        return y + (x if self.Conv_2 is None else self.Conv_2(active))


class WideResNet(nn.Module):
    def __init__(self, classes: int, depth: int, factor: int):
        super().__init__()
        self.Conv_0 = _conv(3, 16, 3)
        per_stage, inputs = (depth - 4) // 6, 16
        self.blocks = 3 * per_stage
        for i in range(self.blocks):
            outputs = (16 << i // per_stage) * factor
            stride = 2 if i % per_stage == 0 and i > 0 else 1
            self.add_module(f"WideBlock_{i}", WideBlock(inputs, outputs, stride))
            inputs = outputs
        self.BatchNorm_0, self.Dense_0 = nn.BatchNorm2d(inputs), nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.Conv_0(x)
        for i in range(self.blocks):
            x = self.get_submodule(f"WideBlock_{i}")(x)
        return self.Dense_0(F.relu(self.BatchNorm_0(x)).mean((2, 3)))


def _cifar(classes: int, blocks: int) -> ResNet:
    return ResNet(classes, (blocks,) * 3, width=16, padded=True, stem="cifar")


# Name -> classes -> module, of every model of ours and of the cases of `networks.CASES`.
MODELS = {
    "resnet20": lambda classes: _cifar(classes, 3),
    "resnet32": lambda classes: _cifar(classes, 5),
    "resnet56": lambda classes: _cifar(classes, 9),
    "resnet110": lambda classes: _cifar(classes, 18),
    "resnet18": lambda classes: ResNet(classes, (2, 2, 2, 2)),
    "resnet34": lambda classes: ResNet(classes, (3, 4, 6, 3)),
    "resnet50": lambda classes: ResNet(classes, (3, 4, 6, 3), bottleneck=True),
    "resnet101": lambda classes: ResNet(classes, (3, 4, 23, 3), bottleneck=True),
    "wrn16_4": lambda classes: WideResNet(classes, 16, 4),
    "wrn28_10": lambda classes: WideResNet(classes, 28, 10),
    "small_bottleneck": lambda classes: ResNet(classes, (1, 1), width=8, bottleneck=True),
    "small_wide": lambda classes: WideResNet(classes, 10, 2),
    **torch_inverted.MODELS,
}


def _flax_path(name: str, tensor: torch.Tensor) -> str:
    module, _, kind = name.rpartition(".")
    kind = _KINDS.get(kind, "scale" if tensor.ndim == 1 else "kernel")
    return f"{module.replace('.', '/')}/{kind}"


def _to_flax(tensor: torch.Tensor) -> np.ndarray:
    order = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[tensor.ndim]
    return tensor.detach().permute(order).numpy().copy()


def _arrays(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and running statistics by their path in the Flax tree."""
    named = {k: v for k, v in module.state_dict(keep_vars=True).items() if v.ndim > 0}
    return {_flax_path(k, v): v for k, v in named.items()}


def step(module: nn.Module, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Evaluates, then differentiates the training loss, in float64 from `networks.weight`.

    Returns:
      "eval_logits" and "logits" (BATCH, CLASSES), "loss" (), "grad/<path>" of every parameter and
      "stats/<path>" of every updated running statistic, arrays in Flax' layout.
    """
    torch.set_num_threads(1)
    module = module.double()
    arrays = _arrays(module)
    with torch.no_grad():
        for path, tensor in arrays.items():
            wanted = networks.weight(path, _to_flax(tensor).shape)
            order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[tensor.ndim]
            tensor.copy_(torch.tensor(wanted.transpose(order)))
    images, labels = networks.batch(shape)
    x = torch.tensor(images.transpose(0, 3, 1, 2), dtype=torch.float64)
    record = {"eval_logits": module.eval()(x).detach().numpy()}
    logits = module.train()(x)
    loss = F.cross_entropy(logits, torch.tensor(labels))
    loss.backward()
    record |= {"logits": logits.detach().numpy(), "loss": loss.detach().numpy()}
    for path, tensor in arrays.items():
        if isinstance(tensor, nn.Parameter):
            record[f"grad/{path}"] = _to_flax(tensor.grad)
        else:
            record[f"stats/{path}"] = _to_flax(tensor)
    return record
