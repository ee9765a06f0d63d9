"""Standard output that nobody reads any more: after `| head` an end, not an error."""

import contextlib
import errno
import os
import select
import sys
from collections.abc import Iterator

from imgcls_jax.errors import UNREAD as STATUS


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """Ends the program with status 141, silently, where nobody reads what it prints any more.

    Output that cannot be written for another reason, as to a full disk, ends it with a line.

    Raises:
      BrokenPipeError: another pipe than standard output or standard error is broken.
    """
    try:
        try:
            yield
        finally:
            _flush()  # a short text is still to be written
    except BrokenPipeError:
        if not reader_has_left():
            raise
        _print_nowhere()
        sys.exit(STATUS)


def reader_has_left() -> bool:
    """Returns whether standard output or standard error is a pipe that nobody reads."""
    poll = select.poll()
    for number in (1, 2):
        poll.register(number, 0)  # a pipe without a reader reports itself, whatever is asked
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _flush() -> None:
    if sys.stdout is None:  # closed by whoever started the program
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _print_nowhere()
        if error.errno != errno.EIO:  # of a terminal that was closed
            say(f"error: cannot write to standard output ({error.strerror}).")
            sys.exit(1)


def _print_nowhere() -> None:
    """Gives standard output to nobody: Python flushes once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def say(text: str) -> None:
    """Prints a line to standard error, if that is still there."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
