"""The numbers that a training step draws: anew for every step, purpose and micro-batch."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from imgcls_jax import steps
from imgcls_jax.models.layers import BatchNorm

BATCH = {
    "image": np.random.default_rng(0).normal(3.0, 2.0, (4, 2, 2, 1)).astype(np.float32),
    "label": np.array([0, 1, 1, 0], np.int32),
}


@functools.cache
def noting_step(accumulate: int):
    """A step of a network without effect, and the words of the keys that it hands out."""
    augmented, dropped = [], []

    def noting(into, key):
        jax.debug.callback(lambda words: into.append(tuple(words.tolist())), key)

    def augment(key, batch):
        noting(augmented, jax.random.key_data(key))
        return batch

    def apply(variables, images, *, train, rngs, mutable):
        noting(dropped, jax.random.key_data(rngs["dropout"]))
        return images.reshape(len(images), -1) @ variables["params"], {}

    step = steps.make_train_step(
        apply_fn=apply, tx=optax.sgd(0.0), augment_fn=augment, accumulate=accumulate, batch_size=4
    )
    return step, augmented, dropped


def keys_of(accumulate: int, seed: int) -> tuple[list, list]:
    """The keys that augmentation and network are given in three steps of one training."""
    step, augmented, dropped = noting_step(accumulate)
    augmented.clear()
    dropped.clear()
    params = np.ones((4, 2), np.float32)
    opt_state = optax.sgd(0.0).init(params)
    state = steps.TrainState(jnp.int32(0), params, {}, opt_state, jax.random.key(seed))
    for _ in range(3):
        state, _ = step(state, BATCH)
    jax.effects_barrier()
    return list(augmented), list(dropped)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_every_step_purpose_and_micro_batch_draws_by_a_key_of_its_own(accumulate):
    augmented, dropped = keys_of(accumulate, seed=5)
    assert (len(augmented), len(set(dropped))) == (3, 3 * accumulate)
    assert len({*augmented, *dropped}) == 3 + 3 * accumulate


def test_the_same_seed_draws_the_same_and_another_others():
    augmented, dropped = keys_of(2, seed=5)
    again, other = keys_of(2, seed=5), keys_of(2, seed=6)
    assert (augmented, sorted(dropped)) == (again[0], sorted(again[1]))
    assert not {*augmented, *dropped} & {*other[0], *other[1]}


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = BatchNorm(momentum=0.75, unbiased=False)(x, train)
        return nn.Dense(2)(x.reshape(len(x), -1))


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_statistics_take_in_every_micro_batch_in_turn(accumulate):
    """By NumPy: 0.75 of the old and 0.25 of a micro-batch's, over two steps."""
    model, tx = Normed(), optax.sgd(0.0)
    step = steps.make_train_step(apply_fn=model.apply, tx=tx, accumulate=accumulate, batch_size=4)
    state = steps.init_state(model=model, tx=tx, key=jax.random.key(0), image_shape=(2, 2, 1))
    mean, var = 0.0, 1.0
    for _ in range(2):
        state, _ = step(state, BATCH)
        for part in np.split(np.float64(BATCH["image"]), accumulate):
            mean, var = 0.75 * mean + 0.25 * part.mean(), 0.75 * var + 0.25 * part.var()
    (stats,) = state.batch_stats.values()
    np.testing.assert_allclose(stats["mean"], [mean], rtol=1e-5)
    np.testing.assert_allclose(stats["var"], [var], rtol=1e-5)
