"""Files read without waiting for ever, and in no more memory than they have bytes.

Whatever is read here is opened by `opened`, or after `require_regular` where another library opens
it: a named pipe in the place of a file is an error at once. tests/test_reading.py holds it to that.
"""

import errno
import json
import math
import os
import stat
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_DEEPEST = 50  # of lists and objects within each other; the library's own files have ten at most
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def require_regular(path: str | os.PathLike) -> None:
    """Raises OSError unless the path leads to a file, for what opens paths by itself.

    A named pipe is waited for until somebody writes into it, and a device may never end.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a device")
        raise OSError(errno.EINVAL, f"it is {kind} and no file", os.fspath(path))


def opened(path: str | os.PathLike) -> BinaryIO:
    """Opens a file to read its bytes.

    Raises:
      OSError: it cannot be opened, or is a folder, a named pipe, a socket or a device.
    """
    require_regular(path)
    return open(path, "rb")


def content(path: str | os.PathLike) -> bytes:
    """Returns the bytes of a file.

    Raises:
      OSError: as `opened`.
    """
    with opened(path) as file:
        return file.read()


def read_json(path: str | os.PathLike) -> Any:
    """Returns the value of a JSON file.

    Raises:
      OSError: as `opened`.
      ValueError: as `parse_json`.
    """
    return parse_json(content(path))


def parse_json(text: str | bytes) -> Any:
    """Returns the value that JSON holds, and is stricter than Python's own reader.

    Args:
      text: text, or bytes in UTF-8.

    Raises:
      ValueError: it is no JSON, has a key twice in an object, a number that is infinite or none, or
        is nested too deeply. The text is a clause that says so.
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _require_shallow(value)
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has `{twice}` twice in one object")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is no number")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"it holds {digits[:20]}, which is too large a number")
    return value


def _require_shallow(value: Any) -> None:
    level: list[Any] = [[value]]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (list, dict))
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def read_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Reads arrays that `numpy.savez` wrote, in no more memory than the file has bytes.

    The CRC-32 of each is checked.

    Args:
      names: of the arrays to read; None for all.

    Raises:
      OSError: as `opened`.
      KeyError: an array is not there.
      ValueError: the file is damaged, compressed or holds Python's objects.
    """
    with opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = {of.filename.removesuffix(".npy"): of for of in archive.infolist()}
                wanted = members if names is None else names
                return {name: _array(archive, members[name]) for name in wanted}
        except (OSError, KeyError):
            raise
        except Exception as error:  # damage makes zipfile and NumPy raise anything
            raise ValueError(f"{type(error).__name__}: {error}") from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    with archive.open(member) as file:  # before NumPy makes an array as large as the header says
        version = np.lib.format.read_magic(file)
        read = getattr(np.lib.format, f"read_array_header_{version[0]}_0", None)
        if read is None or version[1]:
            raise ValueError(f"{member.filename} is of the unknown version {version}")
        shape, _, dtype = read(file)
        announced = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or not dtype.itemsize or announced != member.file_size - file.tell():
            raise ValueError(f"{member.filename} has another size than its header says")
    with archive.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # at the end the checksum is compared
            raise ValueError(f"{member.filename} has more than its header says")
        return array
