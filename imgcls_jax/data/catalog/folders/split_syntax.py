"""Parts of splits as TFDS writes them: `train[:80%]`, `train[10%:20%]+validation`, `test[-100:]`.

The syntax and its rounding are those of https://www.tensorflow.org/datasets/splits, read here since
importing TFDS costs half a second and its errors speak of its own internals.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from imgcls_jax.errors import UserError, printable

_TERM = re.compile(r"([\w-]+)(?:\[([^\[\]]+)\])?")
_BOUND = re.compile(r"(?:(-?\d[\d_]*(?:\.\d+)?)(%|shard)?)?")
_EXAMPLES = "such as train, train[:80%] or train[:1000]+validation"


class Part(NamedTuple):
    """The examples `start` to `stop` of a split, the latter not among them."""

    split: str
    start: int
    stop: int


class _Term(NamedTuple):
    """One of the parts that are added, as written: bounds in units of "", "%" or "shard"."""

    split: str
    first: float | None
    last: float | None
    unit: str


def check(expression: str, *, setting: str) -> None:
    """Raises UserError for an expression that no data set could have."""
    _terms(expression, setting)


def parts(
    expression: str, shards: Mapping[str, Sequence[int]], *, setting: str
) -> tuple[Part, ...]:
    """Returns the parts that an expression names, in its order.

    Args:
      expression: as TFDS writes it; percentages are rounded to the nearest example, `all` is every
        split.
      shards: the examples in each file of each split.
      setting: what the expression was given as, for errors.

    Raises:
      UserError: the expression is wrong, or names a split or examples that are not there, or none.
    """
    found = []
    for term in _terms(expression, setting):
        for name in shards if term.split == "all" else [term.split]:
            if name not in shards:
                raise UserError(
                    f"`{setting}={expression}` names a split {name!r} that is not there: the "
                    f"splits are {', '.join(f'{n} ({sum(of):,})' for n, of in shards.items())}."
                )
            start, stop = _bounds(term, shards[name])
            total = sum(shards[name])
            if not 0 <= start < stop <= total:
                raise UserError(
                    f"`{setting}={expression}` names no example or more than there are: {name} has "
                    f"{total:,}."
                )
            found.append(Part(name, start, stop))
    return tuple(found)


def overlap(one: Sequence[Part], other: Sequence[Part]) -> Part | None:
    """Returns examples that both name, None where they share none."""
    for a, b in itertools.product(one, other):
        start, stop = max(a.start, b.start), min(a.stop, b.stop)
        if a.split == b.split and start < stop:
            return Part(a.split, start, stop)
    return None


def _terms(expression: str, setting: str) -> list[_Term]:
    return [_term(text, expression, setting) for text in re.split(r"\s*\+\s*", expression)]


def _term(text: str, expression: str, setting: str) -> _Term:
    wrong = UserError(
        f"`{setting}={printable(expression)}` is no part of a split: write it as TFDS does, "
        f"{_EXAMPLES}."
    )
    found = _TERM.fullmatch(text)
    if found is None or (found[1] == "all" and found[2]):
        raise wrong
    if found[2] is None:
        return _Term(found[1], None, None, "")
    bounds = [_BOUND.fullmatch(bound) for bound in found[2].split(":")]
    if not 1 <= len(bounds) <= 2 or None in bounds or not any(of[1] for of in bounds):
        raise wrong
    unit = next((of[2] for of in bounds if of[2]), "")
    number = float if unit == "%" else int
    try:
        values = [None if of[1] is None else number(of[1]) for of in bounds]
    except ValueError:  # a broken number of examples
        raise wrong from None
    if len(values) == 1:
        if unit != "shard":
            raise wrong
        values.append(values[0] + 1)
    if unit == "%" and any(abs(value or 0) > 100 for value in values):
        raise wrong
    return _Term(found[1], *values, unit)


def _bounds(term: _Term, shards: Sequence[int]) -> tuple[int, int]:
    """Returns start and stop, perhaps out of range."""
    total, (first, last) = sum(shards), (term.first, term.last)
    if term.unit == "%":
        first, last = (None if b is None else round(b * total / 100) for b in (first, last))
    elif term.unit == "shard":
        last = None if last is None else sum(shards[: last if last > 0 else len(shards) + last])
        first = None if first is None else sum(shards[:first])
    first, last = 0 if first is None else first, total if last is None else last
    return (total + first if first < 0 else first), (total + last if last < 0 else last)
