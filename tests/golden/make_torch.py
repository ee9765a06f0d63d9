"""Writes torch_*.npz: PyTorch's own numbers. Run `python tests/golden/make_torch.py`."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden import mlp, trajectories
from golden.smoothing import SMOOTHINGS, inputs

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}


def trajectory(case: trajectories.Case, dtype: str) -> np.ndarray:
    """The parameters (STEPS, 15) after each step."""
    problem = trajectories.problem()
    start = trajectories.unflatten(problem["start"].astype(dtype))
    params = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    options = dict(lr=case.learning_rate, momentum=case.momentum, weight_decay=case.weight_decay)
    options = {k: v for k, v in options.items() if v is not None}
    if case.nesterov:
        options["nesterov"] = True
    optimizer = OPTIMIZERS[case.name](params.values(), **options)
    rows = []
    for step in range(trajectories.STEPS):
        for name, p in params.items():
            p.grad = torch.tensor(trajectories.gradient(name, p.detach(), step, problem))
        if case.changing:
            optimizer.param_groups[0]["lr"] = case.rates()[step]
        optimizer.step()
        rows.append(np.concatenate([p.detach().numpy().ravel() for p in params.values()]))
    return np.stack(rows)


def smoothed_losses() -> dict[str, np.ndarray]:
    """Per-example cross-entropy and its gradient for integer and soft labels."""
    logits, integers, soft = inputs()
    out = {}
    for e in SMOOTHINGS:
        for kind, labels in (("integer", integers), ("soft", soft)):
            x = torch.tensor(logits, requires_grad=True)
            loss = torch.nn.functional.cross_entropy(
                x, torch.tensor(labels), label_smoothing=e, reduction="none"
            )
            loss.sum().backward()
            out[f"{kind}-{e}-loss"] = loss.detach().numpy()
            out[f"{kind}-{e}-grad"] = x.grad.numpy()
    return out


def train_mlp() -> dict[str, np.ndarray]:
    """100 Adam steps of MLP-3: the loss before each, and a sample of the final parameters."""
    torch.set_num_threads(1)  # more only spin at this size
    images, labels = mlp.data()
    initial = mlp.initial_params()
    layers = [torch.nn.Linear(*initial[name]["kernel"].shape) for name in initial]
    with torch.no_grad():
        for layer, value in zip(layers, initial.values(), strict=True):
            layer.weight.copy_(torch.tensor(value["kernel"].T))
            layer.bias.copy_(torch.tensor(value["bias"]))
    relu = torch.nn.ReLU()
    model = torch.nn.Sequential(layers[0], relu, layers[1], relu, layers[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=mlp.LEARNING_RATE)
    losses = []
    for batch in mlp.batches():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            model(torch.tensor(images[batch])), torch.tensor(labels[batch])
        )
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    final = {
        name: {"kernel": layer.weight.detach().numpy().T, "bias": layer.bias.detach().numpy()}
        for name, layer in zip(initial, layers, strict=True)
    }
    return {"losses": np.float32(losses), **mlp.sample(final), "inputs": mlp.checksums()}


if __name__ == "__main__":
    folder = Path(__file__).parent
    version = np.array(f"torch {torch.__version__}")
    paths = {
        f"{case.label}/{dtype}": trajectory(case, dtype)
        for case in trajectories.CASES
        for dtype in ("float32", "float64")
    }
    for name, arrays in (
        ("torch_optim", paths),
        ("torch_losses", smoothed_losses()),
        ("torch_mlp", train_mlp()),
    ):
        np.savez_compressed(folder / f"{name}.npz", version=version, **arrays)
