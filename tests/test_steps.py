"""Steps, feeding and evaluation: every example counted once, whatever the batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL, begun, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax import models, optim, steps
from imgcls_jax.data import Split, resident
from imgcls_jax.train.setup import make_setup

# A fake model whose logits are known: class i of 4 wins where pixel i is the brightest.
LOGITS = np.array(
    [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0], [1, 0, 0, 0], [0, 0, 0, 5], [0, 2, 1, 0]], np.float32
)
LABELS = np.array([0, 1, 1, 2, 3, 1], np.int32)  # 4 of 6 right


def fake_apply(variables, images, train):
    del train
    return images.reshape(images.shape[0], -1) * variables["params"]["scale"]


def fake_state(scale=1.0):
    return steps.TrainState(
        step=jnp.int32(0),
        params={"scale": jnp.float32(scale)},
        batch_stats={},
        opt_state=(),
        key=jax.random.key(0),
    )


def hand_losses():
    exponentials = np.exp(LOGITS.astype(np.float64))
    return -np.log(exponentials[np.arange(6), LABELS] / exponentials.sum(axis=1))


def test_eval_step_gives_the_known_sums():
    step = steps.make_eval_step(apply_fn=fake_apply)
    metrics, logits = step(fake_state(), {"image": LOGITS[:, None, :, None], "label": LABELS})
    np.testing.assert_array_equal(logits, LOGITS)
    assert (int(metrics["correct"]), int(metrics["count"])) == (4, 6)
    assert float(metrics["loss"]) == pytest.approx(hand_losses().sum(), abs=1e-6)
    assert steps.means(metrics)["accuracy"] == pytest.approx(4 / 6)


@settings(max_examples=3, deadline=None)
@given(st.integers(1, 20), st.integers(1, 23), st.integers(0, 2**31 - 1))
def test_masked_evaluation_equals_unmasked_at_any_batch_size(batch_size, total, seed):
    """Padding the last batch changes neither the sums nor the logits."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (total, 4), dtype=np.uint8)
    labels = rng.integers(0, 4, total).astype(np.int32)
    source = resident.Resident(jnp.asarray(pixels), jnp.asarray(labels), (2, 2, 1))
    step = steps.make_eval_step(apply_fn=fake_apply)
    evaluate = steps.make_evaluate(eval_step=step, take_fn=resident.take, batch_size=batch_size)
    sums, logits = evaluate(fake_state(3.0), source)
    whole, expected = step(fake_state(3.0), resident.take(source, jnp.arange(total)))
    np.testing.assert_array_equal(logits, expected)
    assert int(sums["count"]) == total
    assert int(sums["correct"]) == int(whole["correct"])
    assert float(sums["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-5)


def test_a_nan_in_a_masked_example_contributes_nothing():
    step = steps.make_eval_step(apply_fn=fake_apply)
    images = LOGITS[:, None, :, None].copy()
    images[5] = np.nan
    batch = {"image": images, "label": LABELS, "mask": np.arange(6) < 5}
    metrics, _ = step(fake_state(), batch)
    assert float(metrics["loss"]) == pytest.approx(hand_losses()[:5].sum(), abs=1e-6)


def test_uint8_pixels_become_fractions_of_255():
    images = steps.to_unit_interval(jnp.array([0, 51, 255], jnp.uint8))
    assert images.dtype == jnp.float32
    np.testing.assert_allclose(images, [0, 0.2, 1], rtol=1e-6)
    floats = jnp.array([0.25, -3.0])
    assert steps.to_unit_interval(floats) is floats


def test_one_sgd_step_is_the_hand_computed_one():
    """params - lr * mean gradient, for softmax regression on two examples."""
    model = models.create("linear", num_classes=3)
    tx = optim.create("sgd", learning_rate=0.5)
    state = steps.init_state(model=model, tx=tx, key=jax.random.key(1), image_shape=(2, 1, 1))
    kernel = np.asarray(state.params["Dense_0"]["kernel"]).copy()
    bias = np.asarray(state.params["Dense_0"]["bias"]).copy()
    x = np.array([[1.0, 2.0], [0.5, -1.0]], np.float32)
    labels = np.array([2, 0], np.int32)
    logits = x @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = (p - np.eye(3)[labels]) / 2
    train_step = steps.make_train_step(apply_fn=model.apply, tx=tx)
    state, metrics = train_step(state, {"image": x.reshape(2, 2, 1, 1), "label": labels})
    new = state.params["Dense_0"]
    np.testing.assert_allclose(new["kernel"], kernel - 0.5 * x.T @ error, atol=1e-6)
    np.testing.assert_allclose(new["bias"], bias - 0.5 * error.sum(axis=0), atol=1e-6)
    assert int(state.step) == 1
    assert int(metrics["count"]) == 2


@pytest.mark.parametrize(
    ("examples", "batch_size", "expected"), [(60_000, 64, 938), (48_000, 32, 1500), (128, 64, 2)]
)
def test_steps_of_an_epoch_are_counted_as_pytorch_and_keras_count_them(
    examples, batch_size, expected
):
    train = Split(np.zeros((examples, 1, 1, 1), np.uint8), np.zeros(examples, np.int32))
    setup = make_setup(SMALL.replace(batch_size=batch_size), train=train, num_classes=10)
    assert setup.steps_per_epoch == expected


def test_an_epoch_visits_every_example_once_and_ends_with_the_smaller_batch(small_trainer):
    state, sums = begun(small_trainer, 0)
    order = resident.epoch_order(state.key, 3, 1437)
    np.testing.assert_array_equal(np.sort(order), np.arange(1437))
    state, sums = small_trainer.feed.train((state, sums), 3, 0, small_trainer.steps_per_epoch)
    assert (int(state.step), int(sums["count"])) == (15, 1437)


def test_many_steps_a_call_are_the_steps_of_many_calls(small_trainer):
    """Calls of any length, and one step a call, give the same parameters bit for bit."""

    def run(chunks):
        state, sums = begun(small_trainer, 5)
        first = 0
        for count in chunks:
            state, sums = small_trainer.feed.train((state, sums), 0, first, count)
            first += count
        return state, sums

    state, sums = run([15])
    assert same_bits((state, sums), run([1] * 15))
    assert same_bits((state, sums), run([4, 9, 2]))


def test_the_loop_is_the_plain_step_over_the_same_batches(small_trainer, digits):
    state, sums = begun(small_trainer, 2)
    order = np.asarray(resident.epoch_order(state.key, 0, 1437))
    step = steps.make_train_step(
        apply_fn=small_trainer.setup.network.model.apply, tx=small_trainer.setup.tx
    )
    plain, _ = begun(small_trainer, 2)
    for first in range(0, 1437, 100):
        chosen = order[first : first + 100]
        batch = {"image": digits.train.images[chosen], "label": digits.train.labels[chosen]}
        plain, _ = step(plain, batch)
    state, _ = small_trainer.feed.train((state, sums), 0, 0, 15)
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(plain.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_orders_are_permutations_that_differ_by_epoch_and_key_and_repeat_for_the_same():
    orders = [
        np.asarray(resident.epoch_order(jax.random.key(k), e, 500))
        for k, e in ((0, 0), (0, 1), (1, 0))
    ]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(500))
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    np.testing.assert_array_equal(orders[0], resident.epoch_order(jax.random.key(0), 0, 500))


def test_a_batch_says_which_examples_it_holds():
    """Augmentations that alternate over epochs go by the examples' numbers in the training set."""
    pixels, labels = np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1), np.arange(6, dtype=np.int32)
    batch = resident.take(resident.put(Split(pixels, labels)), jnp.array([4, 0, 4]))
    for name, expected in (
        ("index", [4, 0, 4]),
        ("label", [4, 0, 4]),
        ("image", pixels[[4, 0, 4]]),
    ):
        np.testing.assert_array_equal(batch[name], expected)


def test_orders_favour_no_position():
    """Over 400 epochs of 8 examples each example is first about 50 times: chi-square, p > 0.001."""
    orders = jax.vmap(lambda e: resident.epoch_order(jax.random.key(0), e, 8))(jnp.arange(400))
    counts = np.bincount(np.asarray(orders)[:, 0], minlength=8)
    assert ((counts - 50) ** 2 / 50).sum() < 24.3
