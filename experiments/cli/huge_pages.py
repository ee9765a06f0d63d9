"""Huge pages for the memory of XLA's CPU backend: a program started anew with one setting.

XLA allocates the temporary buffers of every call anew, gigabytes for a step of a network on photos,
and the GNU C library maps them from the system and gives them back each time: in pages of 4 KB
these are hundreds of thousands of faults per step, a third of its time. Linux has pages of 2 MB for
a process that asks, and the library asks (`madvise`) if `GLIBC_TUNABLES` says so when a process
starts; later is too late, so the program replaces itself before it has imported anything.
"""

import os
import platform
from pathlib import Path

from experiments.cli import restarting

VARIABLE = "GLIBC_TUNABLES"
_SETTING = "glibc.malloc.hugetlb=1"
_ON_REQUEST = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def ask() -> None:
    """Starts the running `python -m experiments.…` again, asking for huge pages; once.

    Returns where nothing is to be done: not such a command, another system or C library, pages
    that are not given on request, or a user who has set the variable, even to nothing.
    """
    if VARIABLE in os.environ or platform.libc_ver()[0] != "glibc" or not _on_request():
        return
    restarting.start_with(VARIABLE, _SETTING)


def _on_request() -> bool:
    try:
        return "[madvise]" in _ON_REQUEST.read_text()
    except OSError:
        return False
