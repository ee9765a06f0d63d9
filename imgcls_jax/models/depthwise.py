"""Depthwise convolution as shifted products."""

import jax
import jax.numpy as jnp
from jax import lax

Pairs = tuple[tuple[int, int], tuple[int, int]]


def depthwise_conv(
    images: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    padding: Pairs,
    dilation: tuple[int, int] = (1, 1),
) -> jax.Array:
    """Convolves every channel by itself: one product with a strided slice per kernel entry.

    Args:
      images: (N, H, W, C).
      kernel: (kh, kw, 1, C * multiplier), the multiples of a channel side by side.
      padding: ((top, bottom), (left, right)); negative crops.
      dilation: of the kernel.

    Returns:
      (N, H', W', C * multiplier).
    """
    height, width, _, outputs = kernel.shape
    images = jnp.repeat(images, outputs // images.shape[-1], axis=-1)
    edges = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
    images = lax.pad(images, jnp.zeros((), images.dtype), edges)
    size = [
        (images.shape[1 + axis] - (kernel.shape[axis] - 1) * dilation[axis] - 1) // strides[axis]
        for axis in (0, 1)
    ]

    def shifted(row: int, column: int) -> jax.Array:
        top, left = row * dilation[0], column * dilation[1]
        bottom, right = top + size[0] * strides[0] + 1, left + size[1] * strides[1] + 1
        return images[:, top : bottom : strides[0], left : right : strides[1]]

    return sum(
        shifted(row, column) * kernel[row, column, 0]
        for row in range(height)
        for column in range(width)
    )
