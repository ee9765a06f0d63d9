"""A whole run: train or resume, meet the test set once, write and draw what came out.

Every number a figure or the closing table shows is read back from the workdir, so that what a
person sees is what was saved.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imgcls_jax import pretrained, steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.data.dataset import identity
from imgcls_jax.errors import UserError
from imgcls_jax.losses import is_absurd
from imgcls_jax.report import console
from imgcls_jax.report.run_figures import draw
from imgcls_jax.train.loop import Interrupted, blank, fit
from imgcls_jax.train.progress import Observer, collect_signals, tensorboard
from imgcls_jax.train.setup import make_model
from imgcls_jax.train.summary import difference, evaluated_record, summarise
from imgcls_jax.train.trainer import Program, build
from imgcls_jax.workdir import Workdir


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
    """`trainer.build` with the weights that the configuration starts from.

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


def network(program: Program, dataset: Dataset) -> dict[str, Any]:
    """What `network.json` holds: all a prediction needs beside configuration and parameters."""
    return {
        "class_names": list(dataset.class_names),
        "image_shape": list(dataset.image_shape),
        "data": identity(dataset),
        "resize": program.config.resize,
        "normalise": {
            "name": program.config.normalise,
            "constants": {name: np.asarray(v).tolist() for name, v in program.normalise.items()},
        },
    }


def require_same_data(workdir: Workdir, dataset: Dataset) -> None:
    """Raises UserError if the run in a folder was made of other data."""
    found = workdir.network()
    if found is not None and found.get("data") != identity(dataset):
        raise UserError(
            f"the run in {workdir.path} was made of other data than {dataset.name} as it is now "
            f"({len(dataset.class_names)} classes, {len(dataset.train):,} training examples); give "
            "the data it began with, or a new --workdir."
        )


def keep_evaluated(checkpoints: Checkpoints, state: steps.TrainState) -> None:
    """Writes the variables that a run is evaluated with."""
    checkpoints.save("evaluated", int(state.step), state.variables)
    checkpoints.wait()
