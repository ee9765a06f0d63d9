"""A training command as one of several processes: what brings them together, and how they end."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

from experiments.cli.beginning import STATUS
from experiments.cli.flags import with_dashes
from experiments.cli.pipes import say
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.machines import group
from imgcls_jax.machines.watch import GO_ON, LOST_SECONDS, Watch

COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "HOST:PORT of the first of several processes, where no Slurm, Kubernetes or TPU pod tells it",
)
PROCESSES = flags.DEFINE_integer(
    "processes", None, "how many processes train together; 1: this one alone, on a cluster too"
)
PROCESS_ID = flags.DEFINE_integer("process_id", None, "which of them this one is, from 0 on")
LOST_AFTER = flags.DEFINE_float(
    "lost_after",
    LOST_SECONDS,
    "seconds of silence after which a process counts as lost and all others end",
    lower_bound=3,
)
NAMES = ("coordinator", "processes", "process_id", "lost_after")


# What a process says that a lost one, or its network, made fail.
_BY_ANOTHER = re.compile("gloo|nccl|socket|connection|unavailable|deadline|heartbeat|peer", re.I)
_GRACE_SECONDS = 5.0


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Meets the other processes, if there are any, and ends with them.

    Only the first one's standard output is seen. Where one fails all end, and say why.

    Raises:
      UserError: if the others are not met, or are named where there are none.
    """
    asked = (COORDINATOR.value, PROCESSES.value, PROCESS_ID.value)
    if PROCESSES.value == 1:
        for name, value in (("coordinator", asked[0]), ("process_id", asked[2])):
            if value is not None:
                raise UserError(
                    f"--{name}={value} is for several processes, and --processes=1 trains alone; "
                    "leave one out."
                )
    if not group.others_expected(*asked):
        yield
        return
    heir = _Heir()
    try:
        group.join(*asked)
    except UserError:
        heir.dismiss()
        raise
    if group.client() is None:
        heir.dismiss()
        yield
        return
    member = _Member(heir)
    try:
        yield
    except BaseException as error:
        member.leave(error)
    member.end()


def joining(main: Callable[[], None]) -> Callable[[], None]:
    """Returns a command that runs as one of several processes, if there are any."""

    def joined() -> None:
        with together():
            main()

    return joined


class _Member:
    """This process as one of several, from when they have met."""

    def __init__(self, heir: "_Heir"):
        self._heir = heir
        sys.stdout.flush()
        real, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # the network's library prints there when it first connects
        group.greatest(0)
        if group.is_first():
            os.dup2(real, 1)
        else:
            sys.stderr = _NoTerminal(sys.stderr)
        self._watch = Watch(self._lost, lost_seconds=LOST_AFTER.value)

    def end(self) -> None:
        """Returns when all processes have come to their end."""
        import jax

        with contextlib.suppress(RuntimeError):  # everything is written
            self._watch.await_end()
            jax.distributed.shutdown()
        self._inherit_nothing()

    def leave(self, error: BaseException) -> None:
        """Ends this process for an error, and has the others end."""
        if isinstance(error, Interrupted):  # in all processes at the same step
            self.end()
            self._exit(STATUS, with_dashes(str(error)) if group.is_first() else "")
        plain = isinstance(error, UserError | KeyboardInterrupt)
        said = f"{error} {error.__cause__}"
        if _BY_ANOTHER.search(said) and (not plain or error.__cause__ is not None):
            time.sleep(LOST_AFTER.value + _GRACE_SECONDS)  # the watch will know who is lost
        if isinstance(error, UserError):
            why = with_dashes(str(error))
            said = f"error: {why}"
        elif isinstance(error, KeyboardInterrupt):
            number = getattr(error, "number", signal.SIGINT)
            why = f"stopped by {signal.Signals(number).name}"
            said = f"{why}; run the same command again."
        else:
            why = f"{type(error).__name__}: {error}"
            said = "".join(traceback.format_exception(error))
        same = self._watch.fail(why)
        self._exit(STATUS if isinstance(error, KeyboardInterrupt) else 1, "" if same else said)

    def _lost(self, why: str) -> None:
        """Ends this process, whose main thread may wait for a lost one for ever."""
        self._exit(1, f"error: {why}")

    def _exit(self, status: int, said: str) -> None:
        """Ends this process at once: JAX's own end would wait for the others."""
        if said:
            say(said.rstrip())
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        self._inherit_nothing()
        os._exit(status)

    def _inherit_nothing(self) -> None:
        heir, self._heir = self._heir, None
        if heir is not None:
            heir.dismiss()


class _Heir:
    """A small process that says why this one is gone where it cannot.

    JAX aborts it at once, with a trace of its own code, when the first process is killed, and when
    the others do not come.
    """

    _PROGRAM = "import sys\nif not sys.stdin.read(): print(sys.argv[1], file=sys.stderr)"

    def __init__(self):
        said = (
            f"error: process {os.getpid()} of {socket.gethostname()} ended without a word: it was "
            "killed, or the first of its group was, or the others did not come within "
            f"{group.START_SECONDS} s, as where two have one --process_id or --coordinator cannot "
            f"be reached; {GO_ON}"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", self._PROGRAM, said],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )

    def dismiss(self) -> None:
        """Ends it without a word."""
        with contextlib.suppress(OSError):
            self._process.communicate(b"ended")


class _NoTerminal:
    """Standard error on which no bar is drawn."""

    def __init__(self, stream: Any):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return False
