"""The loss and the sums of examples with several labels, against scikit-learn and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import accuracy_score, log_loss

from imgcls_jax import metrics
from imgcls_jax.errors import UserError
from imgcls_jax.losses import binary_cross_entropy


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (20, 3)).astype(np.int32)
    return labels, rng.normal(0, 3, (20, 3)).astype(np.float32)


def test_the_loss_is_the_mean_over_labels_of_the_binary_one(examples):
    labels, logits = examples
    found = binary_cross_entropy(jnp.array(logits), jnp.array(labels))
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    each = [log_loss(labels[:, k], probabilities[:, k], labels=[0, 1]) for k in range(3)]
    np.testing.assert_allclose(found.mean(), np.mean(each), rtol=1e-6)
    expected = optax.sigmoid_binary_cross_entropy(logits, labels).mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # Gradient by hand: (p - t) / K.
    gradient = jax.grad(lambda x: binary_cross_entropy(x, jnp.array(labels)).sum())(logits)
    np.testing.assert_allclose(gradient, (probabilities - labels) / 3, atol=1e-6)


def test_smoothing_is_that_of_keras_binary_loss():
    """Keras: targets (1 - e) t + e / 2; here e = 0.2 and p = 3/4: t = 0.9 and 0.1."""
    logits, labels = jnp.log(jnp.array([[3.0, 3.0]])), jnp.array([[1, 0]])
    high, low = -np.log(0.75), -np.log(0.25)
    expected = (0.9 * high + 0.1 * low + 0.1 * high + 0.9 * low) / 2
    found = binary_cross_entropy(logits, labels, label_smoothing=0.2)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    with pytest.raises(UserError, match=r"label_smoothing is 1; it must be in \[0, 1\)"):
        binary_cross_entropy(logits, labels, label_smoothing=1)
    with pytest.raises(ValueError, match="do not fit logits"):
        binary_cross_entropy(logits, labels[:, 0])


def test_large_logits_have_finite_losses_and_gradients():
    logits, labels = jnp.array([[1e4, -1e4, 1e4]]), jnp.array([[0, 1, 1]])
    loss, gradient = jax.value_and_grad(lambda x: binary_cross_entropy(x, labels)[0])(logits)
    np.testing.assert_allclose(loss, 2e4 / 3)
    np.testing.assert_allclose(gradient, [[1 / 3, -1 / 3, 0]], atol=1e-6)


def test_an_example_is_correct_if_all_its_labels_are(examples):
    labels, logits = examples
    logits[:12] = np.abs(logits[:12]) * np.where(labels[:12], 1, -1)
    losses, mask = np.ones(20, np.float32), np.arange(20) < 16
    logits[3, 1] = np.nan
    sums = metrics.label_metrics(losses, jnp.array(logits), jnp.array(labels), jnp.array(mask))
    said = np.where(np.isnan(logits), 1 - labels, logits > 0)
    expected = accuracy_score(labels[:16], said[:16], normalize=False)
    assert {k: float(v) for k, v in sums.items()} == {"loss": 16, "correct": expected, "count": 16}
    assert expected >= 11
    soft = metrics.label_metrics(losses, jnp.array(logits), jnp.array(0.8 * labels + 0.1))
    assert int(soft["correct"]) == accuracy_score(labels, said, normalize=False)
