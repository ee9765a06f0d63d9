"""Whoever measures: processes that share one list of trainings, each on a core of its own.

A small network's step does not fill two cores: on two cores of an Intel Xeon run 5's epoch takes as
long on one core as on both, so that two processes are twice as fast as one.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from experiments.cli.pipes import STATUS
from experiments.evidence.plan import Target, Unit, program
from experiments.evidence.store import Store, said_of
from experiments.evidence.unit import measure, measure_logistic, measure_together
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.train.build import training_splits
from imgcls_jax.train.many import considered, gains
from imgcls_jax.train.progress import Progress, collect_signals
from imgcls_jax.train.run import make_trainer
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.train.workers import Stop, pinned
from imgcls_jax.workdir import Workdir, environment

_POLL_SECONDS = 2.0  # between looks at what other processes have in hand
_WORKER = "IMGCLS_REPRODUCE_WORKER"  # the number of a process that another one started


def missing(units: Sequence[Unit], store: Store) -> list[Unit]:
    """Returns the trainings that some file still lacks a seed of."""
    held: dict[str, set] = {}
    for target in dict.fromkeys(target for unit in units for target in unit.targets):
        held[target.stem] = store.seeds(target.stem, target.header)
    return [u for u in units if any((t.variant, u.seed) not in held[t.stem] for t in u.targets)]


def is_worker() -> bool:
    """Returns whether another process started this one to share its work."""
    return _WORKER in os.environ


def run(
    units: Sequence[Unit],
    store: Store,
    *,
    load: Callable[[Unit], Dataset],
    processes: int,
    vectorize: str = "off",
) -> None:
    """Measures what is missing, until nobody has anything left to do.

    Args:
      load: gives the data of a training.
      processes: how many to start, each with this very command line; 1 works in this one.
      vectorize: whether seeds and learning rates are trained in one program: "on", "off", or "auto"
        where that is found faster, see `many.considered`.

    Raises:
      Interrupted: at a signal; what is finished is kept, and a long training goes on next time.
      UserError: if a process ended with an error, which it has printed, or for "on" and trainings
        that cannot share a program.
    """
    if not is_worker() and processes > 1 and len(missing(units, store)) > 1:
        _supervise(processes)
        return
    # Every second process begins at the end: most settings are then compiled by one of them only.
    order = list(reversed(units)) if int(os.environ.get(_WORKER, 0)) % 2 else list(units)
    with collect_signals() as stop:
        if is_worker():  # a terminal's Ctrl-C meets all; the one that started this one passes it on
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        worker = _Worker(store, load, _Quiet(stop))
        while left := missing(order, store):
            if worker.take_together(left, vectorize):
                left = missing(left, store)
            if not any([worker.take(unit) for unit in left]):
                worker.stop_if_asked()
                time.sleep(_POLL_SECONDS)  # others have them in hand, or die and leave them


class _Quiet(Progress):
    """Stops at a signal, or when the process that started this one is gone."""

    def __init__(self, stop: list[int]):
        self._stop = Stop(lambda: bool(stop), parent=os.getppid() if is_worker() else None)

    def stop_requested(self) -> bool:
        return bool(self._stop)


class _Worker:
    """Measures one training after the other, and compiles anew only where the settings differ."""

    def __init__(self, store: Store, load: Callable[[Unit], Dataset], progress: Progress):
        self._store, self._load, self._progress = store, load, progress
        self._built: tuple[str, Trainer] | None = None

    def stop_if_asked(self) -> None:
        if self._progress.stop_requested():
            raise Interrupted("stopped; what is finished is kept, run the same command to go on.")

    def take(self, unit: Unit) -> bool:
        """Measures a training unless another process has it in hand; returns whether it did."""
        self.stop_if_asked()
        with self._store.claim(unit.name) as mine:
            if not mine or not missing([unit], self._store):
                return False
            started = time.perf_counter()
            found = list(self._measured(unit))
            seconds = time.perf_counter() - started
            print(f"  {unit.title}: {'  '.join(found)}   {seconds:.0f} s", flush=True)
        return True

    def take_together(self, units: Sequence[Unit], vectorize: str) -> bool:
        """Measures trainings in one program where they can share one; returns whether any did."""
        units = [u for u in units if not u.is_logistic]
        groups = itertools.groupby(sorted(units, key=program), key=program)
        together = [list(group) for _, group in groups]
        together = [
            group
            for group in together
            if len(group) > 1 and considered(vectorize, Config.of(**group[0].settings))
        ]
        return any([self._take_group(group, tried=vectorize == "on") for group in together])

    def _take_group(self, group: list[Unit], *, tried: bool) -> bool:
        """Measures trainings in one program, if it is faster; returns whether it did.

        Args:
          tried: whether it is known to be faster.
        """
        with contextlib.ExitStack() as stack:
            mine = [u for u in group if stack.enter_context(self._store.claim(u.name))]
            mine = missing(mine, self._store)
            if len(mine) < 2:
                return False
            self.stop_if_asked()
            started, dataset = time.perf_counter(), self._load(mine[0])
            trainer = self._trainer(mine[0], dataset)
            train, _ = training_splits(trainer.config, dataset)
            if not tried and not gains(trainer, train, members=len(mine)):
                return False
            folder = Workdir(self._store.unfinished / mine[0].name)
            together = measure_together(mine, trainer, dataset, folder, self._progress)
            for target, entry in together:
                self._add(target, entry, dataset)
            seconds = time.perf_counter() - started
            print(f"  {len(mine)} trainings like {mine[0].title}: {seconds:.0f} s", flush=True)
        return True

    def _add(self, target: Target, entry: dict[str, Any], dataset: Dataset) -> None:
        self._store.add(target.stem, target.header | said_of(dataset), entry, environment())

    def _measured(self, unit: Unit) -> Iterator[str]:
        """Runs one training, adds its seed to every file it fills, and yields the accuracies."""
        dataset = self._load(unit)
        if unit.is_logistic:
            (target,) = unit.targets
            entry = measure_logistic(unit, dataset)
            self._add(target, entry, dataset)
            yield f"{entry['cross_validation_accuracy']:.4f}"
            return
        folder = Workdir(self._store.unfinished / f"{unit.name}-{said_of(dataset)['data'][:8]}")
        for target in unit.targets:  # before it is trained for
            self._store.seeds(target.stem, target.header | said_of(dataset))
        trainer = self._trainer(unit, dataset)
        try:
            for target, entry in measure(unit, trainer, dataset, folder, self._progress):
                self._add(target, entry, dataset)
                yield f"{entry['test_accuracy']:.4f}"
        except Interrupted:
            self.stop_if_asked()
        shutil.rmtree(folder.path, ignore_errors=True)

    def _trainer(self, unit: Unit, dataset: Dataset) -> Trainer:
        """Returns the trainer of a course, the one before if it is the same but for its seed."""
        course = unit.name.rpartition("-seed-")[0]
        if self._built is None or self._built[0] != course:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                self._built = (course, make_trainer(Config.of(**unit.settings), dataset))
        return self._built[1]


def _supervise(processes: int) -> None:
    """Runs this command line in several processes, each on a core of its own, until all end."""
    started = []
    with collect_signals() as stop:
        for number in range(processes):
            environment = os.environ | {_WORKER: str(number)}
            with pinned(number, processes):
                command = [sys.executable, *sys.orig_argv[1:]]
                started.append(subprocess.Popen(command, env=environment))
        told = False
        while any(process.poll() is None for process in started):
            time.sleep(0.2)
            if (stop or _is_unread(started)) and not told:
                told = True
                for process in started:
                    process.send_signal(signal.SIGTERM)
    if _is_unread(started):
        raise BrokenPipeError("of a process that prints")
    if stop:
        raise Interrupted("stopped; what is finished is kept, run the same command to go on.")
    if failed := [process.returncode for process in started if process.returncode]:
        raise UserError(
            f"{len(failed)} of {processes} processes ended with an error, see above; what is "
            "finished is kept, and the same command goes on."
        )


def _is_unread(processes: Sequence[subprocess.Popen]) -> bool:
    """Returns whether one has ended since nobody reads what it prints."""
    return any(process.returncode == STATUS for process in processes)
