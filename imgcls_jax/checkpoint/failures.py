"""What kept a file from being written or read, as far as the system has told, and nothing more."""

import errno
import functools
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

from jax.errors import JaxRuntimeError

_SPACE = "free some disk space"
_RIGHTS = "make it writable, or choose another `workdir`"
_IN_THE_WAY = "move the file that is in the way, or choose another `workdir`"
# Of several causes the first in this order: what follows a full disk is often a missing file.
_ADVICE = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "allow larger files (`ulimit -f`), or choose another `workdir`",
    errno.EROFS: "choose another `workdir`, on a disk that can be written",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EMFILE: "allow more open files (`ulimit -n`)",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "close other programs",
    errno.EIO: "choose another `workdir`, on another disk",
    errno.ESTALE: "mount the disk again",
    errno.ETIMEDOUT: "see to the disk and its network",
}
_ELSEWHERE = "choose another `workdir`"
# What says nothing about the content of a file that cannot be read.
_OUTSIDE = (
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ETIMEDOUT,
)
_EXHAUSTED = "RESOURCE_EXHAUSTED"  # as JAX and TensorStore spell it


def unwritten(error: BaseException) -> tuple[str, str]:
    """Returns why a file cannot be written, in the system's words, and what helps."""
    number = _number(error)
    if number is None:
        return "for an unknown reason", _ELSEWHERE
    return os.strerror(number), _ADVICE.get(number, _ELSEWHERE)


def unreadable(error: BaseException) -> str | None:
    """Returns why a file cannot be read that may be whole; None where its content may be at fault.

    A device that fails, or whose memory another program holds, says nothing of the file.
    """
    number = _number(error)
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    if number in _OUTSIDE:
        return os.strerror(number)
    chain = list(_chain(error))
    if any(_EXHAUSTED in str(one) for one in chain):
        return "a device has too little free memory"
    failed = any(isinstance(one, JaxRuntimeError) for one in chain)
    return "a device failed" if failed else None


def _number(error: BaseException) -> int | None:
    """Returns the number of the system's error behind an exception; None without one.

    TensorStore passes it on as text alone.
    """
    found, said = set(), []
    for one in _chain(error):
        said.append(str(one))
        if isinstance(one, OSError) and one.errno is not None:
            found.add(one.errno)
    found |= {number for number in _ADVICE if any(os.strerror(number) in text for text in said)}
    return next((number for number in _ADVICE if number in found), min(found, default=None))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an exception and those that it came of."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


# What Orbax leaves to be collected when its first write or read has failed.
_LEFT_BEHIND = "coroutine '.*(cancellable|erialize|_read_array|PyTree|Store).*' was never awaited"


@functools.cache
def keep_quiet() -> None:
    """Silences Orbax and what it leaves behind: its failures reach the caller as errors anyway."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_not_of_orbax)
    warnings.filterwarnings("ignore", message=_LEFT_BEHIND, category=RuntimeWarning)
    sys.unraisablehook = functools.partial(_unless_late, sys.unraisablehook)


def _not_of_orbax(record: logging.LogRecord) -> bool:
    """Drops what Orbax logs, with its tracebacks, and what asyncio logs of its futures."""
    error = record.exc_info[1] if record.exc_info else None
    frames = traceback.walk_tb(error.__traceback__) if error else ()
    files = [record.pathname, *(frame.f_code.co_filename for frame, _ in frames)]
    return not _is_of_orbax(*files, error)


def _unless_late(hook: Any, unraisable: Any) -> None:
    """Drops what TensorStore says of reads and writes that end after one of them has failed."""
    error = unraisable.exc_value
    if str(error) != "Event loop is closed" and not _is_of_orbax(error, unraisable.object):
        hook(unraisable)


def _is_of_orbax(*said: Any) -> bool:
    text = " ".join(map(str, said)).lower()
    return "orbax" in text or "tensorstore" in text
