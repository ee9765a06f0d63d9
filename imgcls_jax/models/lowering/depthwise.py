"""Depthwise convolution as shifted products, for XLA's CPU backend.

There the native form is ten to a hundred times slower than these, and its gradients more so. What
counts is that every loop runs along the channels and that XLA never reduces over pixels, which it
does one number at a time: sums are written out as additions of whole rows.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

Pair = tuple[int, int]
Pairs = tuple[Pair, Pair]

_ROWS = 8  # added up at a time in the gradient of the kernel


def depthwise_conv(
    images: jax.Array,
    kernel: jax.Array,
    strides: Pair = (1, 1),
    padding: Pairs = ((0, 0), (0, 0)),
    lhs_dilation: Pair = (1, 1),
    rhs_dilation: Pair = (1, 1),
) -> jax.Array:
    """Convolves every channel by itself.

    Args:
      images: (N, H, W, C).
      kernel: (kh, kw, 1, C * multiplier), the multiples of a channel side by side.
      padding: ((top, bottom), (left, right)); negative crops.
      lhs_dilation, rhs_dilation: of the images and of the kernel.

    Returns:
      (N, H', W', C * multiplier).
    """
    multiplier = kernel.shape[3] // images.shape[3]
    if multiplier > 1:
        images = jnp.repeat(images, multiplier, axis=3)
    images = _pad(images, padding, lhs_dilation)
    return _shifted_products(images, kernel[:, :, 0], strides, rhs_dilation)


def _pad(images: jax.Array, padding: Pairs, dilation: Pair = (1, 1)) -> jax.Array:
    sides = [(*sides, d - 1) for sides, d in zip(padding, dilation, strict=True)]
    return lax.pad(images, jnp.zeros((), images.dtype), [(0, 0, 0), *sides, (0, 0, 0)])


def _offsets(kernel: jax.Array, dilation: Pair):
    """Lists ((row, column), (its row in the images, its column)) of every kernel entry."""
    height, width = kernel.shape[:2]
    for row in range(height):
        for column in range(width):
            yield (row, column), (row * dilation[0], column * dilation[1])


def _size(images: jax.Array, kernel: jax.Array, strides: Pair, dilation: Pair) -> Pair:
    return tuple(
        (images.shape[1 + axis] - (kernel.shape[axis] - 1) * dilation[axis] - 1) // strides[axis]
        + 1
        for axis in (0, 1)
    )


def _strided(x: jax.Array, start: int, size: int, stride: int, axis: int) -> jax.Array:
    return lax.slice_in_dim(x, start, start + (size - 1) * stride + 1, stride, axis)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _shifted_products(images, kernel, strides, dilation):
    """Convolves (N, H, W, C) and (kh, kw, C) unpadded: nine products for 3x3, in one fused loop."""
    rows, columns = _size(images, kernel, strides, dilation)
    return sum(
        _strided(_strided(images, top, rows, strides[0], 1), left, columns, strides[1], 2)
        * kernel[entry]
        for entry, (top, left) in _offsets(kernel, dilation)
    )


def _forward(images, kernel, strides, dilation):
    return _shifted_products(images, kernel, strides, dilation), (images, kernel)


def _backward(strides, dilation, saved, cotangent):
    images, kernel = saved
    edges = []
    for axis in (0, 1):
        reach = (kernel.shape[axis] - 1) * dilation[axis]
        filled = (cotangent.shape[1 + axis] - 1) * strides[axis] + 1
        edges.append((reach, images.shape[1 + axis] - filled))
    spread = lax.optimization_barrier(_pad(cotangent, tuple(edges), strides))
    return (
        _shifted_products(spread, kernel[::-1, ::-1], (1, 1), dilation),
        _kernel_gradient(cotangent, images, kernel, strides, dilation),
    )


_shifted_products.defvjp(_forward, _backward)


def _kernel_gradient(cotangent, images, kernel, strides, dilation) -> jax.Array:
    """Adds products of blocks of rows row to row, then block to block, then over the columns."""
    batch, rows, columns, channels = cotangent.shape
    blocks = -(-rows // _ROWS)
    reach = (kernel.shape[0] - 1) * dilation[0]
    taken = (_ROWS - 1) * strides[0] + 1 + reach
    missing = (blocks - 1) * _ROWS * strides[0] + taken - images.shape[1]
    cotangent = _pad(cotangent, ((0, blocks * _ROWS - rows), (0, 0)))
    images = _pad(images, ((0, missing), (0, 0)))

    def add(totals, index):
        image, block = index // blocks, index % blocks * _ROWS
        g = lax.dynamic_slice(cotangent, (image, block, 0, 0), (1, _ROWS, columns, channels))[0]
        x = lax.dynamic_slice(
            images,
            (image, block * strides[0], 0, 0),
            (1, taken, images.shape[2], channels),
        )[0]
        added = []
        for total, (_, (top, left)) in zip(totals, _offsets(kernel, dilation), strict=True):
            shifted = _strided(x, left, columns, strides[1], 1)
            products = (shifted[top + row * strides[0]] * g[row] for row in range(_ROWS))
            added.append(total + sum(products))
        return added, None

    zeros = [jnp.zeros((columns, channels), images.dtype) for _ in _offsets(kernel, dilation)]
    totals, _ = lax.scan(add, zeros, jnp.arange(batch * blocks))
    return jnp.stack([total.sum(0) for total in totals]).reshape(kernel.shape)
