"""The moving average of weights against a loop; batch-norm statistics against one big batch."""

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import begun, same_bits

from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split
from imgcls_jax.models.layers import BatchNorm
from imgcls_jax.optim.ema import ema_init, ema_update
from imgcls_jax.steps import to_unit_interval
from imgcls_jax.train.build import build
from imgcls_jax.train.recalibrate import evenly_spread, make_recalibrate


def test_average_is_the_hand_rolled_loop():
    rng = np.random.default_rng(0)
    trajectory = rng.normal(size=(300, 4)) + 3
    average = ema_init({"w": jnp.asarray(trajectory[0], jnp.float32)})
    expected = trajectory[0]
    update = jax.jit(ema_update)
    for t, weights in enumerate(trajectory[1:]):
        average = update(average, {"w": jnp.asarray(weights, jnp.float32)}, 0.9, jnp.int32(t))
        decay = min(0.9, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * weights
        np.testing.assert_allclose(average["w"], expected, rtol=2e-6)


def test_average_forgets_its_start_and_follows_slowly():
    average = ema_init(jnp.float32(1000.0))
    for t in range(100):
        average = ema_update(average, jnp.float32(1.0), 0.9999, t)
    assert abs(average - 1) < 1e-3
    moved = ema_update(average, average + 1, 0.9999, 1_000_000) - average
    np.testing.assert_allclose(moved, 1e-4, rtol=2e-3)


def test_average_has_buffers_of_its_own():
    params = {"w": jnp.ones(3)}
    average = ema_init(params)
    jax.jit(lambda p: jax.tree.map(jnp.negative, p), donate_argnums=0)(params)
    np.testing.assert_array_equal(average["w"], 1.0)


@flax.struct.dataclass
class Source:
    images: jax.Array

    def __len__(self):
        return len(self.images)


def take(source, indices):
    return {"image": source.images[indices]}


class OneNorm(nn.Module):
    """Statistics of the images themselves, so that pooling batches is exact."""

    norm: type
    unbiased: bool = False

    @nn.compact
    def __call__(self, x, train=False):
        if self.norm is nn.BatchNorm:
            return nn.BatchNorm(use_running_average=not train)(x)
        return BatchNorm(unbiased=self.unbiased)(x, train)


def recalibrated(model, images, *, batch_size, batches, image_fn=lambda x: x):
    variables = jax.jit(model.init)(jax.random.key(0), image_fn(jnp.asarray(images[:1])))
    function = make_recalibrate(
        apply_fn=model.apply,
        take_fn=take,
        image_fn=image_fn,
        batch_size=batch_size,
        batches=batches,
    )
    variables = {name: variables.get(name, {}) for name in ("params", "batch_stats")}
    return variables, function(variables, Source(jnp.asarray(images)))


def images_of_many_scales(count, side=2):
    """Sorted, so that batches of neighbours would differ; means far from 0 against deviations."""
    rng = np.random.default_rng(1)
    images = rng.normal(size=(count, side, side, 3)) * [1e-2, 1.0, 30.0] + [5.0, 0.0, -300.0]
    images += np.arange(count)[:, None, None, None] * [1e-3, 0.1, 1.0]
    return images.astype(np.float32)


@pytest.mark.parametrize(
    ("norm", "unbiased"), [(nn.BatchNorm, False), (BatchNorm, False), (BatchNorm, True)]
)
@pytest.mark.parametrize(("batch_size", "batches"), [(48, 1), (4, 12), (1000, 7)])
def test_pooled_statistics_are_those_of_one_big_batch(norm, unbiased, batch_size, batches):
    images = images_of_many_scales(48)
    model = OneNorm(norm, unbiased)
    variables, stats = recalibrated(model, images, batch_size=batch_size, batches=batches)
    assert jax.tree.structure(stats) == jax.tree.structure(variables["batch_stats"])
    exact = np.float64(images).reshape(-1, 3)
    (own,) = stats.values()
    np.testing.assert_allclose(own["mean"], exact.mean(0), rtol=1e-5)
    np.testing.assert_allclose(own["var"], exact.var(0, ddof=int(unbiased)), rtol=1e-5)


def test_a_part_of_the_split_is_spread_over_all_of_it():
    images = np.repeat(np.arange(100, dtype=np.float32), 4).reshape(100, 2, 2, 1)
    _, stats = recalibrated(OneNorm(nn.BatchNorm), images, batch_size=5, batches=4)
    taken = np.arange(20) * 5.0
    np.testing.assert_allclose(stats["BatchNorm_0"]["mean"], taken.mean(), rtol=1e-6)
    np.testing.assert_allclose(stats["BatchNorm_0"]["var"], taken.var(), rtol=1e-6)


def test_every_batch_has_examples_of_all_parts_of_the_set():
    """So that each has all classes of a set that is sorted by class."""
    order = evenly_spread(100, batch_size=5, batches=4)
    np.testing.assert_array_equal(order, [np.arange(5) * 20 + 5 * b for b in range(4)])
    classes = np.repeat(np.arange(8), 13)
    for batch in evenly_spread(len(classes), batch_size=16, batches=6):
        assert set(classes[batch]) == set(range(8))
    order = evenly_spread(7, batch_size=3, batches=9)  # fewer batches of a small set
    assert sorted({*order.ravel()}) == sorted(order.ravel().tolist())
    assert order.shape == (2, 3)


class Twice(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(BatchNorm(unbiased=False)(x, train))
        return BatchNorm(unbiased=False)(x, train)


def test_a_set_that_is_sorted_by_class_has_the_statistics_of_a_shuffled_one():
    """Two classes far apart: behind norm and rectifier half of all are 0 and half 1."""
    rng = np.random.default_rng(0)
    images = np.repeat([0.0, 50.0], 32)[:, None, None, None] + rng.normal(size=(64, 1, 1, 1))
    _, stats = recalibrated(Twice(), images.astype(np.float32), batch_size=16, batches=4)
    np.testing.assert_allclose(stats["BatchNorm_1"]["mean"], 0.5, rtol=0.05)
    np.testing.assert_allclose(stats["BatchNorm_1"]["var"], 0.25, rtol=0.05)


class Noisy(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        if train:  # one number for the whole batch
            x = x + jax.random.uniform(self.make_rng("dropout"))
        return BatchNorm(unbiased=False)(x, train)


def test_every_batch_draws_numbers_of_its_own_the_same_at_every_call():
    """Nothing but the noise varies, which is uniform in [0, 1)."""
    images = np.zeros((128, 1, 1, 1), np.float32)
    found = [recalibrated(Noisy(), images, batch_size=2, batches=64)[1] for _ in range(2)]
    (stats,) = found[0].values()
    np.testing.assert_allclose(stats["mean"], 1 / 2, atol=0.15)
    np.testing.assert_allclose(stats["var"], 1 / 12, rtol=0.4)
    jax.tree.map(np.testing.assert_array_equal, *found)


class Deep(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), use_bias=False)(x)
        x = nn.relu(BatchNorm()(x, train))
        x = nn.Dropout(0.2, deterministic=not train)(x)
        x = nn.Conv(5, (3, 3), use_bias=False)(x)
        return BatchNorm(unbiased=False)(x, train).mean((1, 2))


@pytest.mark.slow
def test_every_layer_of_a_network_and_the_stored_images():
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    variables, stats = recalibrated(
        Deep(), images, batch_size=16, batches=4, image_fn=to_unit_interval
    )
    assert jax.tree.structure(stats) == jax.tree.structure(variables["batch_stats"])
    # Momentum 0.9 from 0 and 1: one step on one big batch, undone by hand.
    _, updated = Deep().apply(
        variables,
        to_unit_interval(jnp.asarray(images)),
        train=True,
        rngs={"dropout": jax.random.key(3)},
        mutable=["batch_stats"],
    )
    new, old = updated["batch_stats"], variables["batch_stats"]
    whole = jax.tree.map(lambda a, b: (a - 0.9 * b) / 0.1, new, old)
    np.testing.assert_allclose(
        stats["BatchNorm_0"]["mean"], whole["BatchNorm_0"]["mean"], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(stats["BatchNorm_0"]["var"], whole["BatchNorm_0"]["var"], rtol=1e-4)
    # Behind the first norm the batches differ by their own statistics and by dropout.
    np.testing.assert_allclose(stats["BatchNorm_1"]["var"], whole["BatchNorm_1"]["var"], rtol=0.1)


def test_network_without_batch_norm_has_no_statistics():
    model = nn.Dense(3)
    images = images_of_many_scales(4, side=1)
    assert recalibrated(model, images, batch_size=2, batches=2)[1] == {}


class Custom(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        self.variable("batch_stats", "mine", jnp.zeros, 3)
        return x


def test_statistics_of_an_unknown_kind_are_not_left_stale():
    with pytest.raises(TypeError, match="mine"):
        recalibrated(Custom(), images_of_many_scales(4), batch_size=2, batches=2)


class Staged(nn.Module):
    """Norm after norm, each a stage, and a head."""

    def stages(self):
        return {"stem": ("BatchNorm_0",), "stage1": ("BatchNorm_1",), "head": ("Dense_0",)}

    @nn.compact
    def __call__(self, x, train=False):
        x = BatchNorm(name="BatchNorm_0")(x, train)
        x = nn.relu(BatchNorm(name="BatchNorm_1")(x, train))
        return nn.Dense(2)(x.mean((1, 2)))


def test_frozen_stages_are_in_inference_mode_while_later_ones_are_recalibrated(monkeypatch):
    """As they are when the network is evaluated: by their running statistics, which stay."""
    monkeypatch.setattr("imgcls_jax.models.create", lambda *_, **__: Staged())
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    split = Split(images, np.arange(24, dtype=np.int32) % 2)
    photos = Dataset("photos", split, split, ("a", "b"), "made up", None)
    config = Config.of(
        dataset="folder", image_size=8, model="resnet20", weights="file.safetensors",
        trainable="stage1", ema=0.9, batch_size=24, epochs=1,
    )  # fmt: skip
    mean, var = np.float32([0.1, -0.2, 0.3]), np.float32([0.5, 1.5, 4.0])
    norm = {"mean": mean, "var": var}
    trainer = build(config, photos, pretrained={"params": {}, "batch_stats": {"BatchNorm_0": norm}})
    state, _ = begun(trainer, 0)
    found = trainer.feed.averaged(state).batch_stats
    assert same_bits(found["BatchNorm_0"], norm)
    seen = ((images / 255 - mean) / np.sqrt(var + 1e-5)).reshape(-1, 3)
    np.testing.assert_allclose(found["BatchNorm_1"]["mean"], seen.mean(0), rtol=1e-4)
    np.testing.assert_allclose(found["BatchNorm_1"]["var"], seen.var(0, ddof=1), rtol=1e-4)
