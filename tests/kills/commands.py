"""Commands as processes of their own, killed at a moment, and what they leave in the system."""

import dataclasses
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from conftest import QUICK_TO_COMPILE
from kills.server import MARK

ROOT = Path(__file__).parents[2]
_GONE_SECONDS = 60.0  # in which the workers of a killed process have to end


@dataclasses.dataclass(frozen=True)
class Command:
    """An entry point with its arguments.

    Attributes:
      experiment: the module in `experiments`.
      folder: where it runs; its caches, data and temporary files are below.
      archive: the data set of TFDS whose published files are replaced by drawn ones.
      die_at: the number of the renaming it dies at, see `server._die_at`.
    """

    experiment: str
    arguments: tuple[str, ...]
    folder: Path
    archive: str | None = None
    die_at: int | None = None

    def to_json(self, log: Path) -> dict[str, Any]:
        folders = {"IMGCLS_CACHE": "cache", "TFDS_DATA_DIR": "data", "TMPDIR": "temporary"}
        for name in folders.values():
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return dataclasses.asdict(self) | {
            "folder": str(self.folder),
            "log": str(log),
            "environment": {key: str(self.folder / name) for key, name in folders.items()},
        }


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
      pid: its number.
      status: its exit status, -9 where it was killed.
      seconds: that it used of a processor, which another load of the machine does not change.
      said: to standard output and standard error.
    """

    pid: int
    status: int
    seconds: float
    said: str

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Server:
    """The process that forks one per command; use as a context manager.

    Args:
      folder: for what commands say.
    """

    def __init__(self, folder: Path):
        self.mark = f"k{secrets.token_hex(2)}_"
        self._folder = folder
        environment = os.environ | {
            MARK: self.mark,
            "PYTHONPATH": str(ROOT),
            "OPENBLAS_NUM_THREADS": "1",  # the parent of forks has one thread
            "JAX_COMPILATION_CACHE_DIR": os.environ.get(
                "JAX_COMPILATION_CACHE_DIR", str(folder / "compiled")
            ),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", " ".join(QUICK_TO_COMPILE)),
        }
        self._said = (folder / "server.txt").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(ROOT / "tests" / "kills" / "server.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
            cwd=ROOT, env=environment, text=True,
        )  # fmt: skip
        assert self._answer() == {"threads": 1, "backends": 0}

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
        self._said.close()

    def run(self, *commands: Command, kill_after: float | None = None) -> list[Ended]:
        """Starts commands in the same instant, and returns how each ended.

        Args:
          kill_after: the seconds of a processor after which a command is killed; None: never.
        """
        logs = [self._folder / f"said-{number}.txt" for number in range(len(commands))]
        of = [command.to_json(log) for command, log in zip(commands, logs, strict=True)]
        request = {"commands": of, "kill_after": kill_after}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        found = self._answer()
        return [
            Ended(**of, said=log.read_text(errors="replace"))
            for of, log in zip(found, logs, strict=True)
        ]

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            raise RuntimeError(f"the server of forks ended: {self._said.read()}")
        return json.loads(line)

    def orphans(self) -> list[int]:
        """Returns the processes that outlive the commands, and the patience for them to end."""
        until = time.monotonic() + _GONE_SECONDS
        while (found := self._marked()) and time.monotonic() < until:
            time.sleep(0.02)
        return found

    def _marked(self) -> list[int]:
        mark, found = f"{MARK}={self.mark}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:  # another user's, or gone
                continue
            if mark in environment.split(b"\0") and int(folder.name) != self._process.pid:
                found.append(int(folder.name))
        return found

    def shared_memory(self) -> list[str]:
        """Returns the segments of shared memory that the commands left."""
        return sorted(path.name for path in Path("/dev/shm").glob(f"{self.mark}*"))
