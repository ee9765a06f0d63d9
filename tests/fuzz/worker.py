"""A process of its own for damaged files: it imports what reads them, and forks for each job.

`PYTHONPATH=.:tests python -m fuzz.worker NAME NUMBER [FOLDER]` repeats one input, as a failure
names it, and leaves the damaged file in the folder.
"""

import contextlib
import gc
import importlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import IO

from fuzz import reader as bench

_SECONDS = 5.0  # that one input may take
_START_SECONDS = 60.0  # that making the good files may take
_SPARE = 4 * 2**30  # bytes of address space beyond what there is: whatever asks for more fails
_MOST_FAILURES = 5
_BUILDING = -(2**62)  # in the place of a number, while the good files are made
_ROOMS = ("raw", "photos", "weights", "records", "tables", "runs")


def readers() -> dict[str, bench.Reader]:
    """Returns all readers by name."""
    found = {}
    for room in _ROOMS:
        found |= {of.name: of for of in importlib.import_module(f"fuzz.{room}").READERS}
    return found


def attempt(of: bench.Reader, first: int, stop: int, place: Path) -> list[str]:
    """Returns what is wrong with the answers to the inputs of these numbers.

    A process that dies or hangs is one failure; another one goes on behind it.
    """
    failures, number, retried = [], first, None
    while number < stop and len(failures) < _MOST_FAILURES:
        at, said, found = _forked(of, number, stop, place)
        failures += found
        if said is None:
            break
        if said == "hangs" and retried != at and at is not None:
            number, retried = at, at  # once more: the machine may have been busy
            continue
        failures.append(f"{of.name} {at}: the process {said}")
        number = stop if at is None else at + 1
    return failures[:_MOST_FAILURES]


def _forked(of: bench.Reader, first: int, stop: int, place: Path):
    """Tries inputs in a child; returns where it ended, how if not well, and the failures."""
    shared = mmap.mmap(-1, 16)  # the number that is tried, and since when
    shared[:] = struct.pack("<qd", _BUILDING, time.monotonic())
    report = place.with_suffix(".failures")
    report.write_text("")
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            _child(of, range(first, stop), bench.emptied(place), shared, report)
            status = 0
        except BaseException:
            with report.open("a") as file:
                file.write(json.dumps(f"{of.name}: {traceback.format_exc(limit=-5)}") + "\n")
        finally:
            os._exit(status)
    said = _watched(child, shared)
    number, _ = struct.unpack("<qd", shared[:])
    found = [json.loads(line) for line in report.read_text().splitlines()]
    if said == "ended with status 1" and found:
        return None, None, found
    return None if number == _BUILDING else number, said, found


def _watched(child: int, shared: mmap.mmap) -> str | None:
    """Waits for a child; returns how it ended if not well."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            if code < 0:
                return f"was ended by {signal.Signals(-code).name}"
            return f"ended with status {code}" if code else None
        number, since = struct.unpack("<qd", shared[:])
        if time.monotonic() - since > (_START_SECONDS if number == _BUILDING else _SECONDS):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "hangs"
        time.sleep(0.005)


def _child(of, numbers, place: Path, shared: mmap.mmap, report: Path) -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1), os.dup2(silent, 2)  # C libraries print what they find
    os.environ["IMGCLS_CACHE"] = str(place / "cache")
    tempfile.tempdir = str(place)
    table = bench.Bench(of, place)
    space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (space + _SPARE, resource.RLIM_INFINITY))
    gc.freeze()
    with report.open("a") as file:
        for number in numbers:
            shared[:] = struct.pack("<qd", number, time.monotonic())
            if said := table.try_one(number):
                file.write(json.dumps(f"{of.name} {number}: {said}") + "\n")
                file.flush()


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answers lines of [name, first, stop] with lines of failures."""
    known = readers()
    in_memory = (
        "/dev/shm" if os.path.isdir("/dev/shm") else None
    )  # disks are slow where others write
    with tempfile.TemporaryDirectory(dir=in_memory) as folder:
        for line in requests:
            name, first, stop = json.loads(line)
            found = attempt(known[name], first, stop, Path(folder) / name)
            answers.write(json.dumps(found) + "\n")
            answers.flush()


def repeat(name: str, number: int, place: Path) -> None:
    """Tries one input in this process, and prints what is wrong."""
    table = bench.Bench(readers()[name], bench.emptied(place))
    with contextlib.suppress(KeyboardInterrupt):
        print(table.try_one(number))
    table.damage(number)


if __name__ == "__main__":
    if sys.argv[1:]:
        given = sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp()
        repeat(sys.argv[1], int(sys.argv[2]), Path(given))
    else:
        serve(sys.stdin, sys.stdout)
