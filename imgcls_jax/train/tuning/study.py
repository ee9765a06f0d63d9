"""The memory of a search: an Optuna study in a storage, which any number of processes share.

A trial whose process died is queued again: at once where the process was on this machine, after a
minute without a sign of life where it was on another. Two machines may queue a trial at once; the
first of equals counts, and the others are never run.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError
from imgcls_jax.files import advised, lock, processes
from imgcls_jax.train.tuning import repeats, signs
from imgcls_jax.train.tuning.search_space import Choices, Dimension, Space, is_whole, text_of
from imgcls_jax.train.tuning.storage import (
    Guarded,
    connect,
    explained,
    import_optuna,
    without_password,
)

PRUNERS = ("hyperband", "median", "none")
_DEATHS = 3  # of the process of one trial, after which it is not tried again
_KILLED = f"its process was killed {_DEATHS} times, as where memory runs out"
_DEFINITION = "definition"
_WORDS = {"space": "another search space", "fixed": "other fixed settings", "data": "other data"}


class Study:
    """An open study.

    Args:
      url: of the storage, see `storage`.
      name: that of the study in the storage.
      folder: where processes of this machine lock each other out.
      definition: what the study is of, as JSON: `space`, `fixed` and `data`, which every process
        must agree on, and whatever else is good to know.

    Raises:
      UserError: Optuna is not installed, the storage cannot be reached, or it holds a study of
        something else by that name.
    """

    def __init__(self, url: str, name: str, folder: Path, definition: Mapping[str, Any]):
        self._optuna = import_optuna()
        self._url, self._name, self._folder = url, name, folder
        self._watch = signs.Watch()
        with self._alone("opens the study"):
            self._storage = connect(url)
            self.of = self.part("")
            held = self.of.user_attrs.get(_DEFINITION)
            if held is None:
                self.of.set_user_attr(_DEFINITION, dict(definition))
                held = self.of.user_attrs[_DEFINITION]
        require_same(held, definition, f"the study {name} in {without_password(url)}")

    def part(self, of: str) -> Any:
        """Returns the study as Optuna's object, or a second one beside it, called by `of`."""
        with self.explained():
            return self._optuna.create_study(
                storage=self._storage,
                study_name=f"{self._name}, {of}" if of else self._name,
                direction="maximize",
                load_if_exists=True,
            )

    def explained(self) -> contextlib.AbstractContextManager[None]:
        """Tells the storage's troubles in the block as such, see `storage.explained`."""
        return explained(self._url)

    @contextlib.contextmanager
    def _alone(self, doing: str) -> Iterator[None]:
        """Keeps other processes of the folder out of the block."""
        with contextlib.ExitStack() as stack:
            try:
                # Other machines may write their trials' results there meanwhile.
                stack.enter_context(lock(self._folder, doing, sweeps=False))
            except OSError as error:
                advice = advised(error, "choose another `workdir`")
                raise UserError(
                    f"cannot write into {self._folder} ({error.strerror}); {advice}."
                ) from error
            stack.enter_context(self.explained())
            yield

    def use(self, *, seed: int, pruner: str, epochs: int) -> None:
        """Chooses how trials are proposed, and when a trial is given up.

        Proposals are those of the tree-structured Parzen estimator (Bergstra et al. 2011), which
        takes running trials into account.

        Args:
          seed: of the proposals; each process needs one of its own.
          pruner: one of PRUNERS: Hyperband (Li et al. 2018), or below the median of the others
            in the same epoch.
          epochs: the length of a whole trial.
        """
        optuna, first = self._optuna, max(1, epochs // 10)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.of.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
        self.of.pruner = {
            "hyperband": lambda: optuna.pruners.HyperbandPruner(first, max(epochs, first + 1)),
            "median": lambda: optuna.pruners.MedianPruner(n_warmup_steps=first),
            "none": optuna.pruners.NopPruner,
        }[pruner]()

    def begin(self, values: Mapping[str, Any], space: Space) -> None:
        """Queues the first trial, which has the settings to beat, unless there are trials.

        Args:
          values: those settings; the ones that the space holds count as proposed.
        """
        with self._alone("begins the study"):
            if self.of.get_trials(deepcopy=False):
                return
            held = {
                name: values[name] for name, found in space.items() if found.holds(values[name])
            }
            params = {name: stored(space[name], value) for name, value in held.items()}
            self.of.enqueue_trial(params, user_attrs={"first": True})

    def requeue(self) -> int:
        """Queues again, once each, the trials that ended without a result or a reason.

        Returns:
          how many trials run in other processes that live or are not known to have died.
        """
        state, running = self._optuna.trial.TrialState, 0
        with self._alone("queues trials"):
            for trial in self.of.get_trials(deepcopy=False, states=(state.RUNNING,)):
                process = trial.user_attrs.get("process", "")
                if self._watch.lives(trial) is not False:
                    running += process != processes.this_process()
                    continue
                with contextlib.suppress(ValueError, RuntimeError):  # another was faster
                    if processes.has_died(process):
                        known = self._optuna.trial.Trial(self.of, trial._trial_id)
                        known.set_user_attr("died", True)
                    self.of.tell(trial.number, state=state.FAIL)
            trials = self.of.get_trials(deepcopy=False)
            for trial in repeats.unfinished(trials):
                if trial.state == state.FAIL and repeats.deaths(trial, trials) < _DEATHS:
                    self._repeat(trial)
        return running

    def _repeat(self, trial: Any) -> None:
        first = {"first": True} if trial.user_attrs.get("first") else {}
        self.of.enqueue_trial(trial.params, user_attrs={"repeats": trial.number} | first)

    def waiting(self) -> bool:
        """Says whether a queued trial has to be run."""
        with self.explained():
            trials = self.of.get_trials(deepcopy=False)
        queued = {t.number for t in trials if t.state == self._optuna.trial.TrialState.WAITING}
        return bool(queued - repeats.doubles(trials))

    def left(self, trials: int | None) -> bool:
        """Says whether there is a trial to run before there are so many."""
        if trials is None or self.waiting():
            return True
        with self.explained():
            return len(repeats.counted(self.of.get_trials(deepcopy=False))) < trials

    def is_surplus(self, number: int, trials: int | None) -> bool:
        """Says whether a trial was begun by one process too many, or queued twice."""
        with self.explained():
            found = self.of.get_trials(deepcopy=False)
        if number in repeats.doubles(found):
            return True
        before = [t for t in repeats.counted(found) if t.number < number]
        return trials is not None and len(before) >= trials

    def run_next(self, objective: Callable[[Any], float], caught: tuple[type[Exception], ...]):
        """Runs the next trial, queued or proposed.

        Args:
          objective: trial -> value; raises `optuna.TrialPruned` for one that is given up.
          caught: the exceptions of a trial that do not end the study.
        """
        lost = self._optuna.exceptions.UpdateFinishedTrialError  # taken for dead, queued again
        of_trial: list[Exception] = []

        def begun(trial: Any) -> float:
            guarded = Guarded(trial, self._url)
            with signs.given(trial):
                guarded.set_user_attr("process", processes.this_process())
                try:
                    return objective(guarded)
                except Exception as error:
                    of_trial.append(error)
                    raise

        try:
            self.of.optimize(begun, n_trials=1, catch=caught)
        except lost:
            pass
        except Exception as error:
            if error in of_trial:  # no trouble of the storage, even if it looks like it
                raise
            with self.explained():
                raise

    def records(self) -> list[dict[str, Any]]:
        """Returns the trials as JSON, without those that were queued again."""
        with self.explained():
            trials = self.of.get_trials(deepcopy=False)
        kept = (
            "validation_loss",
            "train_accuracy",
            "examples",
            "parameters",
            "epochs",
            "reason",
            "traceback",
        )
        return [
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "first": bool(trial.user_attrs.get("first")),
                "value": trial.value if trial.state.name == "COMPLETE" else None,
                "params": trial.params,
                "by_epoch": [value for _, value in sorted(trial.intermediate_values.items())],
                "seconds": trial.duration.total_seconds() if trial.duration else None,
            }
            | ({"reason": _KILLED} if repeats.deaths(trial, trials) >= _DEATHS else {})
            | {name: trial.user_attrs[name] for name in kept if name in trial.user_attrs}
            for trial in repeats.counted(trials)
        ]

    def importances(self) -> dict[str, float]:
        """Returns each setting's share in the variance of the results; {} of too few trials.

        By PED-ANOVA (Watanabe et al. 2023).
        """
        with self.explained():
            trials = self.of.get_trials(
                deepcopy=False, states=(self._optuna.trial.TrialState.COMPLETE,)
            )
        if len(trials) < 4 or len({trial.value for trial in trials}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._optuna.importance.get_param_importances(self.of)
        return {name: float(share) for name, share in found.items()}


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """Returns a trial's values of all settings in the space, proposed where they are not given."""
    values = {}
    for name, found in space.items():
        if isinstance(found, Choices):
            known = found.by_text()
            values[name] = known[trial.suggest_categorical(name, list(known))]
        elif is_whole(name):
            values[name] = trial.suggest_int(name, int(found.low), int(found.high), log=found.log)
        else:
            values[name] = trial.suggest_float(name, found.low, found.high, log=found.log)
    return values


def stored(found: Dimension, value: Any) -> Any:
    """Returns a setting's value as the storage holds it."""
    return text_of(value) if isinstance(found, Choices) else value


def read(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a trial's settings from what the storage holds of them."""
    return {
        name: space[name].by_text()[value] if isinstance(space[name], Choices) else value
        for name, value in params.items()
    }


def require_same(held: Mapping[str, Any], wanted: Mapping[str, Any], where: str) -> None:
    """Raises UserError for a study of another search space, other settings or other data."""
    for part, words in _WORDS.items():
        if held[part] == wanted[part]:
            continue
        raise UserError(
            f"{where} has {words} ({_difference(held[part], wanted[part])}); give what it began "
            "with, or choose another `workdir` or `study_name`."
        )


def _difference(held: Any, wanted: Any) -> str:
    if not isinstance(held, Mapping):
        return f"{held} there, {wanted} here"
    names = [n for n in {**held, **wanted} if held.get(n, "-") != wanted.get(n, "-")]
    return "; ".join(
        f"{name} is {held.get(name, 'not there')}, here {wanted.get(name, 'not given')}"
        for name in names
    )
