"""What `optim.create` puts around a rule: clipping in front, factors on the rates behind."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from imgcls_jax import optim
from imgcls_jax.errors import UserError

PARAMS = {
    "Conv_0": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
    "BatchNorm_0": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
}


def random_tree(seed, size=1.0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: jnp.float32(size * rng.normal(size=p.shape)), PARAMS)


def walk(tx, *, steps=4, params=PARAMS):
    """The parameters after some steps on gradients that depend on nothing but the step."""
    state = tx.init(params)
    for step in range(steps):
        updates, state = tx.update(random_tree(step), state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("framework", optim.FRAMEWORKS)
def test_clipping_scales_all_gradients_together(framework, size):
    gradients = random_tree(0, size)
    tx = optim.create("sgd", framework=framework, learning_rate=0.5, clip_norm=0.25)
    updates, _ = tx.update(gradients, tx.init(PARAMS), PARAMS)
    norm = math.sqrt(sum(np.square(g, dtype=float).sum() for g in jax.tree.leaves(gradients)))
    factor = min(1.0, 0.25 / (norm + (1e-6 if framework == "torch" else 0)))
    for update, gradient in zip(jax.tree.leaves(updates), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(update, -0.5 * factor * gradient, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-7, 3e-6, 1.0])
def test_clipping_is_pytorchs(size):
    """The constant that PyTorch adds to the norm shows in tiny ones."""
    torch = pytest.importorskip("torch")
    gradients = random_tree(0, size)
    tensors = [torch.nn.Parameter(torch.zeros(np.shape(g))) for g in jax.tree.leaves(gradients)]
    for tensor, gradient in zip(tensors, jax.tree.leaves(gradients), strict=True):
        tensor.grad = torch.tensor(np.array(gradient))
    torch.nn.utils.clip_grad_norm_(tensors, 1e-6)
    clipped, _ = optim.clip_by_global_norm(1e-6, eps=1e-6).update(gradients, optax.EmptyState())
    for own, tensor in zip(jax.tree.leaves(clipped), tensors, strict=True):
        np.testing.assert_allclose(own, tensor.grad, rtol=1e-5)


def test_clipping_comes_before_coupled_decay():
    tx = optim.create("sgd", learning_rate=1.0, weight_decay=0.5, clip_norm=1e-9)
    updates, _ = tx.update(random_tree(0), tx.init(PARAMS), PARAMS)
    for update in jax.tree.leaves(updates):
        np.testing.assert_allclose(update, -0.5, rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop"])
@pytest.mark.parametrize("framework", optim.FRAMEWORKS)
def test_scaled_rates_are_other_learning_rates(framework, name):
    """Decoupled decay included: every group walks as if it had that rate alone."""

    def rate(factor):
        return lambda step: factor * 0.1 / (1 + step)

    options = dict(framework=framework, weight_decay=0.3)
    if name != "adamw":
        options["momentum"] = 0.9
    scaled = walk(
        optim.create(
            name, learning_rate=rate(1.0), lr_scales={"Conv_0/b": 4.0, "bias": 0.5}, **options
        )
    )
    for path, factor in (("BatchNorm_0/bias", 0.5), ("Conv_0/bias", 4.0), ("Conv_0/kernel", 1.0)):
        alone = walk(optim.create(name, learning_rate=rate(factor), **options))
        layer, leaf = path.split("/")
        np.testing.assert_allclose(scaled[layer][leaf], alone[layer][leaf], rtol=1e-5, atol=1e-6)


def test_factor_0_freezes():
    """No decay, no state, no part in the norm that is clipped, whatever the gradients are."""
    options = dict(learning_rate=0.1, weight_decay=0.3, clip_norm=0.5)
    tx = optim.create("adamw", lr_scales={"^Conv_0/": 0.0}, **options)
    gradients = random_tree(0) | {"Conv_0": jax.tree.map(lambda p: p * jnp.nan, PARAMS["Conv_0"])}
    updates, _ = tx.update(gradients, tx.init(PARAMS), PARAMS)
    for update in jax.tree.leaves(updates["Conv_0"]):
        np.testing.assert_array_equal(update, 0.0)
    rest = PARAMS["BatchNorm_0"]
    alone = optim.create("adamw", **options)
    expected, _ = alone.update(gradients["BatchNorm_0"], alone.init(rest), rest)
    jax.tree.map(np.testing.assert_array_equal, updates["BatchNorm_0"], expected)
    elements = sum(np.size(leaf) for leaf in jax.tree.leaves(tx.init(PARAMS)))
    assert elements == sum(np.size(leaf) for leaf in jax.tree.leaves(alone.init(rest)))


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({"Dense_7": 2.0}, "'Dense_7' matches none of: .*Conv_0/kernel"),
        ({"Dense_7": 0.0}, "'Dense_7' matches none of: .*Conv_0/kernel"),
        ({"bias": 2.0, "Conv_0/bias": 3.0}, "'Conv_0/bias' matches only parameters that an earl"),
    ],
)
def test_factor_for_nothing(scales, message):
    with pytest.raises(UserError, match=message):
        optim.create("adam", lr_scales=scales).init(PARAMS)
