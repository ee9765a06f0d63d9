"""Augmentations as they are spelled, "name" or "name:strength", and which strengths they take."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from imgcls_jax.errors import UserError


class Kind(NamedTuple):
    """How strong an augmentation can be.

    Attributes:
      default: the strength of a bare name; None for a name that takes no strength.
      most: the largest strength; the smallest is 0. The default's type, int or float, is the
        strength's.
      unit: the strength in words, with {} for the number.
    """

    default: float | None = None
    most: float = math.inf
    unit: str = ""


KINDS: dict[str, Kind] = {
    "crop": Kind(4, unit="{} px of padding"),
    "crop_reflect": Kind(4, unit="{} px of padding"),
    "shift": Kind(1, unit="up to {} px"),
    "flip": Kind(),
    "alternate_flip": Kind(),
    "rotate": Kind(15.0, 180.0, "up to {} degrees"),
    "zoom": Kind(0.1, 0.9, "factor 1 ± {}"),
    "resized_crop": Kind(0.5, 0.95, "up to {} of the area cut off"),
    "translate": Kind(0.1, 1.0, "up to {} of the size"),
    "brightness": Kind(0.4, 1.0, "factor 1 ± {}"),
    "contrast": Kind(0.4, 1.0, "factor 1 ± {}"),
    "colour": Kind(0.4, 1.0, "factor 1 ± {}"),
    "cutout": Kind(8, unit="square of {} px"),
    "erase": Kind(0.5, 1.0, "probability {}"),
    "mixup": Kind(0.2, unit="Beta with alpha {}"),
    "cutmix": Kind(1.0, unit="Beta with alpha {}"),
    "randaugment": Kind(9.0, 30.0, "magnitude {} of 30"),
}
NAMES = tuple(KINDS)


def check(specs: Sequence[str]) -> None:
    """Raises UserError for the first spec that is not "name" or "name:strength" as in KINDS."""
    for spec in specs:
        parse(spec)


def parse(spec: str) -> tuple[str, tuple[Any, ...]]:
    """Returns the name, and its strength: one number, or none for a name that takes none.

    Raises:
      UserError: for an unknown name or a strength that cannot be used.
    """
    name, colon, text = spec.partition(":")
    if name not in KINDS:
        raise UserError(f"unknown `augment={spec}`; choose one of: {', '.join(NAMES)}.")
    kind = KINDS[name]
    if kind.default is None:
        if colon:
            raise UserError(f"`augment={spec}` cannot be used; {name} takes no strength.")
        return name, ()
    if not colon:
        return name, (kind.default,)
    number = type(kind.default)
    try:
        strength = number(text)
    except ValueError:
        strength = math.nan
    if not (0 <= strength <= kind.most and strength < math.inf):
        limit = "at least 0" if kind.most == math.inf else f"from 0 to {kind.most:g}"
        sort = "a whole number" if number is int else "a number"
        raise UserError(
            f"`augment={spec}` cannot be used; the strength S ({kind.unit.format('S')}) must be "
            f"{sort} {limit}, as in {name}:{kind.default:g}."
        )
    return name, (strength,)
