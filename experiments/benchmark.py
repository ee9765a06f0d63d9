"""Speed, side by side in one process.

    python -m experiments.benchmark fmnist           # MLP-3, batch 64: seconds an epoch, as ratios
    python -m experiments.benchmark logistic         # run 8 against scikit-learn
    python -m experiments.benchmark start            # the main command, whole, several times

Contenders take turns, one epoch each, for several rounds; medians are compared, so that a machine
that is busy for a while slows all of them. PyTorch takes part where it is installed.
"""

import importlib.metadata
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import cli, logistic
from experiments.documented import RUNS
from imgcls_jax import console, data, models, optim, steps
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.program import build
from imgcls_jax.workdir import environment

flags.adopt_module_key_flags(cli)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "turns of each contender", lower_bound=1)
_OUT = flags.DEFINE_string("out", None, "JSON file to write the result to")

Epoch = Callable[[int], None]


def fmnist(dataset: data.Dataset) -> dict:
    """Seconds an epoch of run 5's network for every contender, and the matmul peak."""
    config = Config(**RUNS[5].settings)
    contenders = {
        "resident, many steps a call": resident_epochs(config, dataset),
        "one step a call": single_step_epochs(config, dataset),
    } | torch_epochs(config, dataset)
    seconds = {name: [] for name in contenders}
    peaks = []
    for turn in range(_ROUNDS.value + 1):  # the first turn warms up
        for name, epoch in contenders.items():
            started = time.perf_counter()
            epoch(turn)
            if turn:
                seconds[name].append(time.perf_counter() - started)
        peaks.append(matmul_peak())
    weights = sum(a * b for a, b in ((784, 256), (256, 128), (128, 10)))
    operations = 6 * weights * len(dataset.train)
    peak = statistics.median(peaks)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ours = medians["resident, many steps a call"]
    return {
        "benchmark": "fmnist: 784-256-128-10, batch 64, Adam, seconds an epoch of 60,000",
        "seconds": seconds,
        "median": medians,
        "ratio_to_resident": {name: value / ours for name, value in medians.items()},
        "matmul_peak_gflops": peak / 1e9,
        "share_of_matmul_peak": {n: operations / value / peak for n, value in medians.items()},
    }


def resident_epochs(config: Config, dataset: data.Dataset) -> Epoch:
    """The path `experiments.fmnist` trains by, one device call an epoch."""
    program = build(config, dataset)
    state, sums = program.start(seed=0)

    def epoch(number: int) -> None:
        nonlocal state, sums
        order = program.order(state.key, np.int32(number))
        state, sums = program.run(state, sums, order, 0, program.steps_per_epoch)
        jax.block_until_ready(state)

    return epoch


def single_step_epochs(config: Config, dataset: data.Dataset) -> Epoch:
    """The notebook's loop: a jitted step a batch, batches gathered on the host by NumPy."""
    model = models.create("mlp", num_classes=10, hidden=config.hidden)
    tx = optim.create("adam", learning_rate=config.lr)
    step = steps.make_train_step(apply_fn=model.apply, tx=tx)
    state = steps.init_state(
        model=model, tx=tx, key=jax.random.key(0), image_shape=dataset.image_shape
    )

    def epoch(number: int) -> None:
        nonlocal state
        for batch in data.batches(dataset.train, batch_size=config.batch_size, seed=number):
            state, _ = step(state, batch)
        jax.block_until_ready(state)

    return epoch


def torch_epochs(config: Config, dataset: data.Dataset) -> dict[str, Epoch]:
    """The document's PyTorch loop, over tensors and through its DataLoader; {} without PyTorch."""
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
        optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)

        def epoch(number: int) -> None:
            torch.manual_seed(number)
            for batch_images, batch_labels in batches():
                optimizer.zero_grad()
                loss_fn(model(batch_images), batch_labels).backward()
                optimizer.step()

        return epoch

    def preloaded():
        for chosen in torch.randperm(len(labels)).split(config.batch_size):
            yield images[chosen], labels[chosen]

    loader = DataLoader(TensorDataset(images, labels), batch_size=config.batch_size, shuffle=True)
    return {
        "PyTorch, preloaded tensors": make(preloaded),
        "PyTorch, DataLoader": make(lambda: loader),
    }


def matmul_peak(size: int = 2048, repeats: int = 5) -> float:
    """The best of a few float32 products of square matrices, in operations a second."""
    a = jnp.full((size, size), 0.5)
    product = jax.jit(lambda a: a @ a)
    jax.block_until_ready(product(a))
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(product(a))
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def start() -> dict:
    """Seconds of the whole main command, and from its start to its first training step."""
    first_step, whole = [], []
    for _ in range(_ROUNDS.value):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "experiments.fmnist", f"--workdir={folder}/run"]
            command += cli.data_arguments()
            started = time.perf_counter()
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout:
                    if line.startswith("  epoch  1/"):
                        to_epoch = time.perf_counter() - started
            whole.append(time.perf_counter() - started)
            if process.returncode:
                raise UserError("the main command failed; run it by itself to see why.")
            history = Path(folder, "run", "metrics.jsonl").read_text().splitlines()
            first_step.append(to_epoch - json.loads(history[0])["train_seconds"])
    medians = {
        "to_first_step": statistics.median(first_step),
        "whole": statistics.median(whole),
    }
    console.heading("python -m experiments.fmnist: 15 epochs, checkpoints, figures")
    console.pairs({name: f"{value:.2f} s" for name, value in medians.items()})
    return {
        "benchmark": "the main command, data prepared: seconds",
        "seconds": {"to_first_step": first_step, "whole": whole},
        "median": medians,
    }


def show(result: dict) -> None:
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


def main(names: list[str]) -> None:
    known = ("fmnist", "logistic", "start")
    if len(names) != 1 or names[0] not in known:
        raise UserError(
            f"name one benchmark of {', '.join(known)}, not {' '.join(names) or 'none'}."
        )
    dataset = cli.load_data("fashion_mnist")
    if names[0] == "fmnist":
        result = fmnist(dataset) | environment()
        show(result)
    elif names[0] == "start":
        result = start() | environment()
    else:
        result = logistic.benchmark(dataset, RUNS[8].settings, rounds=_ROUNDS.value)
        result |= environment()
    result["compared_with"] = {
        name: importlib.metadata.version(name)
        for name in ("torch", "scikit-learn")
        if importlib.util.find_spec({"scikit-learn": "sklearn"}.get(name, name))
    }
    if _OUT.value:
        Path(_OUT.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    cli.run(main, takes_arguments=True)
