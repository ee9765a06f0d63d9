"""Optimisers against PyTorch's and Keras' own trajectories; schedules; masks; bad values."""

import inspect
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden import trajectories

from imgcls_jax import optim, schedules
from imgcls_jax.errors import UserError

GOLDEN = {
    framework: np.load(Path(__file__).parent / "golden" / f"{framework}_optim.npz")
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
    tx = optim.create(name, weight_decay=0.1, learning_rate=optax.constant_schedule(0.1))
    params = {"w": jnp.ones(3)}
    step = jax.jit(lambda state: tx.update(params, state, params), donate_argnums=0)
    updates, _ = step(tx.init(params))
    assert np.isfinite(updates["w"]).all()


def test_adam_without_moving_averages_is_the_sign():
    tx = optim.create("adam", learning_rate=0.1, b1=0.0, b2=0.0, eps=0.0)
    gradients = jnp.array([2.0, -1e-3])
    updates, _ = tx.update(gradients, tx.init(gradients))
    np.testing.assert_allclose(updates, [-0.1, 0.1], rtol=1e-6)


PARAMS = {
    "Conv_0": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
    "BatchNorm_0": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
}


def test_param_paths():
    assert optim.param_paths(PARAMS) == [
        "BatchNorm_0/bias",
        "BatchNorm_0/scale",
        "Conv_0/bias",
        "Conv_0/kernel",
    ]


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
    for path, update in zip(optim.param_paths(updates), jax.tree.leaves(updates), strict=True):
        np.testing.assert_allclose(update, -0.1 if path in decaying else 0.0, err_msg=path)


@pytest.mark.parametrize("decay_mask", ["Dense_7", "kernel_"])
def test_mask_that_matches_nothing(decay_mask):
    tx = optim.create("adamw", decay_mask=decay_mask)
    with pytest.raises(UserError, match=rf"{decay_mask}.*matches none of.*Conv_0/kernel"):
        tx.init(PARAMS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adan", {}, "unknown optimiser 'adan'.*sgd, adam, adamw, rmsprop"),
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
    ],
)
def test_bad_optimiser(name, options, message):
    with pytest.raises(UserError, match=message):
        optim.create(name, **options)


def values(schedule: optax.Schedule, count: int) -> np.ndarray:
    """The rate at steps 0 .. count - 1, as a jitted training step computes it."""
    return np.asarray(jax.jit(jax.vmap(schedule))(jnp.arange(count)))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("constant", {}, [2.0] * 8),
        ("cosine", {}, [1 + math.cos(math.pi * k / 6) for k in range(7)] + [0.0]),
        ("cosine", {"final_fraction": 0.5}, [2.0, *[None] * 2, 1.5, *[None] * 2, 1.0, 1.0]),
        ("step", {"every": 3, "gamma": 0.5}, [2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.5, 0.5]),
        ("step", {"every": 4}, [2.0] * 4 + [0.2] * 4),
        ("constant", {"warmup_steps": 3}, [0.5, 1.0, 1.5, *[2.0] * 5]),
        ("cosine", {"warmup_steps": 4}, [0.4, 0.8, 1.2, 1.6, 2.0, 1.0, 0.0, 0.0]),
        ("step", {"every": 3, "warmup_steps": 1}, [1.0, 2.0, 2.0, 0.2, 0.2, 0.2, 0.02, 0.02]),
    ],
)
def test_schedule_by_hand(name, options, expected):
    actual = values(schedules.schedule(name, base_lr=2.0, total_steps=6, **options), 8)
    expected = [a if e is None else e for a, e in zip(actual, expected, strict=True)]
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_step_schedule_drops_at_every_multiple():
    """In float32 step / 41 as XLA computes it is below 1 at step 41; optax's staircase is late."""
    for every in (41, 47, 55, 938):
        rates = values(
            schedules.schedule("step", base_lr=1.0, total_steps=1, every=every, gamma=0.5),
            10 * every,
        )
        np.testing.assert_allclose(rates, 0.5 ** (np.arange(10 * every) // every), rtol=1e-6)


def test_no_training_leaves_any_schedule_valid():
    for name in ("constant", "cosine"):
        schedule = schedules.schedule(name, base_lr=1.0, total_steps=0, warmup_steps=5)
        assert 0 <= float(schedule(0)) <= 1


def test_schedule_feeds_the_optimiser_from_step_0():
    schedule = schedules.schedule("step", base_lr=1.0, total_steps=4, every=2, gamma=0.25)
    tx = optim.create("sgd", learning_rate=schedule)
    state, taken = tx.init(jnp.zeros(())), []
    for _ in range(4):
        update, state = tx.update(jnp.ones(()), state, jnp.zeros(()))
        taken.append(-float(update))
    assert taken == [1.0, 1.0, 0.25, 0.25]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("linear", {}, "unknown schedule 'linear'.*constant, cosine, step"),
        ("cosine", {"every": 3}, "takes no option every"),
        ("constant", {"gamma": 0.1}, "takes no option gamma"),
        ("step", {}, "needs every"),
        ("step", {"every": 0}, "every is 0"),
        ("step", {"every": 3, "gamma": 0.0}, "gamma is 0.0"),
        ("step", {"every": 3, "gamma": math.nan}, "gamma is nan"),
        ("cosine", {"final_fraction": 1.5}, "final_fraction is 1.5"),
        ("constant", {"base_lr": 0.0}, "base_lr is 0.0"),
        ("constant", {"base_lr": math.nan}, "base_lr is nan"),
        ("constant", {"base_lr": math.inf}, "base_lr is inf"),
        ("constant", {"total_steps": -1}, "total_steps is -1"),
        ("constant", {"warmup_steps": -1}, "warmup_steps is -1"),
        ("constant", {"warmup_steps": 10}, "warmup_steps is 10.*less than the 10 steps"),
    ],
)
def test_bad_schedule(name, options, message):
    with pytest.raises(UserError, match=message):
        schedules.schedule(name, **{"base_lr": 0.1, "total_steps": 10} | options)
