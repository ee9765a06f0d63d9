"""A living line on a terminal for steps that cannot say how far they are, such as a compilation."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

from tqdm.auto import tqdm

_TICK_SECONDS = 1.0


def bars_are_shown() -> bool:
    """Returns whether bars can be drawn: as a notebook's widgets, or on standard error."""
    if any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__):
        return True
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


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
