"""The trials of a study: each trains by `fit`, never sees the test set, and writes no file."""

import contextlib
import dataclasses
import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.train import study as studies
from imgcls_jax.train.loop import fit
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.run import make_trainer
from imgcls_jax.train.search_space import Space, text_of
from imgcls_jax.train.workers import Stop

_FAILURES = 10  # trials in a row that fail before a study ends


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched, how, and where it is remembered; it can be pickled.

    Attributes:
      configure: settings by name -> the configuration they make, on top of what they start from.
      given: settings of every trial, the first one's too.
      fixed: further settings of every trial but the first.
      space: what differs between trials.
      data: the identity of the data, see `data.dataset.identity`.
      url, name, folder: the study's, see `study.Study`.
      pruner: one of `study.PRUNERS`.
      trials: how many there are to be in all; None for as many as the time allows.
    """

    configure: Callable[[Mapping[str, Any]], Config]
    given: Mapping[str, Any]
    fixed: Mapping[str, Any]
    space: Space
    data: str
    url: str
    name: str
    folder: Path
    pruner: str
    trials: int | None

    @property
    def preset(self) -> Config:
        """The settings to beat, those of the first trial."""
        return self.configure(self.given)

    def settings(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the settings that a trial adds to what it starts from.

        Args:
          record: the trial's, see `study.Study.records`.
        """
        if record["first"]:
            return dict(self.given)
        return {**self.fixed, **self.given, **studies.read(self.space, record["params"])}

    def definition(self) -> dict[str, Any]:
        """Returns what a study is of, as JSON."""
        defaults, preset = Config().to_json(), self.preset.to_json()
        fixed = {name: value for name, value in preset.items() if value != defaults[name]}
        for name, value in self.fixed.items():
            fixed[f"{name} of trials"] = list(value) if isinstance(value, tuple) else value
        space = {name: found.to_json() for name, found in self.space.items()}
        return {"space": space, "fixed": fixed, "data": self.data}

    def open(self) -> studies.Study:
        """Opens the study; raises as `study.Study` does."""
        return studies.Study(self.url, self.name, self.folder, self.definition())


def work(search: Search, dataset: Dataset, number: int, *, stop: Stop) -> None:
    """Runs trials until there are enough, or `stop` is true.

    Args:
      dataset: has no test set.
      number: that of this process, for proposals of its own.

    Raises:
      UserError: the settings of the first trial cannot be used, or ten trials in a row failed.
    """
    study = search.open()
    seed = number + 1000 * len(study.records())
    epochs = search.configure({**search.fixed, **search.given}).train.epochs
    study.use(seed=seed, pruner=search.pruner, epochs=epochs)
    failures: list[str] = []

    def objective(trial: Any) -> float:
        return _run(trial, search, study, dataset, stop, failures)

    while not stop and len(failures) < _FAILURES:
        study.requeue()
        if not study.left(search.trials):
            return
        study.run_next(objective, caught=(_Failed,))
    if len(failures) >= _FAILURES:
        raise UserError(
            f"the last {_FAILURES} trials failed, the last one since {failures[-1]}; change the "
            "`space` or the fixed settings, in a new `workdir`."
        )


class _Failed(Exception):
    """A trial that has no result, of which nothing more is to be said."""


class _Reporting(Progress):
    """Reports each epoch's validation accuracy, and gives up a trial that is not worth more."""

    def __init__(self, trial: Any, *, epochs: int, stop: Stop):
        self._trial, self._epochs, self._stop = trial, epochs, stop
        self._first = trial.user_attrs.get("first", False)

    def epoch(self, record: dict[str, Any]) -> None:
        epoch, found = record["epoch"], record["validation_accuracy"]
        self._trial.report(found, epoch)
        # The first trial is what the winner is compared with.
        if not self._first and epoch < self._epochs and self._trial.should_prune():
            reason = f"pruned after epoch {epoch} with validation accuracy {found:.4f}"
            self._trial.set_user_attr("reason", reason)
            raise studies.import_optuna().TrialPruned(reason)

    def stop_requested(self) -> bool:
        return bool(self._stop)


class _NoFolder:
    """Stands where `fit` expects the folder of a run: a trial leaves no files."""

    path = checkpoints = Path("a trial")

    def history(self) -> list[dict[str, Any]]:
        return []

    def set_history(self, records: Any) -> None:
        del records

    append_history = set_history


class _NoCheckpoints:
    """Stands where `fit` expects checkpoints."""

    def step(self, name: str) -> None:
        del name

    def save(self, name: str, step: int, value: Any) -> None:
        del name, step, value

    def wait(self) -> None:
        pass


def _run(
    trial: Any,
    search: Search,
    study: studies.Study,
    dataset: Dataset,
    stop: Stop,
    failures: list[str],
) -> float:
    """Trains one trial and returns its validation accuracy after the last epoch."""
    if study.is_surplus(trial.number, search.trials):
        trial.set_user_attr("surplus", True)
        raise _Failed
    started = time.perf_counter()
    first, params = trial.user_attrs.get("first", False), {}
    if first:
        _propose_held(trial, search)
    else:
        params = studies.suggest(trial, search.space)
    pruned = studies.import_optuna().TrialPruned
    try:
        config = search.configure({**({} if first else search.fixed), **search.given, **params})
        record, parameters, examples = _train(config, trial, dataset, stop)
    except Interrupted:
        raise _Failed from None  # without a reason: queued again
    except pruned as error:
        failures.clear()
        _say(trial, str(error), params, started)
        raise
    except (UserError, jax.errors.JaxRuntimeError, MemoryError) as error:
        reason = str(error).partition(";")[0].strip().splitlines()[0][:300] or "no memory is left"
        diverged = reason.startswith("training diverged")
        if first and not diverged:
            trial.set_user_attr("reason", reason)
            raise
        trial.set_user_attr("reason", reason)
        _say(trial, reason, params, started)
        failures.append(reason)
        # Pruned, and not failed: proposals keep away from where training diverges.
        raise (pruned(reason) if diverged else _Failed(reason)) from None
    failures.clear()
    for name in ("validation_loss", "train_accuracy"):
        trial.set_user_attr(name, record[name])
    trial.set_user_attr("epochs", record["epoch"])
    trial.set_user_attr("parameters", parameters)
    trial.set_user_attr("examples", examples)
    accuracy = record["validation_accuracy"]
    what = f"validation accuracy {accuracy:.4f} after {record['epoch']} epochs"
    _say(trial, what, params, started)
    return accuracy


def _train(
    config: Config, trial: Any, dataset: Dataset, stop: Stop
) -> tuple[dict[str, Any], int, int]:
    """Trains; returns the last epoch's record and the numbers of parameters and examples."""
    with contextlib.redirect_stdout(io.StringIO()):  # where weights came from, for each trial
        trainer = make_trainer(config, dataset)
    if stop:
        raise Interrupted("stopped before training began.")
    progress = _Reporting(trial, epochs=config.train.epochs, stop=stop)
    _, history = fit(
        trainer,
        seed=config.train.seed,
        workdir=_NoFolder(),
        checkpoints=_NoCheckpoints(),
        progress=progress,
    )
    return history[-1], trainer.parameters, len(trainer.watched.split)


def _propose_held(trial: Any, search: Search) -> None:
    """Notes the values of the first trial that the space holds, for the proposals to learn from."""
    values = search.preset.flat()
    held = {name: of for name, of in search.space.items() if of.holds(values[name])}
    studies.suggest(trial, held)


def _say(trial: Any, what: str, params: Mapping[str, Any], started: float) -> None:
    seconds = time.perf_counter() - started
    chosen = "  ".join(f"{name}={text_of(value)}" for name, value in params.items())
    chosen = chosen or "the settings to beat"
    print(f"  trial {trial.number}: {what}, {seconds:.1f} s  {chosen}", flush=True)
