"""Watching a run and stopping it: progress bar, signals."""

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from tqdm.auto import tqdm

from imgcls_jax.data.children import ASKING
from imgcls_jax.errors import Interrupted
from imgcls_jax.machines import group
from imgcls_jax.train.waiting import bars_are_shown, meanwhile, told

_TICK_SECONDS = 1.0
_TWICE_SECONDS = 0.2  # between one signal's two ways to a process


class Progress:
    """The events that the loop reports between device calls. Override the methods you need."""

    def examples(self, count: int, loss: float) -> None:
        """Notes that `count` more examples were trained on; `loss` is the epoch's mean so far."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Notes that an epoch ended with this history record."""

    def stop_requested(self) -> bool:
        """Returns whether the loop is asked to save and stop."""
        return False


class ProgressBar(Progress):
    """A bar over the whole training with loss, examples per second and time left.

    Above it one line per epoch is printed. Its clock goes on between device calls, too. Where
    standard error is not a terminal there is no bar, only the lines.

    Attributes:
      unread: whether a line could not be printed, as to a pipe that nobody reads any more or a
        terminal that was closed.
    """

    def __init__(self, *, epochs: int, examples_per_epoch: int, done: int = 0):
        self.unread = False
        self._epochs = epochs
        self._bar = tqdm(
            total=epochs * examples_per_epoch,
            initial=done,
            unit=" examples",
            unit_scale=True,
            file=sys.stderr,
            disable=not bars_are_shown(),
            dynamic_ncols=True,
            leave=False,
            smoothing=0.1,
        )
        self._clock = contextlib.ExitStack()
        doing = f"training on {examples_per_epoch:,} examples, epoch by epoch"
        self._say_no_more = self._clock.enter_context(told(doing))
        if not self._bar.disable:
            self._clock.enter_context(meanwhile(self._bar.refresh, seconds=_TICK_SECONDS))

    def examples(self, count: int, loss: float) -> None:
        self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        self._bar.update(count)

    def epoch(self, record: dict[str, Any]) -> None:
        self._say_no_more()
        width = len(str(self._epochs))
        line = (
            f"  epoch {record['epoch']:{width}d}/{self._epochs}"
            f"  train loss {record['train_loss']:.4f} accuracy {record['train_accuracy']:.4f}"
        )
        for watched in ("validation", "test"):
            if f"{watched}_loss" in record:
                line += (
                    f"  {watched} loss {record[f'{watched}_loss']:.4f}"
                    f" accuracy {record[f'{watched}_accuracy']:.4f}"
                )
        line += (
            f"  {record['train_seconds']:.2f} s  {record['examples_per_second']:,.0f} examples/s"
        )
        try:
            self._bar.write(line, file=sys.stdout)
            sys.stdout.flush()
        except OSError:  # what is trained is saved first
            self.unread = True

    def stop_requested(self) -> bool:
        return self.unread

    def close(self) -> None:
        self._clock.close()
        self._bar.close()


class Observer(ProgressBar):
    """The progress bar, the signals that ask to stop, and who else notes epochs.

    Args:
      stop: the signals received so far, see `collect_signals`.
      noted: is given every epoch's record too.
      **bar: the arguments of `ProgressBar`.
    """

    def __init__(self, *, stop: list[int], noted: Callable[[dict[str, Any]], None], **bar: int):
        super().__init__(**bar)
        self._stop = stop
        self._noted = noted

    def epoch(self, record: dict[str, Any]) -> None:
        super().epoch(record)
        self._noted(record)

    def stop_requested(self) -> bool:
        return group.any_of(self._stop or super().stop_requested())


class Beginning:
    """What comes before the first step, which signals stop between its parts.

    Args:
      stop: the signals received so far, see `collect_signals`.
    """

    def __init__(self, stop: list[int]):
        self._stop: list[int] | None = stop

    def check(self) -> None:
        """Raises Interrupted if a signal asked to stop; never after the end."""
        if self._stop is not None and asked(self._stop):
            raise Interrupted("stopped before training began; run the same command to start.")

    def end(self) -> None:
        """Notes that training has begun, and that steps are saved from now on."""
        self._stop = None


def asked(stop: list[int]) -> bool:
    """Returns whether any process that trains here was asked to stop; all of them ask at once."""
    return group.any_of(stop)


@contextlib.contextmanager
def collect_signals() -> Iterator[list[int]]:
    """Collects the signals that ask to stop, instead of dying of them.

    A second Ctrl-C raises KeyboardInterrupt, unless it is the first one come twice: `timeout`, say,
    sends a signal to a process and then to its group.
    """
    received: list[int] = []
    first = math.inf

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal first
        del frame
        now = time.monotonic()
        first = min(first, now)
        received.append(number)
        if number == signal.SIGINT and now - first > _TWICE_SECONDS:
            raise KeyboardInterrupt

    old = {}
    if threading.current_thread() is threading.main_thread():  # whose owner handles signals else
        asking = [n for n in ASKING if n == signal.SIGINT or signal.getsignal(n) != signal.SIG_IGN]
        old = {number: signal.signal(number, handler) for number in asking}
    try:
        yield received
    finally:
        for number, previous in old.items():
            signal.signal(number, previous)
