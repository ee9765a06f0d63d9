"""Settings become numbers: class weights, durations, rates by depth, micro-batches, the split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL
from sklearn.model_selection import train_test_split

from imgcls_jax import optim, steps
from imgcls_jax.config import Config
from imgcls_jax.data import Split
from imgcls_jax.train.build import training_splits
from imgcls_jax.train.setup import make_setup

LABELS = np.array([0] * 12 + [1] * 3 + [2], np.int32)
TRAIN = Split(np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), np.uint8), LABELS)
LOGITS = np.random.default_rng(1).normal(size=(16, 3)).astype(np.float32)
# Passes over 16 examples at batch 2: 8 steps per epoch.
BASE = SMALL.replace(model="linear", hidden=(), batch_size=2, epochs=4, lr=0.1)


def setup(**changes):
    return make_setup(BASE.replace(**changes), train=TRAIN, num_classes=3)


def test_every_class_has_its_own_weight():
    """16 examples of 3 classes: 16 / (3 x 12), 16 / (3 x 3) and 16 / 3."""
    weights = np.array([4 / 9, 16 / 9, 16 / 3])
    plain, weighed = (setup(class_weights=on).loss_fn for on in (False, True))
    expected = np.asarray(plain(LOGITS, LABELS)) * weights[LABELS]
    np.testing.assert_allclose(weighed(LOGITS, LABELS), expected, rtol=1e-5)
    mixed = np.random.default_rng(2).dirichlet(np.ones(3), 16).astype(np.float32)
    expected = np.asarray(plain(LOGITS, mixed)) * (mixed @ weights)
    np.testing.assert_allclose(weighed(LOGITS, mixed), expected, rtol=1e-5)


def test_epochs_of_a_schedule_become_steps():
    """A warm-up of 1 1/2 epochs is 12 steps; half a cosine over the other 20 ends at step 32."""
    rate = setup(schedule="cosine", warmup_epochs=1.5).schedule
    np.testing.assert_allclose([rate(0), rate(5)], [0.1 / 13, 0.1 * 6 / 13], rtol=1e-5)
    for step in (12, 17, 22, 31):
        expected = 0.1 * (1 + np.cos(np.pi * (step - 12) / 20)) / 2
        assert float(rate(step)) == pytest.approx(expected, rel=1e-4)
    assert float(rate(32)) == pytest.approx(0, abs=1e-8)


def test_epochs_between_two_drops_become_steps():
    rate = setup(schedule="step", step_epochs=1.5, step_gamma=0.5).schedule
    found = [float(rate(step)) for step in (0, 11, 12, 23, 24)]
    np.testing.assert_allclose(found, [0.1, 0.1, 0.05, 0.05, 0.025], rtol=1e-6)


def test_rates_fall_from_the_head_to_the_stem():
    config = Config.of(
        dataset="folder", image_size=16, model="resnet20", weights="imagenet", layer_decay=0.5,
        optimizer="sgd", lr=1.0, trainable="stage1", batch_size=2,
    )  # fmt: skip
    photos = Split(np.zeros((4, 16, 16, 3), np.uint8), np.array([0, 1, 0, 1], np.int32))
    made = make_setup(config, train=photos, num_classes=2)
    model = made.network.model
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))["params"]
    ones = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes)
    updates, _ = jax.jit(lambda g: made.tx.update(g, made.tx.init(g), g))(ones)
    expected = {"head": 1, "stage3": 0.5, "stage2": 0.25, "stage1": 0.125, "stem": 0}
    for stage, modules in model.stages().items():
        for leaf in jax.tree.leaves([updates[module] for module in modules]):
            np.testing.assert_allclose(leaf, -expected[stage], rtol=1e-6, err_msg=stage)


@pytest.mark.parametrize(("accumulate", "size"), [(1, 8), (4, 2)])
def test_batches_are_cut_into_as_many_parts_as_asked_for(accumulate, size):
    made = setup(batch_size=8, accumulate=accumulate)
    state = jax.eval_shape(
        lambda key: steps.init_state(
            model=made.network.model, tx=made.tx, key=key, image_shape=(8, 8, 1)
        ),
        jax.random.key(0),
    )
    batch = {"image": TRAIN.images[:8], "label": LABELS[:8]}
    program = str(jax.make_jaxpr(made.train_step)(state, batch))
    logits = {size for size in (2, 8) if f"f32[{size},3]" in program}
    assert logits == {size}


def test_the_held_out_part_is_drawn_by_its_seed(digits):
    for seed in (42, 7):
        train, watched = training_splits(SMALL.replace(hold_out=0.2, split_seed=seed), digits)
        expected = train_test_split(digits.train.labels, test_size=0.2, random_state=seed)
        np.testing.assert_array_equal(train.labels, expected[0])
        np.testing.assert_array_equal(watched.split.labels, expected[1])


def test_the_optimiser_is_built_once_and_anew_for_another_rate(monkeypatch):
    real, rates = optim.create, []
    monkeypatch.setattr(
        optim, "create", lambda *a, **k: rates.append(k["learning_rate"]) or real(*a, **k)
    )
    made = setup()
    assert rates == [made.schedule]
    made.step_with(lambda step: 0.2)
    assert [float(rate(0)) for rate in rates] == pytest.approx([0.1, 0.2])
