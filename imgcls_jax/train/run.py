"""A whole run in its folder, or several: train or resume, meet the test set once, write it down."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imgcls_jax import pretrained
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.errors import UserError
from imgcls_jax.limits import kept
from imgcls_jax.train.build import build, training_splits
from imgcls_jax.train.distil import Teacher
from imgcls_jax.train.held_out import learn_limits
from imgcls_jax.train.kept import (
    as_begun,
    keep_evaluated,
    keep_network,
    photos_replaceable,
    require_same_data,
)
from imgcls_jax.train.loop import evaluate, fit, observer, say_where
from imgcls_jax.train.many import considered
from imgcls_jax.train.outcome import best_state, going_on, require_sense, summarised, written
from imgcls_jax.train.progress import Beginning, collect_signals
from imgcls_jax.train.repeat import Shared, alone, each, of_one, over, pooled
from imgcls_jax.train.setup import make_model
from imgcls_jax.train.together import train_together
from imgcls_jax.train.tracking import Tracking
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.train.waiting import stage, told
from imgcls_jax.workdir import Workdir


@alone
def train(
    config: Config,
    *,
    name: str,
    dataset: Dataset,
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    shared_trainer: Callable[..., Trainer] | None = None,
    trackers: Sequence[str] = (),
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
      shared_trainer: gives what `make_trainer` made of the same settings, whatever their seed, if
        the run is not finished, see `repeat.Shared`; if None a trainer is built here.
      trackers: names of services that show the run, see `imgcls_jax.train.trackers`.
      stop: the signals that a caller collects; collected here if None.

    Raises:
      UserError: for settings that do not fit the data, a diverged loss, an unwritable folder, or
        a run there that learns from another teacher.
      Interrupted: if a signal asked to stop; the same command continues.
    """
    with Tracking(trackers, workdir) as tracking:
        summary = _train(config, name, dataset, workdir, documented, shared_trainer, tracking, stop)
        tracking.finish(summary)
    return summary


def _train(
    config: Config,
    name: str,
    dataset: Dataset,
    workdir: Workdir,
    documented: Mapping[str, Any] | None,
    shared_trainer: Callable[..., Trainer] | None,
    tracking: Tracking,
    stop: list[int] | None,
) -> dict[str, Any]:
    """Does the work of `train`, but for the end of the trackers."""
    test = _test_split(dataset)
    workdir.claim(config)
    require_same_data(workdir, dataset)
    if (finished := workdir.summary()) is not None:
        print(f"{workdir.path} holds this run, finished: nothing to train.")
        return finished
    signals = collect_signals() if stop is None else contextlib.nullcontext(stop)
    with Checkpoints(workdir.checkpoints) as checkpoints, photos_replaceable(workdir, dataset):
        begun = checkpoints.step("last") is not None
        with signals as stop:
            before = Beginning(stop)
            anew = functools.partial(make_trainer, as_begun(config, workdir), dataset)
            make = shared_trainer or functools.partial(anew, resumed=begun)
            trainer = make(check=before.check)
            before.check()  # a signal during a compilation, which cannot be broken off
            keep_network(workdir, trainer, dataset)
            position = going_on(trainer, workdir, checkpoints)
            done = say_where(trainer, position)
            tracking.start(config, name, done=done)
            watch = observer(trainer, stop=stop, tracking=tracking, done=done)
            with contextlib.closing(watch):
                at = {"workdir": workdir, "checkpoints": checkpoints, "progress": watch}
                state, history = fit(trainer, seed=config.train.seed, **at, position=position)
            before.end()
        if config.evaluation.evaluate == "best" and config.train.epochs:
            state = best_state(trainer, history, checkpoints)
        with told("evaluation on the test set"):
            evaluation = evaluate(trainer, state, test)
            keep_evaluated(checkpoints, evaluation.state)
    require_sense(evaluation, dataset)
    facts = learn_limits(trainer, evaluation.state, config=config, dataset=dataset, workdir=workdir)
    of_run = {"history": history, "workdir": workdir, "limits": facts}
    summary, arrays = summarised(config, trainer, dataset, evaluation, **of_run)
    return written(workdir, dataset, {"run": name} | summary, arrays, documented)


@alone
def repeat(
    config: Config,
    *,
    seeds: int,
    name: str,
    dataset: Dataset,
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    trackers: Sequence[str] = (),
    shared_trainer: Callable[..., Trainer] | None = None,
) -> dict[str, Any]:
    """Runs `config` with `seeds` consecutive seeds, each in its own folder, compiled once.

    Seeds already finished in `workdir` are not run again.

    Args:
      shared_trainer: gives the trainer of all seeds, see `train` and `begin_together`.

    Returns:
      The content of `summary.json`: every seed's figures, their mean and standard deviation
      (n - 1), and where the documented figure falls in that distribution.
    """
    workdir.claim(config, several=True)
    shared = Shared(shared_trainer or functools.partial(make_trainer, config, dataset))

    def run_one(one: Config, folder: Workdir, stop: list[int]) -> dict[str, Any]:
        return train(one, **of, workdir=folder, shared_trainer=shared, stop=stop)

    of = {"name": name, "dataset": dataset, "documented": documented, "trackers": trackers}
    runs = each(config.seeds(seeds), "seed", workdir, run_one)
    result = over(runs, config, name, documented) | {
        "seeds": [summary["seed"] for summary in runs],
        "data_verified": dataset.verified,
    }
    together = [summary.get("together", 1) for summary in runs]
    result |= {"together": together} if max(together) > 1 else {}
    workdir.write_json("summary.json", result)
    return result


@alone
def begin_together(
    config: Config,
    *,
    seeds: int,
    dataset: Dataset,
    workdir: Workdir,
    name: str,
    vectorize: str,
    trackers: Sequence[str] = (),
) -> Callable[..., Trainer]:
    """Trains seeds in one program before `repeat` goes on, where they may share one.

    Each differs from the same seed alone by rounding only. Seeds that are already begun in
    `workdir` are left to go on one by one.

    Args:
      name, trackers: as `train` takes them.
      vectorize: "on", "off", or "auto" where it is found faster, see `many.considered`.

    Returns:
      what `repeat` takes as `shared_trainer`.

    Raises:
      Interrupted, UserError: as `together.train_together`; for "on" and settings that do not allow
        it as well.
    """
    shared = Shared(functools.partial(make_trainer, config, dataset))
    if not considered(vectorize, config):
        return shared
    _test_split(dataset)
    configs = config.seeds(seeds)
    workdir.claim(config, several=True)
    trainer = train_together(
        configs,
        [of_one(workdir, "seed", one) for one in configs],
        shared,
        training_splits(config, dataset)[0],
        dataset,
        tried=vectorize == "on",
        name=name,
        trackers=trackers,
    )
    return shared if trainer is None else lambda **_: trainer


@alone
def cross_validate(
    config: Config,
    *,
    name: str,
    load: Callable[[Config], Dataset],
    workdir: Workdir,
    documented: Mapping[str, Any] | None = None,
    trackers: Sequence[str] = (),
    watch: Callable[[str, Config, Dataset, Workdir], None] = lambda *_: None,
) -> dict[str, Any]:
    """Runs `config` with each of its folds as the test set, each in its own folder.

    Folds already finished in `workdir` are not run again.

    Args:
      load: gives the data of a configuration, split by its fold.
      watch: is called with "loaded" when a fold's data is there and "finished" when its run is.

    Returns:
      The content of `summary.json`: every fold's figures, their mean and standard deviation,
      and under `pooled` the accuracies over all examples, each counted once, with intervals.
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
            trackers=trackers,
            stop=stop,
        )
        watch("finished", one, dataset, folder)
        return summary

    runs = each(configs, "fold", workdir, run_one)
    result = over(runs, config, name, documented) | {
        "folds": config.data.folds,
        "pooled": pooled(runs),
    }
    workdir.write_json("summary.json", result)
    return result


def evaluate_only(
    config: Config, *, name: str, dataset: Dataset, workdir: Workdir
) -> dict[str, Any]:
    """Evaluates the checkpoint of a run in `workdir`, changing nothing there."""
    test = _test_split(dataset)
    require_same_data(workdir, dataset)
    trainer = make_trainer(as_begun(config, workdir), dataset, resumed=True)
    with Checkpoints(workdir.checkpoints) as checkpoints:
        state = checkpoints.restore(config.evaluation.evaluate, trainer.blank()).state
    epochs = int(state.step) // trainer.steps_per_epoch
    history = [record for record in workdir.history() if record["epoch"] <= epochs]
    evaluation = evaluate(trainer, state, test)
    of_run = {"history": history, "workdir": workdir, "limits": kept.facts(workdir.path)}
    summary, _ = summarised(config, trainer, dataset, evaluation, **of_run)
    return {"run": name} | summary


def make_trainer(
    config: Config,
    dataset: Dataset,
    *,
    resumed: bool = False,
    teacher: Teacher | None = None,
    check: Callable[[], None] = lambda: None,
) -> Trainer:
    """Builds the trainer, with the weights that the configuration starts from.

    Args:
      resumed: whether a checkpoint will give every variable; weights may be needed for features.
      teacher: whom to learn from beside the labels, if anyone.
      check: as `build` takes it.
    """
    frozen = config.train.trainable == "head"
    if frozen and config.train.cache_features and not config.features_once:
        print(
            "features are computed in every epoch, since augmentation, random crops, averaged "
            "views or a larger evaluation size change the images."
        )
    resumed = resumed and not config.features_once
    if config.model.weights == "none" or resumed:
        return build(config, dataset, teacher=teacher, resumed=resumed, check=check)
    with stage("reading the weights"):
        of = {"model_name": config.model.model, "image_shape": dataset.image_shape}
        model = make_model(config, num_classes=dataset.num_classes)
        loaded = pretrained.load(config.model.weights, model=model, **of)
    print(f"weights: {loaded.source}")
    return build(config, dataset, pretrained=loaded.variables, teacher=teacher, check=check)


def _test_split(dataset: Dataset) -> Split:
    if dataset.test is None:
        raise UserError(f"{dataset.name} has no test set to end a run with; load it whole.")
    return dataset.test
