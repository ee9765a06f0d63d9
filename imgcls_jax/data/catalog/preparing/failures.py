"""Why a builder could not prepare its data set, in one sentence."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgcls_jax.data.catalog.preparing import gfile
from imgcls_jax.data.catalog.preparing.tensors import NotSupplied
from imgcls_jax.errors import UserError, printable

_ELSEWHERE = (
    "prepare it elsewhere, where TensorFlow is installed, and give that TFDS folder as `data_dir`"
)
_ROOM = "give a `data_dir` with more room"
_RIGHTS = "give folders that you may read and write as `data_dir` and `download_dir`"
_ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
    errno.ENOTDIR: _RIGHTS,
}


def explained(error: Exception, builder: Any, *, manual: Path) -> UserError:
    """Returns the error for a person: a UserError among the causes, else what the first came of.

    Args:
      error: what `download_and_prepare` raised.
      builder: the builder that did.
      manual: the folder of manual downloads.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, UserError):
            return cause
    name = builder.name
    if lacking := _lacking(causes[-1]):
        return UserError(f"{name} needs TensorFlow ({lacking}): {_ELSEWHERE}.")
    if isinstance(causes[-1], ImportError):
        package = causes[-1].name or one_line(causes[-1])
        return UserError(
            f"{name} needs the Python package {package}, which is not installed: install it and "
            "run again."
        )
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and isinstance(
        causes[-1], AssertionError | FileNotFoundError
    ):
        from imgcls_jax.data.catalog.preparing.manager import needs_manual

        return needs_manual(name, manual, builder.MANUAL_DOWNLOAD_INSTRUCTIONS)
    if isinstance(causes[-1], FileExistsError) and causes[-1].filename is None:
        return UserError(f"{name} cannot be prepared: {causes[-1].strerror} and run again.")
    advice = _ADVICE.get(causes[-1].errno) if isinstance(causes[-1], OSError) else None
    if advice:
        where = printable(causes[-1].filename or os.fspath(builder.data_dir_root))
        return UserError(f"{name} cannot be prepared ({where}: {causes[-1].strerror}): {advice}.")
    return UserError(
        f"{name} cannot be prepared ({type(causes[-1]).__name__}: {one_line(causes[-1])}): the "
        f"files may not be the published ones; fetch them again, or {_ELSEWHERE}."
    )


def _lacking(first: BaseException) -> str | None:
    """Returns what of TensorFlow the builder failed for lack of, if that was the first cause.

    TFDS asks for more of TensorFlow when it reports another error.
    """
    if isinstance(first, NotSupplied | gfile.Elsewhere):
        return one_line(first)
    if isinstance(first, ImportError) and (first.name or "").startswith("tensorflow"):
        return f"its builder imports {first.name}"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and what it came from, the first cause last."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def one_line(error: object) -> str:
    """Returns the first line of an error's message that says something."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return printable(lines[0][:200].rstrip(".:")) if lines else "no message"
