"""Speed, side by side in one process.

    python -m experiments.benchmark fmnist           # MLP-3, batch 64: seconds an epoch, as ratios
    python -m experiments.benchmark cifar10          # convolutional networks: ms a step, as ratios
    python -m experiments.benchmark transfer         # decoding, published networks, frozen or not
    python -m experiments.benchmark logistic         # run 8 against scikit-learn
    python -m experiments.benchmark start            # the main command, whole, several times

PyTorch and Keras take part where they are installed; `experiments.benchmarks.timing` has the rules.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli import huge_pages

    huge_pages.ask()

import contextlib
import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from experiments import logistic
from experiments.benchmarks import cifar10, fmnist, transfer
from experiments.cli import flags as cli
from experiments.documented import RUNS
from imgcls_jax.errors import UserError
from imgcls_jax.report import console
from imgcls_jax.workdir import environment

flags.adopt_module_key_flags(cli)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "turns of each contender", lower_bound=1)
_OUT = flags.DEFINE_string("out", None, "JSON file to write the result to")


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


def _versions() -> Iterator[tuple[str, str]]:
    """Of what is compared with, as far as it is installed."""
    for name in ("torch", "keras", "tensorflow", "tensorflow-cpu", "scikit-learn"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def main(names: list[str]) -> None:
    known = ("fmnist", "cifar10", "transfer", "logistic", "start")
    if len(names) != 1 or names[0] not in known:
        raise UserError(
            f"name one benchmark of {', '.join(known)}, not {' '.join(names) or 'none'}."
        )
    rounds = _ROUNDS.value
    if names[0] != "transfer":
        dataset = cli.load_data("cifar10" if names[0] == "cifar10" else "fashion_mnist")
    match names[0]:
        case "fmnist":
            result = fmnist.measure(dataset, rounds=rounds) | environment()
            fmnist.show(result)
        case "cifar10":
            result = cifar10.measure(dataset, rounds=rounds) | environment()
            cifar10.show(result)
        case "transfer":
            result = transfer.measure(cli.photos_dir(), rounds=rounds) | environment()
            transfer.show(result)
        case "start":
            result = start() | environment()
        case "logistic":
            result = logistic.benchmark(dataset, RUNS[8].settings, rounds=rounds)
            result |= environment()
    result["compared_with"] = dict(_versions())
    if _OUT.value:
        Path(_OUT.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    cli.run(main, takes_arguments=True)
