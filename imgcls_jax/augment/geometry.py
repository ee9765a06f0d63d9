"""Moving, mirroring and turning images (B, H, W, C)."""

import jax
import jax.numpy as jnp

from imgcls_jax.errors import UserError


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirrors each image left to right with probability one half."""
    return _mirror(images, jax.random.bernoulli(key, shape=images.shape[:1]))


def alternate_flip(images: jax.Array, *, index: jax.Array, epoch: jax.Array) -> jax.Array:
    """Mirrors a random half of the training set in every even epoch, the other half in odd ones.

    So two epochs show each image both ways, where random flips show it one way half of the time
    (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds"). The halves depend on the index alone, so that
    steps, restarts and seeds agree on them.

    Args:
      images: (B, H, W, C).
      index: (B,) integers, the images' numbers in the training set.
      epoch: () integer, from 0.
    """
    key = jax.random.key(0, impl="threefry2x32")  # a fixed hash: any other would do
    words = jax.vmap(lambda i: jax.random.bits(jax.random.fold_in(key, i)))(index)
    return _mirror(images, (words + epoch.astype(words.dtype)) % 2 == 1)


def crop(key: jax.Array, images: jax.Array, pixels: int, *, mode: str = "constant") -> jax.Array:
    """Pads by `pixels` on all sides and cuts a window of the old size, every offset equally likely.

    Padded with zeros it is the same as moving the image by up to `pixels` each way (He et al. 2016
    use 4 for CIFAR).

    Args:
      pixels: at most the smaller of H and W.
      mode: of `jnp.pad`: "constant" for zeros, "reflect".

    Raises:
      UserError: if `pixels` is more than the image has.
    """
    if pixels > min(images.shape[1:3]):
        raise UserError(
            f"images of {images.shape[1]}x{images.shape[2]} pixels cannot be moved or padded by "
            f"{pixels}; make the augmentation's strength smaller."
        )
    return _window(key, images, (pixels, pixels), mode)


def crop_reflect(key: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
    """Crops as :func:`crop`, with the image mirrored at its edges in place of zeros."""
    return crop(key, images, pixels, mode="reflect")


def translate(key: jax.Array, images: jax.Array, fraction: float) -> jax.Array:
    """Moves by up to this fraction of height and of width, in whole pixels; zeros come in."""
    pixels = tuple(round(fraction * size) for size in images.shape[1:3])
    return _window(key, images, pixels, "constant")


def rotate(key: jax.Array, images: jax.Array, degrees: float) -> jax.Array:
    """Turns about the centre by an angle uniform in [-degrees, degrees]."""
    angle = jnp.deg2rad(_uniform(key, images, -degrees, degrees))
    return affine(images, rotation(angle))


def zoom(key: jax.Array, images: jax.Array, fraction: float) -> jax.Array:
    """Scales about the centre by a factor uniform in [1 - fraction, 1 + fraction]."""
    inverse = 1 / _uniform(key, images, 1 - fraction, 1 + fraction)
    zero = jnp.zeros_like(inverse)
    return affine(images, matrix([[inverse, zero, zero], [zero, inverse, zero]]))


def resized_crop(key: jax.Array, images: jax.Array, fraction: float) -> jax.Array:
    """Cuts a random rectangle and enlarges it to the image's size: no border comes in.

    Its area is uniform in [1 - fraction, 1] of the image's, the logarithm of its width to height
    uniform between those of 3:4 and 4:3 as far as that area allows, each place equally likely
    (Szegedy et al. 2015, "Going Deeper with Convolutions", whose area is at least 0.08).
    """
    shape_key, place_key = jax.random.split(key)
    area, ratio = jax.random.uniform(shape_key, (2, len(images)))
    area = 1 - fraction * area
    log_ratio = (2 * ratio - 1) * jnp.minimum(jnp.log(4 / 3), -jnp.log(area))
    sides = jnp.sqrt(area * jnp.exp(jnp.stack([-log_ratio, log_ratio])))  # of height, of width
    room = (1 - sides) * (jnp.array(images.shape[1:3])[:, None] - 1)  # between pixel centres
    (height, width), zero = sides, jnp.zeros_like(area)
    down, right = room * (jax.random.uniform(place_key, room.shape) - 0.5)
    return affine(images, matrix([[height, zero, down], [zero, width, right]]))


def rotation(angle: jax.Array) -> jax.Array:
    """Returns the matrices (B, 3, 3) of :func:`affine` that turn by `angle` (B,) radians."""
    cosine, sine, zero = jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle)
    return matrix([[cosine, -sine, zero], [sine, cosine, zero]])


def matrix(rows: list[list[jax.Array]]) -> jax.Array:
    """Stacks two rows of three (B,) arrays, and the row (0, 0, 1): (B, 3, 3)."""
    zero = jnp.zeros_like(rows[0][0])
    rows = [*rows, [zero, zero, zero + 1]]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def affine(images: jax.Array, matrices: jax.Array) -> jax.Array:
    """Resamples bilinearly: output pixel p shows input position matrix p, zero outside the image.

    On a CPU four gathers of whole pixels beat both two products with interpolation matrices and
    `jax.scipy.ndimage.map_coordinates` channel by channel.

    Args:
      images: (B, H, W, C).
      matrices: (B, 3, 3), acting on (y, x, 1) in pixels from the image's centre; the third row is
        taken for (0, 0, 1).
    """
    batch, height, width, channels = images.shape
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y = jnp.arange(height)[:, None] - middle_y
    x = jnp.arange(width) - middle_x

    def source(row, middle, size):
        a, b, c = (matrices[:, row, column, None, None] for column in range(3))
        # A ring of zeros surrounds the image: positions farther out read the ring.
        position = jnp.clip(a * y + b * x + c + middle, -1, size)
        below = jnp.minimum(jnp.floor(position), size - 1)
        return below.astype(jnp.int32) + 1, (position - below)[..., None]

    (top, down), (left, right) = source(0, middle_y, height), source(1, middle_x, width)
    ringed = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(-1, channels)
    stride = width + 2
    corner = (jnp.arange(batch)[:, None, None] * (height + 2) + top) * stride + left

    def pixel(offset):
        return ringed.at[corner + offset].get(mode="promise_in_bounds")

    upper = (1 - right) * pixel(0) + right * pixel(1)
    lower = (1 - right) * pixel(stride) + right * pixel(stride + 1)
    return (1 - down) * upper + down * lower


def _mirror(images: jax.Array, which: jax.Array) -> jax.Array:
    return jnp.where(which[:, None, None, None], images[:, :, ::-1], images)


def _uniform(key: jax.Array, images: jax.Array, low: float, high: float) -> jax.Array:
    return jax.random.uniform(key, images.shape[:1], minval=low, maxval=high)


def _window(key: jax.Array, images: jax.Array, pixels: tuple[int, int], mode: str) -> jax.Array:
    """Cuts each image's own window of the images padded by `pixels` vertically, horizontally.

    Slices are row copies: several times faster on a CPU than products with one-hot matrices.
    """
    batch, *shape = images.shape
    padded = jnp.pad(images, ((0, 0), *((p, p) for p in pixels), (0, 0)), mode=mode)
    corners = jax.random.randint(key, (batch, 2), 0, 2 * jnp.array(pixels) + 1)
    return jax.vmap(lambda image, at: jax.lax.dynamic_slice(image, (*at, 0), shape))(
        padded, corners
    )
