"""Files written whole or not at all, so that a reader never meets half of one; cells of tables."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
from absl import logging

from imgcls_jax.errors import UserError, printable
from imgcls_jax.files.processes import has_died, is_here, may_live, this_process
from imgcls_jax.files.reading import content, opened, read_json

_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
_SHORT_SECONDS = 1.0  # that another writer may take without a word
_LOCK, _HOLDER = ".lock", ".process"
_LOOKS, _LOOK_SECONDS = 10, 0.02  # for what a process says that has just got a folder
# With these a spreadsheet begins a formula, the wide ones where East Asian text is usual.
_FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# A file of `whole` while it is written: .imgcls-metrics.png.4711.140233, by process and thread.
_MARK = ".imgcls-"
_PARTIAL = re.compile(re.escape(_MARK) + r".+\.(\d+)\.\d+")
_WRITING: set[str] = set()  # the names of those of this process


def local_path(given: str | os.PathLike, setting: str = "") -> Path:
    """Returns a path of this machine with its home in place of `~`.

    Args:
      setting: what it is given as, for the error.

    Raises:
      UserError: it is an address, such as gs://bucket/folder, or in a home that this user has not.
    """
    text = os.fspath(given)
    said = f"`{setting}={text}`" if setting else text
    if _ADDRESS.match(text):
        raise UserError(
            f"{said} is an address, and only paths of this machine are taken; give one, such as "
            "where that storage is mounted."
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # neither HOME nor an entry of the user
        raise UserError(
            f"{said} is in a home, and this user has none; give a path without ~."
        ) from error


def cache_folder(given: str | os.PathLike | None = None) -> Path:
    """Returns the folder of what could be made again: the given one, $IMGCLS_CACHE or our own.

    Raises:
      UserError: it would lie in a home, and this user has none.
    """
    if not (place := given or os.environ.get("IMGCLS_CACHE")):
        require_home("decoded photos", "set IMGCLS_CACHE to a folder that can be written")
    return local_path(place or "~/.cache/imgcls_jax", "IMGCLS_CACHE")


def require_home(what: str, advice: str) -> None:
    """Raises UserError for a user without a home to keep something in, saying what to do."""
    if os.path.expanduser("~") == "~":
        raise UserError(f"this user has no home to keep {what} in; {advice}.")


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Hands out a path to write to, whose file takes the name `path` at the end.

    Missing folders are made. Where writing fails, a file already there is as it was.

    Raises:
      OSError: the file cannot be written.
      UserError: the path is none of this machine, see `local_path`.
    """
    path = local_path(path)  # shells leave the ~ behind an equals sign
    partial = path.with_name(f"{_MARK}{path.name}.{os.getpid()}.{threading.get_ident()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _WRITING.add(partial.name)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
        _WRITING.discard(partial.name)


def sweep(folder: str | os.PathLike) -> None:
    """Removes the unfinished files of `whole` in a folder whose writers were killed.

    It is for the process that holds the folder: another machine's writers cannot be seen.
    """
    folder = Path(folder)
    for path in folder.glob(f"{_MARK}*") if folder.is_dir() else ():
        found = _PARTIAL.fullmatch(path.name)
        if not found or path.name in _WRITING:
            continue
        process = int(found[1])
        # This process' number may have been a killed one's: they come again, in containers soon.
        if process == os.getpid() or not may_live(process):
            with contextlib.suppress(OSError):
                path.unlink()


@contextlib.contextmanager
def replacing(path: str | os.PathLike, *, advice: str) -> Iterator[Path]:
    """Writes as `whole` does, for a person to be told where it cannot.

    Args:
      advice: what to do then, the end of the error's sentence; see `advised`.

    Raises:
      UserError: the file cannot be written.
    """
    try:
        with whole(path) as partial:
            yield partial
    except OSError as error:
        helps = advised(error, advice)
        raise UserError(f"cannot write {path} ({error.strerror}); {helps}.") from error


def advised(error: OSError, advice: str) -> str:
    """Returns what to do about a file that cannot be written: space helps where none is left."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"free some space or {advice}" if full else advice


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Returns rows as CSV in which no name of a file or a class is more than text.

    What cannot be printed is escaped (`errors.printable`). A cell that a spreadsheet would take for
    a formula has an apostrophe before it, and so has one that begins with an apostrophe: a program
    takes one off again (OWASP, "CSV Injection").
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, int | float):  # -0.5 is no formula
        return value
    return guarded(printable(str(value)))


def guarded(cell: str) -> str:
    """Returns a cell with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{cell}" if cell.startswith(("'", *_FORMULAS)) else cell


def unguarded(cell: str) -> str:
    """Returns a cell as it was before `guarded`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(("'", *_FORMULAS)) else cell


@contextlib.contextmanager
def lock(folder: Path, doing: str, *, sweeps: bool = True) -> Iterator[None]:
    """Lets one writer at a time into a folder; the system frees the lock of a process that died.

    Args:
      folder: the lock is its file `.lock`, which stays.
      doing: what another process must be doing while this one waits, for the log.
      sweeps: whether what killed writers left is removed, where nobody writes without the lock.

    Raises:
      OSError: the folder cannot be written.
    """
    held = filelock.FileLock(folder / _LOCK)
    try:
        held.acquire(timeout=_SHORT_SECONDS)
    except filelock.Timeout:
        logging.warning("Waiting for another process that %s.", doing)
        held.acquire()
    try:
        if sweeps:
            sweep(folder)
        yield
    finally:
        held.release()


@contextlib.contextmanager
def held(folder: Path, *, setting: str = "workdir", wait: float = 0.0) -> Iterator[None]:
    """Keeps a folder to this thread until the block ends; blocks for one folder may be nested.

    A missing folder is made, and removed again if nothing was put into it. The system frees the
    lock of a process that died, and what killed writers left there is removed.

    Args:
      setting: what names the folder, for errors.
      wait: the seconds that another holder may take to leave; at once it is refused otherwise.

    Raises:
      UserError: another process holds the folder, or it cannot be written.
    """
    mine = filelock.FileLock(folder / _LOCK, is_singleton=True)
    try:
        made = _made(folder)
        mine.acquire(timeout=wait)
    except filelock.Timeout:
        raise UserError(
            f"{folder} is in use by {_holder(folder)}; wait until that has ended, or choose "
            f"another `{setting}`."
        ) from None
    except OSError as error:
        raise UserError(
            f"cannot use {folder} as `{setting}` ({error.strerror}); choose a folder that can be "
            "written."
        ) from error
    outermost = mine.lock_counter == 1
    try:
        if outermost:
            sweep(folder)
            _say_who(folder, setting)
        yield
    finally:
        if outermost:
            for name in (_HOLDER, _LOCK):  # without the lock's file the next one may come in
                with contextlib.suppress(OSError):  # where open files cannot be removed
                    (folder / name).unlink()
        mine.release()
        if made:
            with contextlib.suppress(OSError):  # there is something in it
                folder.rmdir()


def _made(folder: Path) -> bool:
    """Makes a folder; returns whether it was missing."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        return False
    return True


def _say_who(folder: Path, setting: str) -> None:
    """Writes which process holds a folder."""
    with replacing(folder / _HOLDER, advice=f"choose another `{setting}`") as partial:
        partial.write_text(json.dumps({"process": this_process()}))


def _holder(folder: Path) -> str:
    """Returns in words which process holds a folder, as it says itself soon after it got it."""
    for _ in range(_LOOKS):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            process = read_json(folder / _HOLDER)["process"]
            machine, number, _ = process.rsplit("/", 2)
            if not is_here(process):
                return f"process {number} of the machine {printable(machine)}"
            if not has_died(process):  # else another one has just begun
                return f"process {number}"
        time.sleep(_LOOK_SECONDS)
    return "another process"


def records(path: Path, *, by: str, aside: str, fits: Callable[[Any], bool]) -> list[Any]:
    """Reads the lines of JSON numbered 1, 2 and so on, as far as there is one of each number.

    A line that was cut short or doubled is left out. Where two say different things of a number,
    there is no telling which is right, and the records end before it.

    Args:
      by: the entry that holds the number.
      aside: what is in the names of entries that two lines of one number may differ in.
      fits: whether a line is one of the records, as far as it alone can tell.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        text = content(path).decode(errors="replace") if path.exists() else ""
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); put the file back, or choose another "
            "`workdir`."
        ) from error
    told: dict[int, dict[str, Any]] = {}
    for line in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError):  # cut short, or no text at all
            record = json.loads(line)
            if isinstance(record, dict) and type(record.get(by)) is int and fits(record):
                facts = {name: value for name, value in record.items() if aside not in name}
                of_number = told.setdefault(record[by], {})
                of_number.setdefault(json.dumps(facts, sort_keys=True), record)
    found = []
    while len(of_number := told.get(len(found) + 1, {})) == 1:
        found.extend(of_number.values())
    return found


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content in hexadecimal digits."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
