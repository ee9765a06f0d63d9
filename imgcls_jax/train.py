"""The training loop: compile, feed, evaluate, record, checkpoint, stop and go on."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.errors import UserError
from imgcls_jax.program import Program
from imgcls_jax.workdir import Workdir

_DIVERGED = 1e4  # times the loss of guessing: no training comes back from there
_SAVE_SECONDS = 2.0  # between checkpoints: below this, redoing the work is cheaper than saving it
_CALL_SECONDS = 0.5  # aim of one device call: short enough to show progress and to stop in


class Interrupted(UserError):
    """Training was asked to stop; what was done is in the checkpoint."""


class Progress:
    """What the loop tells whoever watches; called between device calls. Override what you need."""

    def examples(self, count: int, loss: float) -> None:
        """`count` more examples were trained on; `loss` is the epoch's mean so far."""

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch ended with this history record."""

    def stop_requested(self) -> bool:
        """True asks the loop to save and stop."""
        return False


def fit(
    program: Program, *, seed: int, workdir: Workdir, checkpoints: Checkpoints, progress: Progress
) -> tuple[steps.TrainState, list[dict[str, Any]]]:
    """Trains to the configured number of epochs, from the last checkpoint if there is one.

    Every epoch is recorded, and checkpointed unless that was done a moment ago. Step k draws its
    randomness from `fold_in(key, k)` and epoch e its order from `fold_in(key, e)`, so a run that
    was stopped and resumed ends with the bits of one that was not.

    Returns:
      The final state and the history, one record an epoch.

    Raises:
      Interrupted: if `progress.stop_requested()`; the checkpoint holds all finished steps.
      UserError: if the loss is NaN or absurd; the checkpoint is from before that.
    """
    state, sums = program.start(seed)
    if checkpoints.step("last") is not None:
        restored = checkpoints.restore("last", {"state": state, "sums": sums})
        state, sums = restored["state"], restored["sums"]
    done = int(state.step)
    epoch, batch = divmod(done, program.steps_per_epoch)
    history = workdir.history()[:epoch]
    workdir.set_history(history)
    best = max(
        (r["validation_accuracy"] for r in history if "validation_accuracy" in r), default=-1.0
    )
    guessing = np.log(program.num_classes)  # the loss of one who knows nothing
    pace, saver = _Pace(), _Saver(checkpoints)
    while epoch < program.config.epochs:
        order = program.order(state.key, np.int32(epoch))
        seconds = 0.0
        while batch < program.steps_per_epoch:
            count = min(pace.steps, program.steps_per_epoch - batch)
            started = time.perf_counter()
            before = int(sums["count"])
            state, sums = program.run(state, sums, order, batch, count)
            loss = float(sums["loss"]) / float(sums["count"])
            elapsed = time.perf_counter() - started
            seconds += elapsed
            if not loss < _DIVERGED * guessing:  # NaN too
                checkpoints.wait()
                raise UserError(_diverged(loss, epoch, workdir, checkpoints))
            pace.saw(count, elapsed)
            batch += count
            progress.examples(int(sums["count"]) - before, loss)
            if progress.stop_requested() and batch < program.steps_per_epoch:
                saver.save(state, sums)
                checkpoints.wait()
                raise Interrupted(_stopped(int(state.step), workdir))
        record = {"epoch": epoch + 1, "step": int(state.step)}
        record |= {f"train_{name}": value for name, value in steps.means(sums).items()}
        record["learning_rate"] = float(program.schedule(int(state.step) - 1))
        started = time.perf_counter()
        if program.validation is not None:
            validation, _ = program.evaluate["validation"](state, program.validation)
            means = steps.means(validation)
            record |= {f"validation_{name}": value for name, value in means.items()}
        record["train_seconds"] = seconds
        record["eval_seconds"] = time.perf_counter() - started
        record["examples_per_second"] = float(sums["count"]) / seconds if seconds else None
        history.append(record)
        workdir.append_history(record)
        progress.epoch(record)
        sums = jax.tree.map(jnp.zeros_like, sums)
        epoch, batch = epoch + 1, 0
        if record.get("validation_accuracy", -1.0) > best:
            best = record["validation_accuracy"]
            saver.set_best(state, sums)
        stop = progress.stop_requested() and epoch < program.config.epochs
        if stop or epoch == program.config.epochs or saver.is_due():
            saver.save(state, sums)
        if stop:
            checkpoints.wait()
            raise Interrupted(_stopped(int(state.step), workdir))
    checkpoints.wait()
    return state, history


class _Saver:
    """Writes checkpoints, the best before the last, so that no `last` outruns its `best`."""

    def __init__(self, checkpoints: Checkpoints):
        self._checkpoints = checkpoints
        self._best = None
        self._saved = time.perf_counter()

    def is_due(self) -> bool:
        return time.perf_counter() - self._saved > _SAVE_SECONDS

    def set_best(self, state: steps.TrainState, sums: steps.Metrics) -> None:
        """Notes the best state so far; it is written with the next `save`."""
        self._best = jax.tree.map(jnp.copy, {"state": state, "sums": sums})

    def save(self, state: steps.TrainState, sums: steps.Metrics) -> None:
        if self._best is not None:
            self._checkpoints.save("best", int(self._best["state"].step), self._best)
            self._best = None
        self._checkpoints.save("last", int(state.step), {"state": state, "sums": sums})
        self._saved = time.perf_counter()


class _Pace:
    """Chooses how many steps one call makes, from how long the steps have taken."""

    def __init__(self):
        self.steps = 8

    def saw(self, count: int, seconds: float) -> None:
        wanted = int(count * _CALL_SECONDS / max(seconds, 1e-6))
        self.steps = max(1, min(wanted, 8 * self.steps))


def _diverged(loss: float, epoch: int, workdir: Workdir, checkpoints: Checkpoints) -> str:
    kept = checkpoints.step("last")
    saved = (
        f"the checkpoint of step {kept} in {workdir.checkpoints} is intact"
        if kept
        else ("nothing was saved yet")
    )
    return (
        f"training diverged in epoch {epoch + 1}: the loss is {loss:.3g}; use a smaller --lr in "
        f"a new --workdir ({saved})."
    )


def _stopped(step: int, workdir: Workdir) -> str:
    return (
        f"stopped at step {step}, saved; run the same command with --workdir={workdir.path} to "
        "continue."
    )
