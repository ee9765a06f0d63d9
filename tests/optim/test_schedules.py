"""Schedules by hand and against PyTorch's; bad values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from imgcls_jax import optim
from imgcls_jax.errors import UserError
from imgcls_jax.optim import schedules

# torch.optim.lr_scheduler.OneCycleLR(SGD(lr=0.5), max_lr=0.5, total_steps=10) of PyTorch 2.13:
# get_last_lr() before each of the ten steps.
ONE_CYCLE = [
    0.02,
    0.26,
    0.5,
    0.4752422493460607,
    0.4058725274074684,
    0.305630533110348,
    0.1943714668896522,
    0.09412947259253161,
    0.024759750653939195,
    2e-06,
]


def values(schedule: optax.Schedule, count: int) -> np.ndarray:
    """The rate at steps 0 .. count - 1, as a jitted training step computes it."""
    return np.asarray(jax.jit(jax.vmap(schedule))(jnp.arange(count)))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("constant", {}, [2.0] * 8),
        ("cosine", {}, [1 + math.cos(math.pi * k / 6) for k in range(7)] + [0.0]),
        ("cosine", {"final_fraction": 0.5}, [2.0, *[None] * 2, 1.5, *[None] * 2, 1.0, 1.0]),
        ("linear", {}, [2.0, 5 / 3, 4 / 3, 1.0, 2 / 3, 1 / 3, 0.0, 0.0]),
        ("linear", {"final_fraction": 0.25}, [2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.5]),
        ("linear", {"warmup_steps": 2}, [2 / 3, 4 / 3, 2.0, 1.5, 1.0, 0.5, 0.0, 0.0]),
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
    for name in ("constant", "cosine", "linear"):
        schedule = schedules.schedule(name, base_lr=1.0, total_steps=0, warmup_steps=5)
        assert 0 <= float(schedule(0)) <= 1
    assert 0 <= float(schedules.schedule("one_cycle", base_lr=1.0, total_steps=0)(0)) <= 1


def test_one_cycle_is_pytorchs():
    rates = values(schedules.schedule("one_cycle", base_lr=0.5, total_steps=10), 12)
    np.testing.assert_allclose(rates[:10], ONE_CYCLE, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(rates[10:], ONE_CYCLE[-1], rtol=1e-5)


@pytest.mark.parametrize("total", [1, 2, 3, 4, 7, 10, 391])
def test_one_cycle_is_the_installed_pytorchs(total):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=total)
    expected = []
    for _ in range(total):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    rates = values(schedules.schedule("one_cycle", base_lr=0.5, total_steps=total), total)
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-7)


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
        ("exp", {}, "unknown schedule 'exp'.*constant, cosine, linear, one_cycle, step"),
        ("one_cycle", {"final_fraction": 0.1}, "takes no option final_fraction"),
        ("one_cycle", {"warmup_steps": 2}, "warms up by itself.*warmup_steps, 2 here"),
        ("linear", {"final_fraction": -0.1}, "final_fraction is -0.1"),
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
