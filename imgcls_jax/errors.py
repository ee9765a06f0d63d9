"""Ends that are meant for a person rather than for a debugger: exceptions, signals, a status."""

import os
import signal

# That ask a program to end: Ctrl-C, a supervisor, a terminal that is closed.
ASKING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
UNREAD = 141  # 128 and SIGPIPE: as a shell reports programs whose output nobody reads


class UserError(Exception):
    """Input that cannot be used: one sentence that says what is wrong and what to do next.

    Library code raises it where the cause lies outside the program (a file, a setting, a disk, a
    diverged loss) and names a setting in backticks, as in `lr=0.1`; entry points print its text,
    with the flag of that name, and exit with status 1, without a traceback. The text stays on one
    line and prints anywhere, whatever names and messages of other libraries are in it.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class UnreadablePhoto(UserError):
    """A photo cannot be read in the middle of a run, which goes on once it can be."""


class Interrupted(UserError):
    """Training was asked to stop; the steps made so far are in the checkpoint."""


def printable(text: str | os.PathLike) -> str:
    """Returns the text or path with backslash escapes where it cannot be printed.

    Escaped are line feeds, escape codes and undecodable bytes.
    """
    text = os.fspath(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
