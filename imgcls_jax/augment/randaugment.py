"""RandAugment (Cubuk et al. 2020): a few operations per image, each drawn from the list below.

Of the paper's 14 operations equalisation is left out: its histograms would cost more than all
others together. An operation chosen per image would, as a `lax.switch` under `vmap`, compute all 13
for every image; instead the seven on pixel values are one formula with coefficients per image, and
the five geometric ones multiply into one matrix, so a batch is resampled once, and last.
"""

import jax
import jax.numpy as jnp

from imgcls_jax.augment import colour, geometry

OPERATIONS = (
    "identity", "autocontrast", "brightness", "contrast", "colour", "sharpness", "posterize",
    "solarize", "rotate", "shear_x", "shear_y", "translate_x", "translate_y",
)  # fmt: skip
_MOST = 30.0


def randaugment(
    key: jax.Array, images: jax.Array, magnitude: float, *, num_ops: int = 2
) -> jax.Array:
    """Applies `num_ops` operations to each image, drawn with repetition, equally likely.

    Args:
      images: (B, H, W, C) in [0, 1].
      magnitude: 0 changes nothing; at 30, as in torchvision's RandAugment: brightness, contrast,
        colour and sharpness by a factor of 1 ± 0.9, posterizing to 4 bits, solarizing all pixels,
        rotation by 30 degrees, shear by 0.3, translation by 0.45 of the size, either way equally
        likely. Autocontrast has no magnitude.
      num_ops: operations per image.
    """
    if magnitude == 0:
        return images
    level = magnitude / _MOST
    op_key, sign_key = jax.random.split(key)
    chosen = jax.random.randint(op_key, (num_ops, len(images)), 0, len(OPERATIONS))
    signs = jax.random.rademacher(sign_key, chosen.shape, images.dtype)

    def apply(carry, drawn):
        planes, matrices = carry
        moves = on_positions(images.shape, *drawn, level=level)
        return (on_values(planes, *drawn, level=level), matrices @ moves), None

    # A scan, as XLA would fuse one operation into the next and compute it again for every use.
    start = jnp.moveaxis(images, -1, 1), jnp.broadcast_to(jnp.eye(3), (len(images), 3, 3))
    (planes, matrices), _ = jax.lax.scan(apply, start, (chosen, signs))
    return geometry.affine(jnp.moveaxis(planes, 1, -1), matrices)


def on_values(
    images: jax.Array, operation: jax.Array, sign: jax.Array, *, level: float
) -> jax.Array:
    """Applies the operations on pixel values; images of a geometric one stay as they are.

    Args:
      images: (B, C, H, W) in [0, 1], in which layout XLA's CPU code for this is ten times as fast.
      operation: (B,) positions in OPERATIONS.
      sign: (B,), -1 or 1.
      level: the strength, 0 to 1.
    """
    operation = operation[:, None, None, None]

    def chosen(name):
        return operation == OPERATIONS.index(name)

    grey = colour.grey(images, axis=1)
    plain = {
        "brightness": 0.0,
        "contrast": grey.mean(axis=(2, 3), keepdims=True),
        "colour": grey,
        "sharpness": smooth(images),
    }
    target = images
    for name, other in plain.items():
        target = jnp.where(chosen(name), other, target)
    blended = colour.blend(target, images, 1 + 0.9 * level * sign[:, None, None, None])

    low, high = images.min(axis=(2, 3), keepdims=True), images.max(axis=(2, 3), keepdims=True)
    stretched = (images - low) / jnp.where(high > low, high - low, 1)
    images = jnp.where(chosen("autocontrast") & (high > low), stretched, blended)

    step = 2.0 ** round(4 * level)  # of 256 values: 8 bits down to 4
    # Rounded first: 68 / 255 * 255 may be a little less than 68, as the compiler likes.
    coarse = jnp.floor(jnp.round(images * 255) / step) * (step / 255)
    images = jnp.where(chosen("posterize"), coarse, images)
    return jnp.where(chosen("solarize") & (images > 1 - level), 1 - images, images)


def on_positions(
    shape: tuple[int, ...], operation: jax.Array, sign: jax.Array, *, level: float
) -> jax.Array:
    """Returns matrices (B, 3, 3) of :func:`geometry.affine`; other operations have the identity."""

    def amount(name, most):
        return jnp.where(operation == OPERATIONS.index(name), most * level * sign, 0)

    turned = geometry.rotation(amount("rotate", jnp.deg2rad(30)))
    one = jnp.ones(shape[0])
    moved = geometry.matrix(
        [
            [one, amount("shear_y", 0.3), amount("translate_y", 0.45 * shape[1])],
            [amount("shear_x", 0.3), one, amount("translate_x", 0.45 * shape[2])],
        ]
    )
    return turned @ moved  # at most one of the two is not the identity


def smooth(images: jax.Array) -> jax.Array:
    """Gives Pillow's SMOOTH on (B, C, H, W): (8 neighbours + 5 the pixel) / 13 but at edges."""
    if min(images.shape[2:]) < 3:
        return images
    rows = images[..., :-2, :] + images[..., 1:-1, :] + images[..., 2:, :]
    square = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    inner = (square + 4 * images[..., 1:-1, 1:-1]) / 13
    return images.at[..., 1:-1, 1:-1].set(inner)
