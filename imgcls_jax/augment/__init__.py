"""Image augmentation inside jit: functions (key, batch) -> batch, composed by name.

A batch is a dict: `image` (B, H, W, C) float32 in [0, 1], grey or colour; `label` (B,) int32 or
(B, num_classes) weights; for `alternate_flip` also `index` (B,) int32, the examples' numbers in
the training set, and `epoch` () int32. Other entries pass through. Every image draws its own
decisions, the same key gives the same batch, and images stay in [0, 1]. Where an image moves,
black (zero) comes in from outside; `crop_reflect` alone mirrors.

An augmentation is named "name" or "name:strength", such as "crop:4"; :data:`KINDS` holds each
name's unit of strength, default and range, and zero strength changes nothing. The modules
geometry, colour, erase, mix and randaugment hold them as functions on arrays.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from imgcls_jax.augment import colour, erase, geometry, mix, randaugment
from imgcls_jax.errors import UserError

Batch = dict[str, jax.Array]
Augment = Callable[[jax.Array, Batch], Batch]


class Kind(NamedTuple):
    """The augmentation that a name stands for.

    Attributes:
      apply: (key, batch, num_classes, *strength) -> batch, `strength` empty if there is none.
      default: the strength of a bare name; None for a name that takes no strength.
      most: the largest strength; the smallest is 0. The default's type, int or float, is the
        strength's.
      unit: the strength in words, with {} for the number.
    """

    apply: Callable[..., Batch]
    default: float | None = None
    most: float = math.inf
    unit: str = ""


def _images(function: Callable[..., jax.Array]) -> Callable[..., Batch]:
    """Adapts a function (key, images, *strength) -> images to batches."""

    def apply(key, batch, num_classes, *strength):
        return {**batch, "image": function(key, batch["image"], *strength)}

    return apply


def _mixing(function: Callable[..., tuple[jax.Array, jax.Array]]) -> Callable[..., Batch]:
    """Adapts a function (key, images, weights, *strength) -> (images, weights) to batches."""

    def apply(key, batch, num_classes, *strength):
        weights = mix.label_weights(batch["label"], num_classes=num_classes)
        images, weights = function(key, batch["image"], weights, *strength)
        return {**batch, "image": images, "label": weights}

    return apply


def _alternate_flip(key, batch, num_classes):
    if not {"index", "epoch"} <= batch.keys():
        raise UserError(
            "augment=alternate_flip needs `index` and `epoch` in the batch; add the examples' "
            "numbers and the epoch's, or use flip."
        )
    images = geometry.alternate_flip(batch["image"], index=batch["index"], epoch=batch["epoch"])
    return {**batch, "image": images}


KINDS: dict[str, Kind] = {
    "crop": Kind(_images(geometry.crop), 4, unit="{} px of padding"),
    "crop_reflect": Kind(_images(geometry.crop_reflect), 4, unit="{} px of padding"),
    "shift": Kind(_images(geometry.crop), 1, unit="up to {} px"),
    "flip": Kind(_images(geometry.flip)),
    "alternate_flip": Kind(_alternate_flip),
    "rotate": Kind(_images(geometry.rotate), 15.0, 180.0, "up to {} degrees"),
    "zoom": Kind(_images(geometry.zoom), 0.1, 0.9, "factor 1 ± {}"),
    "resized_crop": Kind(_images(geometry.resized_crop), 0.5, 0.95, "up to {} of the area cut off"),
    "translate": Kind(_images(geometry.translate), 0.1, 1.0, "up to {} of the size"),
    "brightness": Kind(_images(colour.brightness), 0.4, 1.0, "factor 1 ± {}"),
    "contrast": Kind(_images(colour.contrast), 0.4, 1.0, "factor 1 ± {}"),
    "colour": Kind(_images(colour.saturation), 0.4, 1.0, "factor 1 ± {}"),
    "cutout": Kind(_images(erase.cutout), 8, unit="square of {} px"),
    "erase": Kind(_images(erase.erase), 0.5, 1.0, "probability {}"),
    "mixup": Kind(_mixing(mix.mixup), 0.2, unit="Beta with alpha {}"),
    "cutmix": Kind(_mixing(mix.cutmix), 1.0, unit="Beta with alpha {}"),
    "randaugment": Kind(_images(randaugment.randaugment), 9.0, 30.0, "magnitude {} of 30"),
}
NAMES = tuple(KINDS)


def check(specs: Sequence[str]) -> None:
    """Raises UserError for the first spec that is not "name" or "name:strength" as in KINDS."""
    for spec in specs:
        _parse(spec)


def create(specs: Sequence[str], *, num_classes: int) -> Augment | None:
    """Composes augmentations, applied in the order given; None for no specs.

    Number i draws from fold_in(key, i), so one appended at the end changes none before it. On a CPU
    augmentations that move pixels (crop, rotate, zoom) are cheapest first, as XLA repeats those
    before them.

    Args:
      specs: names, each with or without a strength: ["crop:4", "flip", "mixup"].
      num_classes: length of the label weights that mixing makes of integer labels.

    Raises:
      UserError: for an unknown name or a strength that cannot be used; when the function is
        called, for a batch or an image size that an augmentation cannot work on.
    """
    if not specs:
        return None
    parsed = [_parse(spec) for spec in specs]

    def augment(key: jax.Array, batch: Batch) -> Batch:
        for number, (kind, strength) in enumerate(parsed):
            batch = kind.apply(jax.random.fold_in(key, number), batch, num_classes, *strength)
        return batch

    return augment


def _parse(spec: str) -> tuple[Kind, tuple[Any, ...]]:
    """Returns the kind, and its strength: one number, or none for a kind that takes none."""
    name, colon, text = spec.partition(":")
    if name not in KINDS:
        raise UserError(f"unknown augment={spec}; choose one of: {', '.join(NAMES)}.")
    kind = KINDS[name]
    if kind.default is None:
        if colon:
            raise UserError(f"augment={spec} cannot be used; {name} takes no strength.")
        return kind, ()
    if not colon:
        return kind, (kind.default,)
    number = type(kind.default)
    try:
        strength = number(text)
    except ValueError:
        strength = math.nan
    if not (0 <= strength <= kind.most and strength < math.inf):
        limit = "at least 0" if kind.most == math.inf else f"from 0 to {kind.most:g}"
        sort = "a whole number" if number is int else "a number"
        raise UserError(
            f"augment={spec} cannot be used; the strength S ({kind.unit.format('S')}) must be "
            f"{sort} {limit}, as in {name}:{kind.default:g}."
        )
    return kind, (strength,)
