"""The settings that a study searches, and where: a range or a choice of values for each.

    space = parse("lr=1e-4..1e-2:log,batch_size=64|128,hidden=256+128|512,augment=none|flip+shift")

Inside a value of several parts a plus sign takes the comma's place, and `none` is the empty one.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

from imgcls_jax.augment import specs
from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.config.data import DataConfig
from imgcls_jax.errors import UserError

# What a study keeps for all of its trials, whose figures could not be compared otherwise.
FIXED = {
    **{field.name: "the data" for field in dataclasses.fields(DataConfig)},
    "epochs": "the budget of a trial",
    "seed": "no setting to choose by luck",
    "patience": "for runs with a validation split, and the winner is trained without one",
    "evaluate": "for runs with a validation split, and the winner is trained without one",
    "watch_test": "for the test set, which is met at the end",
}


class Range(NamedTuple):
    """All numbers from `low` to `high`, both included; whole ones for settings that are whole.

    Attributes:
      log: whether equal factors are equally likely rather than equal distances.
    """

    low: float
    high: float
    log: bool = False

    def holds(self, value: Any) -> bool:
        """Says whether the value is one of the range's."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= value <= self.high

    def to_json(self) -> dict[str, Any]:
        """Returns what a file holds of it."""
        return self._asdict()

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}" + ":log" * self.log


class Choices(NamedTuple):
    """Some values, in no order."""

    values: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Says whether the value is one of them."""
        return value in self.values

    def by_text(self) -> dict[str, Any]:
        """Returns the values by their text, as a study's storage names them."""
        return {text_of(value): value for value in self.values}

    def to_json(self) -> dict[str, Any]:
        """Returns what a file holds of it."""
        return {"choices": list(self.by_text())}

    def __str__(self) -> str:
        return "|".join(self.by_text())


Dimension = Range | Choices
Space = Mapping[str, Dimension]


def text_of(value: Any) -> str:
    """Returns a setting's value as `parse` reads it."""
    if isinstance(value, tuple):
        return "+".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def is_whole(name: str) -> bool:
    """Says whether a setting's numbers are whole ones."""
    return int in _types(name)


def parse(text: str) -> dict[str, Dimension]:
    """Reads dimensions by name, as in the module's example; "" is none.

    Raises:
      UserError: for an unknown setting, one that a study does not search, or anything that cannot
        be read.
    """
    space = {}
    for item in filter(None, text.split(",")):
        name, equals, values = item.partition("=")
        if name not in settings_by_name():
            raise UserError(
                f"`space={item}` names no setting; give SETTING=LOW..HIGH, with :log behind it "
                "for a log scale, or SETTING=VALUE|VALUE."
            )
        if name in space:
            raise UserError(f"`space` gives {name} twice; give it once.")
        if name in FIXED:
            raise UserError(f"`space` cannot search {name}, {FIXED[name]}; leave it out there.")
        if not equals or not values:
            raise UserError(
                f"`space={item}` gives no values; write {name}=VALUE|VALUE, or a range."
            )
        is_range = ".." in values and {int, float} & _types(name)
        space[name] = _range(name, values) if is_range else _choices(name, values)
    return space


def check(space: Space, base: Config) -> None:
    """Raises UserError for values that no trial could use beside the settings of `base`."""
    if not space:
        raise UserError("a study needs a setting to search; give `space`, or fix fewer settings.")
    for name, found in space.items():
        errors = []
        values = found.values if isinstance(found, Choices) else (found.low, found.high)
        for value in values:
            _check_alone(name, value)
            try:
                base.replace(**{name: value})
            except UserError as error:
                errors.append(error)
        if len(errors) == len(values):
            raise UserError(f"`space={name}={found}` cannot be searched: {errors[0]}")


def _check_alone(name: str, value: Any) -> None:
    """Raises UserError for a value that is wrong whatever the other settings are."""
    of = settings_by_name()[name][1].metadata
    if of["choices"] and value not in of["choices"]:
        raise UserError(
            f"`space` gives the unknown value {name}={text_of(value)}; choose among: "
            f"{', '.join(of['choices'])}."
        )
    if of["holds"] is not None and not of["holds"](value):
        raise UserError(
            f"`space` gives {name}={text_of(value)}, which cannot be used; it must be "
            f"{of['wanted']}."
        )
    if name == "augment":
        specs.check(value)


def _types(name: str) -> set[Any]:
    """Returns the types a setting may have: {int}, {float, None}, {tuple[int, ...]}."""
    declared = settings_by_name()[name][1].type
    return set(typing.get_args(declared)) if isinstance(declared, types.UnionType) else {declared}


def _range(name: str, text: str) -> Range:
    ends, colon, scale = text.partition(":")
    low, _, high = ends.partition("..")
    try:
        found = Range(_number(name, low), _number(name, high), bool(colon))
    except ValueError:
        found = Range(math.nan, math.nan)
    fits = found.low < found.high and (not colon or (scale == "log" and found.low > 0))
    if not fits:
        kind = "whole numbers" if is_whole(name) else "numbers"
        raise UserError(
            f"`space={name}={text}` cannot be read; a range is LOW..HIGH, {kind} of which the "
            "first is the smaller, and :log behind it needs them above 0."
        )
    return found


def _number(name: str, text: str) -> float:
    number = int(text) if is_whole(name) else float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _choices(name: str, text: str) -> Choices:
    values = tuple(_value(name, part) for part in text.split("|"))
    if len({text_of(value) for value in values}) != len(values):  # by which they are stored
        raise UserError(f"`space={name}={text}` gives a value twice; give it once.")
    return Choices(values)


def _value(name: str, text: str) -> Any:
    """Returns one value of a setting, of the setting's type."""
    kinds = _types(name)
    parts = () if text == "none" else tuple(text.split("+"))
    try:
        if type(None) in kinds and text == "none":  # no flag could say it
            raise ValueError(text)
        if tuple[int, ...] in kinds:
            return tuple(map(int, parts))
        if tuple[str, ...] in kinds:
            return parts
        if bool in kinds:
            return {"true": True, "false": False}[text]
        if {int, float} & kinds:
            return _number(name, text)
    except (ValueError, KeyError):
        sort = "true or false" if bool in kinds else "names" if str in kinds else "numbers"
        raise UserError(
            f"`space` gives {name}={text}, which cannot be read; its values are {sort}, such as "
            f"{name}={_EXAMPLES.get(name, 'true|false' if bool in kinds else '1|2')}."
        ) from None
    return text


_EXAMPLES = {"hidden": "256+128|512", "widths": "32+64|64+128", "batch_size": "64|128"}
