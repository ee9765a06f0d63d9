"""Files written whole or not at all, so that a reader never meets half of one; cells of tables."""

import contextlib
import csv
import hashlib
import io
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import filelock
from absl import logging

from imgcls_jax.errors import UserError, printable

_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
_SHORT_SECONDS = 1.0  # that another writer may take without a word
# With these a spreadsheet begins a formula, the wide ones where East Asian text is usual.
_FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


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
    place = given or os.environ.get("IMGCLS_CACHE")
    if place is None and os.path.expanduser("~") == "~":
        raise UserError(
            "this user has no home to keep decoded photos in; set IMGCLS_CACHE to a folder that "
            "can be written."
        )
    return local_path(place or "~/.cache/imgcls_jax", "IMGCLS_CACHE")


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Hands out a path to write to, whose file takes the name `path` at the end.

    Missing folders are made. Where writing fails, a file already there is as it was.

    Raises:
      OSError: the file cannot be written.
      UserError: the path is none of this machine, see `local_path`.
    """
    path = local_path(path)  # shells leave the ~ behind an equals sign
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: str | os.PathLike, *, advice: str) -> Iterator[Path]:
    """Writes as `whole` does, for a person to be told where it cannot.

    Args:
      advice: what to do then, the end of the error's sentence.

    Raises:
      UserError: the file cannot be written.
    """
    try:
        with whole(path) as partial:
            yield partial
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); {advice}.") from error


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
def lock(folder: Path, doing: str) -> Iterator[None]:
    """Lets one writer at a time into a folder; the system frees the lock of a process that died.

    Args:
      folder: the lock is its file `.lock`, which stays.
      doing: what another process must be doing while this one waits, for the log.

    Raises:
      OSError: the folder cannot be written.
    """
    held = filelock.FileLock(folder / ".lock")
    try:
        held.acquire(timeout=_SHORT_SECONDS)
    except filelock.Timeout:
        logging.warning("Waiting for another process that %s.", doing)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content in hexadecimal digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
