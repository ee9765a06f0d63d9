"""Values as JSON has them against Python's own types: the first that does not fit, in words.

    class Member(TypedDict):
        path: str
        weight: Annotated[float, at_least(0)]
        tags: NotRequired[list[str]]

    misfit({"path": "a", "weight": -1}, Member)   # "`weight` is -1 and not at least 0"

Known are Any, None, bool, int, float, str, Literal, unions, list, dict, tuple (a list, of that very
length or with an ellipsis of any), TypedDict (an object with at least its required keys) and
Annotated with a `Holds`. An int has 64 bits, a float is finite, an int may stand for a float, and a
bool is no number.
"""

import math
import types
from collections.abc import Callable, Iterator
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

_WORDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text",
    list: "a list", dict: "an object", types.NoneType: "null",
}  # fmt: skip
_LARGEST = 2**63  # whole numbers are below
_SHOWN = 40  # characters of a value in a sentence


class Holds(NamedTuple):
    """A condition on a value of the right type, and how a sentence says what it must be."""

    test: Callable[[Any], bool]
    wanted: str


def at_least(low: float) -> Holds:
    """Returns the condition of numbers that begin with `low`."""
    return Holds(lambda value: value >= low, f"at least {low}")


ABOVE_0 = Holds(lambda value: value > 0, "above 0")
FRACTION = Holds(lambda value: 0 <= value <= 1, "from 0 to 1")
SOME = Holds(bool, "one with anything in it")


def misfit(value: Any, wanted: Any, where: str = "") -> str | None:
    """Returns why a value is not of a type, as a clause that names the place; None where it is.

    Args:
      value: as `json.loads` returns it.
      wanted: the type, see the top of this file.
      where: the place of the value, as in `class_names[2]`; "" for the whole file.
    """
    return next(_misfits(value, wanted, where), None)


def _misfits(value: Any, wanted: Any, where: str) -> Iterator[str]:
    """Yields the clauses; nobody asks for more than the first, so that the rest may rely on it."""
    kind, of = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return
    if kind is Annotated:
        yield from _misfits(value, of[0], where)
        yield from (_said(value, h.wanted, where) for h in of[1:] if not h.test(value))
    elif kind in (Union, types.UnionType):
        found = [misfit(value, one, where) for one in of]
        if None not in found:
            pairs = zip(of, found, strict=True)
            one_or_none = [said for one, said in pairs if one is not types.NoneType]
            words = " or ".join(_words(one) for one in of)
            yield one_or_none[0] if len(one_or_none) == 1 else _said(value, words, where)
    elif kind is Literal:
        if not any(type(value) is type(one) and value == one for one in of):
            yield _said(value, f"one of {', '.join(map(str, of))}", where)
    elif is_typeddict(wanted):
        yield from _of_object(value, wanted, where)
    elif kind is list or (kind is tuple and of[-1] is Ellipsis):
        yield from _of_list(value, of[0], where)
    elif kind is tuple:
        if not isinstance(value, list) or len(value) != len(of):
            yield _said(value, f"a list of {len(of)}", where)
        else:
            for place, pair in enumerate(zip(value, of, strict=True)):
                yield from _misfits(*pair, f"{where}[{place}]")
    elif kind is dict:
        yield from _plain(value, dict, where)
        for name, one in value.items():
            yield from _misfits(one, of[1], f"{where}.{name}" if where else name)
    else:
        yield from _plain(value, wanted, where)


def _of_object(value: Any, wanted: Any, where: str) -> Iterator[str]:
    yield from _plain(value, dict, where)
    for name, one in get_type_hints(wanted, include_extras=True).items():
        place = f"{where}.{name}" if where else name
        if name in value:
            inner = get_args(one)[0] if get_origin(one) is NotRequired else one
            yield from _misfits(value[name], inner, place)
        elif name in wanted.__required_keys__:
            yield f"`{place}` is missing"


def _of_list(value: Any, wanted: Any, where: str) -> Iterator[str]:
    yield from _plain(value, list, where)
    if wanted is int and set(map(type, value)) == {int}:  # a confusion matrix has a million
        value = [one for one in value if not -_LARGEST <= one < _LARGEST]
    for place, one in enumerate(value):
        yield from _misfits(one, wanted, f"{where}[{place}]")


def _plain(value: Any, wanted: type, where: str) -> Iterator[str]:
    kind = type(value)
    if kind is int and wanted in (int, float):
        fits = -_LARGEST <= value < _LARGEST
    elif kind is float and wanted is float:
        fits = math.isfinite(value)
    else:
        fits = kind is wanted
    if not fits:
        yield _said(value, _words(wanted), where)


def _words(wanted: Any) -> str:
    if get_origin(wanted) is Annotated:
        return _words(get_args(wanted)[0])
    if get_origin(wanted) is Literal:
        return " or ".join(map(str, get_args(wanted)))
    return _WORDS.get(get_origin(wanted) or wanted, "an object")


def _said(value: Any, wanted: str, where: str) -> str:
    if isinstance(value, (list, dict)):
        shown = f"{_WORDS[type(value)]} of {len(value)}"
    else:
        shown = "null" if value is None else repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    return f"{f'`{where}`' if where else 'it'} is {shown} and not {wanted}"
