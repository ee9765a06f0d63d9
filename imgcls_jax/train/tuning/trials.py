"""The trials of a study: each trains by `fit`, never sees the test set, and writes no file."""

import contextlib
import dataclasses
import io
import textwrap
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgcls_jax.checkpoint import NoCheckpoints
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.errors import Interrupted, UnreadablePhoto, UserError
from imgcls_jax.train.loop import fit
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.run import make_trainer
from imgcls_jax.train.tuning import study as studies
from imgcls_jax.train.tuning.commands import Commands
from imgcls_jax.train.tuning.search import Search
from imgcls_jax.train.tuning.search_space import text_of
from imgcls_jax.train.tuning.storage import StorageFailed, import_optuna
from imgcls_jax.train.workers import Stop, spread

_FAILURES = 10  # trials in a row that fail before a study ends
_REASON, _TRACEBACK = 300, 4000  # characters that are kept
_MOST_JOBS = 1000  # the distance of two commands' seeds
_QUIET_SECONDS, _COLUMNS = 15.0, 100  # between two lines about one trial, and of a line
_LOOK_SECONDS = 1.0  # between two looks for trials that a dead command left


def run_trials(of: Search, dataset: Dataset, *, jobs: int, deadline: float | None) -> None:
    """Runs trials until there are enough or the time is over, in `jobs` processes.

    Args:
      dataset: its test set is not looked at.
      deadline: in seconds since the epoch; trials that run then are queued for the next call.

    Raises:
      UserError: see `study.Study` and `work`.
      Elsewhere: another command still runs trials of the study.
      Interrupted: a signal asked to stop; trials that ran are queued for the next call.
    """
    study = of.open()
    study.begin(of.preset.flat(), of.space)
    commands = Commands(study, of.folder)
    blind = dataclasses.replace(dataset, test=None)
    more = True
    while more:
        with commands.present("trials") as mine:
            seeds = range(_MOST_JOBS * mine, _MOST_JOBS * mine + jobs)
            if spread(work, [(of, blind, seed) for seed in seeds], deadline=deadline):
                raise Interrupted(
                    f"stopped; the study in {of.folder} is intact, run the same command to go on."
                )
        commands.leave_trials()
        more = _left_behind(study, deadline)


def _left_behind(study: studies.Study, deadline: float | None) -> bool:
    """Says whether there are trials to run whose command died; waits until that is certain."""
    while deadline is None or time.time() < deadline:
        if not study.requeue():
            return study.waiting()
        time.sleep(_LOOK_SECONDS)
    return False


def work(search: Search, dataset: Dataset, seed: int, *, stop: Stop) -> None:
    """Runs trials until there are enough, or `stop` is true.

    Args:
      dataset: has no test set.
      seed: of the proposals; each process of a study needs one of its own.

    Raises:
      UserError: the settings of the first trial cannot be used, ten trials in a row failed, a
        file cannot be read or written, or the storage cannot be used.
    """
    study = search.open()
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
        self._said = time.monotonic()

    def epoch(self, record: dict[str, Any]) -> None:
        epoch, found = record["epoch"], record["validation_accuracy"]
        self._trial.report(found, epoch)
        if epoch < self._epochs and time.monotonic() > self._said + _QUIET_SECONDS:
            self._said = time.monotonic()
            _say(self._trial, f"epoch {epoch} of {self._epochs}, validation accuracy {found:.4f}")
        # The first trial is what the winner is compared with.
        if not self._first and epoch < self._epochs and self._trial.should_prune():
            reason = f"pruned after epoch {epoch} with validation accuracy {found:.4f}"
            self._trial.set_user_attr("reason", reason)
            raise import_optuna().TrialPruned(reason)

    def stop_requested(self) -> bool:
        return bool(self._stop)


class _NoFolder:
    """Stands where `fit` expects the folder of a run: a trial leaves no files."""

    path = checkpoints = Path("a trial")
    checkpoint_every = None

    def history(self, *, steps: int) -> list[dict[str, Any]]:
        del steps
        return []

    def set_history(self, kept: Any) -> None:
        del kept

    append_history = set_head_seconds = set_history


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
    chosen = "  ".join(f"{name}={text_of(value)}" for name, value in params.items())
    _say(trial, f"begins, {'the settings to beat' if first else chosen}")
    pruned = import_optuna().TrialPruned
    try:
        config = search.configure({**({} if first else search.fixed), **search.given, **params})
        record, parameters, examples = _train(config, trial, dataset, stop)
    except Interrupted:
        raise _Failed from None  # without a reason: queued again
    except pruned as error:
        failures.clear()
        _say(trial, f"{error}, {_seconds(started)}")
        raise
    except (StorageFailed, UnreadablePhoto, import_optuna().exceptions.UpdateFinishedTrialError):
        raise  # no fault of the settings: queued again, without a reason
    except BrokenPipeError:  # nobody reads what is printed: likewise
        raise
    except OSError as error:
        raise UserError(
            f"trial {trial.number} cannot go on ({error}); mend that, then run the same command "
            "again."
        ) from error
    except Exception as error:
        reason = _reason(error)
        diverged = reason.startswith("training diverged")
        trial.set_user_attr("reason", reason)
        if isinstance(error, UserError) and first and not diverged:
            raise
        if not isinstance(error, UserError):
            trial.set_user_attr("traceback", traceback.format_exc()[-_TRACEBACK:])
        _say(trial, f"{reason}, {_seconds(started)}")
        failures.append(reason)
        # Pruned, and not failed: proposals keep away from where training diverges.
        raise (pruned(reason) if diverged else _Failed(reason)) from None
    failures.clear()
    return _noted(trial, record, parameters, examples, started)


def _reason(error: Exception) -> str:
    """Returns in a line why a trial has no result."""
    lines = str(error).strip().splitlines() or [""]
    if isinstance(error, UserError):
        return lines[0].partition(";")[0][:_REASON]
    memory = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
    what = "memory ran out" if memory else type(error).__name__
    return f"{what}: {lines[0]}"[:_REASON] if lines[0] else what


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
        checkpoints=NoCheckpoints(),
        progress=progress,
    )
    return history[-1], trainer.parameters, len(trainer.watched.split)


def _noted(
    trial: Any,
    record: Mapping[str, Any],
    parameters: int,
    examples: int,
    started: float,
) -> float:
    """Keeps what is known of a finished trial and returns its validation accuracy."""
    for name in ("validation_loss", "train_accuracy"):
        trial.set_user_attr(name, record[name])
    trial.set_user_attr("epochs", record["epoch"])
    trial.set_user_attr("parameters", parameters)
    trial.set_user_attr("examples", examples)
    accuracy = record["validation_accuracy"]
    epochs = f"{record['epoch']} epoch{'s' * (record['epoch'] != 1)}"
    _say(trial, f"validation accuracy {accuracy:.4f} after {epochs}, {_seconds(started)}")
    return accuracy


def _propose_held(trial: Any, search: Search) -> None:
    """Notes the values of the first trial that the space holds, for the proposals to learn from."""
    values = search.preset.flat()
    held = {name: of for name, of in search.space.items() if of.holds(values[name])}
    studies.suggest(trial, held)


def _seconds(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


def _say(trial: Any, what: str) -> None:
    """Prints a line about a trial, and goes on below where it is too long."""
    start = f"  trial {trial.number}: "
    for line in textwrap.wrap(
        what,
        _COLUMNS,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    ):
        print(f"{line}\n", end="", flush=True)  # at once: other processes print too
