"""Exact parameter counts, shapes, and convolutions against XLA's own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax import models
from imgcls_jax.errors import UserError
from imgcls_jax.models import conv

# model, options -> parameters for 28x28x1 images and 10 classes, by hand
PARAMETERS = [
    ("linear", {}, 784 * 10 + 10),
    ("mlp", {"hidden": (128,)}, 101_770),
    ("mlp", {"hidden": (256, 128)}, 235_146),
    # 3x3 convolutions without bias, each with a norm's scale and bias; 3x3x128 inputs at the end
    (
        "cnn",
        {},
        9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
        + 2 * 2 * (32 + 64 + 128) + (9 * 128 * 10 + 10),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "expected"), PARAMETERS)
def test_parameter_counts_are_exact(name, options, expected):
    model = models.create(name, num_classes=10, **options)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    assert models.count_parameters(variables["params"]) == expected


def test_the_documented_counts():
    assert [count for _, _, count in PARAMETERS[:3]] == [7_850, 101_770, 235_146]


def test_no_model_is_missing_from_the_counts():
    assert {name for name, _, _ in PARAMETERS} == set(models.NAMES)


@pytest.mark.parametrize("name", models.NAMES)
def test_apply_is_pure_and_maps_images_to_logits(name):
    model = models.create(name, num_classes=7)
    images = jax.random.normal(jax.random.key(1), (3, 12, 10, 2))
    variables = model.init(jax.random.key(0), images)
    logits = model.apply(variables, images)
    assert logits.shape == (3, 7)
    assert logits.dtype == jnp.float32
    np.testing.assert_array_equal(logits, model.apply(variables, images))


def test_mlp_is_the_hand_written_one():
    model = models.create("mlp", num_classes=2, hidden=(3,))
    x = np.array([[1.0, -2.0, 0.5, 4.0]], np.float32)
    variables = model.init(jax.random.key(0), x)
    first, second = variables["params"]["Dense_0"], variables["params"]["Dense_1"]
    hidden = np.maximum(x @ first["kernel"] + first["bias"], 0)
    expected = hidden @ second["kernel"] + second["bias"]
    np.testing.assert_allclose(model.apply(variables, x.reshape(1, 2, 2, 1)), expected, atol=1e-6)


def test_cnn_drops_units_and_updates_statistics_in_training_only():
    model = models.create("cnn", num_classes=10)
    images = jax.random.uniform(jax.random.key(1), (8, 16, 16, 1))
    variables = model.init(jax.random.key(0), images)

    def training(key):
        return model.apply(
            variables, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )

    one, updated = training(jax.random.key(1))
    other, _ = training(jax.random.key(2))
    assert not np.allclose(one, other)
    before = jax.tree.leaves(variables["batch_stats"])
    after = jax.tree.leaves(updated["batch_stats"])
    assert all(not np.allclose(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: models.create("vgg", num_classes=10), "unknown model 'vgg'"),
        (lambda: models.create("mlp", num_classes=10, width=3), "takes no option width"),
        (lambda: models.create("linear", num_classes=10, hidden=(3,)), "takes no option hidden"),
    ],
)
def test_unknown_names_and_options_are_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


sizes = st.integers(1, 9)


@settings(max_examples=10, deadline=None)
@given(
    sizes, sizes, st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3),
    st.sampled_from(["SAME", "VALID", ((1, 0), (2, 1))]), st.integers(0, 1000),
)  # fmt: skip
def test_convolution_as_matmul_is_the_native_one(h, w, i, o, kh, kw, padding, seed):
    """Value and both gradients, for every size and padding."""
    if padding == "VALID" and (h < kh or w < kw):
        return
    keys = jax.random.split(jax.random.key(seed), 2)
    x, kernel = jax.random.normal(keys[0], (2, h, w, i)), jax.random.normal(keys[1], (kh, kw, i, o))

    def native(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    expected, native_vjp = jax.vjp(native, x, kernel)
    value, vjp = jax.vjp(lambda x, kernel: conv.conv_as_matmul(x, kernel, padding), x, kernel)
    np.testing.assert_allclose(value, expected, atol=1e-5)
    for ours, theirs in zip(vjp(expected), native_vjp(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_a_layer_computes_the_same_with_either_lowering(strides, padding):
    """Strided, dilated and grouped layers fall back to the native form."""
    x = jax.random.normal(jax.random.key(0), (2, 9, 8, 4))
    options = {"features": 6, "kernel_size": (3, 3), "strides": strides, "padding": padding}
    native = nn.Conv(**options)
    variables = native.init(jax.random.key(1), x)
    ours = nn.Conv(**options, conv_general_dilated=conv.conv_general_dilated)
    np.testing.assert_allclose(ours.apply(variables, x), native.apply(variables, x), atol=1e-5)
    grouped = nn.Conv(**options, feature_group_count=2)
    variables = grouped.init(jax.random.key(1), x)
    ours = nn.Conv(**options, feature_group_count=2, conv_general_dilated=conv.conv_general_dilated)
    np.testing.assert_allclose(ours.apply(variables, x), grouped.apply(variables, x), atol=1e-5)
