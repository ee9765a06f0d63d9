"""The tensors that a pickle of PyTorch describes, found without running it.

A pickle is a program: it names functions and has them called. Here its instructions are followed
one by one, as far as state dicts need them (https://docs.python.org/3/library/pickletools.html).
Three names are known, `OrderedDict`, `_rebuild_tensor_v2` and PyTorch's types of storages, and none
is imported or called: each leads to a record of ours. Any other name ends the reading.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

STORAGES = {  # NumPy's type of their numbers; "bfloat16" has none
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_DEEPEST = 8  # axes of a tensor


class ForbiddenError(Exception):
    """Holds the name of a function or class that tensors do not need."""


@dataclass(frozen=True)
class Storage:
    """Numbers in a file.

    Attributes:
      kind: a value of `STORAGES`.
      key: its name in the file.
      count: of the numbers.
    """

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage.

    Attributes:
      offset: number of the first element in the storage.
      shape: lengths of the axes.
      strides: how many numbers of the storage lie between neighbours, by axis.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """A class or function that a pickle asks for."""

    name: str


_ORDERED_DICT = _Name("OrderedDict")
_REBUILD = _Name("_rebuild_tensor_v2")
_KNOWN = {
    ("collections", "OrderedDict"): _ORDERED_DICT,
    ("torch._utils", "_rebuild_tensor_v2"): _REBUILD,
    **{("torch", name): _Name(name) for name in STORAGES},
}
_MARK = object()
_CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_NAMING = ("GLOBAL", "INST", "STACK_GLOBAL")


def read(stream: BinaryIO) -> Any:
    """Reads one pickle, and leaves the stream behind it.

    Returns:
      Numbers, text, None, lists, tuples and dicts, with a `Tensor` for each tensor.

    Raises:
      ForbiddenError: it names anything else than the three, or builds objects in another way.
      Exception: any, of a stream that is no pickle.
    """
    machine = _Machine()
    for code, argument, _ in pickletools.genops(stream):
        if code.name == "STOP":
            return machine.pop()
        machine.follow(code.name, argument)
    raise ValueError("the pickle has no end")


class _Machine:
    """The stack and the memory of a pickle that is read."""

    def __init__(self):
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def follow(self, code: str, argument: Any) -> None:
        """Follows one instruction."""
        if code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code]())
        elif code in _NUMBERS or code in _TEXTS:
            self.stack.append(argument)
        elif code in _NAMING:
            self.stack.append(self._named(code, argument))
        elif code in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memory[len(self.memory) if argument is None else argument] = self.stack[-1]
        elif code in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memory[argument])
        elif code in _ACTIONS:
            _ACTIONS[code](self)
        elif code not in ("PROTO", "FRAME"):
            raise ForbiddenError(f"the instruction {code}")

    def pop(self) -> Any:
        """Takes the last value off the stack."""
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark in the place of a value")
        return value

    def since_mark(self) -> list[Any]:
        """Takes all values after the last mark off the stack, and the mark."""
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def top(self, kind: type) -> Any:
        """Returns the last value, which must be of that type."""
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"no {kind.__name__} where one belongs")
        return self.stack[-1]

    def _named(self, code: str, argument: Any) -> _Name:
        if code == "STACK_GLOBAL":
            name, module = self.pop(), self.pop()
        else:  # pickletools has put a space for the end of a line
            module, _, name = argument.partition(" ")
        if not (type(module) is type(name) is str):
            raise ForbiddenError("a name that is no text")
        known = _KNOWN.get((module, name))
        if known is None or code == "INST":
            raise ForbiddenError(f"{module}.{name}"[:200])
        return known


def _tuple_of(count: int) -> Callable[[_Machine], None]:
    def act(machine: _Machine) -> None:
        values = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(values[::-1]))

    return act


def _reduce(machine: _Machine) -> None:
    arguments, function = machine.pop(), machine.pop()
    if function is _ORDERED_DICT and arguments == ():
        machine.stack.append({})
    elif function is _REBUILD:
        machine.stack.append(_tensor(*arguments[:4]))
    else:
        name = function.name if isinstance(function, _Name) else type(function).__name__
        raise ForbiddenError(f"a call of {name}")


def _build(machine: _Machine) -> None:
    machine.pop()  # a state dict's `_metadata`: the versions of its modules
    machine.top(dict)


def _set_items(machine: _Machine) -> None:
    values = machine.since_mark()
    for key, value in zip(values[::2], values[1::2], strict=True):
        _set(machine.top(dict), key, value)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    _set(machine.top(dict), key, value)


def _set(items: dict, key: Any, value: Any) -> None:
    if type(key) not in (str, int):  # to hash tuples in tuples may take for ever
        raise ValueError("a dict whose keys are no text")
    items[key] = value


def _append(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine) -> None:
    values = machine.since_mark()
    machine.top(list).extend(values)


def _persistent(machine: _Machine) -> None:
    kind, of, key, _, count, *view = machine.pop()
    if kind != "storage" or view not in ([], [None]):
        raise ValueError("a reference to something else than a storage")
    if not (isinstance(of, _Name) and type(key) is str and type(count) is int and count >= 0):
        raise ValueError("a damaged reference to a storage")
    machine.stack.append(Storage(STORAGES[of.name], key, count))


_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "REDUCE": _reduce,
    "BUILD": _build,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "APPEND": _append,
    "APPENDS": _appends,
    "BINPERSID": _persistent,
}


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    """Returns a tensor none of whose elements lies outside its storage, nor more than it has."""
    sides = (offset, *shape, *strides)
    if not (isinstance(storage, Storage) and len(shape) == len(strides) <= _DEEPEST):
        raise ValueError("a damaged tensor")
    if not all(type(side) is int and 0 <= side < 2**48 for side in sides):
        raise ValueError("a tensor with impossible sides")
    elements, last = 1, offset
    for length, stride in zip(shape, strides, strict=True):
        elements *= length
        last += (length - 1) * stride
    if elements and (last >= storage.count or elements > storage.count):
        raise ValueError("a tensor larger than its storage")
    return Tensor(storage, offset, tuple(shape), tuple(strides))
