"""Convolution lowered for the backend it runs on.

`flax.linen.Conv` and `flax.linen.max_pool` leave the lowering to XLA, whose CPU convolutions and
window reductions are slow, and slower still inside a loop. `conv_general_dilated` below has the
signature that `flax.linen.Conv(conv_general_dilated=...)` expects and computes the same sums as a
matrix product over shifted slices on CPU, and natively everywhere else.
"""

import jax
import jax.numpy as jnp
from jax import lax


def _is_plain(lhs, window_strides, lhs_dilation, rhs_dilation, groups) -> bool:
    """Whether the convolution is 2-D, unstrided, undilated and ungrouped."""
    return (
        lhs.ndim == 4
        and groups == 1
        and all(s == 1 for s in window_strides)
        and all(d == 1 for d in lhs_dilation or (1,))
        and all(d == 1 for d in rhs_dilation or (1,))
    )


def conv_as_matmul(images: jax.Array, kernel: jax.Array, padding) -> jax.Array:
    """Unstrided 2-D cross-correlation as one matrix product.

    Args:
      images: (N, H, W, I).
      kernel: (kh, kw, I, O).
      padding: "SAME", "VALID" or ((top, bottom), (left, right)).

    Returns:
      (N, H', W', O), equal to `lax.conv_general_dilated` up to the order of summation.
    """
    height, width, inputs, outputs = kernel.shape
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(images.shape[1:3], (height, width), (1, 1), padding)
    images = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    rows = images.shape[1] - height + 1
    columns = images.shape[2] - width + 1
    patches = jnp.concatenate(
        [images[:, i : i + rows, j : j + columns] for i in range(height) for j in range(width)],
        axis=-1,
    )
    return patches @ kernel.reshape(height * width * inputs, outputs)


def conv_general_dilated(
    lhs,
    rhs,
    window_strides,
    padding,
    lhs_dilation=None,
    rhs_dilation=None,
    dimension_numbers=None,
    feature_group_count=1,
    precision=None,
    **kwargs,
):
    """`jax.lax.conv_general_dilated`, by matrix product where that is the faster form."""
    if jax.default_backend() == "cpu" and _is_plain(
        lhs, window_strides, lhs_dilation, rhs_dilation, feature_group_count
    ):
        return conv_as_matmul(lhs, rhs, padding)
    return lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        precision=precision,
        **kwargs,
    )
