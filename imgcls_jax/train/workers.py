"""Processes of this machine that share a task, each on cores of its own.

Small networks gain nothing from a second core, so two trainings on a core each are done in the time
of one.
"""

import contextlib
import multiprocessing
import os
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any

import jax

from imgcls_jax.data import children
from imgcls_jax.errors import UNREAD, UserError
from imgcls_jax.train.progress import collect_signals

_LOOK_SECONDS = 0.2  # between two looks for a signal
_END_SECONDS = 60.0  # that processes have to stop in when they are asked to


class Stop:
    """True when work should end: a signal came, the time is over, or the parent is gone.

    Args:
      asked: is true when a person or the parent asks to stop.
      deadline: in seconds since the epoch; None has no end.
      parent: the process that must be alive.
    """

    def __init__(
        self, asked: Callable[[], bool], deadline: float | None = None, parent: int | None = None
    ):
        self._asked, self._deadline, self._parent = asked, deadline, parent

    def __bool__(self) -> bool:
        late = self._deadline is not None and time.time() > self._deadline
        return late or self._asked() or (self._parent is not None and os.getppid() != self._parent)


def default_jobs() -> int:
    """Returns the processes that trials are best spread over: one per core of a CPU, else one."""
    return len(_cores()) if jax.default_backend() == "cpu" else 1


def spread(
    task: Callable[..., None], jobs: Sequence[tuple[Any, ...]], *, deadline: float | None = None
) -> bool:
    """Calls `task(*arguments, stop=...)` for each job: one job here, several in processes.

    Args:
      task: can be pickled, as can the jobs. It returns soon after `stop` is true.
      jobs: the arguments, a tuple per process.
      deadline: when `stop` becomes true, in seconds since the epoch.

    Returns:
      whether a signal asked to stop.

    Raises:
      UserError: of the first process that failed by one; the others were stopped.
      BrokenPipeError: nobody reads what a process prints; likewise.
    """
    with collect_signals() as received:
        if len(jobs) == 1:
            task(*jobs[0], stop=Stop(lambda: bool(received), deadline))
            return bool(received)
        return _in_processes(task, jobs, deadline, received)


def _in_processes(
    task: Callable[..., None],
    jobs: Sequence[tuple[Any, ...]],
    deadline: float | None,
    received: list[int],
) -> bool:
    context = multiprocessing.get_context("spawn")
    asked, started, folder = context.Event(), [], tempfile.TemporaryDirectory()
    try:
        for number, arguments in enumerate(jobs):
            mine, theirs = context.Pipe(duplex=False)
            # By a file: a child that dies at once would leave a data set in a pipe, and us waiting.
            work = Path(folder.name) / str(number)
            work.write_bytes(pickle.dumps((task, arguments)))
            process = context.Process(
                target=_child, args=(str(work), asked, deadline, os.getpid(), theirs)
            )
            with pinned(number, len(jobs)):
                process.start()
            theirs.close()
            started.append((process, mine))
        failure = None
        while running := [process for process, _ in started if process.is_alive()]:
            connection.wait([process.sentinel for process in running], timeout=_LOOK_SECONDS)
            failure = failure or _failure(started)
            if received or failure:
                asked.set()
        failure = failure or _failure(started)
    finally:
        asked.set()
        _end([process for process, _ in started])
        folder.cleanup()
    if failure and not received:
        raise failure
    return bool(received)


def _failure(started: list[tuple[Any, Any]]) -> Exception | None:
    """Returns why the first process that failed did."""
    for process, pipe in started:
        if process.exitcode is None or process.exitcode == 0:
            continue
        if process.exitcode == UNREAD:
            return BrokenPipeError("of a process that prints")
        with contextlib.suppress(EOFError, OSError):
            if pipe.poll():
                return UserError(pipe.recv())
        return UserError(
            f"a process ended with status {process.exitcode}; run the same command again to go on."
        )
    return None


def _end(processes: list[Any]) -> None:
    """Waits for processes that were asked to stop, and ends those that do not."""
    until = time.monotonic() + _END_SECONDS
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()


def _child(
    work: str,
    asked: Any,
    deadline: float | None,
    parent: int,
    pipe: Any,
) -> None:
    """Does a process' part; what a person should know of a failure goes through the pipe.

    Args:
      work: the file of the pickled task and arguments.
    """
    children.serve()
    try:
        task, arguments = pickle.loads(Path(work).read_bytes())
        task(*arguments, stop=Stop(asked.is_set, deadline, parent))
    except UserError as error:
        pipe.send(str(error))
        sys.exit(1)
    except BrokenPipeError:  # nobody reads what is printed
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more
        sys.exit(UNREAD)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _cores() -> list[int]:
    """Returns the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextlib.contextmanager
def pinned(number: int, of: int) -> Iterator[None]:
    """Keeps this thread, and so what it starts, on its share of the cores."""
    cores = _cores()
    if not hasattr(os, "sched_setaffinity") or of > len(cores):
        yield
        return
    os.sched_setaffinity(0, cores[number::of])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
