"""The memory of a search: an Optuna study in a database, which any number of processes share.

A trial whose process died is queued again: at once where the process was on this machine, after a
minute without a sign of life where it was on another. Optuna is imported here, and only where a
study is opened.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError
from imgcls_jax.files import lock
from imgcls_jax.train.search_space import Choices, Dimension, Space, is_whole, text_of
from imgcls_jax.train.workers import has_died, this_process

PRUNERS = ("hyperband", "median", "none")
_BEAT_SECONDS, _GRACE_SECONDS = 10, 60
_DEFINITION = "definition"
_WORDS = {"space": "another search space", "fixed": "other fixed settings", "data": "other data"}


class Study:
    """An open study.

    Args:
      url: the storage, as SQLAlchemy spells it.
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
        self._folder, self._shown = folder, without_password(url)
        with _explained(self._shown), lock(folder, "opens the study"):
            self.of = self._open(url, name)
            held = self.of.user_attrs.get(_DEFINITION)
            if held is None:
                self.of.set_user_attr(_DEFINITION, dict(definition))
                held = self.of.user_attrs[_DEFINITION]
        require_same(held, definition, f"the study {name} in {self._shown}")

    def _open(self, url: str, name: str) -> Any:
        options = {"timeout": 60} if url.startswith("sqlite") else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            storage = self._optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": options} if options else None,
                heartbeat_interval=_BEAT_SECONDS,
                grace_period=_GRACE_SECONDS,
            )
        return self._optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )

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
        with _explained(self._shown), lock(self._folder, "begins the study"):
            if self.of.get_trials(deepcopy=False):
                return
            held = {
                name: values[name] for name, found in space.items() if found.holds(values[name])
            }
            params = {name: stored(space[name], value) for name, value in held.items()}
            self.of.enqueue_trial(params, user_attrs={"first": True})

    def requeue(self) -> None:
        """Queues again, once each, the trials that ended without a result or a reason."""
        state = self._optuna.trial.TrialState
        with _explained(self._shown), lock(self._folder, "queues trials"):
            for trial in self.of.get_trials(deepcopy=False, states=(state.RUNNING,)):
                if has_died(trial.user_attrs.get("process", "")):
                    with contextlib.suppress(ValueError, RuntimeError):  # another was faster
                        self.of.tell(trial.number, state=state.FAIL)
            trials = self.of.get_trials(deepcopy=False)
            again = _repeated(trials)
            for trial in trials:
                if trial.state == state.FAIL and trial.number not in again and _is_open(trial):
                    first = {"first": True} if trial.user_attrs.get("first") else {}
                    self.of.enqueue_trial(
                        trial.params, user_attrs={"repeats": trial.number} | first
                    )

    def left(self, trials: int | None) -> bool:
        """Says whether there is a trial to run before there are so many."""
        state = self._optuna.trial.TrialState
        with _explained(self._shown):
            found = self.of.get_trials(deepcopy=False)
        if trials is None or any(trial.state == state.WAITING for trial in found):
            return True
        return len(_counted(found)) < trials

    def is_surplus(self, number: int, trials: int | None) -> bool:
        """Says whether a trial was begun by one process too many."""
        with _explained(self._shown):
            before = [t for t in _counted(self.of.get_trials(deepcopy=False)) if t.number < number]
        return trials is not None and len(before) >= trials

    def run_next(self, objective: Callable[[Any], float], caught: tuple[type[Exception], ...]):
        """Runs the next trial, queued or proposed.

        Args:
          objective: trial -> value; raises `optuna.TrialPruned` for one that is given up.
          caught: the exceptions of a trial that do not end the study.
        """

        def begun(trial: Any) -> float:
            trial.set_user_attr("process", this_process())
            return objective(trial)

        lost = self._optuna.exceptions.UpdateFinishedTrialError  # taken for dead, queued again
        with _explained(self._shown), contextlib.suppress(lost):
            self.of.optimize(begun, n_trials=1, catch=caught)

    def records(self) -> list[dict[str, Any]]:
        """Returns the trials as JSON, without those that were queued again."""
        with _explained(self._shown):
            trials = self.of.get_trials(deepcopy=False)
        kept = ("validation_loss", "train_accuracy", "examples", "parameters", "epochs", "reason")
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
            | {name: trial.user_attrs[name] for name in kept if name in trial.user_attrs}
            for trial in _counted(trials)
        ]

    def importances(self) -> dict[str, float]:
        """Returns each setting's share in the variance of the results; {} of too few trials.

        By PED-ANOVA (Watanabe et al. 2023).
        """
        trials = self.of.get_trials(
            deepcopy=False, states=(self._optuna.trial.TrialState.COMPLETE,)
        )
        if len(trials) < 4 or len({trial.value for trial in trials}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._optuna.importance.get_param_importances(self.of)
        return {name: float(share) for name, share in found.items()}


def import_optuna() -> Any:
    """Returns the package.

    Raises:
      UserError: it is not installed.
    """
    try:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what it logs is said elsewhere
    except ImportError as error:
        raise UserError(
            "a study needs the package optuna; pip install 'imgcls_jax[tune]', or '.[tune]' in a "
            "checkout."
        ) from error
    return optuna


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


def without_password(url: str) -> str:
    """Returns a storage's address for people to read."""
    scheme, found, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    user, colon, _ = account.partition(":")
    return f"{scheme}{found}{user}{':***' if colon else ''}{at}{place}"


@contextlib.contextmanager
def _explained(shown: str) -> Iterator[None]:
    """Turns what a database says into a sentence."""
    import sqlalchemy.exc

    optuna = import_optuna()
    failures = (
        sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError, OSError
    )  # fmt: skip
    try:
        yield
    except (*failures, RuntimeError, KeyError, ValueError) as error:
        if not isinstance(error, failures) and "alembic" not in str(error).lower():
            raise
        cause = error.__cause__ or error
        said = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0][:200]
        raise UserError(
            f"the study's storage {shown} cannot be used ({said}); check the address and that it "
            "can be reached and written, then run the same command again."
        ) from error


def _is_open(trial: Any) -> bool:
    return not {"reason", "surplus"} & set(trial.user_attrs)


def _repeated(trials: list[Any]) -> set[int]:
    """Returns the numbers of the trials that were queued again."""
    return {t.user_attrs["repeats"] for t in trials if "repeats" in t.user_attrs}


def _counted(trials: list[Any]) -> list[Any]:
    again = _repeated(trials)
    return [t for t in trials if t.number not in again and "surplus" not in t.user_attrs]
