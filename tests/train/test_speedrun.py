"""A training in one call equals the loop of single steps; the clock runs only where it should."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import same_bits

from imgcls_jax import models, optim, steps
from imgcls_jax.data import resident
from imgcls_jax.errors import UserError
from imgcls_jax.train import speedrun

BATCH, EPOCHS = 200, 3


@pytest.fixture(scope="module")
def pieces(digits):
    """A small training on the digits: 1,437 examples, 7 whole batches an epoch."""
    model = models.create("mlp", num_classes=10, hidden=(32,))
    tx = optim.create("sgd", learning_rate=0.2, momentum=0.9)
    train, test = resident.put(digits.train), resident.put(digits.test)

    def start(seed):
        return steps.init_state(
            model=model, tx=tx, key=jax.random.key(seed), image_shape=digits.image_shape
        )

    def order_fn(key, epoch):
        return resident.epoch_order(key, epoch, len(train))

    train_step = steps.make_train_step(apply_fn=model.apply, tx=tx)
    train_whole = speedrun.make_train_whole(
        train_step=train_step,
        order_fn=order_fn,
        take_fn=resident.take,
        batch_size=BATCH,
        epochs=EPOCHS,
        steps_per_epoch=len(train) // BATCH,
    )
    evaluate = steps.make_evaluate(
        eval_step=steps.make_eval_step(apply_fn=model.apply),
        take_fn=resident.take,
        batch_size=100,
    )
    return dict(
        start=jax.jit(start),
        order_fn=jax.jit(order_fn),
        train_step=train_step,
        train_whole=train_whole,
        evaluate=evaluate,
        train=train,
        test=test,
    )


def race(pieces, seeds, **changes):
    names = ("start", "train_whole", "evaluate", "train", "test")
    arguments = {name: pieces[name] for name in names} | changes
    *_, last = speedrun.measure(num_classes=10, seeds=seeds, **arguments)
    return last


@pytest.fixture(scope="module")
def stepwise(pieces):
    """Seed 5 trained a step a call: the state, and each epoch's summed metrics."""
    take = jax.jit(resident.take)
    state, history = pieces["start"](5), []
    for epoch in range(EPOCHS):
        order, sums = pieces["order_fn"](state.key, epoch), steps.zero_metrics()
        for first in range(0, 7 * BATCH, BATCH):
            batch = take(pieces["train"], order[first : first + BATCH])
            state, metrics = pieces["train_step"](state, batch)
            sums = jax.tree.map(jnp.add, sums, metrics)
        history.append(sums)
    return state, history


def test_one_call_equals_the_loop_of_single_steps(pieces, stepwise):
    expected, history = stepwise
    state, sums = pieces["train_whole"](pieces["start"](5), pieces["train"])
    assert int(state.step) == int(expected.step) == 7 * EPOCHS
    for ours, theirs in zip(
        jax.tree.leaves((state.params, state.opt_state)),
        jax.tree.leaves((expected.params, expected.opt_state)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for epoch, theirs in enumerate(history):
        assert int(sums["count"][epoch]) == int(theirs["count"]) == 7 * BATCH
        assert int(sums["correct"][epoch]) == int(theirs["correct"])
        assert float(sums["loss"][epoch]) == pytest.approx(float(theirs["loss"]), rel=1e-5)


def test_warming_up_leaves_no_trace(pieces, stepwise):
    """A seed's accuracy is that of training without a warm-up, wherever the seed stands."""
    expected = steps.means(pieces["evaluate"](stepwise[0], pieces["test"])[0])["accuracy"]
    labels = np.array(pieces["train"].labels)
    found = race(pieces, (7, 5, 7))
    assert found.accuracies[1] == pytest.approx(expected, abs=1e-9)
    assert found.accuracies[0] == found.accuracies[2]
    assert min(found.accuracies) > 0.5
    np.testing.assert_array_equal(pieces["train"].labels, labels)


def test_warm_up_trains_on_other_labels(pieces):
    """The first call sees random labels on the right images, the others the data as they are."""
    seen = []

    def train_whole(state, source):
        seen.append(source)
        return state, {}

    race(pieces, (0, 1), train_whole=train_whole)
    dummy, *real = seen
    assert dummy.pixels is pieces["train"].pixels
    agreement = float(jnp.mean(dummy.labels == pieces["train"].labels))
    assert 0.05 < agreement < 0.2
    assert set(np.unique(dummy.labels)) == set(range(10))
    assert dummy.labels.dtype == pieces["train"].labels.dtype
    assert all(same_bits(source, pieces["train"]) for source in real)
    assert len(real) == 2


def test_the_clock_runs_only_while_training(pieces):
    now = [0.0]

    def taking(seconds, result):
        def call(*_):
            now[0] += seconds
            return result

        return call

    sums = {"loss": jnp.float32(8), "correct": jnp.int32(3), "count": jnp.int32(4)}
    found = race(
        pieces,
        (0, 1, 2),
        start=taking(100.0, jnp.zeros(())),
        train_whole=taking(2.0, (jnp.zeros(()), {})),
        evaluate=taking(0.5, (sums, jnp.zeros((4, 10)))),
        clock=lambda: now[0],
    )
    assert found.warmup_seconds == 102.5
    assert found.train_seconds == (2.0,) * 3
    assert found.total_seconds == (2.5,) * 3
    assert found.accuracies == (0.75,) * 3
    record = found.to_json()
    assert record["total_seconds_summary"] == {"mean": 2.5, "std": 0.0, "n": 3}


def test_a_loss_that_is_not_finite_ends_the_race(pieces):
    def train_whole(state, source):
        return state, {"loss": jnp.array([1.0, jnp.nan])}

    with pytest.raises(UserError, match="diverged with seed 3"):
        race(pieces, (3,), train_whole=train_whole)


def test_summaries_are_mean_and_sample_deviation():
    found = speedrun.Race((0, 1), (1.0, 3.0), (2.0, 4.0), (0.5, 0.75), 9.0)
    record = found.to_json()
    assert record["train_seconds_summary"] == {"mean": 2.0, "std": pytest.approx(2**0.5), "n": 2}
    assert record["accuracies_summary"]["mean"] == 0.625
    one = speedrun.Race((0,), (1.0,), (2.0,), (0.5,), 9.0).to_json()
    assert one["accuracies_summary"] == {"mean": 0.5, "std": None, "n": 1}
