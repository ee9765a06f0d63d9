"""Processes that work for another one: they leave its signals to it, and end with it.

A terminal, Slurm or systemd send a signal to every process of a program, and the one that trains
answers for all: it saves, and asks the others to end. Where it is killed it can ask nobody, so they
watch it.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from multiprocessing import connection

from imgcls_jax.errors import ASKING

_LOOK_SECONDS = 2.0


def serve() -> None:
    """Makes this process of multiprocessing leave signals to its parent, and end with it.

    Its end is that of a crash: at once, wherever it is.
    """
    for number in ASKING:
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    """Ends this process when its parent has ended."""
    parent = multiprocessing.parent_process()
    # The pipe that tells may be held open by others, and then the parent's number does.
    while not connection.wait([parent.sentinel], _LOOK_SECONDS) and os.getppid() == parent.pid:
        pass
    os._exit(1)
