"""Plants one fault at a time in a copy of the repository and says which of them tests notice.

    python -m tests.faults.run                         # all faults, about an hour on one core
    python -m tests.faults.run --only=cache --list
    python -m tests.faults.run --only=train --jobs=2 --out=/tmp/noticed.json
    python -m tests.faults.run --out=tests/faults/noticed.json --again

First the tests that the chosen faults name must all pass in the copy as it is. Each fault then runs
the files of tests that are named for it, the likeliest first, until one fails; with `--all` a fault
that they do not notice meets the whole default suite. With `--again` the faults that the file of
`--out` has as noticed are taken over from it, and only the others are planted: after a run that was
broken off, or once there are more tests. A fault is planted again if its texts changed since, or if
its test is gone or became a slow one.
`tests/faults/noticed.json` holds the last complete run.
The exit status is 1 where a fault was not noticed.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from .catalogue import FAULTS, ROOMS, outdated
from .fault import ROOT, Fault

_SECONDS = 300  # for the tests of a fault: a planted fault may wait for ever
# Imported once, in the process that all tests are forked from; nothing of the repository.
_PRELOADED = (
    "pytest", "hypothesis.strategies", "jax", "flax.linen", "optax", "orbax.checkpoint",
    "absl.flags", "sklearn.metrics", "scipy.stats", "scipy.ndimage", "matplotlib.figure",
    "PIL.Image", "tqdm", "tensorflow_datasets", "grain", "h5py", "safetensors.numpy",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the chosen faults, prints a line for each, writes the JSON; returns the exit status."""
    options = _options(argv)
    chosen = _chosen(options.only)
    if options.list:
        for fault in chosen:
            print(f"{fault.name}: {fault.breaks} ({fault.file})")
        return 0
    if sentences := outdated():
        return _refuse(" ".join(sentences))
    if not chosen:
        return _refuse(f"no fault's name, file or room contains {options.only!r}; see --list.")
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copies = _copies(Path(folder), options.jobs)
        known = _known(options.out, _default_tests(copies[0])) if options.again else {}
        left = [fault for fault in chosen if fault.name not in known]
        for test in () if options.trust else _tests_of(left):
            if by := _failing(copies[0], (test,)):
                return _refuse(f"{test} fails without any fault ({by}); mend it first.")
        for one in _all_tested(left, copies, everything=options.all):
            known[one["name"]] = one
            _write(options.out, [known[f.name] for f in FAULTS if f.name in known])
    unnoticed = [fault.name for fault in chosen if known[fault.name]["by"] is None]
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} noticed")
    return int(bool(unnoticed))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="part of a fault's name, file or room")
    parser.add_argument("--jobs", type=int, default=1, help="faults tested at a time")
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--again", action="store_true", help="take over what --out has as noticed")
    parser.add_argument("--trust", action="store_true", help="skip the run without any fault")
    parser.add_argument("--all", action="store_true", help="the default suite for the unnoticed")
    parser.add_argument("--list", action="store_true", help="print the faults and plant none")
    return parser.parse_args(argv)


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def _chosen(part: str) -> tuple[Fault, ...]:
    return tuple(
        fault
        for room, faults in ROOMS.items()
        for fault in faults
        if part == room or part in fault.name or part in fault.file
    )


def _tests_of(faults: Sequence[Fault]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(test for fault in faults for test in fault.tests))


def _copies(folder: Path, count: int) -> list[Path]:
    """Copies the files that git knows or could know, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    copies = [folder / str(number) for number in range(max(1, count))]
    for copy in copies:
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
    return copies


def _all_tested(
    faults: Sequence[Fault], copies: list[Path], *, everything: bool
) -> Iterator[dict[str, Any]]:
    """Yields what came of each fault, in their order, and prints it."""
    free = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def tested(fault: Fault) -> dict[str, Any]:
        copy, started = free.get(), time.perf_counter()
        try:
            with _planted(fault, copy):
                by = _failing(copy, fault.tests)
                if by is None and everything:
                    by = _failing(copy, ("tests",))
        finally:
            free.put(copy)
        seconds = round(time.perf_counter() - started, 1)
        return {
            "name": fault.name, "file": fault.file, "breaks": fault.breaks,
            "digest": fault.digest, "by": by, "seconds": seconds,
        }  # fmt: skip

    with ThreadPoolExecutor(len(copies)) as pool:
        for one in pool.map(tested, faults):
            print(f"{one['name']}: {one['by'] or 'NOT NOTICED'} ({one['seconds']} s)", flush=True)
            yield one


@contextlib.contextmanager
def _planted(fault: Fault, copy: Path) -> Iterator[None]:
    path = copy / fault.file
    text = path.read_text()
    path.write_text(fault.planted_in(text))
    try:
        yield
    finally:
        path.write_text(text)


def _failing(copy: Path, tests: Sequence[str]) -> str | None:
    """Returns the first test that fails in a copy, or what else went wrong; None if all pass."""
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    context.set_forkserver_preload(list(_PRELOADED)) if os.name == "posix" else None
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_pytest, args=(str(copy), list(tests), theirs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(_SECONDS):
            return f"no end within {_SECONDS} seconds"
        return ours.recv()
    except EOFError:
        return "the process of the tests died"
    finally:
        process.kill()
        process.join()


def _pytest(copy: str, tests: list[str], answer: Any) -> None:
    """Runs tests in a process of their own, whose modules are all the copy's."""
    os.chdir(copy)
    os.environ["PYTHONPATH"] = copy
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    sys.path[:] = [copy, *(path for path in sys.path if Path(path).resolve() != ROOT)]
    import pytest

    class First:
        """Keeps the name of the first test, or file, that fails."""

        name = None

        def pytest_runtest_logreport(self, report):
            if report.failed and self.name is None:
                self.name = report.nodeid

        pytest_collectreport = pytest_runtest_logreport

    first = First()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = pytest.main(["-n0", "-x", "-q", "--tb=no", *tests], plugins=[first])
    module = sys.modules.get("imgcls_jax")
    if module is not None and not Path(module.__file__).is_relative_to(copy):
        answer.send(f"nothing: the tests import {module.__file__}")
    elif status == pytest.ExitCode.NO_TESTS_COLLECTED:  # all of them are slow ones
        answer.send(None)
    elif status and first.name is None:
        answer.send(f"pytest ended with {int(status)}: {said.getvalue()[-300:]}")
    else:
        answer.send(first.name)


def _known(path: str | None, tests: Collection[str]) -> dict[str, dict[str, Any]]:
    """Returns by name what a file of an earlier run has as noticed.

    Of faults that are still what they were, and by one of `tests`, those that run by default.
    """
    if path is None or not Path(path).is_file():
        return {}
    now = {fault.digest for fault in FAULTS}
    found = json.loads(Path(path).read_text())["faults"]
    return {
        one["name"]: one
        for one in found
        if one.get("digest") in now and one["by"] is not None
        if "::" not in one["by"] or one["by"] in tests  # a process may have died, without a name
    }


def _default_tests(copy: Path) -> set[str]:
    """Returns the names of all tests that run by default."""
    command = [sys.executable, "-m", "pytest", "-n0", "--collect-only"]  # the settings have -q
    listed = subprocess.run(
        command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, check=True,
        capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return {line for line in listed if "::" in line}


def _write(path: str | None, found: list[dict[str, Any]]) -> None:
    if path is None:
        return
    noticed = sum(one["by"] is not None for one in found)
    result = {
        "planted": len(found),
        "noticed": noticed,
        "share": round(noticed / len(found), 4),
        "of": len(FAULTS),
        "faults": found,
    }
    Path(path).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and the copies go
    sys.exit(main())
