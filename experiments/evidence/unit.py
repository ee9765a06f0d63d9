"""One training of one seed: it stops to meet the test set where a reading ends, and goes on."""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from experiments import logistic
from experiments.evidence.plan import Target, Unit
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.train.loop import evaluate, fit
from imgcls_jax.train.outcome import require_sense, summarised
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.workdir import Workdir

_FIGURES = (
    "test_accuracy",
    "test_balanced_accuracy",
    "test_loss",
    "validation_accuracy",
    "validation_loss",
    "train_accuracy",
    "train_loss",
    "confusion_matrix",
)
_CURVES = (
    "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "test_loss",
    "test_accuracy",
)  # fmt: skip
_DIGITS = 6  # of a curve's values: files are for reading too


def measure(
    unit: Unit, trainer: Trainer, dataset: Dataset, workdir: Workdir, progress: Progress
) -> Iterator[tuple[Target, dict[str, Any]]]:
    """Trains, from wherever the folder stands, and yields each target's entry of this seed.

    Raises:
      Interrupted: if `progress.stop_requested()`; the folder holds all finished steps.
      UserError: if the training diverges.
    """
    workdir.path.mkdir(parents=True, exist_ok=True)
    with Checkpoints(workdir.checkpoints) as checkpoints:
        for target in unit.targets:
            config = Config.of(**target.settings).replace(seed=unit.seed)
            staged = dataclasses.replace(trainer, config=config)
            at = {"workdir": workdir, "checkpoints": checkpoints, "progress": progress}
            state, history = fit(staged, seed=unit.seed, **at)
            evaluation = evaluate(staged, state, dataset.test)
            require_sense(evaluation, dataset)
            summary, _ = summarised(config, staged, dataset, evaluation, history)
            yield target, _entry(unit.seed, target.variant, summary, history)


def _entry(
    seed: int, variant: str | None, summary: dict[str, Any], history: list[dict[str, Any]]
) -> dict[str, Any]:
    """Returns the entry of a finished seed in a result file."""
    curves = {
        name: [round(record[name], _DIGITS) for record in history]
        for name in _CURVES
        if name in history[0]
    }
    seconds = {
        name: round(summary[name], 3)
        for name in ("train_seconds", "feature_seconds", "head_seconds")
        if summary.get(name)
    }
    return {
        "seed": seed,
        **({"variant": variant} if variant else {}),
        **{name: summary[name] for name in _FIGURES if summary.get(name) is not None},
        "calibration_error": round(summary["calibration"]["ece"], _DIGITS),
        **seconds,
        "by_epoch": curves,
    }


def measure_logistic(unit: Unit, dataset: Dataset) -> dict[str, Any]:
    """Returns the entry of run 8 with the pixels in one order, the stored one for order 0.

    Its seed is part of the document. The order of the pixels means nothing to logistic regression,
    so it changes the score only by rounding, which the iteration makes grow.
    """
    size = dataset.train.images[0].size
    pixels = np.random.default_rng(unit.seed).permutation(size) if unit.seed else None
    started = time.perf_counter()
    result, _ = logistic.validate(dataset, unit.settings, pixels)
    return {
        "seed": unit.seed,
        "cross_validation_accuracy": float(result.scores.mean()),
        "fold_accuracy": result.scores.tolist(),
        "confusion_matrix": result.confusion_matrix.tolist(),
        "seconds_with_compilation": round(time.perf_counter() - started, 3),
    }
