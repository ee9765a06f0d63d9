"""Standard output into a pipe whose reader leaves, as `| head` does: an end, not an error."""

import contextlib
import os
import select
import sys
from collections.abc import Iterator

_STATUS = 141  # 128 and SIGPIPE: as a shell reports programs that the signal ends


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """Ends the program with status 141, silently, where nobody reads what it prints any more.

    Raises:
      BrokenPipeError: another pipe than standard output is broken.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # a short text is still to be written
    except BrokenPipeError:
        if not _reader_has_left():
            raise
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_STATUS)


def _reader_has_left() -> bool:
    poll = select.poll()
    poll.register(sys.stdout, 0)  # a pipe without a reader reports itself, whatever is asked
    return any(event & select.POLLERR for _, event in poll.poll(0))
