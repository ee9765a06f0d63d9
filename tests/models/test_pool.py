"""Pooling by slices against Flax's window reductions: value and gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax.models.lowering.pool import avg_pool, max_pool

POOLS = {"max": (max_pool, nn.max_pool), "avg": (avg_pool, nn.avg_pool)}
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@pytest.mark.parametrize("kind", ["max", "avg"])
@settings(max_examples=6, deadline=None)
@given(
    pairs, st.none() | pairs,
    st.sampled_from(["SAME", "VALID", 1, ((1, 0), (0, 1))]),
    st.sampled_from(["float32", "bfloat16"]), st.integers(0, 1000),
)  # fmt: skip
def test_pooling_is_flax_pooling(kind, window, strides, padding, dtype, seed):
    """Entries are distinct, so that no gradient is shared."""
    ours, theirs = POOLS[kind]
    values = np.random.default_rng(seed).permutation(2 * 7 * 6 * 3).reshape(2, 7, 6, 3) - 100.0
    x = jnp.asarray(values, dtype)
    x = x if dtype == "float32" else x[:, :5, :5, :2]
    flax_padding = ((1, 1), (1, 1)) if padding == 1 else padding

    @jax.jit
    def value_and_gradient(x):
        value, vjp = jax.vjp(lambda x: ours(x, window, strides, padding), x)
        expected, their_vjp = jax.vjp(lambda x: theirs(x, window, strides, flax_padding), x)
        ones = jnp.ones_like(expected)
        return (value, *vjp(ones)), (expected, *their_vjp(ones))

    (value, gradient), (expected, their_gradient) = value_and_gradient(x)
    assert value.dtype == x.dtype
    tolerance = {"rtol": 1e-6} if dtype == "float32" else {"rtol": 0.02, "atol": 0.5}
    np.testing.assert_allclose(np.float32(value), np.float32(expected), **tolerance)
    if kind == "avg" or len(np.unique(np.float32(x))) == x.size:
        np.testing.assert_allclose(np.float32(gradient), np.float32(their_gradient), **tolerance)


@pytest.mark.parametrize("window", [2, 3])
def test_an_image_full_of_its_least_value_pools_to_it_at_the_border(window):
    """Padding is minus infinity, not zero."""
    x = jnp.full((1, 4, 4, 1), -5.0)
    assert (max_pool(x, window, 2, "SAME") == -5.0).all()


def test_pooling_shares_the_gradient_of_a_tie():
    gradient = jax.grad(lambda x: max_pool(x, 2, 2).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(gradient, np.full((1, 2, 2, 1), 0.25))
