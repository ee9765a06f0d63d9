"""The books of one training in its folder: a record per epoch, and when to write checkpoints."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.config.cadence import Cadence
from imgcls_jax.errors import UserError
from imgcls_jax.losses import is_absurd
from imgcls_jax.machines import group
from imgcls_jax.workdir import Workdir

_SAVE_SECONDS = 10.0  # at least, between checkpoints at ends of epochs: twice a start of a command
_SHARE = 0.01  # of the time that checkpoints may take, where they take longer than was thought
_OVERDUE_SECONDS = 120.0  # without a checkpoint: one within the epoch

History = list[dict[str, Any]]


def is_over(history: History, patience: int) -> bool:
    """Returns whether the last `patience` epochs brought no better accuracy; 0 waits for ever."""
    accuracies = [record["validation_accuracy"] for record in history] if patience else []
    return len(accuracies) > patience and max(accuracies[-patience:]) <= max(accuracies[:-patience])


class Ledger:
    """The history of one training and its checkpoints, from where the folder stands.

    Attributes:
      history: one record per epoch.
      saver: writes its checkpoints, each a `trainer.Position`.

    Args:
      num_classes: the number of logits.
      steps: the number of steps per epoch.
      epochs: how many whole epochs are behind the state that training begins with.
      of: the number of trainings that save one after the other: the more, the more seldom.

    Raises:
      UserError: if the folder's history lacks one of those epochs.
    """

    def __init__(
        self,
        config: Config,
        workdir: Workdir,
        checkpoints: Checkpoints,
        *,
        num_classes: int,
        steps: int,
        epochs: int = 0,
        of: int = 1,
    ):
        self._train, self._num_classes = config.train, num_classes
        self._workdir, self._checkpoints = workdir, checkpoints
        self.saver = Saver(
            checkpoints,
            every=workdir.checkpoint_every,
            seconds=min(of * _SAVE_SECONDS, _OVERDUE_SECONDS),
            done=epochs * steps,
        )
        needed = {"validation_accuracy"} if config.evaluation.evaluate == "best" else set()
        told = itertools.takewhile(needed.issubset, workdir.history(steps=steps))
        self.history = list(told)[:epochs]
        if len(self.history) < epochs:
            raise UserError(
                f"{workdir.path / 'metrics.jsonl'} does not say, or says in two ways, what epoch "
                f"{len(self.history) + 1} came to, and the checkpoint is of epoch {epochs}; bring "
                "the file back or start in a new `workdir`."
            )
        workdir.set_history(self.history)
        self._best = max((r.get("validation_accuracy", -1.0) for r in self.history), default=-1.0)

    def is_over(self) -> bool:
        """Returns whether all epochs are done, or patience is at its end."""
        of = self._train
        return len(self.history) >= of.epochs or is_over(self.history, of.patience)

    def note(self, record: dict[str, Any]) -> None:
        """Writes the record of an epoch that ended."""
        self.history.append(record)
        self._workdir.append_history(record)

    def keep(self, here: Callable[[], Any]) -> None:
        """Saves the checkpoints that are due after the epoch that was noted.

        Args:
          here: gives the position at the beginning of the next epoch.
        """
        accuracy = self.history[-1].get("validation_accuracy", -1.0)
        if accuracy > self._best:
            self._best = accuracy
            self.saver.set_best(here())
        if self.is_over() or self.saver.is_due(self.history[-1]):
            self.saver.save(here())

    def check(self, loss: float, params: Any) -> None:
        """Raises UserError where nothing is learned any more, in the epoch after the history."""
        if is_absurd(loss, self._num_classes):
            what = f"the loss is {loss:.3g}"
        elif not _finite(params):
            what = "a parameter is no longer finite"
        else:
            return
        self._checkpoints.wait()
        kept = self._checkpoints.step("last")
        saved = (
            f"the checkpoint of step {kept} in {self._workdir.checkpoints} is intact"
            if kept
            else "nothing was saved yet"
        )
        raise UserError(
            f"training diverged in epoch {len(self.history) + 1}: {what}; use a smaller `lr` in a "
            f"new `workdir` ({saved})."
        )


@jax.jit
def _finite(params: Any) -> jax.Array:
    # One reduction: those of 157 arrays compile for five seconds.
    return jnp.isfinite(jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)])).all()


class Saver:
    """Writes checkpoints, the best before the last, so that no `last` outruns its `best`.

    Args:
      every: the distance of two checkpoints, if it is given.
      seconds: that an epoch's end must be away from the last checkpoint, to be worth one, if not.
      done: the steps behind the state that training begins with.
    """

    def __init__(
        self, checkpoints: Checkpoints, *, every: Cadence | None, seconds: float, done: int
    ):
        self._checkpoints, self._every = checkpoints, every or Cadence()
        self._free = every is None
        self._seconds = seconds if every is None else every.seconds
        self._overdue = _OVERDUE_SECONDS if every is None else every.seconds
        self._best = None
        self._saved, self._done = time.perf_counter(), done

    def is_due(self, record: dict[str, Any]) -> bool:
        """Returns whether an epoch's end, by its record, is worth a checkpoint.

        Where nothing else is asked for, that depends on what the last one took.
        """
        worth = min(self._checkpoints.seconds / _SHARE, _OVERDUE_SECONDS) if self._free else 0.0
        by_number = record["epoch"] % self._every.epochs == 0
        passed = self._passed(record["step"])
        return group.any_of(by_number or passed or self._age() > max(self._seconds, worth))

    def is_overdue(self, step: int) -> bool:
        """Returns whether a checkpoint is due within the epoch, as where a crash costs much."""
        return group.any_of(self._passed(step) or self._age() > self._overdue)

    def steps_left(self, step: int) -> float:
        """Returns the steps from `step` on to the next checkpoint by steps."""
        return self._every.steps_left(step)

    def _passed(self, step: int) -> bool:
        """Returns whether a checkpoint by steps is due since the last one."""
        return step // self._every.steps > self._done // self._every.steps

    def _age(self) -> float:
        return time.perf_counter() - self._saved

    def set_best(self, position: Any) -> None:
        """Notes the best position so far; it is written with the next `save`."""
        self._best = jax.tree.map(jnp.copy, position)

    def save(self, position: Any) -> None:
        if self._best is not None:
            self._checkpoints.save("best", int(self._best.state.step), self._best)
            self._best = None
        self._done = int(position.state.step)
        self._checkpoints.save("last", self._done, position)
        self._saved = time.perf_counter()
