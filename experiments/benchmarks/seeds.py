"""Seeds of run 5: one after the other, and all in one program."""

from typing import Any

import jax

from experiments.benchmarks.timing import medians, take_turns
from experiments.documented import RUNS
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.report import console
from imgcls_jax.train.build import build, training_splits
from imgcls_jax.train.many import Many

_SEEDS = {"cpu": 8}  # more would only take longer
_SEEDS_ELSEWHERE = 64
_ALONE, _TOGETHER = "one at a time", "in one program"


def measure(dataset: Dataset, *, rounds: int) -> dict[str, Any]:
    """Times an epoch of every seed; the figures are seconds per seed and epoch.

    Returns:
      `seconds` and `median` by contender, and `seeds`, how many there are.
    """
    seeds = _SEEDS.get(jax.default_backend(), _SEEDS_ELSEWHERE)
    config = Config.of(**RUNS[5].settings)
    trainer, (train, _) = build(config, dataset), training_splits(config, dataset)
    many = Many(trainer, train, seeds=range(seeds))
    carries = [(p.state, p.sums) for p in map(trainer.start, range(seeds))]

    def alone(turn: int) -> None:
        for number, carry in enumerate(carries):
            carries[number] = trainer.feed.train(carry, turn, 0, trainer.steps_per_epoch)
        jax.block_until_ready(carries)

    def together(turn: int) -> None:
        del turn
        many.train_epoch()

    contenders = {_ALONE: alone, _TOGETHER: together}
    seconds, peak = take_turns(contenders, rounds=rounds)
    per_seed = {name: [turn / seeds for turn in turns] for name, turns in seconds.items()}
    return {
        "benchmark": f"an epoch of run 5, {seeds} seeds: seconds per seed",
        "seeds": seeds,
        "seconds": per_seed,
        "median": medians(per_seed),
        "matmul_peak": peak,
    }


def show(result: dict[str, Any]) -> None:
    """Prints the medians and their ratio."""
    console.heading(result["benchmark"])
    median = result["median"]
    ratio = median[_ALONE] / median[_TOGETHER]
    lines = {name: f"{value:.4f} s" for name, value in median.items()}
    console.pairs(lines | {"one program is faster by": f"{ratio:.2f}"})
