"""The training loop, and the evaluation after it: feed, record, checkpoint, stop and go on.

`fit` never sees the test set; `evaluate` meets it once.
"""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import sharding, steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.data.dataset import Split
from imgcls_jax.errors import Interrupted
from imgcls_jax.machines import group
from imgcls_jax.train.ledger import History, Ledger
from imgcls_jax.train.progress import Observer, Progress
from imgcls_jax.train.tracking import Tracking
from imgcls_jax.train.trainer import Position, Trainer
from imgcls_jax.workdir import Workdir

_CALL_SECONDS = 0.5  # aim of one device call: short enough to show progress and to stop in
# Steps of the first call, when nothing is known yet: a launch costs a GPU more than a step does,
# and a CPU may take seconds for a step.
_FIRST_STEPS = {"cpu": 1}
_FIRST_STEPS_ELSEWHERE = 64


def fit(
    trainer: Trainer,
    *,
    seed: int,
    workdir: Workdir,
    checkpoints: Checkpoints,
    progress: Progress,
    position: Position | None = None,
) -> tuple[steps.TrainState, History]:
    """Trains to the configured number of epochs, from the last checkpoint if there is one.

    With a patience, training ends after that many epochs without a better validation accuracy.

    Every epoch is recorded, and checkpointed where that is due (`ledger.Saver`). Orders and keys
    follow from the numbers of epoch and step alone, so a run that was stopped and resumed ends with
    the bits of one that was not.

    Args:
      position: what `standing` returned, where the checkpoint was read already.

    Returns:
      The final state and the history, one record per epoch.

    Raises:
      Interrupted: if `progress.stop_requested()`; the checkpoint holds all finished steps.
      UserError: if the loss is NaN or absurd, or a parameter not finite; the checkpoint is from
        before that.
    """
    position = position or standing(trainer, checkpoints)
    course = _Course(trainer, seed, workdir, checkpoints, progress, position)
    while not course.is_over():
        course.train_epoch()
        course.end_epoch()
    checkpoints.wait()
    return course.state, course.history


def standing(trainer: Trainer, checkpoints: Checkpoints) -> Position | None:
    """Reads where training stands; None where it has not begun.

    Where the newest checkpoint is damaged that is the one before, and a warning says so.

    Raises:
      UserError: if all are damaged.
    """
    if group.broadcast(lambda: checkpoints.step("last")) is None:
        return None
    folder = checkpoints.directory / "last"
    otherwise = (
        f"bring it back from a copy, or remove {folder}, and nothing else, to train from the "
        "beginning by the same command"
    )
    return checkpoints.restore("last", trainer.blank(), otherwise=otherwise)


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


def observer(trainer: Trainer, *, stop: list[int], tracking: Tracking, done: int) -> Observer:
    """Builds the observer of a training that stands after `done` steps."""
    size = trainer.feed.size
    epochs, batches = divmod(done, trainer.steps_per_epoch)
    return Observer(
        stop=stop,
        noted=tracking.epoch,
        epochs=trainer.config.train.epochs,
        examples_per_epoch=size,
        done=epochs * size + batches * trainer.config.train.batch_size,
    )


def say_where(trainer: Trainer, position: Position | None) -> int:
    """Says how devices share a batch, if there are several, and where a run goes on.

    Args:
      position: see `standing`.

    Returns:
      how many steps are made.
    """
    mesh = trainer.setup.mesh
    if mesh.size > 1:
        print(sharding.described(mesh, trainer.config.train.batch_size))
    done = 0 if position is None else int(position.state.step)
    if done == trainer.total_steps:
        print(f"all {done} steps are made, the test set is left")
    elif done:
        print(f"resuming from step {done} of {trainer.total_steps}")
    return done


class _Course:
    """One training on its way: its position, its history and its checkpoints."""

    def __init__(
        self,
        trainer: Trainer,
        seed: int,
        workdir: Workdir,
        checkpoints: Checkpoints,
        progress: Progress,
        position: Position | None,
    ):
        self._trainer, self._workdir = trainer, workdir
        self._checkpoints, self._progress = checkpoints, progress
        self._pace = _Pace()
        if position is None:
            position = trainer.start(seed)
            workdir.set_head_seconds(sum(trainer.head_seconds[-1:]))
        else:
            trainer.feed.open(seed, position.feed)
        self.state, self._sums = position.state, position.sums
        self._seconds = float(position.seconds)
        self._epoch, self._batch = divmod(int(self.state.step), trainer.steps_per_epoch)
        self._ledger = Ledger(
            trainer.config,
            workdir,
            checkpoints,
            num_classes=trainer.num_classes,
            steps=trainer.steps_per_epoch,
            epochs=self._epoch,
        )

    @property
    def history(self) -> History:
        return self._ledger.history

    def is_over(self) -> bool:
        """Returns whether all epochs are done, or patience is at its end."""
        return self._ledger.is_over()

    def train_epoch(self) -> None:
        """Trains on the rest of the epoch, one call at a time."""
        length = self._trainer.steps_per_epoch
        while self._batch < length:
            left = self._ledger.saver.steps_left(self._epoch * length + self._batch)
            count = int(min(self._pace.steps, length - self._batch, left))
            before, started = int(self._sums["count"]), time.perf_counter()
            self.state, self._sums = self._trainer.feed.train(
                (self.state, self._sums), self._epoch, self._batch, count
            )
            loss = float(self._sums["loss"]) / float(self._sums["count"])
            elapsed = time.perf_counter() - started
            self._ledger.check(loss, self.state.params)
            self._seconds += elapsed
            self._pace.saw(count, elapsed)
            self._batch += count
            self._progress.examples(int(self._sums["count"]) - before, loss)
            if self._batch < length:
                if self._ledger.saver.is_overdue(self._epoch * length + self._batch):
                    self._ledger.saver.save(self._here())
                self._stop_if_asked()

    def end_epoch(self) -> None:
        """Evaluates the watched split, records the epoch, and saves due checkpoints."""
        record = self._record()
        self._ledger.note(record)
        self._progress.epoch(record)
        self._sums = jax.tree.map(jnp.zeros_like, self._sums)
        self._epoch, self._batch, self._seconds = self._epoch + 1, 0, 0.0
        self._ledger.keep(self._here)
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
            self._ledger.check(found["loss"], self.state.params)
            record |= {f"{name}_{what}": value for what, value in found.items()}
        record["train_seconds"] = self._seconds
        record["eval_seconds"] = time.perf_counter() - started
        record["examples_per_second"] = float(self._sums["count"]) / self._seconds
        return record

    def _here(self) -> Position:
        return Position(
            self.state, self._sums, jnp.float32(self._seconds), self._trainer.feed.position()
        )

    def _stop_if_asked(self) -> None:
        """Saves and raises Interrupted, unless the last step is made."""
        step = int(self.state.step)
        if self._progress.stop_requested() and step < self._trainer.total_steps:
            self._ledger.saver.save(self._here())
            self._checkpoints.wait()
            raise Interrupted(
                f"stopped at step {step}, saved; run the same command with "
                f"`workdir={self._workdir.path}` to continue."
            )


class _Pace:
    """Chooses how many steps one call makes, from how long the steps have taken."""

    def __init__(self):
        self.steps = _FIRST_STEPS.get(jax.default_backend(), _FIRST_STEPS_ELSEWHERE)

    def saw(self, count: int, seconds: float) -> None:
        wanted = int(count * _CALL_SECONDS / max(seconds, 1e-6))
        self.steps = group.of_first(max(1, min(wanted, 8 * self.steps)))
