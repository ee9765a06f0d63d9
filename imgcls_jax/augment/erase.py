"""Covering a rectangle of each image (B, H, W, C)."""

import math

import jax
import jax.numpy as jnp

# Zhong et al. (2020): the rectangle's least and greatest share of the area, and its aspect ratio.
_AREA, _ASPECT = (0.02, 0.4), (0.3, 1 / 0.3)


def cutout(key: jax.Array, images: jax.Array, side: int) -> jax.Array:
    """Covers a square of `side` pixels (DeVries and Taylor 2017).

    Its centre is any pixel of the image, so part of it may lie outside. It is filled with the
    batch's mean colour: they fill with zero after subtracting the training set's mean. They use 16
    pixels for CIFAR-10 and 8 for CIFAR-100.
    """
    height, width = images.shape[1:3]
    centre = jax.random.randint(key, (images.shape[0], 2), 0, jnp.array([height, width]))
    inside = box(images.shape, top_left=centre - side // 2, size=jnp.full_like(centre, side))
    mean = images.mean(axis=1).mean(axis=(0, 1))  # in this order ten times as fast on a CPU
    return jnp.where(inside, mean, images)


def erase(key: jax.Array, images: jax.Array, probability: float) -> jax.Array:
    """Covers, with this probability, a rectangle by random pixels: Random Erasing (Zhong et al.).

    It takes a share of the area uniform in [0.02, 0.4] and is 0.3 to 3.3 times as high as wide,
    both ways equally likely; a side longer than the image is cut to it, where the paper draws
    again. Random pixels are drawn once per batch, and each rectangle shows its own part of them:
    drawing them for every image takes longer than all the rest.
    """
    batch, height, width, channels = images.shape
    keys = jax.random.split(key, 5)
    drawn = jax.random.bernoulli(keys[0], probability, (batch, 1, 1, 1))
    area = jax.random.uniform(keys[1], (batch,), minval=_AREA[0], maxval=_AREA[1])
    limits = [math.log(ratio) for ratio in _ASPECT]
    aspect = jnp.exp(jax.random.uniform(keys[2], (batch,), minval=limits[0], maxval=limits[1]))
    area = area * height * width
    sides = jnp.stack([jnp.sqrt(area * aspect), jnp.sqrt(area / aspect)], axis=-1)
    whole = jnp.array([height, width])
    size = jnp.clip(jnp.round(sides).astype(jnp.int32), 1, whole)
    top_left = jax.random.randint(keys[3], (batch, 2), 0, whole - size + 1)
    noise = jax.random.uniform(keys[4], (height, width, channels))
    return jnp.where(box(images.shape, top_left=top_left, size=size) & drawn, noise, images)


def box(shape: tuple[int, ...], *, top_left: jax.Array, size: jax.Array) -> jax.Array:
    """Makes the mask (B, H, W, 1) of rectangles with corners and sizes (B, 2) in whole pixels.

    Args:
      shape: (B, H, W, C), the images'.
    """

    def along(axis):
        offset = jnp.arange(shape[1 + axis]) - top_left[:, axis, None]
        return (offset >= 0) & (offset < size[:, axis, None])

    return (along(0)[:, :, None] & along(1)[:, None, :])[..., None]
