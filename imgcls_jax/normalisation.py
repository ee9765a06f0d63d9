"""From pixels in [0, 1] to what a network sees, with constants of the training set."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.whiten import channel_moments, patch_whitening, whiten

NAMES = ("unit", "standard", "whiten")


def create(name: str, images: np.ndarray) -> Callable[[jax.Array], jax.Array]:
    """Builds a pure function of images (B, H, W, C) in [0, 1].

    unit: as they are.
    standard: mean 0 and standard deviation 1 in each channel over the training set.
    whiten: decorrelated 2x2 patches, (B, H-1, W-1, 8 C), see `imgcls_jax.whiten`.

    Args:
      name: one of `NAMES`.
      images: the training set's, (N, H, W, C) uint8.

    Raises:
      UserError: if the name is unknown, or a channel is the same everywhere and has no scale.
    """
    match name:
        case "unit":
            return lambda x: x
        case "standard":
            mean, std = channel_moments(images)
            if not std.all():
                raise UserError(
                    "--normalise=standard cannot be used: a channel of the training images is the "
                    "same everywhere; use --normalise=unit."
                )
            mean, scale = jnp.asarray(mean, jnp.float32), jnp.asarray(1 / std, jnp.float32)
            return lambda x: (x - mean) * scale
        case "whiten":
            whitening = patch_whitening(images)
            return lambda x: whiten(x, whitening)
    raise UserError(f"unknown normalisation {name!r}; choose one of: {', '.join(NAMES)}.")
