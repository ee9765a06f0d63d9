"""Convolution lowered for the backend it runs on.

XLA's CPU backend has one fast convolution, Eigen's, close to the peak of its matrix product, for
NHWC images and HWIO kernels. JAX's gradients have reversed windows and permuted dimensions, which
XLA rewrites into that form in a program's main computation only: inside `lax.scan` and
`lax.fori_loop` they run as plain loops, up to a hundred times slower.
`conv_general_dilated` has the signature that `flax.linen.Conv(conv_general_dilated=...)` expects,
computes the same sums, and on CPU writes the value and both gradients as convolutions of the one
fast form. Pointwise convolutions become matrix products and depthwise ones shifted products
(`imgcls_jax.models.lowering.depthwise`). Other backends get `lax.conv_general_dilated`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from imgcls_jax.models.lowering.depthwise import depthwise_conv

Pairs = tuple[tuple[int, int], tuple[int, int]]

# Within `with native_convolutions(True):` every convolution is XLA's own, to compare with. Part of
# jit's cache key: a jitted function is traced anew when called within, and again when without.
native_convolutions = jax.make_user_context(False)
# Within `with portable_convolutions(True):` a trace holds the forms for CPU and for all others,
# and the platform it is lowered for chooses: for files that run on several.
portable_convolutions = jax.make_user_context(False)

_LAYOUT = ("NHWC", "HWIO", "NHWC")
# Output pixels summed at a time in the gradient of a kernel: with more, the caches are missed; a
# multiple of 8 images, which are the channels there and fill vector registers.
_PIXELS = 2048
# Entries of a window up to which the gradient of the images may be added up from columns.
_COLUMNS = 1024


class Geometry(NamedTuple):
    """The arguments of a convolution beside its operands, as in `lax.conv_general_dilated`."""

    strides: tuple[int, int] = (1, 1)
    padding: Pairs = ((0, 0), (0, 0))
    lhs_dilation: tuple[int, int] = (1, 1)
    rhs_dilation: tuple[int, int] = (1, 1)
    groups: int = 1


def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides,
    padding,
    lhs_dilation=None,
    rhs_dilation=None,
    dimension_numbers=None,
    feature_group_count: int = 1,
    **options,
) -> jax.Array:
    """Computes `jax.lax.conv_general_dilated`, fast on CPU in value, gradients and loops.

    On CPU floating-point images (N, H, W, I) and kernels (kh, kw, I / groups, O) take the fast
    forms, whose sums are in float32 also for narrower types; they have no forward-mode derivative.
    All else is XLA's own.

    Args:
      **options: the others that `jax.lax.conv_general_dilated` takes: `batch_group_count`,
        `precision`, `preferred_element_type` and so on.
    """
    native = partial(
        lax.conv_general_dilated,
        window_strides=window_strides,
        padding=padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        **options,
    )
    result = jax.eval_shape(native, lhs, rhs)
    if (
        not (jax.default_backend() == "cpu" or portable_convolutions.value)
        or native_convolutions.value
        or not _is_nhwc(lhs, rhs, dimension_numbers)
        or options.get("batch_group_count", 1) != 1
        or not jnp.issubdtype(result.dtype, jnp.floating)
        or 0 in (*lhs.shape, *rhs.shape, *result.shape)
    ):
        return native(lhs, rhs)
    strides = tuple(window_strides)
    lhs_dilation, rhs_dilation = tuple(lhs_dilation or (1, 1)), tuple(rhs_dilation or (1, 1))
    if isinstance(padding, str):
        window = [_dilated(k, d) for k, d in zip(rhs.shape[:2], rhs_dilation, strict=True)]
        padding = lax.padtype_to_pads(lhs.shape[1:3], window, strides, padding)
    padding = tuple((int(low), int(high)) for low, high in padding)
    geometry = Geometry(strides, padding, lhs_dilation, rhs_dilation, feature_group_count)
    wide = jnp.promote_types(result.dtype, jnp.float32)

    def on_cpu(lhs, rhs):
        return _lowered(lhs.astype(wide), rhs.astype(wide), geometry).astype(result.dtype)

    if portable_convolutions.value:
        return lax.platform_dependent(lhs, rhs, cpu=on_cpu, default=native)
    return on_cpu(lhs, rhs)


def _is_nhwc(lhs, rhs, dimension_numbers) -> bool:
    if lhs.ndim != 4 or dimension_numbers is None:
        return False
    wanted, given = (
        lax.conv_dimension_numbers(lhs.shape, rhs.shape, numbers)
        for numbers in (_LAYOUT, dimension_numbers)
    )
    return given == wanted


def _lowered(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Computes the convolution in the form for its shape."""
    if geometry.groups > 1:
        if kernel.shape[2] == 1:
            return depthwise_conv(images, kernel, *geometry[:4])
        return _grouped(images, kernel, geometry)
    if kernel.shape[:2] == (1, 1) and geometry == Geometry(strides=geometry.strides):
        rows, columns = geometry.strides
        return _pointwise(images[:, ::rows, ::columns], kernel[0, 0])
    return _conv(images, kernel, geometry)


@jax.custom_vjp
def _pointwise(images: jax.Array, matrix: jax.Array) -> jax.Array:
    return images @ matrix


def _pointwise_forward(images, matrix):
    return images @ matrix, (images, matrix)


def _pointwise_backward(saved, cotangent):
    images, matrix = saved
    # The barrier keeps XLA from computing the cotangent twice, once transposed, on one core.
    cotangent = lax.optimization_barrier(cotangent)
    inputs, outputs = matrix.shape
    gradient = images.reshape(-1, inputs).T @ cotangent.reshape(-1, outputs)
    return cotangent @ matrix.T, gradient


_pointwise.defvjp(_pointwise_forward, _pointwise_backward)


def _grouped(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Computes one group after the other: Eigen's own form of groups takes up to twice as long."""

    def groups_first(x):
        return jnp.moveaxis(x.reshape(*x.shape[:-1], geometry.groups, -1), -2, 0)

    single = geometry._replace(groups=1)
    results = lax.map(
        lambda group: _lowered(*group, single), (groups_first(images), groups_first(kernel))
    )
    results = jnp.moveaxis(results, 0, -2)
    return results.reshape(*results.shape[:-2], -1)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(images: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    inputs, outputs = kernel.shape[2:]
    padding = geometry.padding
    channels = below = 0
    if inputs % 2 and inputs > 1 and outputs < 48:
        # Eigen is 2 to 3 times slower for 3, 5, ... inputs: fill up to a multiple of 4.
        channels = -inputs % 4
        kernel = jnp.pad(kernel, ((0, 0), (0, 0), (0, channels), (0, 0)))
    if padding == ((0, 0), (0, 0)):
        # Unpadded convolutions go to YNNPACK, which is up to 2.5 times slower than Eigen: give them
        # a row too many and a padding that takes it away.
        below, padding = 1, ((0, -geometry.lhs_dilation[0]), (0, 0))
    if channels or below:
        images = jnp.pad(images, ((0, 0), (0, below), (0, 0), (0, channels)))
        images = lax.optimization_barrier(images)
    return lax.conv_general_dilated(
        images,
        kernel,
        geometry.strides,
        padding,
        geometry.lhs_dilation,
        geometry.rhs_dilation,
        _LAYOUT,
    )


def _forward(images, kernel, geometry):
    return _conv(images, kernel, geometry), (images, kernel)


def _backward(geometry, saved, cotangent):
    images, kernel = saved
    return (
        _images_gradient(cotangent, kernel, geometry, images.shape[1:3]),
        _kernel_gradient(cotangent, images, geometry, kernel.shape),
    )


_conv.defvjp(_forward, _backward)


def _dilated(size: int, dilation: int) -> int:
    return (size - 1) * dilation + 1


def _images_gradient(cotangent, kernel, geometry, size) -> jax.Array:
    """Convolves the cotangent, dilated by the strides, with the flipped kernel, I and O swapped."""
    height, width, inputs, _ = kernel.shape
    if geometry == Geometry() and inputs * height * width <= _COLUMNS:
        return _images_gradient_by_columns(cotangent, kernel)
    padding = []
    for axis in (0, 1):
        window = _dilated(kernel.shape[axis], geometry.rhs_dilation[axis])
        low = window - 1 - geometry.padding[axis][0]
        filled = _dilated(cotangent.shape[1 + axis], geometry.strides[axis])
        high = _dilated(size[axis], geometry.lhs_dilation[axis]) + window - 1 - filled - low
        padding.append((low, high))
    adjoint = Geometry(
        strides=geometry.lhs_dilation,
        padding=tuple(padding),
        lhs_dilation=geometry.strides,
        rhs_dilation=geometry.rhs_dilation,
    )
    # The barrier keeps XLA from folding the flip back into a reversed window, which is slow.
    flipped = lax.optimization_barrier(kernel[::-1, ::-1].swapaxes(2, 3))
    return _conv(cotangent, flipped, adjoint)


def _images_gradient_by_columns(cotangent, kernel) -> jax.Array:
    """Adds up every window entry's share where the windows of an unpadded convolution overlap.

    The convolution above would be over a cotangent padded to more than the size of the images.
    """
    height, width, inputs, outputs = kernel.shape
    matrix = kernel.reshape(height * width * inputs, outputs).T

    def of_image(cotangent):
        shares = (cotangent @ matrix).reshape(*cotangent.shape[:2], height, width, inputs)
        zero = jnp.zeros((), shares.dtype)
        return sum(
            lax.pad(
                shares[:, :, row, column],
                zero,
                ((row, height - 1 - row, 0), (column, width - 1 - column, 0), (0, 0, 0)),
            )
            for row in range(height)
            for column in range(width)
        )

    return lax.map(of_image, cotangent, batch_size=_images_a_chunk(cotangent))


def _images_a_chunk(cotangent) -> int:
    return 8 * max(1, _PIXELS // (8 * cotangent.shape[1] * cotangent.shape[2]))


def _kernel_gradient(cotangent, images, geometry, shape) -> jax.Array:
    """Convolves the images with the cotangent as the kernel, summed over chunks of the batch."""
    batch, chunk = cotangent.shape[0], _images_a_chunk(cotangent)
    if batch <= chunk:
        return _kernel_gradient_of_chunk(cotangent, images, geometry, shape)

    def of_chunk(start, size):
        slices = (lax.dynamic_slice_in_dim(x, start, size) for x in (cotangent, images))
        return _kernel_gradient_of_chunk(*slices, geometry, shape)

    whole, rest = divmod(batch, chunk)
    total, _ = lax.scan(
        lambda total, index: (total + of_chunk(index * chunk, chunk), None),
        jnp.zeros(shape, images.dtype),
        jnp.arange(whole),
    )
    return total + of_chunk(whole * chunk, rest) if rest else total


def _kernel_gradient_of_chunk(cotangent, images, geometry, shape) -> jax.Array:
    """Convolves with channels in the place of the batch, and the batch in that of channels."""
    padding = []
    for axis in (0, 1):
        low = geometry.padding[axis][0]
        size = _dilated(images.shape[1 + axis], geometry.lhs_dilation[axis])
        filled = _dilated(cotangent.shape[1 + axis], geometry.strides[axis])
        padding.append(
            (low, _dilated(shape[axis], geometry.rhs_dilation[axis]) - 1 + filled - size - low)
        )
    adjoint = Geometry(
        strides=geometry.rhs_dilation,
        padding=tuple(padding),
        lhs_dilation=geometry.lhs_dilation,
        rhs_dilation=geometry.strides,
    )
    # Barriers, lest XLA fold the transpositions into dimension numbers that it is slow for.
    swapped = lax.optimization_barrier(
        (images.transpose(3, 1, 2, 0), cotangent.transpose(1, 2, 0, 3))
    )
    return _conv(*swapped, adjoint).transpose(1, 2, 0, 3)
