"""Test-time augmentation: logits averaged over views of an image."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from imgcls_jax.errors import UserError

NAMES = ("none", "flip", "flip_shift")


def wrap(apply_fn: Callable[..., Any], name: str, *, size: int | None = None) -> Callable[..., Any]:
    """Makes a network's `apply` average the logits of views of each image, for evaluation.

    The loss of averaged logits is that of the geometric mean of the views' probabilities.

    none: the image itself.
    flip: the image and its mirror image, left to right, by halves.
    flip_shift: these two weigh 1/4 each. Both moved by one pixel right and down, and both moved by
      one pixel left and up, weigh 1/8 each: six views (airbench94; Jordan 2024, "94% on CIFAR-10
      in 3.29 Seconds on a Single GPU"). The pixels that move in are the reflection at
      the border, which does not repeat the border itself. Takes images of at least 2x2 pixels.

    Args:
      apply_fn: (variables, images (B, H, W, C), **keywords) -> logits (B, num_classes).
      name: one of `NAMES`.
      size: pixels per side that views are enlarged to, bilinearly; None leaves them as they are.
        Behind random crops, which are enlarged too, training shows things larger than evaluation
        otherwise does (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").

    Raises:
      UserError: if the name is unknown.
    """
    if name not in NAMES:
        raise UserError(
            f"unknown test-time augmentation {name!r}; choose one of: {', '.join(NAMES)}."
        )
    if size is not None:
        apply_fn = _of_enlarged(apply_fn, size)
    if name == "none":
        return apply_fn
    views = _flips if name == "flip" else _shifts
    weights = (1 / 2,) * 2 if name == "flip" else (1 / 4,) * 2 + (1 / 8,) * 4

    def averaged(variables, images, **keywords):
        # One view after the other: one compilation of the network, and the memory of one batch.
        logits = jax.lax.map(lambda view: apply_fn(variables, view, **keywords), views(images))
        return sum(weight * view for weight, view in zip(weights, logits, strict=True))

    return averaged


def enlarge(images: jax.Array, size: int | None) -> jax.Array:
    """Enlarges (B, H, W, C) to (B, size, size, C), bilinearly; None leaves them as they are."""
    if size is None:
        return images
    batch, _, _, channels = images.shape
    return jax.image.resize(images, (batch, size, size, channels), "linear")


def _of_enlarged(apply_fn: Callable[..., Any], size: int) -> Callable[..., Any]:
    return lambda variables, images, **keywords: apply_fn(
        variables, enlarge(images, size), **keywords
    )


def _flips(images: jax.Array) -> jax.Array:
    """Stacks (B, H, W, C) to (2, B, H, W, C): as they are and mirrored."""
    return jnp.stack([images, images[:, :, ::-1]])


def _shifts(images: jax.Array) -> jax.Array:
    """Stacks (B, H, W, C) to (6, B, H, W, C): `_flips` where they are, then both ways off."""
    height, width = images.shape[1:3]
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    moved = [padded[:, at : at + height, at : at + width] for at in (1, 0, 2)]
    return jnp.concatenate([_flips(view) for view in moved])
