"""Trackers at a run's side: each is fed by a thread of its own and can neither stop nor slow it."""

import contextlib
import queue
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tqdm.auto import tqdm

from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.files import typed
from imgcls_jax.machines import group
from imgcls_jax.train import trackers
from imgcls_jax.train.trackers import Tracker
from imgcls_jax.workdir import Workdir

_KEPT = "trackers.json"
_WAITING = 1000  # epochs' figures that may wait for a tracker
_PATIENCE = 60.0  # seconds that the end of a run waits for a tracker
_FINAL = re.compile("(test|validation|train)_")


class Tracking:
    """The trackers of one run; with none, everything here does nothing.

    Args:
      names: of `trackers.NAMES`.
      workdir: the run's folder, which keeps what each tracker knows the run by.

    Raises:
      UserError: as `trackers.require`.
    """

    def __init__(self, names: Sequence[str], workdir: Workdir):
        trackers.require(names)
        self._names = tuple(dict.fromkeys(names)) if group.is_first() else ()
        self._workdir = workdir
        self._tended: list[_Tended] = []

    def start(self, config: Config, name: str, *, done: int) -> None:
        """Begins the run everywhere, or goes on with it after `done` steps.

        Raises:
          UserError: if a tracker cannot begin, as without a login.
        """
        held = self._held()
        for of in self._names:
            tracker = trackers.create(
                of, folder=self._workdir.path, done=done, identity=held.get(of) if done else None
            )
            try:
                tracker.start(config.to_json(), f"{name}, seed {config.train.seed}")
            except Exception as error:  # a service's package raises anything
                self.finish()
                raise UserError(
                    f"the tracker {of} cannot begin ({_said(error)}); set it up as its own pages "
                    "say, or leave it out of `trackers`."
                ) from error
            self._tended.append(_Tended(of, tracker))
            if tracker.identity is not None:
                held[of] = tracker.identity
                self._workdir.write_json(_KEPT, held)

    def _held(self) -> dict[str, str]:
        """Returns what each tracker knows the run by; nothing where that is lost."""
        with contextlib.suppress(OSError, ValueError):
            return typed.load(self._workdir.path / _KEPT, dict[str, str])
        return {}

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Notes the figures of an epoch's record, such as train/loss."""
        figures = {
            name.replace("_", "/", 1): value
            for name, value in record.items()
            if name not in ("epoch", "step", "together")
        }
        for tended in self._tended:
            tended.do(lambda tracker: tracker.log(record["step"], figures))

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Ends the run everywhere, once, with the figures of its summary if it has one."""
        final = summary and {
            name: value
            for name, value in summary.items()
            if _FINAL.match(name) and isinstance(value, int | float)
        }
        for tended in self._tended:
            tended.end(final)
        self._tended = []

    def __enter__(self) -> "Tracking":
        return self

    def __exit__(self, *_) -> None:
        self.finish()


class _Tended:
    """A tracker with a thread that feeds it, until it fails."""

    def __init__(self, name: str, tracker: Tracker):
        self._name, self._tracker = name, tracker
        self._jobs: queue.Queue = queue.Queue(_WAITING)
        self._failed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def do(self, job: Callable[[Tracker], None] | None) -> None:
        """Has the thread do something after everything else, or end for None."""
        if self._failed:
            return
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self._fail("it does not keep up")

    def end(self, summary: Mapping[str, float] | None) -> None:
        """Has the thread end the run, and waits a while for it."""
        self.do(lambda tracker: tracker.finish(summary))
        self.do(None)
        self._thread.join(0 if self._failed else _PATIENCE)
        if self._thread.is_alive():
            self._fail(f"it did not end within {_PATIENCE:g} s")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._failed:
                return
            try:
                job(self._tracker)
            except Exception as error:  # a service's package raises anything
                self._fail(_said(error))
                return

    def _fail(self, why: str) -> None:
        """Says once that the run goes on without this tracker."""
        if not self._failed:
            self._failed = True
            note = f"note: the tracker {self._name} failed ({why}); the run goes on without it"
            tqdm.write(note, file=sys.stderr)


def _said(error: Exception) -> str:
    """Returns an error in a line, without a password that an address in it may hold."""
    line = (str(error).strip().splitlines() or [""])[0]
    return re.sub(r"//[^/@\s]*@", "//", f"{type(error).__name__}: {line}".rstrip(": "))
