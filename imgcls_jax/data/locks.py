"""One process at a time in a folder of prepared data."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from absl import logging


@contextlib.contextmanager
def lock(folder: Path, doing: str) -> Iterator[None]:
    """One writer at a time; the kernel lets go of the lock of a process that died.

    Args:
      doing: what another process must be doing while this one waits, for the log.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.warning("Waiting for another process that %s.", doing)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
