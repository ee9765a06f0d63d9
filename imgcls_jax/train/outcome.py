"""The end of a run: the state that is evaluated, a check of its test figures, its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.errors import UserError
from imgcls_jax.limits import thresholds
from imgcls_jax.limits.kept import changes
from imgcls_jax.losses import is_absurd
from imgcls_jax.machines import group
from imgcls_jax.train import predictions
from imgcls_jax.train.kept import sweep
from imgcls_jax.train.ledger import History
from imgcls_jax.train.loop import Evaluation, standing
from imgcls_jax.train.summary import difference, evaluated_record, summarise
from imgcls_jax.train.trainer import Position, Trainer
from imgcls_jax.train.waiting import stage
from imgcls_jax.workdir import Workdir


def best_state(trainer: Trainer, history: History, checkpoints: Checkpoints) -> steps.TrainState:
    """Returns the state with the best validation accuracy, as the history has it."""
    wanted = evaluated_record(history, trainer.config)["step"]
    kept = group.broadcast(lambda: checkpoints.step("best"))
    if kept != wanted:
        raise UserError(
            f"the best epoch ended at step {wanted}, but the 'best' checkpoint is of step {kept}; "
            "train again in a new `workdir`."
        )
    return checkpoints.restore("best", trainer.blank()).state


def going_on(trainer: Trainer, workdir: Workdir, checkpoints: Checkpoints) -> Position | None:
    """Reads where a run stands, for the process that holds its folder; None where it has not begun.

    What killed writers left there is removed.

    Raises:
      UserError: if no checkpoint is whole, or one is missing or damaged that the run needs at its
        end.
    """
    sweep(workdir, checkpoints)
    position = standing(trainer, checkpoints)
    _require_best(trainer, workdir, checkpoints, position)
    return position


def _require_best(
    trainer: Trainer, workdir: Workdir, checkpoints: Checkpoints, position: Position | None
) -> None:
    """Raises UserError where a run that evaluates its best epoch will not have it at the end.

    An epoch beyond the position will be trained again, and is no matter.
    """
    if position is None or trainer.config.evaluation.evaluate != "best":
        return
    step, history = int(position.state.step), workdir.history()
    if not history or step < trainer.steps_per_epoch:
        return
    best = evaluated_record(history, trainer.config)["step"]
    there = group.broadcast(lambda: checkpoints.steps("best"))
    if best > step or any(one > step for one in there):
        return
    otherwise = (
        f"the run in {workdir.path} needs it at its end: bring it back from a copy, or train again "
        "in a new `workdir`"
    )
    checkpoints.verify("best", position, step=best, otherwise=otherwise)


def require_sense(evaluation: Evaluation, dataset: Dataset) -> None:
    """Raises UserError where nothing can be said of the test set but that training diverged."""
    loss = steps.means(evaluation.sums)["loss"]
    if is_absurd(loss, dataset.num_classes):
        raise UserError(
            f"training diverged: the test loss is {loss:.3g}; use a smaller `lr` in a new "
            "`workdir`."
        )


def summarised(
    config: Config,
    trainer: Trainer,
    dataset: Dataset,
    evaluation: Evaluation,
    *,
    history: History,
    workdir: Workdir,
    limits: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns the contents of `summary.json` and `predictions.npz` for a run.

    Args:
      config: the run's own; the trainer's may have another seed.
      workdir: its folder, which knows how long the head was fitted, but for one of version 0.1, and
        how large the checkpoint is.
      limits: what is kept of what was learned from held-out examples, see `limits.kept.facts`.
    """
    facts = {
        "parameters": trainer.parameters,
        "devices": trainer.setup.mesh.size,
        "step": int(evaluation.state.step),
        "watched": trainer.watched and trainer.watched.name,
        "examples": trainer.feed.size,
        "validation": _validation_size(trainer, dataset),
        "compile_seconds": trainer.compile_seconds,
        "feature_seconds": sum(trainer.feature_seconds),
        "head_seconds": workdir.head_seconds() if config.train.head_epochs else 0.0,
        "checkpoint_bytes": _bytes_below(workdir.checkpoints / "evaluated"),
        "test_seconds": evaluation.seconds,
        "thresholds": (limits or {}).get("thresholds"),
    }
    of = {"sums": evaluation.sums, "logits": evaluation.logits, "history": history}
    with stage("summing up"):
        summary, arrays = summarise(config, dataset, **of, facts=facts)
    if limits is not None and not dataset.several_labels:
        summary["temperature"] = of_test(limits, evaluation.logits, dataset.test.labels)
    return summary, arrays


def _validation_size(trainer: Trainer, dataset: Dataset) -> int:
    """Returns the examples of the validation split; 0 where there is none."""
    watched = trainer.watched
    if watched is not None and watched.name == "validation":
        return len(watched.split)
    return 0 if dataset.validation is None else len(dataset.validation)


def of_test(limits: Mapping[str, Any], logits: Any, labels: Any) -> dict[str, Any]:
    """Returns a temperature, where it comes from, and what it changes on the test set.

    Args:
      limits: what is kept, see `limits.kept.facts`.
      logits: (N, C) of the test set, or the logarithms of probabilities.
      labels: (N,).
    """
    value = limits["temperature"]
    if value is None:
        return {"value": None, "why_not": limits["why_not"]}
    held_out = {name: limits["held_out"][name] for name in ("of", "examples")}
    changed = {f"test_{name}": of for name, of in changes(logits, labels, value).items()}
    return {
        "value": value,
        "fitted_on": held_out,
        "seconds": limits.get("seconds"),
        **changed,
    }


def _bytes_below(folder: Path) -> int:
    """Returns the size of all files in a folder; 0 where there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def written(
    workdir: Workdir,
    dataset: Dataset,
    summary: dict[str, Any],
    arrays: Mapping[str, np.ndarray],
    documented: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Writes a run's predictions and its summary, a document's figures in it, which it returns."""
    if documented is not None:
        summary |= {"documented": dict(documented), "difference": difference(summary, documented)}
    said = {"temperature": summary.get("temperature", {}).get("value")}
    if dataset.several_labels:
        said = {"thresholds": thresholds.values(summary, dataset.num_classes)}
    predictions.write(workdir, dataset, arrays["probabilities"], **said)
    workdir.write_arrays("predictions.npz", **arrays)
    workdir.write_json("summary.json", summary)
    return summary
