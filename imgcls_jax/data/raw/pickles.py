"""Pickles of a dict of text, numbers, lists and uint8 arrays, read without trusting them.

A pickle is a program: it names functions and has them called. Here the few names in NumPy's own
pickles lead to stand-ins that check and keep their arguments, and any other name ends the reading
(https://docs.python.org/3/library/pickle.html#restricting-globals). Not even NumPy's functions are
called: they were not made for hostile arguments.
"""

import io
import pickle
import struct
from typing import Any

import numpy as np

from imgcls_jax.data.raw.layouts import AGAIN
from imgcls_jax.errors import UserError


def load(data: bytes, *, where: str) -> dict[str, Any]:
    """Reads the pickled dict; Python 2's strings as str (Latin-1), its arrays as uint8.

    Keys that are bytes, as those of a file that was read so and saved again, become str.

    Args:
      data: the pickle, by Python 2 (as published) or 3, of protocol 5 at most.
      where: the file it was read from, for error messages.

    Raises:
      UserError: it names anything that uint8 arrays do not need (it may be meant to run code), or
        it is truncated, damaged, no pickle at all or the pickle of something else.
    """
    try:
        content = _Reader(io.BytesIO(data), encoding="latin1").load()
        return {
            _text(key): value.values if isinstance(value, _Array) else value
            for key, value in content.items()
        }
    except _ForbiddenError as error:
        raise UserError(
            f"{where} is refused because its pickle asks for {str(error)!r}, which may run code "
            "and no data needs: fetch the file again from its publisher."
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(
            f"{where} is truncated or not the expected pickle ({repr(error)[:100]}): {AGAIN}."
        ) from error


def _text(key: Any) -> Any:
    return key.decode("latin1") if isinstance(key, bytes) else key


class _ForbiddenError(Exception):
    """Holds the name that a pickle must not use."""


class _Reader(pickle._Unpickler):
    """In Python: the one in C fills the memory where a damaged byte numbers an object 2**31."""

    def load_bytearray8(self) -> None:
        """Reads protocol 5's byte array; the base class first makes it as long as it says it is."""
        (length,) = struct.unpack("<Q", self.read(8))
        content = self.read(length)
        if len(content) != length:
            raise EOFError("a byte array that is longer than the file")
        self.append(content)

    def load_setitem(self) -> None:
        """Sets an item; see `_require_plain`."""
        _require_plain([self.stack[-2]])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Sets the items behind the last mark."""
        _require_plain(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        """Makes a dict of the items behind the last mark."""
        _require_plain(self.stack[::2])
        super().load_dict()

    dispatch = pickle._Unpickler.dispatch | {
        ord(pickle.BYTEARRAY8): load_bytearray8,
        ord(pickle.SETITEM): load_setitem,
        ord(pickle.SETITEMS): load_setitems,
        ord(pickle.DICT): load_dict,
    }
    for _of_sets in (pickle.EMPTY_SET, pickle.FROZENSET, pickle.ADDITEMS):
        del dispatch[ord(_of_sets)]  # no data needs them, and they hash what they hold

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core.", "numpy.core.")  # as NumPy 2 calls it
        match module, name:
            # A pickle can set attributes of an object it names, so each gets an object of its own.
            case ("numpy", "ndarray"):
                return object()
            case ("numpy", "dtype"):
                return lambda kind, *options: _DType(kind)
            case ("numpy.core.multiarray", "_reconstruct"):
                return lambda *arguments: _Array()
            case ("numpy.core.numeric", "_frombuffer"):  # protocol 5
                return lambda *arguments: _array_from(*arguments)
            case ("_codecs", "encode"):  # Python 3's bytes in protocol 2
                return lambda text, encoding: text.encode("latin1")
        raise _ForbiddenError(f"{module}.{name}")


def _require_plain(keys: list[Any]) -> None:
    """Raises ValueError for keys that may take for ever to hash, such as tuples in tuples."""
    if not all(isinstance(key, str | bytes | int) for key in keys):
        raise ValueError("a dict whose keys are no text")


class _DType:
    """Stands in for numpy.dtype."""

    def __init__(self, kind: str):
        self.kind = kind

    def __setstate__(self, state):
        """Takes byte order and the like, which single bytes do not have."""


class _Array:
    """Stands in for numpy.ndarray while a pickle is read."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        if dtype.kind not in ("u1", "|u1"):
            raise ValueError("an array of something else than uint8")
        data = data.encode("latin1") if isinstance(data, str) else data
        order = "F" if fortran else "C"
        self.values = np.frombuffer(data, np.uint8).reshape(shape, order=order)


def _array_from(data: bytes, dtype: _DType, shape: Any, order: str, axes: Any = None) -> _Array:
    """Stands in for the function that makes an array of a byte array; since NumPy 2.2 with axes."""
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    if axes is not None:
        array.values = array.values.transpose(axes)
    return array
