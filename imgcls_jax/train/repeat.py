"""A run made several times, each in a folder of its own: over seeds, or over folds."""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imgcls_jax import metrics, sharding
from imgcls_jax.config import Config
from imgcls_jax.errors import Interrupted
from imgcls_jax.files import held
from imgcls_jax.machines import group
from imgcls_jax.train.progress import asked, collect_signals
from imgcls_jax.train.summary import of_top_k, spread
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.workdir import Workdir, environment


def alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps the folder that a function is given as `workdir` to this process while it runs.

    It raises a UserError at once where another process has the folder. Of processes that train
    together the first one keeps it for all.
    """

    @functools.wraps(function)
    def in_folder(*arguments: Any, workdir: Workdir, **more: Any) -> Any:
        with held(workdir.path) if group.is_first() else contextlib.nullcontext():
            return function(*arguments, workdir=workdir, **more)

    return in_folder


class Shared:
    """A trainer that is made on the first call and given again on others.

    What it has to prepare asks whom the last call named whether to stop.

    Args:
      make: as `run.make_trainer`, but for what is given already.
    """

    def __init__(self, make: Callable[..., Trainer]):
        self._make, self._made = make, None

    def __call__(self, *, check: Callable[[], None]) -> Trainer:
        self._check = check
        if self._made is None:
            self._made = self._make(check=lambda: self._check())
        return self._made


def each(
    configs: list[Config],
    kind: str,
    workdir: Workdir,
    run_one: Callable[[Config, Workdir, list[int]], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Runs configurations that differ in one setting, each in a folder called by it.

    Args:
      kind: the setting's name, "seed" or "fold".
      run_one: (configuration, folder, signals collected so far) -> summary.
    """
    runs = []
    with collect_signals() as stop:
        for number, one in enumerate(configs, start=1):
            value = one.flat()[kind]
            try:
                if asked(stop):
                    raise Interrupted(f"stopped between {kind}s.")
                print(f"{kind} {value}, {number} of {len(configs)}")
                runs.append(run_one(one, of_one(workdir, kind, one), stop))
            except Interrupted as interrupted:
                raise Interrupted(
                    f"stopped at {kind} {value}; run the same command with "
                    f"`workdir={workdir.path}` `{kind}s={len(configs)}` to continue."
                ) from interrupted
    return runs


def of_one(workdir: Workdir, kind: str, config: Config) -> Workdir:
    """Returns the folder of one configuration, called by its seed or its fold."""
    path = workdir.path / f"{kind}-{config.flat()[kind]}"
    return Workdir(path, checkpoint_every=workdir.checkpoint_every)


def over(
    runs: list[dict[str, Any]], config: Config, name: str, documented: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Returns the entries that the summary of several runs has, whatever they differ in."""
    return {
        "run": name,
        "config": config.to_json(),
        "spread": spread(runs, documented),
        "train_seconds": [round(summary["train_seconds"], 3) for summary in runs],
        "documented": dict(documented) if documented else None,
    } | environment(sharding.make_mesh(config.train.devices).size)


def pooled(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the accuracies over all folds' examples, each counted once, with 95 % intervals."""
    matrix = sum(np.array(summary["confusion_matrix"]) for summary in runs)
    count, top_k = int(matrix.sum()), {}
    if k := runs[0].get("top_k"):
        shares = [(s[f"test_top{k}_accuracy"], np.sum(s["confusion_matrix"])) for s in runs]
        top_k = of_top_k(k, sum(round(share * size) for share, size in shares), count)
    return {
        "test_accuracy": float(np.trace(matrix) / matrix.sum()),
        "test_accuracy_interval": list(metrics.accuracy_interval(matrix)),
        "test_balanced_accuracy": metrics.balanced_accuracy(matrix),
        "test_balanced_accuracy_interval": list(metrics.balanced_accuracy_interval(matrix)),
        **top_k,
        "confusion_matrix": matrix.tolist(),
    }
