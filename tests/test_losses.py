"""Cross-entropy against hand-computed values, finite differences, PyTorch and Keras."""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.smoothing import SMOOTHINGS, inputs

from imgcls_jax.errors import UserError
from imgcls_jax.losses import binary_cross_entropy, cross_entropy, is_absurd

GOLDEN = Path(__file__).parent / "golden"


def test_value_and_gradient_by_hand():
    """softmax(ln 1, ln 2, ln 5) = (1, 2, 5) / 8."""
    logits = jnp.log(jnp.array([[1.0, 2.0, 5.0], [5.0, 1.0, 2.0]]))
    labels = jnp.array([1, 0])
    expected = [math.log(4), math.log(8 / 5)]
    np.testing.assert_allclose(cross_entropy(logits, labels), expected, rtol=1e-6)
    gradient = jax.grad(lambda x: cross_entropy(x, labels).sum())(logits)
    expected = [[1 / 8, 2 / 8 - 1, 5 / 8], [5 / 8 - 1, 1 / 8, 2 / 8]]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("labels", [[2, 0], [[0, 0, 1], [1, 0, 0]], [[0.0, 0, 1], [1.0, 0, 0]]])
def test_a_class_of_probability_0_that_is_no_target_contributes_nothing(labels):
    """PyTorch's 0.3133 and 1.3133 for integers: log(1 + e) less the target's logit."""
    logits, labels = jnp.array([[0.0, -jnp.inf, 1.0]] * 2), jnp.array(labels)
    expected = np.log1p(np.e) - np.array([1.0, 0.0])
    np.testing.assert_allclose(cross_entropy(logits, labels), expected, rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda x: cross_entropy(x, labels).sum()))(logits)
    p = 1 / (1 + np.e)
    np.testing.assert_allclose(gradient, [[p, 0, -p], [p - 1, 0, 1 - p]], rtol=1e-6)


def test_a_target_of_probability_0_is_an_infinite_loss():
    logits = jnp.array([[0.0, -jnp.inf, 1.0]])
    assert cross_entropy(logits, jnp.array([1]))[0] == np.inf
    assert cross_entropy(logits, jnp.array([2]), label_smoothing=0.1)[0] == np.inf


def test_a_logit_that_is_nan_gives_nan():
    assert np.isnan(cross_entropy(jnp.array([[0.0, jnp.nan, 1.0]]), jnp.array([2]))[0])


def test_smoothing_by_hand():
    """Targets (0.1, 0.1, 0.8 + 0.1) at e = 0.3 of three classes, 0.7 + 0.1 for the true one."""
    logits = jnp.log(jnp.array([[1.0, 2.0, 5.0]]))
    expected = 0.1 * math.log(8) + 0.1 * math.log(4) + 0.8 * math.log(8 / 5)
    actual = cross_entropy(logits, jnp.array([2]), label_smoothing=0.3)
    np.testing.assert_allclose(actual, [expected], rtol=1e-6)


@pytest.mark.parametrize("kind", ["integer", "soft"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradient_against_finite_differences(kind, smoothing):
    """In float64, where central differences with h = 1e-5 are good to about h^2 = 1e-10."""
    raw, integers, soft = inputs()
    labels = integers if kind == "integer" else soft
    h = 1e-5
    with jax.enable_x64(True):
        logits = jnp.asarray(raw.astype(np.float64) / 10)

        def total(x):
            return cross_entropy(x, jnp.asarray(labels), label_smoothing=smoothing).sum()

        gradient = np.asarray(jax.grad(total)(logits))
        for index in np.ndindex(logits.shape):
            difference = total(logits.at[index].add(h)) - total(logits.at[index].add(-h))
            assert gradient[index] == pytest.approx(float(difference) / (2 * h), abs=1e-8)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("kind", ["integer", "soft"])
def test_pytorch(kind, smoothing):
    logits, integers, soft = map(jnp.asarray, inputs())
    labels = integers if kind == "integer" else soft
    golden = np.load(GOLDEN / "torch_losses.npz")

    def total(x):
        losses = cross_entropy(x, labels, label_smoothing=smoothing)
        return losses.sum(), losses

    gradient, losses = jax.grad(total, has_aux=True)(logits)
    np.testing.assert_allclose(losses, golden[f"{kind}-{smoothing}-loss"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gradient, golden[f"{kind}-{smoothing}-grad"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_keras(smoothing):
    logits, integers, _ = map(jnp.asarray, inputs())
    expected = np.load(GOLDEN / "keras_losses.npz")[f"{smoothing}"]
    actual = cross_entropy(logits, integers, label_smoothing=smoothing)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_hot_equals_integer(dtype, smoothing):
    logits, integers, _ = map(jnp.asarray, inputs())
    one_hot = jnp.asarray(np.eye(5, dtype=dtype)[integers])
    np.testing.assert_array_equal(
        cross_entropy(logits, one_hot, label_smoothing=smoothing),
        cross_entropy(logits, integers, label_smoothing=smoothing),
    )


def test_half_precision_logits_give_float32_losses():
    losses = cross_entropy(jnp.array([[1.0, 0.0, 0.0]], jnp.bfloat16), jnp.array([1]))
    assert losses.dtype == jnp.float32
    np.testing.assert_allclose(losses, [math.log(math.e + 2)], rtol=1e-6)


def test_label_out_of_range_is_nan_not_silence():
    losses = jax.jit(cross_entropy)(jnp.zeros((4, 3)), jnp.array([0, 2, 3, -1]))
    np.testing.assert_array_equal(np.isnan(losses), [False, False, True, True])


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_bad_smoothing(smoothing):
    with pytest.raises(UserError, match="label_smoothing is"):
        cross_entropy(jnp.zeros((2, 3)), jnp.zeros(2, int), label_smoothing=smoothing)


@pytest.mark.parametrize("labels", [np.zeros(3, int), np.zeros((2, 4)), np.zeros(2)])
def test_labels_that_do_not_fit(labels):
    with pytest.raises(ValueError, match="do not fit logits"):
        cross_entropy(jnp.zeros((2, 3)), jnp.asarray(labels))


@pytest.mark.parametrize(
    ("loss", "absurd"),
    [(0.0, False), (math.log(10), False), (2e4, False), (2.4e4, True), (math.inf, True),
     (math.nan, True)],
)  # fmt: skip
def test_a_loss_of_ten_thousand_times_guessing_or_no_number_is_absurd(loss, absurd):
    """Guessing among ten classes costs log 10 = 2.3 nats."""
    assert is_absurd(loss, 10) == absurd


def test_an_infinite_logit_on_the_side_of_its_label_costs_nothing():
    """0 x -inf is no NaN there either; PyTorch's `binary_cross_entropy_with_logits` gives NaN."""
    logits, labels = jnp.array([[jnp.inf, -jnp.inf, 0.0]]), jnp.array([[1, 0, 1]])
    np.testing.assert_allclose(binary_cross_entropy(logits, labels), [math.log(2) / 3], rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda x: binary_cross_entropy(x, labels).sum()))(logits)
    np.testing.assert_allclose(gradient, [[0, 0, -1 / 6]], rtol=1e-6)
    assert binary_cross_entropy(logits, 1 - labels)[0] == np.inf
    assert np.isnan(binary_cross_entropy(jnp.array([[jnp.nan]]), jnp.array([[1]]))[0])
