"""The training loop: compile, feed, evaluate, record, checkpoint, stop and go on."""

import time
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.errors import UserError
from imgcls_jax.losses import is_absurd
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.trainer import Program
from imgcls_jax.workdir import Workdir

_SAVE_SECONDS = 2.0  # between checkpoints: below this, redoing the work is cheaper than saving it
_OVERDUE_SECONDS = 120.0  # without a checkpoint: one within the epoch
_CALL_SECONDS = 0.5  # aim of one device call: short enough to show progress and to stop in
# Steps of the first call, when nothing is known yet: a launch costs a GPU more than a step does.
_FIRST_STEPS = {"cpu": 8}
_FIRST_STEPS_ELSEWHERE = 64


class Interrupted(UserError):
    """Training was asked to stop; what was done is in the checkpoint."""


@flax.struct.dataclass
class Position:
    """Where training stands: what a checkpoint holds.

    Attributes:
      state: the training state.
      sums: metrics of the current epoch so far.
      seconds: () float32, training time of the current epoch so far.
      feed: where a stream of examples stands; {} where they are resident.
    """

    state: steps.TrainState
    sums: steps.Metrics
    seconds: jax.Array
    feed: Any


def start(program: Program, seed: int) -> Position:
    """Where training with this seed begins."""
    return Position(*program.start(seed), jnp.zeros(()), program.feed())


def blank(program: Program) -> Position:
    """A position of the program's structure and shapes, to restore a checkpoint into."""
    state, sums = program.init(jax.random.key(0))
    return Position(state, sums, jnp.zeros(()), program.feed())


def fit(
    program: Program, *, seed: int, workdir: Workdir, checkpoints: Checkpoints, progress: Progress
) -> tuple[steps.TrainState, list[dict[str, Any]]]:
    """Trains to the configured number of epochs, from the last checkpoint if there is one.

    With a patience, training ends after that many epochs without a better validation accuracy.

    Every epoch is recorded, and checkpointed unless that was done a moment ago. Orders and keys
    follow from the numbers of epoch and step alone, so a run that was stopped and resumed ends with
    the bits of one that was not.

    Returns:
      The final state and the history, one record an epoch.

    Raises:
      Interrupted: if `progress.stop_requested()`; the checkpoint holds all finished steps.
      UserError: if the loss is NaN or absurd, or a parameter not finite; the checkpoint is from
        before that.
    """
    if checkpoints.step("last") is not None:
        position = checkpoints.restore("last", blank(program))
        program.open(seed, position.feed)
    else:
        program.open(seed)
        position = start(program, seed)
    state, sums, seconds = position.state, position.sums, float(position.seconds)
    epoch, batch = divmod(int(state.step), program.steps_per_epoch)
    history = workdir.history()[:epoch]
    if len(history) < epoch:
        raise UserError(
            f"{workdir.path / 'metrics.jsonl'} has {len(history)} epochs but the checkpoint is of "
            f"epoch {epoch}; bring the file back or start in a new --workdir."
        )
    workdir.set_history(history)
    best = max((record.get("validation_accuracy", -1.0) for record in history), default=-1.0)
    pace, saver = _Pace(), _Saver(checkpoints)

    def check(loss: float) -> None:
        if is_absurd(loss, program.num_classes):
            what = f"the loss is {loss:.3g}"
        elif not _finite(state.params):
            what = "a parameter is no longer finite"
        else:
            return
        checkpoints.wait()
        raise UserError(_diverged(what, epoch, workdir, checkpoints))

    def stop_if_asked() -> None:
        if progress.stop_requested() and int(state.step) < program.total_steps:
            saver.save(Position(state, sums, jnp.float32(seconds), program.feed()))
            checkpoints.wait()
            raise Interrupted(
                f"stopped at step {int(state.step)}, saved; run the same command with "
                f"--workdir={workdir.path} to continue."
            )

    while epoch < program.config.epochs and not is_over(history, program.config.patience):
        order = program.order(state.key, np.int32(epoch))
        while batch < program.steps_per_epoch:
            count = min(pace.steps, program.steps_per_epoch - batch)
            before, started = int(sums["count"]), time.perf_counter()
            state, sums = program.run(state, sums, order, batch, count)
            loss = float(sums["loss"]) / float(sums["count"])
            elapsed = time.perf_counter() - started
            check(loss)
            seconds += elapsed
            pace.saw(count, elapsed)
            batch += count
            progress.examples(int(sums["count"]) - before, loss)
            if batch < program.steps_per_epoch:
                if saver.is_overdue():
                    saver.save(Position(state, sums, jnp.float32(seconds), program.feed()))
                stop_if_asked()
        record = {"epoch": epoch + 1, "step": int(state.step)}
        record |= {f"train_{name}": value for name, value in steps.means(sums).items()}
        record["learning_rate"] = float(program.schedule(int(state.step) - 1))
        started = time.perf_counter()
        if program.validation is not None:
            evaluated = program.evaluated(state)
            validation = steps.means(
                program.evaluate["validation"](evaluated, program.validation)[0]
            )
            check(validation["loss"])
            record |= {f"validation_{name}": value for name, value in validation.items()}
        record["train_seconds"] = seconds
        record["eval_seconds"] = time.perf_counter() - started
        record["examples_per_second"] = float(sums["count"]) / seconds
        history.append(record)
        workdir.append_history(record)
        progress.epoch(record)
        sums = jax.tree.map(jnp.zeros_like, sums)
        epoch, batch, seconds = epoch + 1, 0, 0.0
        here = Position(state, sums, jnp.float32(seconds), program.feed())
        if not program.config.watch_test and record.get("validation_accuracy", -1.0) > best:
            best = record["validation_accuracy"]
            saver.set_best(here)
        ended = epoch == program.config.epochs or is_over(history, program.config.patience)
        if ended or saver.is_due():
            saver.save(here)
        stop_if_asked()
    checkpoints.wait()
    return state, history


def is_over(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the last `patience` epochs had no better validation accuracy; 0 waits for ever."""
    accuracies = [record["validation_accuracy"] for record in history] if patience else []
    return len(accuracies) > patience and max(accuracies[-patience:]) <= max(accuracies[:-patience])


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
        """Whether an epoch's end is worth a checkpoint."""
        return time.perf_counter() - self._saved > _SAVE_SECONDS

    def is_overdue(self) -> bool:
        """Whether the epoch is so long that a crash would cost too much of it."""
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


def _diverged(what: str, epoch: int, workdir: Workdir, checkpoints: Checkpoints) -> str:
    kept = checkpoints.step("last")
    saved = (
        f"the checkpoint of step {kept} in {workdir.checkpoints} is intact"
        if kept
        else "nothing was saved yet"
    )
    return (
        f"training diverged in epoch {epoch + 1}: {what}; use a smaller --lr in a "
        f"new --workdir ({saved})."
    )
