"""A whole run: train or resume, meet the test set once, write and draw what came out.

Every number a figure or the closing table shows is read back from the workdir, so that what a
person sees is what was saved.
"""

import contextlib
import dataclasses
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from imgcls_jax import console, steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.program import Program, build
from imgcls_jax.summary import difference, spread, summarise
from imgcls_jax.train import fit
from imgcls_jax.workdir import Workdir, environment


def train(
    config: Config,
    *,
    name: str,
    dataset: Dataset,
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    program: Program | None = None,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Runs `config` in `workdir` from wherever it stands, and returns its summary.

    Args:
      config: the settings.
      name: what the run is called in its summary.
      dataset: the loaded data.
      workdir: a new folder, or one that holds this very configuration.
      documented: what a source document reports of this run: `figures` by summary name,
        optionally `disagreement`.
      program: what `build` made of the same settings, whatever their seed; built here if None.
      tensorboard: whether to write event files.

    Raises:
      UserError: for settings that do not fit the data, a diverged loss, an unwritable folder.
      Interrupted: if SIGINT or SIGTERM asked to stop; the same command continues.
    """
    workdir.claim(config)
    finished = workdir.summary()
    if finished is not None:
        print(f"{workdir.path} holds this run, finished: nothing to train.")
        return finished
    program = program or build(config, dataset)
    with Checkpoints(workdir.checkpoints) as checkpoints, _stopping() as stop:
        done = checkpoints.step("last") or 0
        if done:
            print(f"resuming from step {done} of {program.total_steps}")
        observer = _Observer(program, stop, workdir, tensorboard, done)
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
            like = {"state": state, "sums": steps.zero_metrics()}
            state = checkpoints.restore("best", like)["state"]
    summary, arrays = summarise(program, config, dataset, state, history)
    summary = {"run": name} | summary
    if documented is not None:
        summary |= {"documented": dict(documented), "difference": difference(summary, documented)}
    workdir.write_arrays("predictions.npz", **arrays)
    workdir.write_json("summary.json", summary)
    return summary


def report(workdir: Workdir, dataset: Dataset, *, figures: bool) -> None:
    """Prints a finished run's closing table and, if wanted, draws its figures."""
    console.closing(workdir.summary())
    if figures:
        console.heading("Figures")
        for path in draw(workdir, dataset):
            print(f"  {path}")


def evaluate_only(
    config: Config, *, name: str, dataset: Dataset, workdir: Workdir
) -> dict[str, Any]:
    """Evaluates the checkpoint of a run in `workdir`, changing nothing there."""
    program = build(config, dataset)
    with Checkpoints(workdir.checkpoints) as checkpoints:
        state, sums = program.start(config.seed)
        state = checkpoints.restore(config.evaluate, {"state": state, "sums": sums})["state"]
    epochs = int(state.step) // program.steps_per_epoch
    history = [record for record in workdir.history() if record["epoch"] <= epochs]
    summary, _ = summarise(program, config, dataset, state, history)
    console.closing({"run": name} | summary)
    return summary


class _Observer(console.ProgressBar):
    """The progress bar, the signals that ask to stop, and TensorBoard's files."""

    def __init__(self, program, stop, workdir, tensorboard, done):
        size = len(program.train)
        epochs, batches = divmod(done, program.steps_per_epoch)
        super().__init__(
            epochs=program.config.epochs,
            examples_per_epoch=size,
            done=epochs * size + batches * program.config.batch_size,
        )
        self._stop = stop
        self._board = _tensorboard(workdir) if tensorboard else None

    def epoch(self, record):
        super().epoch(record)
        if self._board is not None:
            for name, value in record.items():
                if name not in ("epoch", "step"):
                    self._board.add_scalar(name.replace("_", "/", 1), value, record["step"])

    def stop_requested(self):
        return bool(self._stop)

    def close(self):
        super().close()
        if self._board is not None:
            self._board.close()


def _tensorboard(workdir: Workdir):
    from imgcls_jax.errors import UserError

    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "--tensorboard needs the package tensorboardX; pip install 'imgcls_jax[tensorboard]', "
            "or leave the flag out."
        ) from error
    return SummaryWriter(str(workdir.path / "tensorboard"))


@contextlib.contextmanager
def _stopping() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them; a second one is obeyed at once."""
    received: list[int] = []

    def handler(number, frame):
        del frame
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        old = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever owns it handles signals
        old = {}
    try:
        yield received
    finally:
        for number, previous in old.items():
            signal.signal(number, previous)


def draw(workdir: Workdir, dataset: Dataset) -> list[str]:
    """Draws a finished run's figures from its files; returns their paths."""
    from imgcls_jax import plots

    summary = workdir.summary()
    predictions = workdir.read_arrays("predictions.npz")
    labels, probabilities = predictions["labels"], predictions["probabilities"]
    names, test, train = dataset.class_names, dataset.test, dataset.train
    history = workdir.history()
    folder = workdir.make_figures()
    paths = []
    if history:
        paths.append(plots.learning_curves(history, folder / "learning_curves.png"))
    accuracy = summary["test_accuracy"]
    paths += [
        plots.confusion_matrix(
            np.asarray(summary["confusion_matrix"]),
            names,
            folder / "confusion_matrix.png",
            title=f"{summary['run']}: test accuracy {accuracy:.4f}",
        ),
        plots.prediction_grid(
            test.images, labels, probabilities, names, folder / "predictions.png"
        ),
        plots.most_confident_mistakes(
            test.images, labels, probabilities, names, folder / "mistakes.png"
        ),
        plots.reliability_diagram(summary["calibration"], folder / "calibration.png"),
        plots.sample_image(train.images[0], names[train.labels[0]], folder / "sample_image.png"),
        plots.sample_row(train.images, train.labels, names, folder / "sample_row.png"),
    ]
    return [str(path) for path in paths]


def repeat(
    config: Config,
    *,
    seeds: int,
    name: str,
    dataset: Dataset,
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Runs `config` with `seeds` consecutive seeds, each in its own folder, compiled once.

    Seeds already finished in `workdir` are not run again.

    Returns:
      What is written to `summary.json`: every seed's figures, their mean and standard deviation
      (n - 1), and where the documented figure falls in that distribution.
    """
    program = build(config, dataset)
    runs = []
    for number in range(seeds):
        one = dataclasses.replace(config, seed=config.seed + number)
        print(f"seed {one.seed}, {number + 1} of {seeds}")
        runs.append(
            train(
                one,
                name=name,
                dataset=dataset,
                program=program,
                documented=documented,
                workdir=Workdir(workdir.path / f"seed-{one.seed}"),
                tensorboard=tensorboard,
            )
        )
    result = {
        "run": name,
        "config": config.to_json(),
        "seeds": [summary["seed"] for summary in runs],
        "spread": spread(runs, documented),
        "train_seconds": [round(summary["train_seconds"], 3) for summary in runs],
        "data_verified": dataset.verified,
        "documented": dict(documented) if documented else None,
    } | environment()
    workdir.write_json("summary.json", result)
    console.heading(f"{name}: {seeds} seeds")
    console.spread(result["spread"])
    return result
