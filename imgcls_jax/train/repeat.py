"""A run made several times: with other seeds, or with each part of the data as the test set."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imgcls_jax import metrics
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.errors import Interrupted
from imgcls_jax.train.progress import collect_signals
from imgcls_jax.train.run import make_trainer, train
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
    configs = [config.replace(seed=config.train.seed + k) for k in range(seeds)]
    workdir.claim(config, several=True)
    shared = functools.cache(lambda: make_trainer(config, dataset))

    def run_one(one: Config, folder: Workdir, stop: list[int]) -> dict[str, Any]:
        return train(
            one,
            name=name,
            dataset=dataset,
            shared_trainer=shared,
            documented=documented,
            workdir=folder,
            with_tensorboard=with_tensorboard,
            stop=stop,
        )

    runs = _each(configs, "seed", workdir, run_one)
    result = _over(runs, config, name, documented) | {
        "seeds": [summary["seed"] for summary in runs],
        "data_verified": dataset.verified,
    }
    workdir.write_json("summary.json", result)
    return result


def cross_validate(
    config: Config,
    *,
    name: str,
    load: Callable[[Config], Dataset],
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    with_tensorboard: bool = False,
    watch: Callable[[str, Config, Dataset, Workdir], None] = lambda *_: None,
) -> dict[str, Any]:
    """Runs `config` with each of its folds as the test set, each in its own folder.

    Folds already finished in `workdir` are not run again.

    Args:
      load: gives the data of a configuration, split by its fold.
      watch: is called with "loaded" when a fold's data is there and "finished" when its run is.

    Returns:
      What is written to `summary.json`: every fold's figures, their mean and standard deviation,
      and under `pooled` the accuracies over all examples, each counted once.
    """
    configs = [config.replace(fold=k) for k in range(config.data.folds)]
    workdir.claim(config, several=True)

    def run_one(one: Config, folder: Workdir, stop: list[int]) -> dict[str, Any]:
        dataset = load(one)
        watch("loaded", one, dataset, folder)
        summary = train(
            one,
            name=name,
            dataset=dataset,
            documented=documented,
            workdir=folder,
            with_tensorboard=with_tensorboard,
            stop=stop,
        )
        watch("finished", one, dataset, folder)
        return summary

    runs = _each(configs, "fold", workdir, run_one)
    matrix = sum(np.array(summary["confusion_matrix"]) for summary in runs)
    result = _over(runs, config, name, documented) | {
        "folds": config.data.folds,
        "pooled": {
            "test_accuracy": float(np.trace(matrix) / matrix.sum()),
            "test_balanced_accuracy": metrics.balanced_accuracy(matrix),
            "confusion_matrix": matrix.tolist(),
        },
    }
    workdir.write_json("summary.json", result)
    return result


def _each(
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
                if stop:
                    raise Interrupted(f"stopped between {kind}s.")
                print(f"{kind} {value}, {number} of {len(configs)}")
                runs.append(run_one(one, Workdir(workdir.path / f"{kind}-{value}"), stop))
            except Interrupted as interrupted:
                raise Interrupted(
                    f"stopped at {kind} {value}; run the same command with "
                    f"`workdir={workdir.path}` `{kind}s={len(configs)}` to continue."
                ) from interrupted
    return runs


def _over(
    runs: list[dict[str, Any]], config: Config, name: str, documented: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Returns what the summary of several runs has, whatever they differ in."""
    return {
        "run": name,
        "config": config.to_json(),
        "spread": spread(runs, documented),
        "train_seconds": [round(summary["train_seconds"], 3) for summary in runs],
        "documented": dict(documented) if documented else None,
    } | environment()
