"""A reader under test, and one damaged input after another handed to it in a process of its own."""

import dataclasses
import os
import random
import resource
import shutil
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fuzz import mutations

from imgcls_jax.errors import UserError

_ROOT = Path(__file__).parents[2]
# What Python tells of before it happens (https://docs.python.org/3/library/audit_events.html).
_RUNS = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "pty.", "urllib.",
         "socket.connect", "socket.bind", "ctypes.dlopen", "pickle.find_class")  # fmt: skip
_WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink",
           "os.chmod", "shutil.")  # fmt: skip
_OWN = tuple({*map(os.path.realpath, (sys.prefix, sys.base_prefix)), str(_ROOT), "/proc", "/sys"})

# (content, how it becomes the file again), by the path of the file
Inside = Mapping[str, tuple[bytes, Callable[[bytes], bytes]]]


@dataclasses.dataclass(frozen=True)
class Reader:
    """What is read, and how.

    Attributes:
      name: for reports and to repeat a failure.
      builds: each writes good files into an empty folder. It may return what is inside some of
        them, such as the content of a gzip file: damage there meets no checksum.
      read: reads the folder. An AssertionError is a wrong answer.
      files: patterns of the files to damage.
      found: numbers of inputs that once had another answer than a right one or one sentence.
      megabytes: the most memory that reading may add to what the process had.
      leaves: whether reading leaves files behind, which must go before the next.
      odd: whether a named pipe, a socket or a device may be in the place of a file.
    """

    name: str
    builds: tuple[Callable[[Path], Inside | None], ...]
    read: Callable[[Path], Any]
    files: tuple[str, ...] = ("**/*",)
    found: tuple[int, ...] = ()
    megabytes: int = 256
    leaves: bool = False
    odd: bool = True


class Bench:
    """Hands damaged inputs to a reader, in folders below `place`.

    Raises:
      AssertionError: an undamaged folder is not read as it should.
    """

    def __init__(self, reader: Reader, place: Path):
        self.reader, self.place = reader, place
        self._good = []
        for number, build in enumerate(reader.builds):
            folder = place / str(number)
            folder.mkdir()
            inside = build(folder) or {}
            self._good.append(_Good(folder, inside, reader.files))
            try:
                reader.read(folder)
            except UserError as error:
                raise AssertionError(f"undamaged files are refused: {error}") from error
            self._good[-1].restore(everything=True)
        self._seen: list[str] = []
        self._watching = False
        sys.addaudithook(self._note)

    def damage(self, number: int) -> None:
        """Puts the damaged input of a number into its folder, below 0 what is no file at all."""
        good = self._good[number % len(self._good)]
        if number < 0:
            good.replace(-1 - number)
        else:
            good.damage(random.Random(f"{self.reader.name} {number}"))

    def try_one(self, number: int) -> str | None:
        """Returns what is wrong with how the reader answers a damaged input; None if nothing is."""
        good = self._good[number % len(self._good)]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.damage(number)
        self._watching, said = True, None
        try:
            self.reader.read(good.folder)
        except UserError as error:
            text = str(error)
            said = (
                None if text.isprintable() and text.endswith(".") else f"its sentence is {text!r}"
            )
        except BaseException:
            said = traceback.format_exc(limit=-4)
        finally:
            self._watching = False
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
        self._seen = [seen for seen in self._seen if "/dev/zero" not in seen or number >= 0]
        if self._seen:
            said, self._seen = f"it did {self._seen}", []
        if said is None and grown > self.reader.megabytes:
            said = f"it took {grown:.0f} MB"
        good.restore(everything=self.reader.leaves)
        return said

    def _note(self, event: str, arguments: tuple) -> None:
        if not self._watching:
            return
        if event.startswith(_RUNS):
            self._seen.append(f"{event} {arguments}"[:300])
        elif event == "open" or event.startswith(_WRITES):
            for path in arguments[: 1 if event == "open" else 2]:
                self._look(event, path, arguments)

    def _look(self, event: str, path: Any, arguments: tuple) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        folder, name = os.path.split(os.fsdecode(path))
        real = os.path.join(os.path.realpath(folder), name)  # what a link is replaced by, or opened
        real = os.path.realpath(real) if event == "open" else real
        writes = event != "open" or bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR))
        inside = real.startswith(os.path.realpath(self.place))
        # Python's own files are read where something is imported late.
        if not (inside or real == os.devnull or (real.startswith(_OWN) and not writes)):
            self._seen.append(f"{event} of {path!r}"[:300])


class _Good:
    """The good files of a folder, to damage one of and to put back."""

    def __init__(self, folder: Path, inside: Inside, patterns: tuple[str, ...]):
        self.folder, self._inside = folder, inside
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        self._content = {path: path.read_bytes() for path in found}
        self._times = {path: path.stat().st_mtime_ns for path in found}
        targets = {path for pattern in patterns for path in folder.glob(pattern)}
        self._targets = [path for path in found if path in targets]
        self._damaged: Path | None = None

    def damage(self, rng: random.Random) -> None:
        path = rng.choice(self._targets)
        name = path.relative_to(self.folder).as_posix()
        content, pack = self._content[path], bytes
        if name in self._inside and rng.random() < 0.6:
            content, pack = self._inside[name]
        structured = path.suffix in (".json", ".jsonl") and rng.random() < 0.6
        self._write(path, pack(mutations.damaged(content, rng, structured=structured)))
        self._damaged = path

    def replace(self, number: int) -> None:
        """Puts a named pipe, a socket or a device in the place of a file."""
        path = self._targets[number // 3 % len(self._targets)]
        path.unlink()
        self._damaged = path
        if number % 3 == 0:
            os.mkfifo(path)
        elif number % 3 == 1:
            with socket.socket(socket.AF_UNIX) as made:
                # Its path may have a hundred bytes only.
                made.bind(f"/proc/self/fd/{os.open(path.parent, os.O_RDONLY)}/{path.name}")
        else:
            path.symlink_to("/dev/zero")

    def restore(self, *, everything: bool) -> None:
        if everything:
            for path in self.folder.rglob("*"):
                if not path.is_dir() and path not in self._content:
                    path.unlink()
            for path in self._content:
                self._write(path, self._content[path])
        elif self._damaged:
            self._write(self._damaged, self._content[self._damaged])

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or not path.is_file():
            path.unlink(missing_ok=True)
        path.write_bytes(content)
        # As if nothing had been touched, so that no cache is stale by its time alone.
        os.utime(path, ns=(self._times[path], self._times[path]))


def emptied(place: Path) -> Path:
    """Returns the folder, empty."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place
