"""A living line on a terminal for steps that cannot say how far they are, such as a compilation."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

from tqdm import tqdm

_TICK_SECONDS = 1.0


@contextlib.contextmanager
def waiting(doing: str) -> Iterator[None]:
    """Shows on a terminal what is being done, and for how long so far, until it is done.

    Args:
      doing: such as "compiling the network".
    """
    line = tqdm(desc=doing, bar_format="{desc} ({elapsed})", leave=False, disable=not on_terminal())
    if line.disable:
        yield
        return
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(_TICK_SECONDS):
            line.refresh()

    clock = threading.Thread(target=tick, daemon=True)
    clock.start()
    try:
        yield
    finally:
        ended.set()
        clock.join()
        line.close()


def on_terminal() -> bool:
    """Returns whether bars can be drawn on standard error."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
