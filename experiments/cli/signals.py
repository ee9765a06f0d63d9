"""Signals to a program: the first stops it with a line, a second Ctrl-C ends it at once."""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from experiments.cli.beginning import ASKING, STATUS, say_stopped

# One signal may come twice, to the process and to its group: `timeout` sends it so.
_BOTH_SECONDS = 0.2
_PATIENCE_SECONDS = 1.5  # after which it is said that the first signal was heard
_HEARD = b"stopping; Ctrl-C once more leaves at once.\n"


class Stopped(KeyboardInterrupt):
    """A signal asked the program to stop where nothing collects signals.

    Attributes:
      number: of the signal.
    """

    def __init__(self, number: int):
        super().__init__()
        self.number = number


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Raises Stopped at the first signal that asks to stop; a second Ctrl-C ends the program.

    Training collects signals on its way and saves, see `imgcls_jax.train.progress`. A second Ctrl-C
    does not wait for that, nor for a compilation, in which no Python code answers: a thread hears
    it. Elsewhere than in the main thread nothing is done, as nothing can be.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if not heard:
            heard.append(number)
            raise Stopped(number)

    numbers = [number for number in ASKING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        with _second_ends():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _second_ends() -> Iterator[None]:
    """Ends the program at a Ctrl-C that follows another signal by more than a moment.

    A program that is not at its end a little after the first signal says that it has heard it.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # gets a signal's number
    listener = threading.Thread(target=_listen, args=(reader,), daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        listener.join()
        os.close(reader)


def _listen(reader: int) -> None:
    first, told = None, False
    while True:
        wait = None if first is None or told else _PATIENCE_SECONDS
        if not select.select([reader], [], [], wait)[0]:
            told = True
            with contextlib.suppress(OSError):  # the terminal is gone
                os.write(2, _HEARD)
            continue
        if not (heard := os.read(reader, 1)):
            return
        if heard[0] not in ASKING:
            continue
        now = time.monotonic()
        first = now if first is None else first
        if heard[0] == signal.SIGINT and now - first > _BOTH_SECONDS:
            say_stopped(signal.SIGINT)
            os._exit(STATUS)
