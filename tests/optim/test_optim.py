"""Optimisers against PyTorch's and Keras' own trajectories; decay; bad values."""

import inspect
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden import trajectories

from imgcls_jax import optim
from imgcls_jax.errors import UserError
from imgcls_jax.optim.params import param_paths

GOLDEN = {
    framework: np.load(Path(__file__).parents[1] / "golden" / f"{framework}_optim.npz")
    for framework in optim.FRAMEWORKS
}
# Parameters are of order 1. In float64 the rules agree to rounding, so a misplaced epsilon, which
# moves some parameter by at least 1e-8, cannot hide. In float32, 25 steps round to a few 1e-7;
# Keras takes 1 - 0.999^t in float32, which has five digits, so its steps of 0.02 are off by 1e-6.
TOLERANCE = {
    ("torch", "float64"): 1e-13,
    ("keras", "float64"): 1e-13,
    ("torch", "float32"): 1e-6,
    ("keras", "float32"): 3e-6,
}


def own_trajectory(case: trajectories.Case, framework: str, dtype: str) -> np.ndarray:
    with jax.enable_x64(dtype == "float64"):
        problem = trajectories.problem()
        params = trajectories.unflatten(jnp.asarray(problem["start"].astype(dtype)))
        rates = jnp.asarray(case.rates()) if case.changing else None
        tx = optim.create(
            case.name,
            framework=framework,
            learning_rate=(lambda step: rates[step]) if case.changing else case.learning_rate,
            momentum=case.momentum,
            nesterov=case.nesterov,
            weight_decay=case.weight_decay,
        )
        state, rows = tx.init(params), []
        for step in range(trajectories.STEPS):
            gradients = {
                name: jnp.asarray(trajectories.gradient(name, w, step, problem))
                for name, w in params.items()
            }
            updates, state = tx.update(gradients, state, params)
            params = optax.apply_updates(params, updates)
            rows.append(np.concatenate([np.ravel(params[name]) for name in trajectories.SHAPES]))
        return np.stack(rows)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", trajectories.CASES, ids=lambda case: case.label)
@pytest.mark.parametrize("framework", optim.FRAMEWORKS)
def test_trajectory_is_the_frameworks(framework, case, dtype):
    expected = GOLDEN[framework][f"{case.label}/{dtype}"]
    actual = own_trajectory(case, framework, dtype)
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[framework, dtype])


def test_the_frameworks_trajectories_differ_by_more_than_the_tolerance():
    """Otherwise the test above could not tell one framework's rule from the other's."""
    for case in trajectories.CASES:
        if case.learning_rate is None or case.changing or case.name != "sgd":
            key = f"{case.label}/float64"
            assert np.abs(GOLDEN["torch"][key] - GOLDEN["keras"][key]).max() > 1e-8, case.label


@pytest.mark.parametrize("framework", optim.FRAMEWORKS)
def test_installed_framework_still_gives_the_golden_numbers(framework, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip(framework)
    if framework == "torch":
        from golden import make_torch as live
    else:
        from golden import make_keras as live
    for case in trajectories.CASES:
        np.testing.assert_allclose(
            live.trajectory(case, "float64"),
            GOLDEN[framework][f"{case.label}/float64"],
            rtol=0,
            atol=TOLERANCE[framework, "float64"],
            err_msg=case.label,
        )


@pytest.mark.parametrize("framework", optim.FRAMEWORKS)
def test_defaults_are_the_installed_frameworks(framework, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip(framework)
    if framework == "torch":
        from golden.make_torch import OPTIMIZERS

        theirs = {"learning_rate": "lr", "rho": "alpha"}
    else:
        from golden.make_keras import OPTIMIZERS

        theirs = {"eps": "epsilon", "b1": "beta_1", "b2": "beta_2"}
    for name, defaults in optim.DEFAULTS[framework].items():
        if name not in OPTIMIZERS:
            continue  # muon: see test_muon.py; airbench is no framework's
        parameters = inspect.signature(OPTIMIZERS[name]).parameters
        known = {option: p.default for option, p in parameters.items()}
        if "betas" in known:
            known["b1"], known["b2"] = known["betas"]
        for option, value in defaults.items():
            assert (known[theirs.get(option, option)] or 0) == value, (name, option)


def test_adam_agrees_with_optax_where_optax_has_the_rule():
    gradients = {"w": jnp.array([1e-9, -1e-4, 0.0, 3.0])}
    own = optim.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8, eps_is_hat=False)
    theirs = optax.scale_by_adam()
    own_state, state = own.init(gradients), theirs.init(gradients)
    for _ in range(5):
        updates, own_state = own.update(gradients, own_state)
        expected, state = theirs.update(gradients, state)
        # optax divides by a 1 - 0.999^t that float32 cancellation leaves with five digits.
        np.testing.assert_allclose(updates["w"], expected["w"], rtol=2e-5)


@pytest.mark.parametrize("name", optim.NAMES)
def test_state_can_be_donated(name):
    """No two leaves of a fresh state may share a buffer."""
    tx = optim.create(
        name,
        weight_decay=0.1,
        learning_rate=optax.constant_schedule(0.1),
        batch_size=8 if name == "airbench" else None,
        clip_norm=1.0,
        lr_scales={"bias": 0.5},
    )
    params = {
        name: {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)} for name in ("Dense_0", "head")
    }
    step = jax.jit(lambda state: tx.update(params, state, params), donate_argnums=0)
    updates, _ = step(tx.init(params))
    assert all(np.isfinite(update).all() for update in jax.tree.leaves(updates))


def test_adam_without_moving_averages_is_the_sign():
    tx = optim.create("adam", learning_rate=0.1, b1=0.0, b2=0.0, eps=0.0)
    gradients = jnp.array([2.0, -1e-3])
    updates, _ = tx.update(gradients, tx.init(gradients))
    np.testing.assert_allclose(updates, [-0.1, 0.1], rtol=1e-6)


PARAMS = {
    "Conv_0": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
    "BatchNorm_0": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
}


@pytest.mark.parametrize(
    ("decay_mask", "decaying"),
    [
        ("all", {"BatchNorm_0/bias", "BatchNorm_0/scale", "Conv_0/bias", "Conv_0/kernel"}),
        ("kernels", {"Conv_0/kernel"}),
        ("^Conv_0/", {"Conv_0/bias", "Conv_0/kernel"}),
    ],
)
@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("framework", optim.FRAMEWORKS)
def test_only_masked_parameters_decay(framework, name, decay_mask, decaying):
    tx = optim.create(
        name, framework=framework, learning_rate=0.5, weight_decay=0.2, decay_mask=decay_mask
    )
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)
    updates, _ = tx.update(zeros, tx.init(PARAMS), PARAMS)
    for path, update in zip(param_paths(updates), jax.tree.leaves(updates), strict=True):
        np.testing.assert_allclose(update, -0.1 if path in decaying else 0.0, err_msg=path)


@pytest.mark.parametrize("decay_mask", ["Dense_7", "kernel_"])
def test_mask_that_matches_nothing(decay_mask):
    tx = optim.create("adamw", decay_mask=decay_mask)
    with pytest.raises(UserError, match=rf"{decay_mask}.*matches none of.*Conv_0/kernel"):
        tx.init(PARAMS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adan", {}, "unknown optimiser 'adan'.*sgd, adam, adamw, rmsprop, muon"),
        ("adam", {"framework": "jax"}, "unknown framework 'jax'.*torch, keras"),
        ("adam", {"nesterov": True}, "takes no option nesterov"),
        ("adam", {"momentum": 0.9}, "takes no option momentum"),
        ("rmsprop", {"momentum": 0.9, "nesterov": True}, "takes no option nesterov"),
        ("sgd", {"eps": 1e-8, "b1": 0.9}, "takes no option b1, eps"),
        ("sgd", {"nesterov": True}, "momentum of 0"),
        ("sgd", {"learning_rate": 0.0}, "learning_rate is 0.0"),
        ("sgd", {"learning_rate": -1.0}, "learning_rate is -1.0"),
        ("sgd", {"learning_rate": math.nan}, "learning_rate is nan"),
        ("sgd", {"learning_rate": math.inf}, "learning_rate is inf"),
        ("sgd", {"momentum": 1.0}, "momentum is 1.0"),
        ("sgd", {"weight_decay": -0.1}, "weight_decay is -0.1"),
        ("adam", {"b2": 1.0}, "b2 is 1.0"),
        ("adam", {"eps": math.nan}, "eps is nan"),
        ("rmsprop", {"rho": -0.1}, "rho is -0.1"),
        ("adamw", {"decay_mask": "("}, "not a regular expression"),
        ("adam", {"clip_norm": 0.0}, "clip_norm is 0.0"),
        ("adam", {"clip_norm": math.nan}, "clip_norm is nan"),
        ("adam", {"lr_scales": {"bias": -1.0}}, "factor of 'bias' is -1.0"),
        ("adam", {"lr_scales": {"bias": math.inf}}, "factor of 'bias' is inf"),
        ("adam", {"lr_scales": {"[": 1.0}}, r"'\[' is not a regular expression"),
        ("adam", {"matrices": "kernels"}, "takes no option matrices"),
    ],
)
def test_bad_optimiser(name, options, message):
    with pytest.raises(UserError, match=message):
        optim.create(name, **options)
