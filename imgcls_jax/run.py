"""A whole run: train or resume, meet the test set once, write and draw what came out.

Every number a figure or the closing table shows is read back from the workdir, so that what a
person sees is what was saved.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imgcls_jax import console, metrics, pretrained, steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.errors import UserError
from imgcls_jax.figures import draw
from imgcls_jax.observe import Observer, collect_signals, tensorboard
from imgcls_jax.parts import make_model
from imgcls_jax.program import Program, build
from imgcls_jax.restored import keep_evaluated, network, require_same_data
from imgcls_jax.summary import difference, evaluated_record, spread, summarise
from imgcls_jax.train import Interrupted, blank, fit, is_absurd
from imgcls_jax.workdir import Workdir, environment


def train(
    config: Config,
    *,
    name: str,
    dataset: Dataset,
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    shared_program: Callable[[], Program] | None = None,
    with_tensorboard: bool = False,
    stop: list[int] | None = None,
) -> dict[str, Any]:
    """Runs `config` in `workdir` from wherever it stands, and returns its summary.

    Args:
      config: the settings.
      name: what the run is called in its summary.
      dataset: the loaded data.
      workdir: a new folder, or one that holds this very configuration.
      documented: what a source document reports of this run: `figures` by summary name,
        optionally `disagreement`.
      shared_program: gives what `build` made of the same settings, whatever their seed, and is
        called if the run is not finished; if None a program is built here.
      with_tensorboard: whether to write event files.
      stop: the signals a caller collects; collected here if None.

    Raises:
      UserError: for settings that do not fit the data, a diverged loss, an unwritable folder.
      Interrupted: if SIGINT or SIGTERM asked to stop; the same command continues.
    """
    workdir.claim(config)
    require_same_data(workdir, dataset)
    finished = workdir.summary()
    if finished is not None:
        print(f"{workdir.path} holds this run, finished: nothing to train.")
        return finished
    signals = collect_signals() if stop is None else contextlib.nullcontext(stop)
    with Checkpoints(workdir.checkpoints) as checkpoints, signals as stop:
        done = checkpoints.step("last") or 0
        board = tensorboard(workdir, done=done) if with_tensorboard else None
        if shared_program is None:
            program = make_program(config, dataset, resumed=bool(done))
        else:
            program = shared_program()
        if stop:  # a signal during compilation, which cannot be broken off
            raise Interrupted("stopped before training began; run the same command to start.")
        workdir.write_json("network.json", network(program, dataset))
        if done:
            print(f"resuming from step {done} of {program.total_steps}")
        observer = Observer(program, stop=stop, board=board, done=done)
        try:
            state, history = fit(
                program,
                seed=config.seed,
                workdir=workdir,
                checkpoints=checkpoints,
                progress=observer,
            )
        finally:
            observer.close()
        if config.evaluate == "best" and config.epochs:
            state = _best(program, history, checkpoints)
        keep_evaluated(checkpoints, program.evaluated(state))
    summary, arrays = summarise(program, config, dataset, state, history)
    if is_absurd(summary["test_loss"], dataset.num_classes):
        raise UserError(
            f"training diverged: the test loss is {summary['test_loss']:.3g}; use a smaller --lr "
            "in a new --workdir."
        )
    summary = {"run": name} | summary
    if documented is not None:
        summary |= {"documented": dict(documented), "difference": difference(summary, documented)}
    workdir.write_arrays("predictions.npz", **arrays)
    workdir.write_json("summary.json", summary)
    return summary


def make_program(config: Config, dataset: Dataset, *, resumed: bool = False) -> Program:
    """`program.build` with the weights that the configuration starts from.

    Args:
      resumed: whether a checkpoint will replace those weights, where only they are needed.
    """
    if config.trainable == "head" and config.cache_features and not config.features_once:
        print(
            "features are computed every epoch, for --augment, --tta, --eval_size or --feed "
            "changes images."
        )
    if config.weights == "none" or (resumed and not config.features_once):
        return build(config, dataset)
    loaded = pretrained.load(
        config.weights,
        model_name=config.model,
        model=make_model(config, num_classes=dataset.num_classes),
        image_shape=dataset.image_shape,
    )
    console.weights(loaded)
    return build(config, dataset, pretrained=loaded.variables)


def _best(program: Program, history: list, checkpoints: Checkpoints) -> steps.TrainState:
    """The state with the best validation accuracy, as the history has it."""
    wanted, kept = evaluated_record(history, program.config)["step"], checkpoints.step("best")
    if kept != wanted:
        raise UserError(
            f"the best epoch ended at step {wanted}, but the 'best' checkpoint is of step {kept}; "
            "train again in a new --workdir."
        )
    return checkpoints.restore("best", blank(program)).state


def report(workdir: Workdir, dataset: Dataset, *, figures: bool) -> None:
    """Prints a finished run's closing table and, if wanted, draws its figures."""
    console.closing(workdir.summary())
    if figures:
        console.paths("Figures", draw(workdir, dataset))


def evaluate_only(
    config: Config, *, name: str, dataset: Dataset, workdir: Workdir
) -> dict[str, Any]:
    """Evaluates the checkpoint of a run in `workdir`, changing nothing there."""
    require_same_data(workdir, dataset)
    program = make_program(config, dataset, resumed=True)
    with Checkpoints(workdir.checkpoints) as checkpoints:
        state = checkpoints.restore(config.evaluate, blank(program)).state
    epochs = int(state.step) // program.steps_per_epoch
    history = [record for record in workdir.history() if record["epoch"] <= epochs]
    summary, _ = summarise(program, config, dataset, state, history)
    console.closing({"run": name} | summary)
    return summary


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
