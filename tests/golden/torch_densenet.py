"""DenseNets in PyTorch, and torch_densenet.npz. Run `python tests/golden/torch_densenet.py`."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden import densenet


class Layer(nn.Module):
    """Norm, ReLU, 1x1 convolution, norm, ReLU, 3x3 convolution, appended to the input."""

    def __init__(self, inputs: int, growth: int):
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x):
        return torch.cat([x, self.branch(x)], dim=1)


def build(case: densenet.Case, num_classes: int = densenet.NUM_CLASSES) -> nn.Sequential:
    """The network with PyTorch's default weights; its layers are listed in the order they run."""
    width = 2 * case.growth
    if case.stem == "imagenet":
        modules = [
            nn.Conv2d(case.shape[-1], width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
    else:
        modules = [nn.Conv2d(case.shape[-1], width, 3, padding=1, bias=False)]
    for block, size in enumerate(case.block_sizes):
        if block:
            half = nn.Conv2d(width, width // 2, 1, bias=False)
            modules += [nn.BatchNorm2d(width), nn.ReLU(), half, nn.AvgPool2d(2)]
            width //= 2
        for _ in range(size):
            modules.append(Layer(width, case.growth))
            width += case.growth
    modules += [nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*modules, nn.Linear(width, num_classes))


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """A layer's tensors under the names of `densenet.variables`."""
    if isinstance(module, nn.BatchNorm2d):
        names = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    else:
        names = {"kernel": "weight", "bias": "bias"}
    tensors = {name: getattr(module, theirs) for name, theirs in names.items()}
    return {name: tensor.detach() for name, tensor in tensors.items() if tensor is not None}


def _weighted(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]


def load(model: nn.Module, variables: dict) -> None:
    """Copies seeded weights in; kernels (H, W, I, O) and (I, O) become (O, I, H, W) and (O, I)."""
    for module, values in zip(_weighted(model), variables.values(), strict=True):
        for name, tensor in _tensors(module).items():
            axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[values[name].ndim]
            tensor.copy_(torch.tensor(values[name].transpose(axes)))


def dump(model: nn.Module, paths) -> dict:
    """The inverse of `load`."""
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    return {
        path: {n: t.numpy().transpose(axes[t.ndim]) for n, t in _tensors(module).items()}
        for path, module in zip(paths, _weighted(model), strict=True)
    }


def golden(case: densenet.Case) -> dict[str, np.ndarray]:
    """Logits in evaluation and in training, the loss, and all variables after one step of SGD."""
    torch.set_num_threads(1)
    images, labels = densenet.data(case)
    images = torch.tensor(images.transpose(0, 3, 1, 2))
    variables = densenet.variables(case)
    model = build(case).to(images.dtype)
    load(model, variables)
    optimizer = torch.optim.SGD(model.parameters(), lr=densenet.LEARNING_RATE)
    with torch.no_grad():
        out = {"eval": model.eval()(images).numpy()}
    logits = model.train()(images)
    loss = nn.functional.cross_entropy(logits, torch.tensor(labels).long())
    loss.backward()
    optimizer.step()
    out |= {"train": logits.detach().numpy(), "loss": loss.detach().numpy()}
    out |= densenet.sample(dump(model, variables))
    out = {name: values.astype(np.float32) for name, values in out.items()}
    return {**out, "inputs": densenet.checksums(case)}


if __name__ == "__main__":
    arrays = {
        f"{label}/{name}": values
        for label, case in densenet.CASES.items()
        for name, values in golden(case).items()
    }
    version = np.array(f"torch {torch.__version__}")
    np.savez_compressed(Path(__file__).parent / "torch_densenet.npz", version=version, **arrays)
