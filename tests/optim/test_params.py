"""Parameters by path: names, masks, groups with optimisers of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from imgcls_jax import optim
from imgcls_jax.errors import UserError
from imgcls_jax.optim.params import first_match, param_paths, partition, path_mask

PARAMS = {
    "Conv_0": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
    "BatchNorm_0": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
}


def test_param_paths():
    assert param_paths(PARAMS) == [
        "BatchNorm_0/bias",
        "BatchNorm_0/scale",
        "Conv_0/bias",
        "Conv_0/kernel",
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("all", [True, True, True, True]),
        ("kernels", [False, False, False, True]),
        ("bias$", [True, False, True, False]),
        ("^Conv_0/", [False, False, True, True]),
    ],
)
def test_path_mask(pattern, expected):
    assert jax.tree.leaves(path_mask(PARAMS, pattern)) == expected


def test_the_first_match_counts():
    chosen = first_match(PARAMS, {"Conv_0/b": 1, "bias": 2, "kernels": 3}, 4)
    assert jax.tree.leaves(chosen) == [2, 4, 1, 3]
    assert jax.tree.structure(chosen) == jax.tree.structure(PARAMS)


def test_each_group_follows_its_own_optimiser():
    fast = optim.create("sgd", learning_rate=0.5, momentum=0.9, weight_decay=0.2)
    slow = optim.create("adam", learning_rate=0.25)
    tx = partition({"^Conv_0/": fast, "all": slow})
    state, params = tx.init(PARAMS), PARAMS
    alone = {"Conv_0": fast, "BatchNorm_0": slow}
    states = {name: one.init(PARAMS[name]) for name, one in alone.items()}
    expected = PARAMS
    for step in range(3):
        gradients = jax.tree.map(lambda p, t=step: p * (0.1 + t), PARAMS)
        updates, state = tx.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        for name, one in alone.items():
            update, states[name] = one.update(gradients[name], states[name], expected[name])
            expected = expected | {name: optax.apply_updates(expected[name], update)}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), params, expected)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["Dense_7", "all"], "'Dense_7' matches none of: .*Conv_0/kernel"),
        (["all", "kernels"], "'kernels' matches only parameters that an earlier"),
        (["kernels", "scale"], "no optimiser is given for BatchNorm_0/bias, Conv_0/bias; add"),
        (["("], "not a regular expression"),
    ],
)
def test_bad_groups(patterns, message):
    tx = partition({pattern: optax.sgd(0.1) for pattern in patterns})
    with pytest.raises(UserError, match=message):
        tx.init(PARAMS)
