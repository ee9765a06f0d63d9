"""The speed network: sizes, initialisation as identity, types, what it refuses."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import initializers

from imgcls_jax.errors import UserError
from imgcls_jax.models import count_parameters
from imgcls_jax.models.speednet import Speednet, dirac


def start(model, shape):
    """Variables of the model's shapes and types, drawn from a NumPy seed; variances positive."""
    rng = np.random.default_rng(0)
    abstract = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))

    def draw(leaf):
        values = (
            rng.uniform(0.2, 1.0, leaf.shape) if leaf.ndim == 1 else rng.normal(size=leaf.shape)
        )
        return values.astype(leaf.dtype)

    return jax.tree.map(draw, abstract)


def shapes_count(model, shape=(1, 31, 31, 24)):
    abstract = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
    return count_parameters(abstract["params"])


def expected_parameters(widths, depth, channels=24, classes=10):
    total, before = channels, channels
    for features in widths:
        total += 9 * before * features + (depth - 1) * 9 * features**2 + depth * features
        before = features
    return total + before * classes


@pytest.mark.parametrize(
    ("options", "widths", "depth", "count"),
    [
        ({}, (64, 256, 256), 2, 1_971_352),
        ({"widths": (128, 512, 512), "depth": 3}, (128, 512, 512), 3, 12_717_464),
        ({"widths": (16, 64, 64)}, (16, 64, 64), 2, 126_520),
        ({"widths": (32, 64)}, (32, 64), 2, 72_280),
    ],
)
def test_parameter_counts(options, widths, depth, count):
    assert shapes_count(Speednet(num_classes=10, **options)) == count
    assert expected_parameters(widths, depth) == count


def test_dirac_hands_on_its_inputs():
    draw = jax.jit(dirac(initializers.normal()), static_argnums=1)
    kernel = draw(jax.random.key(0), (3, 3, 4, 7))
    x = jax.random.normal(jax.random.key(1), (2, 5, 5, 4))
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(y[..., :4], x, atol=1e-5)
    assert float(jnp.abs(kernel[..., 4:]).min()) > 0
    narrow = draw(jax.random.key(0), (3, 3, 4, 3))
    assert float(narrow.sum()) == 3


@partial(jax.jit, static_argnames="depth")
def reference(params, x, *, depth):
    """The forward pass of training written out, a group of norms without scale."""

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def normalise(x, bias):
        centred = x - x.mean((0, 1, 2))
        return centred / jnp.sqrt(jnp.square(centred).mean((0, 1, 2)) + 1e-5) + bias

    def pool(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    x = jax.nn.gelu(x + params["whitened_bias"])
    number = 0
    for _ in range(2):
        for layer in range(1, depth + 1):
            kernel, bias = (params[f"{kind}_{number}"] for kind in ("Conv", "BatchNorm"))
            number += 1
            x = convolve(x, kernel["kernel"])
            x = normalise(pool(x) if layer == 1 else x, bias["bias"])
            if layer == 3:
                x = x + shortcut  # noqa: F821
            x = jax.nn.gelu(x)
            if layer == 1:
                shortcut = x  # noqa: F841
    return x.max((1, 2)) @ params["head"]["kernel"] / 9


@pytest.mark.parametrize("depth", [2, 3])
def test_forward_equals_the_layers_written_out(depth):
    model = Speednet(num_classes=3, widths=(6, 8), depth=depth)
    x = jax.random.normal(jax.random.key(2), (4, 9, 9, 5))
    variables = start(model, x.shape)
    train = jax.jit(partial(model.apply, train=True, mutable=["batch_stats"]))
    logits, updated = train(variables, x)
    np.testing.assert_allclose(logits, reference(variables["params"], x, depth=depth), atol=1e-4)
    assert len(updated["batch_stats"]) == 2 * depth
    first = updated["batch_stats"]["BatchNorm_0"]["mean"]
    assert float(jnp.abs(first).max()) > 0


def test_bfloat16_computes_the_same_to_its_precision():
    x = jax.random.normal(jax.random.key(3), (8, 9, 9, 5))
    full, half = (Speednet(3, widths=(6, 8), dtype=t) for t in (jnp.float32, jnp.bfloat16))
    variables = start(full, x.shape)
    assert all(
        leaf.dtype == jnp.float32
        for leaf in jax.tree.leaves(jax.eval_shape(half.init, jax.random.key(0), x))
    )
    expected, logits = jax.jit(full.apply)(variables, x), jax.jit(half.apply)(variables, x)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, expected, atol=0.05 * float(jnp.abs(expected).max()))


def test_small_images_are_refused():
    with pytest.raises(UserError, match="7x9 are too small"):
        shapes_count(Speednet(num_classes=10), (1, 7, 9, 24))
