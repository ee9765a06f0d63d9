"""A living line on a terminal for steps that cannot say how far they are, such as a compilation."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from imgcls_jax.bars import can_be_shown, tqdm

_TICK_SECONDS = 1.0


@contextlib.contextmanager
def waiting(doing: str) -> Iterator[None]:
    """Shows on a terminal what is being done, and for how long so far, until it is done.

    Args:
      doing: such as "compiling the network".
    """
    line = tqdm(
        desc=doing, bar_format="{desc} ({elapsed})", leave=False, disable=not can_be_shown()
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
