"""Batch norm by both frameworks' conventions, stochastic depth, and the size check."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.models.layers import BatchNorm, require_size, stochastic_depth

# Whether the running variance is unbiased, the weight of the old statistics, epsilon.
CONVENTIONS = {"torch": (True, 0.9, 1e-5), "keras": (False, 0.99, 1e-3)}
SCALE, BIAS = np.float32([0.5, 1.0, -2.0]), np.float32([0.0, 3.0, 0.1])


def batches() -> np.ndarray:
    """Three batches (3, 2, 2, 3, 3), so small that the factor n / (n - 1) shows."""
    x = np.random.default_rng(0).normal(size=(3, 2, 2, 3, 3))
    return (x * [0.1, 1, 5] + [1, 0, -2]).astype(np.float32)


def ours(convention: str) -> dict[str, np.ndarray]:
    """Outputs for each batch in training, the statistics after them, and the output after that."""
    unbiased, momentum, epsilon = CONVENTIONS[convention]
    norm = BatchNorm(momentum=momentum, epsilon=epsilon, unbiased=unbiased)
    stats = norm.init(jax.random.key(0), batches()[0], train=True)["batch_stats"]
    params, outputs = {"scale": SCALE, "bias": BIAS}, []
    for x in batches():
        y, updated = norm.apply(
            {"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"]
        )
        stats = updated["batch_stats"]
        outputs.append(y)
    evaluated = norm.apply({"params": params, "batch_stats": stats}, batches()[0], train=False)
    return {"outputs": np.stack(outputs), **stats, "evaluated": evaluated}


def assert_same(ours: dict, theirs: dict):
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_batch_norm_is_the_formula(convention):
    unbiased, momentum, epsilon = CONVENTIONS[convention]
    mean, var, outputs = np.zeros(3), np.ones(3), []
    for x in batches().astype(np.float64):
        values = x.reshape(-1, 3)
        batch_mean, batch_var = values.mean(0), values.var(0)
        outputs.append((x - batch_mean) / np.sqrt(batch_var + epsilon) * SCALE + BIAS)
        mean = momentum * mean + (1 - momentum) * batch_mean
        var = momentum * var + (1 - momentum) * values.var(0, ddof=int(unbiased))
    evaluated = (batches()[0] - mean) / np.sqrt(var + epsilon) * SCALE + BIAS
    expected = {"outputs": np.stack(outputs), "mean": mean, "var": var, "evaluated": evaluated}
    assert_same(ours(convention), expected)


def test_batch_norm_is_the_installed_pytorchs():
    torch = pytest.importorskip("torch")
    norm = torch.nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(SCALE))
        norm.bias.copy_(torch.tensor(BIAS))
        x = torch.tensor(batches()).movedim(-1, 2)
        outputs = torch.stack([norm(batch) for batch in x]).movedim(2, -1).numpy()
        evaluated = norm.eval()(x[0]).movedim(1, -1).numpy()
    mean, var = norm.running_mean.numpy(), norm.running_var.numpy()
    expected = {"outputs": outputs, "mean": mean, "var": var, "evaluated": evaluated}
    assert_same(ours("torch"), expected)


def test_batch_norm_is_the_installed_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    norm = keras.layers.BatchNormalization()
    norm.build((None, 2, 3, 3))
    norm.gamma.assign(SCALE)
    norm.beta.assign(BIAS)
    outputs = np.stack([np.asarray(norm(x, training=True)) for x in batches()])
    expected = {
        "outputs": outputs,
        "mean": np.asarray(norm.moving_mean),
        "var": np.asarray(norm.moving_variance),
        "evaluated": np.asarray(norm(batches()[0], training=False)),
    }
    assert_same(ours("keras"), expected)


def test_batch_norm_in_half_precision_computes_in_float32():
    """Values of which bfloat16 could not tell the mean from the mean square's root."""
    x = jnp.asarray(64 + np.random.default_rng(1).integers(0, 4, (4, 5, 5, 2)), jnp.bfloat16)
    norm = BatchNorm(dtype=jnp.bfloat16)
    variables = norm.init(jax.random.key(0), x, train=True)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    y, updated = norm.apply(variables, x, train=True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    exact = np.asarray(x, np.float64)
    mean, std = exact.mean((0, 1, 2)), exact.std((0, 1, 2))
    np.testing.assert_allclose(np.asarray(y, np.float64), (exact - mean) / std, atol=0.01)
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 0.1 * mean, rtol=1e-6)


class Dropped(nn.Module):
    rate: float
    train: bool = True

    @nn.compact
    def __call__(self, branch):
        return stochastic_depth(branch, self.rate, train=self.train)


@pytest.mark.parametrize("options", [{"rate": 0.0}, {"rate": 0.7, "train": False}])
def test_stochastic_depth_is_nothing_at_zero_and_in_evaluation(options):
    branch = np.random.default_rng(0).normal(size=(4, 3, 3, 2))
    np.testing.assert_array_equal(Dropped(**options).apply({}, branch), branch)


def test_stochastic_depth_drops_whole_images_and_keeps_the_expectation():
    branch = np.random.default_rng(0).normal(size=(2000, 2, 2, 3)).astype(np.float32)
    draws = [Dropped(0.3).apply({}, branch, rngs={"dropout": jax.random.key(n)}) for n in (1, 2)]
    kept, others = (np.asarray(draw).any(axis=(1, 2, 3)) for draw in draws)
    np.testing.assert_allclose(draws[0][kept], branch[kept] / 0.7, rtol=1e-6)
    assert abs(kept.mean() - 0.7) < 5 * np.sqrt(0.3 * 0.7 / 2000)
    assert (kept != others).any()


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_stochastic_depth_refuses_what_is_no_rate(rate):
    with pytest.raises(UserError, match=rf"stochastic depth {rate:g} is not a probability below 1"):
        stochastic_depth(jnp.ones((1, 1, 1, 1)), rate, train=False)


def test_images_too_small():
    require_size(jnp.ones((1, 5, 9, 3)), 5, "a network")
    with pytest.raises(UserError, match=r"images of 9x4 are too small for a network; .*least 5x5"):
        require_size(jnp.ones((1, 9, 4, 3)), 5, "a network")
