"""A program started anew with one more setting, where it must have had that when it began."""

import itertools
import os
import sys


def start_with(name: str, value: str) -> None:
    """Starts the running `python -m experiments.…` again with an environment variable set.

    Returns where the program is no such command.
    """
    command = sys.orig_argv[1:]
    named = [module for option, module in itertools.pairwise(command) if option == "-m"]
    if named and named[0].startswith("experiments."):
        os.environ[name] = value
        os.execv(sys.executable, [sys.executable, *command])
