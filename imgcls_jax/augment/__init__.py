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

from collections.abc import Callable, Sequence

import jax

from imgcls_jax.augment import colour, erase, geometry, mix, randaugment
from imgcls_jax.augment.specs import KINDS, NAMES, Kind, check, parse
from imgcls_jax.errors import UserError

__all__ = ["KINDS", "NAMES", "Augment", "Batch", "Kind", "check", "create"]

Batch = dict[str, jax.Array]
Augment = Callable[[jax.Array, Batch], Batch]


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
            "`augment=alternate_flip` needs `index` and `epoch` in the batch; add the examples' "
            "numbers and the epoch's, or use flip."
        )
    images = geometry.alternate_flip(batch["image"], index=batch["index"], epoch=batch["epoch"])
    return {**batch, "image": images}


# (key, batch, num_classes, *strength) -> batch; `strength` is empty where a name takes none.
_APPLY: dict[str, Callable[..., Batch]] = {
    "crop": _images(geometry.crop),
    "crop_reflect": _images(geometry.crop_reflect),
    "shift": _images(geometry.crop),
    "flip": _images(geometry.flip),
    "alternate_flip": _alternate_flip,
    "rotate": _images(geometry.rotate),
    "zoom": _images(geometry.zoom),
    "resized_crop": _images(geometry.resized_crop),
    "translate": _images(geometry.translate),
    "brightness": _images(colour.brightness),
    "contrast": _images(colour.contrast),
    "colour": _images(colour.saturation),
    "cutout": _images(erase.cutout),
    "erase": _images(erase.erase),
    "mixup": _mixing(mix.mixup),
    "cutmix": _mixing(mix.cutmix),
    "randaugment": _images(randaugment.randaugment),
}


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
    parsed = [parse(spec) for spec in specs]

    def augment(key: jax.Array, batch: Batch) -> Batch:
        for number, (name, strength) in enumerate(parsed):
            drawn = jax.random.fold_in(key, number)
            batch = _APPLY[name](drawn, batch, num_classes, *strength)
        return batch

    return augment
