"""Image augmentation inside jit: functions (key, images (B, H, W, C)) -> images of that shape.

Each draws one decision an image from the key, so the same key gives the same images.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from imgcls_jax.errors import UserError

Augment = Callable[[jax.Array, jax.Array], jax.Array]


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirrors each image left to right with probability one half."""
    flipped = jax.random.bernoulli(key, shape=(images.shape[0], 1, 1, 1))
    return jnp.where(flipped, images[:, :, ::-1], images)


def shift(key: jax.Array, images: jax.Array, *, pixels: int = 1) -> jax.Array:
    """Moves each image by up to `pixels` in both directions, zeros coming in at the edge."""
    batch, height, width, channels = images.shape
    padded = jnp.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    corners = jax.random.randint(key, (batch, 2), 0, 2 * pixels + 1)

    def crop(image, corner):
        return jax.lax.dynamic_slice(image, (*corner, 0), (height, width, channels))

    return jax.vmap(crop)(padded, corners)


_AUGMENTATIONS: dict[str, Augment] = {"flip": flip, "shift": shift}
NAMES = tuple(_AUGMENTATIONS)


def create(names: Sequence[str]) -> Augment | None:
    """Composes augmentations by name, applied in the order given; None for no names.

    Raises:
      UserError: if a name is unknown.
    """
    for name in names:
        if name not in _AUGMENTATIONS:
            raise UserError(f"unknown augmentation {name!r}; choose from: {', '.join(NAMES)}.")
    if not names:
        return None
    functions = [_AUGMENTATIONS[name] for name in names]

    def augment(key: jax.Array, images: jax.Array) -> jax.Array:
        for number, function in enumerate(functions):
            images = function(jax.random.fold_in(key, number), images)
        return images

    return augment
