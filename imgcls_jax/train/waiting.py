"""What is being done: a living line on a terminal, a plain line in a log where it takes long."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

from tqdm.auto import tqdm

_TICK_SECONDS = 1.0
_SILENT_SECONDS = 1.5  # after which a log tells what is being done


def bars_are_shown() -> bool:
    """Returns whether bars can be drawn: as a notebook's widgets, or on standard error.

    On a terminal that does not say how wide it is, as `script` makes one, a bar would be empty.
    """
    if any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__):
        return True
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and _has_width()


def _has_width() -> bool:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):  # no terminal of the system's
        return True


@contextlib.contextmanager
def waiting(doing: str) -> Iterator[None]:
    """Shows on a terminal what is being done, and for how long so far, until it is done.

    Args:
      doing: such as "compiling the network".
    """
    line = tqdm(
        desc=doing, bar_format="{desc} ({elapsed})", leave=False, disable=not bars_are_shown()
    )
    if line.disable:
        yield
        return
    with contextlib.closing(line), meanwhile(line.refresh, seconds=_TICK_SECONDS):
        yield


@contextlib.contextmanager
def stage(doing: str) -> Iterator[None]:
    """Shows a stage of a training: as `waiting` does, or as `told` where no bars are shown."""
    with waiting(doing), told(doing):
        yield


@contextlib.contextmanager
def told(doing: str) -> Iterator[Callable[[], None]]:
    """Prints a line such as "  compiling the training ..." if the block takes more than a moment.

    Where bars are shown they tell it. Standard output has it, as it has the lines of epochs.

    Yields:
      a function after whose call nothing is printed, for a block that says something itself.
    """
    if bars_are_shown():
        yield lambda: None
        return
    timer = threading.Timer(_SILENT_SECONDS, _say, [f"  {doing} ..."])
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()
        timer.join()


def _say(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        print(line, flush=True)


@contextlib.contextmanager
def meanwhile(act: Callable[[], object], *, seconds: float) -> Iterator[None]:
    """Does something every so many seconds, in a thread, until the block ends."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
