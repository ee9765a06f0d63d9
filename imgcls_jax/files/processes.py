"""Processes by a name that is never another's, and whether they live."""

import os
import socket
from pathlib import Path


def this_process() -> str:
    """Returns a name of this process: machine, number and when it started."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def is_here(process: str) -> bool:
    """Says whether a process, by its name, is or was one of this machine."""
    return process.partition("/")[0] == socket.gethostname()


def has_died(process: str) -> bool:
    """Says whether a process, by its name, is known to have ended; False on another machine."""
    number, _, started = process.partition("/")[2].partition("/")
    if not is_here(process) or not number.isdigit():
        return False
    return not may_live(int(number), started)


def may_live(number: int, started: str | None = None) -> bool:
    """Returns whether a process of this machine may be alive.

    Args:
      started: when, as `this_process` has it, since numbers come again; None if that is not known.
    """
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return started in (None, _started(number))


def _started(number: int) -> str:
    """Returns when a process started, in ticks since the machine did; "" where nothing says so."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
