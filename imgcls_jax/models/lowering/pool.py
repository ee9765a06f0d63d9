"""Max and average pooling by slices.

`flax.linen.max_pool` and `avg_pool` are window reductions, whose gradients are slow on XLA's CPU
backend, many times slower than the pooling itself. A window's maximum or sum is separable: first
over its rows, then over its columns, each a handful of strided slices that fuse into one loop.
"""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
from jax import lax

Pair = int | tuple[int, int]
Padding = str | int | tuple[tuple[int, int], tuple[int, int]]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _pool(
    images: jax.Array,
    combine: Callable[[jax.Array, jax.Array], jax.Array],
    fill: float,
    window: Pair,
    strides: Pair | None,
    padding: Padding,
) -> jax.Array:
    window, strides = _pair(window), _pair(1 if strides is None else strides)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(images.shape[1:3], window, strides, padding)
    elif isinstance(padding, int):
        padding = ((padding, padding), (padding, padding))
    if any(amount for side in padding for amount in side):
        widths = ((0, 0), *padding, (0, 0))
        images = jnp.pad(images, widths, constant_values=jnp.asarray(fill, images.dtype))
    for axis, size, stride in zip((1, 2), window, strides, strict=True):
        length = (images.shape[axis] - size) // stride * stride + 1
        shifted = [
            lax.slice_in_dim(images, start, start + length, stride, axis) for start in range(size)
        ]
        images = reduce(combine, shifted)
    return images


def max_pool(
    images: jax.Array, window: Pair, strides: Pair | None = None, padding: Padding = "VALID"
) -> jax.Array:
    """Takes the maximum of each window, (N, H, W, C) -> (N, H', W', C), as `flax.linen.max_pool`.

    Where entries of a window tie, the gradient is shared between them; window reduction gives it
    all to the first.

    Args:
      window: height and width, one int for a square.
      strides: of the windows; None is 1, as in Flax (in PyTorch and Keras it is the window).
      padding: "SAME" (TensorFlow's, which may be uneven), "VALID", an int for PyTorch's `padding=`,
        or ((top, bottom), (left, right)).
    """
    return _pool(images, jnp.maximum, -jnp.inf, window, strides, padding)


def avg_pool(
    images: jax.Array, window: Pair, strides: Pair | None = None, padding: Padding = "VALID"
) -> jax.Array:
    """Takes the mean of each window, padding counted as zeros, as `flax.linen.avg_pool`.

    Args: see `max_pool`.
    """
    height, width = _pair(window)
    return _pool(images, jnp.add, 0.0, window, strides, padding) / (height * width)
