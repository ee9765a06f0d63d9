"""`tf.io.gfile` over the files of this machine, as far as builders use it.

Source: `tf.io.gfile`, which lists names as the file system does; here they are sorted, so that a
builder that draws at random from a listing draws the same on every machine.
"""

import contextlib
import errno
import glob as globbing
import os
import shutil
from collections.abc import Iterator
from typing import IO, Any

Pathlike = str | os.PathLike


class Elsewhere(Exception):
    """An address of another machine; the message is what of TensorFlow would read it."""


class Unimplemented(Elsewhere):
    """A file system that gfile does not know, such as that of "ftp://"."""


def _local(path: Pathlike) -> str:
    """Returns a path on this machine as text.

    Raises:
      Elsewhere: an address of Google Cloud Storage, which TensorFlow reads.
      Unimplemented: another address; TFDS then downloads it by other means.
    """
    text = os.fsdecode(path)
    scheme, separator, _ = text.partition("://")
    if separator and scheme.isalnum():
        kind = Elsewhere if scheme == "gs" else Unimplemented
        raise kind(f"tf.io.gfile of {scheme}:// addresses")
    return text


def GFile(name: Pathlike, mode: str = "r") -> IO:
    """Opens a file; text is UTF-8, and its line feeds stay as they are."""
    return _Reader(name, mode) if mode in ("r", "rb") else _open(name, mode)


def _open(name: Pathlike, mode: str) -> IO:
    if mode in ("r", "rb") and os.path.exists(name) and not os.path.isfile(name):
        raise OSError(errno.EINVAL, "it is no file", name)  # a named pipe would be waited for
    if "b" in mode:
        return open(_local(name), mode)
    return open(_local(name), mode, encoding="utf-8", newline="\n")


class _Reader:
    """A file that opens anew when it is read after it was closed, as TensorFlow's does.

    Builders rely on it: `np.load` of an npz file reads on when the `with` block is over.
    """

    def __init__(self, name: Pathlike, mode: str):
        self._name, self._mode = name, mode
        self._file = _open(name, mode)

    def __getattr__(self, name: str) -> Any:
        if self._file.closed and name != "closed":
            self._file = _open(self._name, self._mode)
        return getattr(self._file, name)

    def __dir__(self) -> list[str]:  # by which SciPy tells a file from a path
        return dir(self._file)

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def close(self) -> None:
        self._file.close()

    def __iter__(self) -> Iterator:
        return iter(self.readline, "" if self._mode == "r" else b"")


def exists(path: Pathlike) -> bool:
    return os.path.exists(_local(path))


def isdir(path: Pathlike) -> bool:
    return os.path.isdir(_local(path))


def listdir(path: Pathlike) -> list[str]:
    """Returns the names in a folder."""
    return sorted(os.listdir(_local(path)))


def glob(pattern: Pathlike | list[Pathlike]) -> list[str]:
    """Returns the paths that fit a pattern or any of several."""
    patterns = pattern if isinstance(pattern, list | tuple) else [pattern]
    # In TensorFlow a star fits a name that begins with a dot, too.
    return sorted(p for one in patterns for p in globbing.glob(_local(one), include_hidden=True))


def walk(top: Pathlike) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields folder, names of folders, names of files, from the top down."""
    for folder, folders, files in os.walk(_local(top)):
        folders.sort()
        yield folder, folders, sorted(files)


def makedirs(path: Pathlike) -> None:
    os.makedirs(_local(path), exist_ok=True)


def copy(src: Pathlike, dst: Pathlike, overwrite: bool = False) -> None:
    """Copies a file.

    Raises:
      FileExistsError: the copy is there and may not be overwritten.
    """
    if not overwrite and os.path.exists(dst):
        raise FileExistsError(f"{dst} is there already")
    shutil.copyfile(_local(src), _local(dst))


def remove(path: Pathlike) -> None:
    os.remove(_local(path))


def rename(src: Pathlike, dst: Pathlike, overwrite: bool = False) -> None:
    """Renames a file.

    Raises:
      FileExistsError: the new name is taken and may not be overwritten.
    """
    if not overwrite and os.path.exists(dst):
        raise FileExistsError(f"{dst} is there already")
    os.replace(_local(src), _local(dst))


def rmtree(path: Pathlike) -> None:
    shutil.rmtree(_local(path))


@contextlib.contextmanager
def many_open() -> Iterator[None]:
    """Lets the process open 1,100 more files: the shuffler of TFDS holds 1,000 at a time."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = soft + 1100 if hard == resource.RLIM_INFINITY else min(soft + 1100, hard)
    if soft == resource.RLIM_INFINITY or room <= soft:
        yield
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
