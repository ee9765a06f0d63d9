import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imgcls_jax import metrics
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.report import console
from imgcls_jax.report.run_figures import draw
from imgcls_jax.train.loop import Interrupted
from imgcls_jax.train.progress import collect_signals
from imgcls_jax.train.run import make_program, train
from imgcls_jax.train.summary import spread
from imgcls_jax.workdir import Workdir, environment


def repeat(
    config: Config,
    *,
    seeds: int,
    name: str,
    dataset: Dataset,
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    with_tensorboard: bool = False,
) -> dict[str, Any]:
    """Runs `config` with `seeds` consecutive seeds, each in its own folder, compiled once.

    Seeds already finished in `workdir` are not run again.

    Returns:
      What is written to `summary.json`: every seed's figures, their mean and standard deviation
      (n - 1), and where the documented figure falls in that distribution.
    """
    configs = [dataclasses.replace(config, seed=config.seed + k) for k in range(seeds)]
    workdir.claim(config, seeds=True)
    with collect_signals() as stop:
        shared = functools.cache(lambda: make_program(config, dataset))
        runs = _each(
            configs,
            "seed",
            workdir,
            lambda one, folder: train(
                one,
                name=name,
                dataset=dataset,
                shared_program=shared,
                documented=documented,
                workdir=folder,
                with_tensorboard=with_tensorboard,
                stop=stop,
            ),
            stop,
        )
    result = _over(runs, config, name, documented) | {
        "seeds": [summary["seed"] for summary in runs],
        "data_verified": dataset.verified,
    }
    workdir.write_json("summary.json", result)
    console.heading(f"{name}: {seeds} seeds")
    console.spread(result["spread"])
    return result


def cross_validate(
    config: Config,
    *,
    name: str,
    load: Callable[[Config], Dataset],
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    with_tensorboard: bool = False,
    figures: bool = False,
) -> dict[str, Any]:
    """Runs `config` with each of its folds as the test set, each in its own folder.

    Folds already finished in `workdir` are not run again.

    Args:
      load: the data of a configuration, split by its fold.

    Returns:
      What is written to `summary.json`: every fold's figures, their mean and standard deviation,
      and under `pooled` the accuracies over all examples, each counted once.
    """
    configs = [dataclasses.replace(config, fold=k) for k in range(config.folds)]
    workdir.claim(config, seeds=True)

    def run_one(one: Config, folder: Workdir) -> dict[str, Any]:
        dataset = load(one)
        if one.fold == 0:
            console.dataset(dataset)
        summary = train(
            one,
            name=name,
            dataset=dataset,
            documented=documented,
            workdir=folder,
            with_tensorboard=with_tensorboard,
            stop=stop,
        )
        if figures:
            console.paths(f"Figures of fold {one.fold}", draw(folder, dataset))
        return summary

    with collect_signals() as stop:
        runs = _each(configs, "fold", workdir, run_one, stop)
    matrix = sum(np.array(summary["confusion_matrix"]) for summary in runs)
    result = _over(runs, config, name, documented) | {
        "folds": config.folds,
        "pooled": {
            "test_accuracy": float(np.trace(matrix) / matrix.sum()),
            "test_balanced_accuracy": metrics.balanced_accuracy(matrix),
            "confusion_matrix": matrix.tolist(),
        },
    }
    workdir.write_json("summary.json", result)
    console.heading(f"{name}: {config.folds} folds")
    console.spread(result["spread"])
    pooled = result["pooled"]
    console.pairs(
        {
            "accuracy over all": f"{pooled['test_accuracy']:.4f}",
            "balanced accuracy over all": f"{pooled['test_balanced_accuracy']:.4f}",
        }
    )
    return result


def _each(
    configs: list[Config],
    kind: str,
    workdir: Workdir,
    run_one: Callable[[Config, Workdir], dict[str, Any]],
    stop: list[int],
) -> list[dict[str, Any]]:
    """Summaries of configurations that differ in the field `kind`, each in a folder called so."""
    runs = []
    for number, one in enumerate(configs, start=1):
        value = getattr(one, kind)
        try:
            if stop:
                raise Interrupted(f"stopped between {kind}s.")
            print(f"{kind} {value}, {number} of {len(configs)}")
            runs.append(run_one(one, Workdir(workdir.path / f"{kind}-{value}")))
        except Interrupted as interrupted:
            raise Interrupted(
                f"stopped at {kind} {value}; run the same command with "
                f"--workdir={workdir.path} --{kind}s={len(configs)} to continue."
            ) from interrupted
    return runs


def _over(
    runs: list[dict[str, Any]], config: Config, name: str, documented: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the summary of several runs has, whatever they differ in."""
    return {
        "run": name,
        "config": config.to_json(),
        "spread": spread(runs, documented),
        "train_seconds": [round(summary["train_seconds"], 3) for summary in runs],
        "documented": dict(documented) if documented else None,
    } | environment()
