"""MLP-3 of run 5, batch 64: seconds per epoch, ours against PyTorch."""

from collections.abc import Callable

import jax
import numpy as np

from experiments.benchmarks import timing
from experiments.documented import RUNS
from imgcls_jax import data, models, optim, steps
from imgcls_jax.config import Config
from imgcls_jax.report import console
from imgcls_jax.train.build import build

Epoch = Callable[[int], None]


def measure(dataset: data.Dataset, *, rounds: int) -> dict:
    """Times an epoch of run 5's network by every contender, and measures the matmul peak.

    Returns:
      Seconds per epoch with their medians, ratios to ours, the peak in GFLOP/s and the share of it
      that each contender reaches.
    """
    config = Config.of(**RUNS[5].settings)
    contenders = {
        "resident, many steps a call": resident_epochs(config, dataset),
        "one step a call": single_step_epochs(config, dataset),
    } | torch_epochs(config, dataset)
    seconds, peak = timing.take_turns(contenders, rounds=rounds)
    weights = sum(a * b for a, b in ((784, 256), (256, 128), (128, 10)))
    operations = 6 * weights * len(dataset.train)
    medians = timing.medians(seconds)
    ours = medians["resident, many steps a call"]
    return {
        "benchmark": "fmnist: 784-256-128-10, batch 64, Adam, seconds per epoch of 60,000",
        "seconds": seconds,
        "median": medians,
        "ratio_to_resident": {name: value / ours for name, value in medians.items()},
        "matmul_peak_gflops": peak / 1e9,
        "share_of_matmul_peak": {n: operations / value / peak for n, value in medians.items()},
    }


def resident_epochs(config: Config, dataset: data.Dataset) -> Epoch:
    """Builds an epoch as `experiments.fmnist` trains, one device call per epoch."""
    trainer = build(config, dataset)
    position = trainer.start(seed=0)
    state, sums = position.state, position.sums

    def epoch(number: int) -> None:
        nonlocal state, sums
        state, sums = trainer.feed.train((state, sums), number, 0, trainer.steps_per_epoch)
        jax.block_until_ready(state)

    return epoch


def single_step_epochs(config: Config, dataset: data.Dataset) -> Epoch:
    """Builds an epoch as a notebook trains: a jitted step per batch, gathered by NumPy."""
    model = models.create("mlp", num_classes=10, hidden=config.model.hidden)
    tx = optim.create("adam", learning_rate=config.optim.lr)
    step = steps.make_train_step(apply_fn=model.apply, tx=tx)
    state = steps.init_state(
        model=model, tx=tx, key=jax.random.key(0), image_shape=dataset.image_shape
    )

    def epoch(number: int) -> None:
        nonlocal state
        for batch in data.batches(dataset.train, batch_size=config.train.batch_size, seed=number):
            state, _ = step(state, batch)
        jax.block_until_ready(state)

    return epoch


def torch_epochs(config: Config, dataset: data.Dataset) -> dict[str, Epoch]:
    """Builds the document's PyTorch loop, over tensors and a DataLoader; {} without PyTorch."""
    try:
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset
    except ImportError:
        print("PyTorch is not installed; compared without it.")
        return {}
    images = torch.from_numpy(dataset.train.images.astype(np.float32) / 255.0)
    labels = torch.from_numpy(dataset.train.labels).long()
    loss_fn = nn.CrossEntropyLoss()

    def make(batches: Callable[[], object]) -> Epoch:
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
            nn.Linear(128, 10),
        )  # fmt: skip
        optimizer = torch.optim.Adam(model.parameters(), lr=config.optim.lr)

        def epoch(number: int) -> None:
            torch.manual_seed(number)
            for batch_images, batch_labels in batches():
                optimizer.zero_grad()
                loss_fn(model(batch_images), batch_labels).backward()
                optimizer.step()

        return epoch

    def preloaded():
        for chosen in torch.randperm(len(labels)).split(config.train.batch_size):
            yield images[chosen], labels[chosen]

    loader = DataLoader(
        TensorDataset(images, labels), batch_size=config.train.batch_size, shuffle=True
    )
    return {
        "PyTorch, preloaded tensors": make(preloaded),
        "PyTorch, DataLoader": make(lambda: loader),
    }


def show(result: dict) -> None:
    """Prints a table of the contenders."""
    console.heading(result["benchmark"])
    console.table(
        ("contender", "median", "min", "max", "ratio", "of peak"),
        [
            (
                name,
                f"{result['median'][name]:.3f} s",
                f"{min(values):.3f}",
                f"{max(values):.3f}",
                f"{result['ratio_to_resident'][name]:.2f}",
                f"{100 * result['share_of_matmul_peak'][name]:.0f} %",
            )
            for name, values in result["seconds"].items()
        ],
    )
    print(f"\n  float32 matmul peak of this machine: {result['matmul_peak_gflops']:.0f} GFLOP/s")
    print(f"  {result['device']}")
