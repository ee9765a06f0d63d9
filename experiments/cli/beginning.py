"""What every program does before it imports anything heavy."""

import contextlib
import os
import signal
import sys
from types import FrameType

from experiments.cli import huge_pages, restarting
from imgcls_jax.errors import ASKING

_UTF8 = "PYTHONUTF8"
STATUS = 130  # as a shell reports a program that Ctrl-C ends


def begin() -> None:
    """Starts the program again where that helps, and answers signals from now on.

    It starts again with huge pages, and with names of files in UTF-8, the only ones that Orbax'
    TensorStore writes. A signal that comes while libraries are imported gets a line for an answer,
    and no traceback.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get(_UTF8) != "1":
        restarting.start_with(_UTF8, "1")
    huge_pages.ask()
    for number in ASKING:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    say_stopped(number)
    os._exit(STATUS)


def say_stopped(number: int) -> None:
    """Says which signal ended the program, past all buffers."""
    name = signal.Signals(number).name
    with contextlib.suppress(OSError):  # the terminal is gone
        os.write(2, f"stopped by {name}; run the same command again.\n".encode())
