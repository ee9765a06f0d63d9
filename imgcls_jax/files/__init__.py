"""Files written whole or not at all, so that a reader never meets half of one; cells of tables."""

import contextlib
import csv
import hashlib
import io
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import filelock
from absl import logging

from imgcls_jax.errors import UserError, printable
from imgcls_jax.files.reading import opened

_SHORT_SECONDS = 1.0  # that another writer may take without a word
# With these a spreadsheet begins a formula, the wide ones where East Asian text is usual.
_FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cache_folder(given: str | os.PathLike | None = None) -> Path:
    """Returns the folder of what could be made again: the given one, $IMGCLS_CACHE or our own."""
    return Path(given or os.environ.get("IMGCLS_CACHE") or "~/.cache/imgcls_jax").expanduser()


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Hands out a path to write to, whose file takes the name `path` at the end.

    Missing folders are made. Where writing fails, a file already there is as it was.

    Raises:
      OSError: the file cannot be written.
    """
    path = Path(path).expanduser()  # shells leave the ~ behind an equals sign
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


def _cell(value: object) -> str:
    cell = printable(str(value))
    return f"'{cell}" if cell.startswith(("'", *_FORMULAS)) else cell


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
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
