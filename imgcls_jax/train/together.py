"""Seeds of one configuration trained in one program, each with a folder of its own.

A folder is left as `loop.fit` leaves it, so that whatever was begun goes on alone.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.files import held
from imgcls_jax.train.kept import keep_network, require_same_data
from imgcls_jax.train.ledger import Ledger
from imgcls_jax.train.many import Many, gains
from imgcls_jax.train.progress import Beginning, ProgressBar, collect_signals
from imgcls_jax.train.tracking import Tracking
from imgcls_jax.train.trainer import Position, Trainer
from imgcls_jax.workdir import Workdir


def train_together(
    configs: Sequence[Config],
    folders: Sequence[Workdir],
    make: Callable[..., Trainer],
    train: Split,
    dataset: Dataset,
    *,
    tried: bool,
    name: str,
    trackers: Sequence[str] = (),
) -> Trainer | None:
    """Trains those configurations side by side whose folders hold nothing to go on from.

    Each folder then has the history and the checkpoints of a training that made its last step, and
    only the test set is left to meet.

    Args:
      configs, folders: that differ in the seed alone, and where each is kept.
      make, train: gives the trainer of any of them, see `repeat.Shared`; the training split.
      tried: whether it is known to be faster; otherwise it is tried, and done only where it is.
      name, trackers: as `run.train` takes them; a run's trackers go on when its test set is met.

    Returns:
      the trainer, whose seconds of compiling include those of the one program; None if nothing was
      trained.

    Raises:
      Interrupted: if a signal asked to stop, which is obeyed at the end of an epoch. The folders
        hold all epochs and go on one by one. A crash loses the epochs since the last checkpoints:
        10 s per seed and 100 times what one takes to write, by default (2 minutes at most).
      UserError: if a training diverges, a folder cannot be used, or the memory is too small.
    """
    fresh = [at for at in zip(configs, folders, strict=True) if not _is_begun(at[1])]
    if len(fresh) < 2:
        return None
    with collect_signals() as stop, contextlib.ExitStack() as ours:
        for _, folder in fresh:
            ours.enter_context(held(folder.path))
        check = Beginning(stop).check
        trainer = make(check=check)
        check()
        worth = tried or gains(trainer, train, members=len(fresh))
        check()
        if not worth:
            return None
        for config, folder in fresh:
            folder.claim(config)
            require_same_data(folder, dataset)
            keep_network(folder, trainer, dataset)
        seeds = [config.train.seed for config, _ in fresh]
        print(f"seeds {', '.join(map(str, seeds))} in one program; lines give their means")
        many = Many(trainer, train, seeds=seeds)
        at = {folder: seed for seed, (_, folder) in zip(seeds, fresh, strict=True)}
        if _fit(many, trainer, at, track=partial(_tracked, trackers, name), stop=stop):
            raise Interrupted(
                f"stopped after epoch {many.epochs} of {len(seeds)} seeds in one program; run the "
                f"same command with `workdir={folder.path.parent}` `seeds={len(configs)}` to "
                "continue."
            )
    return dataclasses.replace(trainer, init_seconds=trainer.init_seconds + many.compile_seconds)


def _tracked(trackers: Sequence[str], name: str, config: Config, folder: Workdir) -> Tracking:
    """Begins a run's trackers."""
    tracking = Tracking(trackers, folder)
    tracking.start(config, name, done=0)
    return tracking


def _is_begun(folder: Workdir) -> bool:
    """Returns whether a folder holds a finished training, or a checkpoint to go on from."""
    if folder.summary() is not None:
        return True
    with Checkpoints(folder.checkpoints) as checkpoints:
        return checkpoints.step("last") is not None


def _fit(
    many: Many,
    trainer: Trainer,
    at: dict[Workdir, int],
    *,
    track: Callable[[Config, Workdir], Tracking],
    stop: list[int],
) -> bool:
    """Trains to the end as `loop.fit` does, or until it is asked to stop; returns whether it was.

    Args:
      at: the seeds of the members by their folders, in their order.
      track: begins the trackers of a member.
    """
    for folder, seconds in zip(at, trainer.head_seconds[-len(at) :], strict=False):
        folder.set_head_seconds(seconds)  # there are none where no head was fitted
    size = trainer.feed.size * len(at)
    with contextlib.ExitStack() as stack:
        bar = ProgressBar(epochs=trainer.config.train.epochs, examples_per_epoch=size)
        stack.enter_context(contextlib.closing(bar))
        members = [
            _Member(many, trainer, number, seed, folder, stack, track)
            for number, (folder, seed) in enumerate(at.items())
        ]

        def asked() -> bool:
            return bool(stop) or bar.stop_requested()

        while not asked() and not all(member.ledger.is_over() for member in members):
            records = many.train_epoch(trainer.watched)
            for member, record in zip(members, records, strict=True):
                if not member.ledger.is_over():
                    member.end_epoch(record | {"together": len(members)})
            mean = _mean(records)
            bar.examples(size, mean["train_loss"])
            bar.epoch(mean)
        if asked():
            for member in members:
                member.save()
        return asked()


class _Member:
    """One of the trainings: its ledger, its checkpoints and its trackers.

    Args:
      stack: closes them.
    """

    def __init__(
        self,
        many: Many,
        trainer: Trainer,
        number: int,
        seed: int,
        folder: Workdir,
        stack: contextlib.ExitStack,
        track: Callable[[Config, Workdir], Tracking],
    ):
        self._many, self._trainer, self._number, self._seed = many, trainer, number, seed
        checkpoints = stack.enter_context(Checkpoints(folder.checkpoints))
        self._tracking = stack.enter_context(track(trainer.config.replace(seed=seed), folder))
        self.ledger = Ledger(
            trainer.config,
            folder,
            checkpoints,
            num_classes=trainer.num_classes,
            steps=trainer.steps_per_epoch,
            of=many.size,
        )

    def end_epoch(self, record: dict[str, Any]) -> None:
        """Records an epoch, and saves due checkpoints."""
        params = self._many.member(self._number).params
        try:
            for name in ("train_loss", "validation_loss", "test_loss"):
                if name in record:
                    self.ledger.check(record[name], params)
        except UserError as error:
            raise UserError(f"seed {self._seed}: {error}") from error
        self.ledger.note(record)
        self._tracking.epoch(record)
        self.ledger.keep(self._here)

    def save(self) -> None:
        """Saves where training stands, if it began."""
        if self._many.epochs and not self.ledger.is_over():
            self.ledger.saver.save(self._here())

    def _here(self) -> Position:
        state = self._many.member(self._number)
        return Position(state, steps.zero_metrics(), jnp.zeros(()), self._trainer.feed.position())


def _mean(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the means of the members' records, and the seconds that all of them took."""
    mean = {name: float(np.mean([record[name] for record in records])) for name in records[0]}
    seconds = sum(record["train_seconds"] for record in records)
    return mean | {"epoch": records[0]["epoch"], "train_seconds": seconds}
