"""The training loop, and the evaluation after it: feed, record, checkpoint, stop and go on.

`fit` never sees the test set; `evaluate` meets it once.
"""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.data.dataset import Split
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.losses import is_absurd
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.trainer import Position, Trainer
from imgcls_jax.workdir import Workdir

_SAVE_SECONDS = 2.0  # between checkpoints: below this, redoing the work is cheaper than saving it
_OVERDUE_SECONDS = 120.0  # without a checkpoint: one within the epoch
_CALL_SECONDS = 0.5  # aim of one device call: short enough to show progress and to stop in
# Steps of the first call, when nothing is known yet: a launch costs a GPU more than a step does.
_FIRST_STEPS = {"cpu": 8}
_FIRST_STEPS_ELSEWHERE = 64

History = list[dict[str, Any]]


def fit(
    trainer: Trainer, *, seed: int, workdir: Workdir, checkpoints: Checkpoints, progress: Progress
) -> tuple[steps.TrainState, History]:
    """Trains to the configured number of epochs, from the last checkpoint if there is one.

    With a patience, training ends after that many epochs without a better validation accuracy.

    Every epoch is recorded, and checkpointed unless that was done a moment ago. Orders and keys
    follow from the numbers of epoch and step alone, so a run that was stopped and resumed ends with
    the bits of one that was not.

    Returns:
      The final state and the history, one record per epoch.

    Raises:
      Interrupted: if `progress.stop_requested()`; the checkpoint holds all finished steps.
      UserError: if the loss is NaN or absurd, or a parameter not finite; the checkpoint is from
        before that.
    """
    course = _Course(trainer, seed, workdir, checkpoints, progress)
    while not course.is_over():
        course.train_epoch()
        course.end_epoch()
    checkpoints.wait()
    return course.state, course.history


class Evaluation(NamedTuple):
    """The result of meeting a split.

    Attributes:
      state: the very one that was evaluated: with averaged weights where a run averages.
      sums: metrics summed over the split's examples.
      logits: (N, C).
      seconds: the time it took, without compilation.
    """

    state: steps.TrainState
    sums: steps.Metrics
    logits: np.ndarray
    seconds: float


def evaluate(trainer: Trainer, state: steps.TrainState, split: Split) -> Evaluation:
    """Meets a split: evaluates the state, or the averaged weights it has, on every example once."""
    trainer.feed.prepare(split)
    started = time.perf_counter()
    state = trainer.feed.averaged(state)
    sums, logits = jax.device_get(trainer.feed.evaluate(state, split))
    return Evaluation(state, sums, logits, time.perf_counter() - started)


def is_over(history: History, patience: int) -> bool:
    """Returns whether the last `patience` epochs brought no better accuracy; 0 waits for ever."""
    accuracies = [record["validation_accuracy"] for record in history] if patience else []
    return len(accuracies) > patience and max(accuracies[-patience:]) <= max(accuracies[:-patience])


class _Course:
    """One training on its way: its position, its history and its checkpoints."""

    def __init__(
        self,
        trainer: Trainer,
        seed: int,
        workdir: Workdir,
        checkpoints: Checkpoints,
        progress: Progress,
    ):
        self._trainer, self._workdir = trainer, workdir
        self._checkpoints, self._progress = checkpoints, progress
        self._pace, self._saver = _Pace(), _Saver(checkpoints)
        if checkpoints.step("last") is None:
            position = trainer.start(seed)
            workdir.set_head_seconds(sum(trainer.head_seconds[-1:]))
        else:
            position = checkpoints.restore("last", trainer.blank())
            trainer.feed.open(seed, position.feed)
        self.state, self._sums = position.state, position.sums
        self._seconds = float(position.seconds)
        self._epoch, self._batch = divmod(int(self.state.step), trainer.steps_per_epoch)
        self.history = workdir.history()[: self._epoch]
        if len(self.history) < self._epoch:
            raise UserError(
                f"{workdir.path / 'metrics.jsonl'} has {len(self.history)} epochs but the "
                f"checkpoint is of epoch {self._epoch}; bring the file back or start in a new "
                "`workdir`."
            )
        workdir.set_history(self.history)
        self._best = max((r.get("validation_accuracy", -1.0) for r in self.history), default=-1.0)

    def is_over(self) -> bool:
        """Returns whether all epochs are done, or patience is at its end."""
        of = self._trainer.config.train
        return self._epoch >= of.epochs or is_over(self.history, of.patience)

    def train_epoch(self) -> None:
        """Trains on the rest of the epoch, one call at a time."""
        length = self._trainer.steps_per_epoch
        while self._batch < length:
            count = min(self._pace.steps, length - self._batch)
            before, started = int(self._sums["count"]), time.perf_counter()
            self.state, self._sums = self._trainer.feed.train(
                (self.state, self._sums), self._epoch, self._batch, count
            )
            loss = float(self._sums["loss"]) / float(self._sums["count"])
            elapsed = time.perf_counter() - started
            self._check(loss)
            self._seconds += elapsed
            self._pace.saw(count, elapsed)
            self._batch += count
            self._progress.examples(int(self._sums["count"]) - before, loss)
            if self._batch < length:
                if self._saver.is_overdue():
                    self._saver.save(self._here())
                self._stop_if_asked()

    def end_epoch(self) -> None:
        """Evaluates the watched split, records the epoch, and saves due checkpoints."""
        record = self._record()
        self.history.append(record)
        self._workdir.append_history(record)
        self._progress.epoch(record)
        self._sums = jax.tree.map(jnp.zeros_like, self._sums)
        self._epoch, self._batch, self._seconds = self._epoch + 1, 0, 0.0
        if record.get("validation_accuracy", -1.0) > self._best:
            self._best = record["validation_accuracy"]
            self._saver.set_best(self._here())
        if self.is_over() or self._saver.is_due():
            self._saver.save(self._here())
        self._stop_if_asked()

    def _record(self) -> dict[str, Any]:
        trainer, step = self._trainer, int(self.state.step)
        record = {"epoch": self._epoch + 1, "step": step}
        record |= {f"train_{name}": value for name, value in steps.means(self._sums).items()}
        record["learning_rate"] = float(trainer.setup.schedule(step - 1))
        started = time.perf_counter()
        if trainer.watched is not None:
            name, split = trainer.watched
            found = steps.means(trainer.feed.evaluate(trainer.feed.averaged(self.state), split)[0])
            self._check(found["loss"])
            record |= {f"{name}_{what}": value for what, value in found.items()}
        record["train_seconds"] = self._seconds
        record["eval_seconds"] = time.perf_counter() - started
        record["examples_per_second"] = float(self._sums["count"]) / self._seconds
        return record

    def _here(self) -> Position:
        return Position(
            self.state, self._sums, jnp.float32(self._seconds), self._trainer.feed.position()
        )

    def _check(self, loss: float) -> None:
        """Raises UserError where nothing is learned any more."""
        if is_absurd(loss, self._trainer.num_classes):
            what = f"the loss is {loss:.3g}"
        elif not _finite(self.state.params):
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
            f"training diverged in epoch {self._epoch + 1}: {what}; use a smaller `lr` in a new "
            f"`workdir` ({saved})."
        )

    def _stop_if_asked(self) -> None:
        """Saves and raises Interrupted, unless the last step is made."""
        step = int(self.state.step)
        if self._progress.stop_requested() and step < self._trainer.total_steps:
            self._saver.save(self._here())
            self._checkpoints.wait()
            raise Interrupted(
                f"stopped at step {step}, saved; run the same command with "
                f"`workdir={self._workdir.path}` to continue."
            )


@jax.jit
def _finite(params: Any) -> jax.Array:
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]))


class _Saver:
    """Writes checkpoints, the best before the last, so that no `last` outruns its `best`."""

    def __init__(self, checkpoints: Checkpoints):
        self._checkpoints = checkpoints
        self._best = None
        self._saved = time.perf_counter()

    def is_due(self) -> bool:
        """Returns whether an epoch's end is worth a checkpoint."""
        return time.perf_counter() - self._saved > _SAVE_SECONDS

    def is_overdue(self) -> bool:
        """Returns whether the epoch is so long that a crash would cost too much of it."""
        return time.perf_counter() - self._saved > _OVERDUE_SECONDS

    def set_best(self, position: Position) -> None:
        """Notes the best position so far; it is written with the next `save`."""
        self._best = jax.tree.map(jnp.copy, position)

    def save(self, position: Position) -> None:
        if self._best is not None:
            self._checkpoints.save("best", int(self._best.state.step), self._best)
            self._checkpoints.wait()  # two managers write in parallel
            self._best = None
        self._checkpoints.save("last", int(position.state.step), position)
        self._saved = time.perf_counter()


class _Pace:
    """Chooses how many steps one call makes, from how long the steps have taken."""

    def __init__(self):
        self.steps = _FIRST_STEPS.get(jax.default_backend(), _FIRST_STEPS_ELSEWHERE)

    def saw(self, count: int, seconds: float) -> None:
        wanted = int(count * _CALL_SECONDS / max(seconds, 1e-6))
        self.steps = max(1, min(wanted, 8 * self.steps))
