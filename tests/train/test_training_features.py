"""Accumulation, averaged weights, bfloat16, watching the test set: what they do to a training."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL, begun

from imgcls_jax import models, optim, steps
from imgcls_jax.train import run
from imgcls_jax.train.build import build
from imgcls_jax.train.summary import difference
from imgcls_jax.workdir import Workdir


def train(digits, *, batches=3, batch_size=60, model=None, full_size=None, **options):
    """States after each of a few steps from the same start, and the metrics of each."""
    model = model or models.create("mlp", num_classes=10, hidden=(16,))
    tx = optim.create("sgd", learning_rate=0.1, momentum=0.9)
    step = steps.make_train_step(apply_fn=model.apply, tx=tx, batch_size=full_size, **options)
    state = steps.init_state(
        model=model,
        tx=tx,
        key=jax.random.key(0),
        image_shape=(8, 8, 1),
        averaged=bool(options.get("ema")),
    )
    states, metrics = [], []
    for number in range(batches):
        here = slice(number * batch_size, (number + 1) * batch_size)
        batch = {"image": digits.train.images[here], "label": digits.train.labels[here]}
        state, sums = step(state, batch)
        states.append(jax.tree.map(jnp.copy, state))
        metrics.append(steps.means(sums))
    return states, metrics


@pytest.mark.parametrize("accumulate", [2, 3, 60])
def test_micro_batches_equal_one_large_batch(digits, accumulate):
    (*_, whole), metrics = train(digits)
    (*_, split), split_metrics = train(digits, accumulate=accumulate)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(split.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    for one, other in zip(metrics, split_metrics, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_smaller_last_batch_is_cut_like_the_others(digits):
    """29 of 60 examples in micro-batches of 20: one of 20 and one of 9."""
    sizes = []

    class Spy(nn.Module):
        @nn.compact
        def __call__(self, images, train=False):
            sizes.append(len(images))
            return nn.Dense(10)(images.reshape(len(images), -1))

    (*_, whole), _ = train(digits, batch_size=29, model=Spy())
    sizes.clear()
    (*_, split), _ = train(digits, batch_size=29, model=Spy(), accumulate=3, full_size=60)
    assert set(sizes) == {1, 20, 9}  # 1 is the initialisation's
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(split.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_average_is_the_hand_rolled_one(digits):
    states, _ = train(digits, batches=4, ema=0.6)
    model = models.create("mlp", num_classes=10, hidden=(16,))
    first = model.init(jax.random.split(jax.random.key(0))[0], jnp.zeros((1, 8, 8, 1)))
    expected = np.asarray(first["params"]["Dense_0"]["kernel"])
    for number, state in enumerate(states):
        decay = min(0.6, (1 + number) / (10 + number))  # the warm-up of the average
        kernel = np.asarray(state.params["Dense_0"]["kernel"])
        expected = decay * expected + (1 - decay) * kernel
        np.testing.assert_allclose(state.average["Dense_0"]["kernel"], expected, atol=1e-6)


@pytest.mark.slow
def test_the_averaged_network_is_what_meets_the_test_set(digits):
    config = SMALL.replace(
        model="cnn", hidden=(), widths=(4,), ema=0.9, batch_size=479, normalise="standard"
    )
    trainer = build(config, digits)
    state, sums = begun(trainer, 0)
    state, _ = trainer.feed.train((state, sums), 0, 0, 3)
    evaluated = trainer.feed.averaged(state)
    for a, b in zip(jax.tree.leaves(evaluated.params), jax.tree.leaves(state.average), strict=True):
        np.testing.assert_array_equal(a, b)
    # Its statistics are its own: neither the trained network's nor the running ones.
    assert not np.allclose(
        evaluated.batch_stats["BatchNorm_0"]["mean"], state.batch_stats["BatchNorm_0"]["mean"]
    )


@pytest.mark.slow
def test_bfloat16_trains_like_float32(digits):
    """Losses within 3 %, and parameters stay float32."""
    runs = {}
    for dtype in (jnp.float32, jnp.bfloat16):
        model = models.create("cnn", num_classes=10, widths=(8,), dropout=0.0, dtype=dtype)
        states, metrics = train(digits, batches=12, model=model)
        assert {leaf.dtype for leaf in jax.tree.leaves(states[-1].params)} == {jnp.dtype("float32")}
        runs[dtype] = np.array([found["loss"] for found in metrics])
    assert runs[jnp.float32][-1] < 0.6 * runs[jnp.float32][0]
    np.testing.assert_allclose(runs[jnp.bfloat16], runs[jnp.float32], rtol=0.03)


def test_the_augmentation_is_told_example_and_epoch(digits):
    seen = []

    def spy(key, batch):
        jax.debug.callback(lambda *found: seen.append(found), batch["index"][0], batch["epoch"])
        return batch

    model = models.create("linear", num_classes=10)
    tx = optim.create("sgd", learning_rate=0.1)
    step = steps.make_train_step(apply_fn=model.apply, tx=tx, augment_fn=spy, steps_per_epoch=2)
    state = steps.init_state(model=model, tx=tx, key=jax.random.key(0), image_shape=(8, 8, 1))
    for number in range(4):
        batch = {
            "image": digits.train.images[:5],
            "label": digits.train.labels[:5],
            "index": np.arange(5) + 100 * number,
        }
        state, _ = step(state, batch)
    jax.effects_barrier()
    assert [tuple(map(int, found)) for found in seen] == [(0, 0), (100, 0), (200, 1), (300, 1)]


def test_watching_the_test_set_evaluates_it_every_epoch(digits):
    trainer = build(SMALL.replace(watch_test=True), digits)
    assert trainer.watched == ("test", digits.test)
    assert trainer.feed.size == len(digits.train)


def test_what_is_watched_is_recorded_by_its_name(digits, tmp_path):
    config = SMALL.replace(watch_test=True, epochs=2)
    summary = run.train(config, name="watched", dataset=digits, workdir=Workdir(tmp_path))
    last = Workdir(tmp_path).history()[-1]
    assert last["test_accuracy"] == pytest.approx(summary["test_accuracy"])
    assert not any(name.startswith("validation") for name in (*last, *summary))
    assert summary["watched"] == "test"
    # A document calls it validation, as its program does.
    documented = {"figures": {"validation_accuracy": summary["test_accuracy"] - 0.25}}
    assert difference(summary, documented) == {"validation_accuracy": pytest.approx(0.25)}
