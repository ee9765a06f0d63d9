"""What checkpoints cost a run: run 5 of Fashion-MNIST with and without them, in turns."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

import jax

from experiments.benchmarks.timing import medians, take_turns
from experiments.documented import RUNS
from imgcls_jax.checkpoint import Checkpoints, NoCheckpoints
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.report import console
from imgcls_jax.train.build import build
from imgcls_jax.train.kept import keep_evaluated
from imgcls_jax.train.loop import evaluate, fit
from imgcls_jax.train.progress import Progress
from imgcls_jax.workdir import Workdir

_WITH, _WITHOUT = "with checkpoints", "without"


def measure(dataset: Dataset, *, rounds: int) -> dict[str, Any]:
    """Times whole trainings and the evaluation after them, each in a new folder.

    Compilation is done before, which makes the share that checkpoints take the larger. What they
    take is copies, writing in the background while training goes on, digests, and the wait for the
    last of them at the end.

    Returns:
      `seconds` and `median` by contender; `cost`, the median over rounds of what checkpoints add to
      a training, as a fraction of it; `saved`, how many were written in a round.
    """
    config = Config.of(**RUNS[5].settings)
    trainer, saved = build(config, dataset), []

    def run(checkpoints: Checkpoints | NoCheckpoints, folder: str) -> None:
        at = {"workdir": Workdir(folder), "checkpoints": checkpoints, "progress": Progress()}
        state, _ = fit(trainer, seed=0, **at)
        keep_evaluated(checkpoints, jax.block_until_ready(state))
        evaluate(trainer, state, dataset.test)

    def with_checkpoints(turn: int) -> None:
        del turn
        with tempfile.TemporaryDirectory() as folder:
            with Checkpoints(Path(folder, "checkpoints")) as checkpoints:
                run(checkpoints, folder)
            saved.append(checkpoints.saved)

    def without(turn: int) -> None:
        del turn
        with tempfile.TemporaryDirectory() as folder:
            run(NoCheckpoints(), folder)

    contenders = {_WITH: with_checkpoints, _WITHOUT: without}
    seconds, peak = take_turns(contenders, rounds=rounds)
    pairs = zip(seconds[_WITH], seconds[_WITHOUT], strict=True)
    return {
        "benchmark": "a training of run 5 and its evaluation, compiled before: seconds",
        "epochs": config.train.epochs,
        "seconds": seconds,
        "median": medians(seconds),
        "cost": statistics.median(kept / plain - 1 for kept, plain in pairs),
        "saved": saved[1:],
        "matmul_peak": peak,
    }


def show(result: dict[str, Any]) -> None:
    """Prints the medians and what checkpoints cost."""
    console.heading(f"{result['benchmark'].partition(':')[0]}, {result['epochs']} epochs")
    lines = {name: f"{value:.3f} s" for name, value in result["median"].items()}
    lines["checkpoints written"] = ", ".join(map(str, result["saved"]))
    console.pairs(lines | {"checkpoints cost": f"{result['cost']:.2%}"})
