"""One training of one seed: it stops to meet the test set where a reading ends, and goes on."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from experiments import logistic
from experiments.evidence.plan import Target, Unit
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.errors import Interrupted
from imgcls_jax.train.build import training_splits
from imgcls_jax.train.loop import Evaluation, evaluate, fit
from imgcls_jax.train.many import Many
from imgcls_jax.train.outcome import require_sense, summarised
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.summary import FIGURES
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.workdir import Workdir

_CURVES = (
    "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "test_loss",
    "test_accuracy",
)  # fmt: skip
_DIGITS = 6  # of a curve's values: files are for reading too


def measure(
    unit: Unit, trainer: Trainer, dataset: Dataset, workdir: Workdir, progress: Progress
) -> Iterator[tuple[Target, dict[str, Any]]]:
    """Trains, from wherever the folder stands, and yields each target's entry of this seed.

    A target that the training is beyond already was yielded before it went on.

    Raises:
      Interrupted: if `progress.stop_requested()`; the folder holds all finished steps.
      UserError: if the training diverges.
    """
    workdir.path.mkdir(parents=True, exist_ok=True)
    with Checkpoints(workdir.checkpoints) as checkpoints:
        begun = checkpoints.step("last") or 0
        for target in unit.targets:
            if begun > target.epochs * trainer.steps_per_epoch:
                continue
            config = Config.of(**target.settings).replace(seed=unit.seed)
            staged = dataclasses.replace(trainer, config=config)
            at = {"workdir": workdir, "checkpoints": checkpoints, "progress": progress}
            state, history = fit(staged, seed=unit.seed, **at)
            evaluation = evaluate(staged, state, dataset.test)
            require_sense(evaluation, dataset)
            summary, _ = summarised(
                config, staged, dataset, evaluation, history=history, workdir=workdir
            )
            yield target, _entry(unit.seed, target.variant, summary, history)


def measure_together(
    units: Sequence[Unit],
    trainer: Trainer,
    dataset: Dataset,
    workdir: Workdir,
    progress: Progress,
) -> Iterator[tuple[Target, dict[str, Any]]]:
    """Trains seeds and learning rates in one program, and yields each target's entries.

    Args:
      units: that differ in seed and learning rate alone, see `plan.program`.
      trainer: of the first of them.
      workdir: of what belongs to all of them.

    Raises:
      Interrupted: if `progress.stop_requested()`; nothing is kept of what is not yielded.
      UserError: if a training diverges.
    """
    train, _ = training_splits(trainer.config, dataset)
    rates = np.array([Config.of(**unit.settings).optim.lr for unit in units])
    many = Many(trainer, train, seeds=[unit.seed for unit in units], scales=rates / rates[0])
    histories: list[list[dict[str, Any]]] = [[] for _ in units]
    for epoch in range(1, units[0].targets[-1].epochs + 1):
        if progress.stop_requested():
            raise Interrupted("stopped between epochs; run the same command to go on.")
        records = many.train_epoch(trainer.watched)
        for history, record in zip(histories, records, strict=True):
            history.append(record)
        if any(target.epochs == epoch for unit in units for target in unit.targets):
            yield from _entries(units, trainer, dataset, workdir, many, histories)


def _entries(
    units: Sequence[Unit],
    trainer: Trainer,
    dataset: Dataset,
    workdir: Workdir,
    many: Many,
    histories: list[list[dict[str, Any]]],
) -> Iterator[tuple[Target, dict[str, Any]]]:
    """Meets the test set with all members, and yields the entries of readings that end here."""
    started = time.perf_counter()
    sums, logits = many.evaluate(dataset.test)
    seconds = (time.perf_counter() - started) / len(units)
    members = zip(units, many.members(), sums, logits, histories, strict=True)
    for unit, state, of, outputs, history in members:
        for target in unit.targets:
            if target.epochs != many.epochs:
                continue
            config = Config.of(**target.settings).replace(seed=unit.seed)
            evaluation = Evaluation(state, of, outputs, seconds)
            require_sense(evaluation, dataset)
            summary, _ = summarised(
                config, trainer, dataset, evaluation, history=history, workdir=workdir
            )
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
        **{
            name: summary[name]
            for name in (*FIGURES, "confusion_matrix")
            if summary.get(name) is not None
        },
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
    (target,) = unit.targets
    return {
        "seed": unit.seed,
        **({"variant": target.variant} if target.variant else {}),
        "cross_validation_accuracy": float(result.scores.mean()),
        "fold_accuracy": result.scores.tolist(),
        "passes": result.model.passes.tolist(),
        "confusion_matrix": result.confusion_matrix.tolist(),
        "seconds_with_compilation": round(time.perf_counter() - started, 3),
    }
