"""Every lowering of a convolution against XLA's own: value, both gradients, inside loops."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from imgcls_jax.models.lowering.conv import conv_general_dilated, native_convolutions

LAYOUT = ("NHWC", "HWIO", "NHWC")


def operands(images, kernel, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=shape), dtype) for shape in (images, kernel))


def assert_as_native(images, kernel, *, tolerance=1e-5, **options):
    """Value and both gradients, relative to the largest entry."""
    options = {"window_strides": (1, 1), "dimension_numbers": LAYOUT, **options}
    results = []
    for convolve in (conv_general_dilated, lax.conv_general_dilated):

        @jax.jit
        def value_and_gradients(images, kernel, convolve=convolve):
            value, vjp = jax.vjp(lambda *args: convolve(*args, **options), images, kernel)
            return value, *vjp(
                jnp.cos(jnp.arange(value.size)).reshape(value.shape).astype(value.dtype)
            )

        results.append(value_and_gradients(images, kernel))
    for ours, native in zip(*results, strict=True):
        assert ours.dtype == native.dtype
        assert ours.shape == native.shape
        ours, native = np.asarray(ours, np.float64), np.asarray(native, np.float64)
        np.testing.assert_allclose(
            ours, native, atol=tolerance * (1e-3 + np.abs(native).max(initial=0))
        )


small = st.integers(1, 3)
pairs = st.tuples(small, small)
sides = st.tuples(st.integers(-1, 3), st.integers(0, 3))


@settings(max_examples=6, deadline=None)
@given(
    batch=st.integers(1, 3), size=st.tuples(st.integers(6, 9), st.integers(6, 9)), kernel=pairs,
    groups=st.sampled_from([1, 1, 2, 3]), inputs=st.integers(1, 3), outputs=small, strides=pairs,
    padding=st.sampled_from(["SAME", "VALID"]) | st.tuples(sides, sides),
    lhs_dilation=st.just((1, 1)) | pairs, rhs_dilation=pairs, seed=st.integers(0, 99),
)  # fmt: skip
def test_any_convolution_is_the_native_one(
    batch, size, kernel, groups, inputs, outputs, padding, lhs_dilation, seed, strides, rhs_dilation
):
    """Depthwise, with and without a multiplier, is groups > 1 with inputs == 1."""
    images, kernel = operands(
        (batch, *size, groups * inputs), (*kernel, inputs, groups * outputs), seed=seed
    )
    assert_as_native(
        images,
        kernel,
        window_strides=strides,
        padding=padding,
        lhs_dilation=None if isinstance(padding, str) else lhs_dilation,
        rhs_dilation=rhs_dilation,
        feature_group_count=groups,
    )


# images, kernel, options, as the networks have them
NETWORKS = {
    "several chunks and a remainder": ((21, 16, 16, 8), (3, 3, 8, 8), {"padding": "VALID"}),
    "first layer": ((3, 16, 16, 3), (3, 3, 3, 8), {"padding": "SAME"}),
    "imagenet stem": (
        (2, 32, 32, 3), (7, 7, 3, 8), {"window_strides": (2, 2), "padding": ((3, 3), (3, 3))},
    ),
    "tensorflow's uneven padding": (
        (2, 8, 7, 4), (3, 3, 4, 4), {"window_strides": (2, 2), "padding": "SAME"},
    ),
    "pointwise": ((3, 6, 6, 8), (1, 1, 8, 5), {"padding": "VALID"}),
    "strided pointwise": (
        (3, 7, 6, 8), (1, 1, 8, 5), {"window_strides": (2, 2), "padding": "SAME"},
    ),
    "depthwise": ((3, 9, 9, 16), (3, 3, 1, 16), {"padding": "SAME", "feature_group_count": 16}),
    "depthwise, multiplied and strided": (
        (3, 9, 9, 4), (5, 5, 1, 12),
        {"padding": "SAME", "feature_group_count": 4, "window_strides": (2, 2)},
    ),
    "nothing left": ((2, 6, 6, 2), (3, 3, 2, 2), {"padding": "VALID", "rhs_dilation": (3, 1)}),
    "grouped": ((3, 8, 8, 16), (3, 3, 4, 32), {"padding": "SAME", "feature_group_count": 4}),
}  # fmt: skip


@pytest.mark.parametrize("case", NETWORKS)
def test_the_layers_of_networks(case):
    images, kernel, options = NETWORKS[case]
    assert_as_native(*operands(images, kernel), **options)


@pytest.mark.parametrize("case", ["first layer", "pointwise", "depthwise"])
def test_in_bfloat16(case):
    """Both accumulate in float32 and differ by one rounding of the result."""
    images, kernel, options = NETWORKS[case]
    assert_as_native(*operands(images, kernel, "bfloat16"), tolerance=2**-7, **options)


@pytest.mark.parametrize("case", ["first layer", "several chunks and a remainder", "depthwise"])
def test_in_double_precision(case):
    images, kernel, options = NETWORKS[case]
    with jax.enable_x64(True):
        assert_as_native(*operands(images, kernel, "float64"), tolerance=1e-13, **options)


def test_the_preferred_type_is_honoured():
    images, kernel = operands((2, 6, 6, 4), (3, 3, 4, 4), "bfloat16")
    options = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": LAYOUT}
    ours, theirs = (
        convolve(images, kernel, **options, preferred_element_type=jnp.float32)
        for convolve in (conv_general_dilated, lax.conv_general_dilated)
    )
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_inside_a_loop_is_as_outside():
    """Three steps of gradient descent, once in `fori_loop` and once one by one."""
    images, kernel = operands((4, 8, 8, 3), (3, 3, 3, 4))

    def step(_, kernel):
        def loss(kernel):
            layer = conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)
            return jnp.square(layer).mean()

        return kernel - 0.1 * jax.grad(loss)(kernel)

    looped = jax.jit(lambda kernel: lax.fori_loop(0, 3, step, kernel))(kernel)
    for i in range(3):
        kernel = step(i, kernel)
    np.testing.assert_allclose(looped, kernel, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_gradients_can_be_differentiated_again():
    images, kernel = operands((2, 6, 6, 3), (3, 3, 3, 2))

    def penalty(convolve):
        def loss(images, kernel):
            value = convolve(images, kernel, (2, 2), "SAME", dimension_numbers=LAYOUT)
            return (value**3).sum()

        def squared_norm(kernel):
            return jnp.square(jax.grad(loss)(images, kernel)).sum()

        return jax.grad(squared_norm)(kernel)

    ours, native = penalty(conv_general_dilated), penalty(lax.conv_general_dilated)
    np.testing.assert_allclose(ours, native, rtol=1e-4, atol=1e-4 * np.abs(native).max())


def test_other_layouts_and_ranks_are_left_to_xla():
    images, kernel = operands((2, 3, 6, 6), (4, 3, 3, 3))
    ours = conv_general_dilated(images, kernel, (1, 1), "SAME")
    np.testing.assert_array_equal(ours, lax.conv_general_dilated(images, kernel, (1, 1), "SAME"))
    signal = jax.random.normal(jax.random.key(0), (2, 9, 3))
    layer = nn.Conv(4, (3,), conv_general_dilated=conv_general_dilated)
    variables = layer.init(jax.random.key(1), signal)
    np.testing.assert_array_equal(
        layer.apply(variables, signal), nn.Conv(4, (3,)).apply(variables, signal)
    )


def test_native_convolutions_reach_into_a_compiled_function():
    """The switch belongs to jit's key: the same function is compiled anew within it."""
    images, kernel = operands((2, 6, 6, 4), (1, 1, 4, 4))
    layer = jax.jit(
        lambda *args: conv_general_dilated(*args, (1, 1), "VALID", dimension_numbers=LAYOUT)
    )

    def convolves():
        return "stablehlo.convolution" in layer.lower(images, kernel).as_text()

    assert not convolves()
    with native_convolutions(True):
        assert convolves()
    assert not convolves()
