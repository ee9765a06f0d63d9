"""Forks a process for every command, which then costs no imports; `commands.Server` starts it.

The parent imports what commands need, but has neither a backend of JAX nor a second thread, so that
a process it forks is as good as one that was started. Names in shared memory begin with a mark,
also those of worker processes, which run this file when they are spawned.
"""

import contextlib
import gc
import importlib
import inspect
import json
import os
import select
import signal
import sys
import tempfile
import time
from multiprocessing import shared_memory

MARK = "IMGCLS_KILLS"  # the variable of the environment by which its processes are known
_IMPORTED = (
    "optax", "grain", "orbax.checkpoint", "sklearn.datasets", "tensorflow_datasets", "PIL.Image",
    "experiments.benchmarks.builders.archives", "experiments.fmnist", "experiments.train",
    "experiments.transfer", "imgcls_jax.report.run_page",
)  # fmt: skip
_LATE = 1000.0  # seconds after which a command that hangs is ended
_LOOK = 0.005  # seconds between two looks at what processes have used

if MARK in os.environ:  # else a test asks for that name
    shared_memory._SHM_NAME_PREFIX = f"/{os.environ[MARK]}"


def main() -> None:
    """Answers a line of JSON with a line of JSON; a forked process leaves by the same way."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in _IMPORTED:
        importlib.import_module(name)
    from jax._src import xla_bridge

    gc.collect()
    gc.freeze()  # or each process would copy what its collector walks over
    here = {"threads": len(os.listdir("/proc/self/task")), "backends": len(xla_bridge._backends)}
    print(json.dumps(here), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        closed, opened = os.pipe()
        started = []
        for command in request["commands"]:
            pid = os.fork()
            if not pid:
                os.close(opened)
                os.read(closed, 1)  # all begin when the parent closes its end
                _run(command)
                return
            started.append(pid)
        os.close(closed)
        os.close(opened)
        print(json.dumps(_ended(started, request["kill_after"])), file=answers, flush=True)


def _ended(started: list[int], kill_after: float | None) -> list[dict[str, float]]:
    """Waits for processes, and kills those that have used so many seconds of a processor."""
    late, found = time.monotonic() + _LATE, {}
    running = {os.pidfd_open(pid): pid for pid in started}
    while running:
        ready = select.select(list(running), [], [], _LOOK)[0]
        for descriptor in ready:
            pid = running.pop(descriptor)
            os.close(descriptor)
            used = _used(pid)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            found[pid] = {"pid": pid, "status": status, "seconds": used}
        for pid in running.values():
            if time.monotonic() > late or (kill_after is not None and _used(pid) > kill_after):
                os.kill(pid, signal.SIGKILL)
    return [found[pid] for pid in started]


def _used(pid: int) -> float:
    """Returns the seconds that a process has used of a processor: see clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def _run(command: dict) -> None:
    """Is the command from here on."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(command["log"], os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(command["folder"])
    os.environ.update(command["environment"])
    tempfile.tempdir = None  # found anew
    if command["die_at"] is not None:
        _die_at(command["die_at"])
    with contextlib.ExitStack() as stack:
        if command["archive"]:
            stack.enter_context(_expecting(command["archive"]))
        from experiments.cli import flags

        entry = importlib.import_module(f"experiments.{command['experiment']}").main
        takes = bool(inspect.signature(entry).parameters)
        argv = [command["experiment"], *command["arguments"]]
        flags.run(entry, takes_arguments=takes, argv=argv)


def _expecting(name: str):
    """Has the stock builder of a data set expect drawn archives, which lie where it looks."""
    import tensorflow_datasets as tfds

    from experiments.benchmarks.builders import archives
    from imgcls_jax.data.catalog.builder import leaving_nothing
    from imgcls_jax.data.catalog.folders.places import data_dir_of

    folder = data_dir_of(None)
    with leaving_nothing():
        builder = tfds.builder(name, data_dir=folder)
    return archives.make(name).at_hand(builder, folder / "downloads")


def _die_at(number: int) -> None:
    """Kills this process at a renaming: before its call n for a number 2n, after it for 2n + 1."""
    calls = iter(range(sys.maxsize))

    def dying(rename):
        def call(*args, **kwargs):
            of = 2 * next(calls)
            if of == number:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*args, **kwargs)
            if of + 1 == number:
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.replace, os.rename = dying(os.replace), dying(os.rename)


if __name__ == "__main__":
    main()
