"""The speed record's optimiser against NumPy, and what it needs of a network."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from imgcls_jax import optim
from imgcls_jax.errors import UserError
from imgcls_jax.optim import airbench


def test_optimiser_gives_every_group_its_rule():
    """Three steps against NumPy: SGD with coupled decay for head and biases, Muon for kernels."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    params = {
        "whitened_bias": draw(6),
        "Conv_0": {"kernel": draw(3, 3, 6, 5)},
        "BatchNorm_0": {"bias": draw(5)},
        "head": {"kernel": draw(5, 4)},
    }
    batch, total, decay = 50, 10, 1e-3
    tx = optim.create(
        "airbench",
        learning_rate=optax.linear_schedule(airbench.RATE / 2, 0.0, total),
        momentum=0.6,
        weight_decay=decay,
        batch_size=batch,
    )
    state, update = tx.init(params), jax.jit(tx.update)
    expected = {
        "whitened_bias": [params["whitened_bias"], 0.053],
        "bias": [params["BatchNorm_0"]["bias"], 0.053],
        "head": [params["head"]["kernel"], 0.67 * 81 / 256**2],
    }
    traces = dict.fromkeys(expected, 0.0)
    for step in range(3):
        gradients = jax.tree.map(lambda p: draw(*p.shape), params)
        seen = {
            "whitened_bias": gradients["whitened_bias"],
            "bias": gradients["BatchNorm_0"]["bias"],
            "head": gradients["head"]["kernel"],
        }
        for name, (value, rate) in expected.items():
            pull = seen[name] + decay / rate * value
            traces[name] = 0.85 * traces[name] + pull
            rate_now = rate / 2 * batch * (1 - step / total)
            expected[name][0] = value - rate_now * (pull + 0.85 * traces[name])
        before = params["Conv_0"]["kernel"]
        updates, state = update(gradients, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        normalised = before * np.sqrt(5) / np.linalg.norm(before)
        move = (params["Conv_0"]["kernel"] - normalised).reshape(-1, 5)
        singular = np.linalg.svd(move, compute_uv=False) / (0.12 * (1 - step / total))
        assert singular.min() > 0.3
        assert singular.max() < 1.3
    found = {
        "whitened_bias": params["whitened_bias"],
        "bias": params["BatchNorm_0"]["bias"],
        "head": params["head"]["kernel"],
    }
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name][0], rtol=2e-3, atol=2e-4)


def test_a_network_without_its_groups_is_refused():
    tx = optim.create("airbench", batch_size=50)
    with pytest.raises(UserError, match="head"):
        tx.init({"Dense_0": {"kernel": jnp.zeros((3, 2)), "bias": jnp.zeros(2)}})


def test_the_batch_size_is_asked_for():
    with pytest.raises(UserError, match="needs batch_size"):
        optim.create("airbench")
