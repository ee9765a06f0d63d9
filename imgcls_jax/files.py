"""Files that are written whole or not at all: a reader never meets half of one."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from absl import logging

from imgcls_jax.errors import UserError


@contextlib.contextmanager
def replacing(path: str | os.PathLike, *, advice: str) -> Iterator[Path]:
    """A path to write to, whose file takes the name `path` at the end; missing folders are made.

    Args:
      advice: what to do where it cannot be written, the end of the error's sentence.

    Raises:
      UserError: the file cannot be written; one already there is as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); {advice}.") from error


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
