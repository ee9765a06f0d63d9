"""Transfer on a network of two blocks: what loads, freezes and averages, and the way to predict."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import begun, same_bits
from flax.traverse_util import path_aware_map
from photo_helpers import write_photos

from imgcls_jax import data, models, steps
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split, resident
from imgcls_jax.limits import temperature
from imgcls_jax.losses import cross_entropy
from imgcls_jax.models import freezing
from imgcls_jax.models.resnet import ResNet
from imgcls_jax.predict import predictor
from imgcls_jax.train import run
from imgcls_jax.train.build import build
from imgcls_jax.train.features import HeadFit, make_fit_head
from imgcls_jax.train.setup import make_network
from imgcls_jax.workdir import Workdir

TINY = ResNet(num_classes=3, stage_sizes=(1, 1), width=4, stem="cifar", padded_shortcut=True)
HEAD, FROZEN = "Dense_0", {"Conv_0", "BatchNorm_0", "Block_0"}  # below stage2
LABELS = np.arange(12, dtype=np.int32) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
SPLIT = Split(IMAGES, LABELS)
PHOTOS = Dataset("photos", SPLIT, SPLIT, ("a", "b", "c"), "made up", None, validation=SPLIT)
BASE = Config.of(
    dataset="folder", image_size=8, model="resnet20", weights="imagenet", optimizer="sgd", lr=0.5,
    batch_size=4, epochs=1,
)  # fmt: skip


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Whatever network is asked for is the small one."""
    monkeypatch.setattr(
        models, "create", lambda name, *, num_classes: TINY.clone(num_classes=num_classes)
    )


def variables():
    """Of a network whose statistics are not those of a fresh one."""
    rng = np.random.default_rng(1)
    ranges = {"mean": (-0.1, 0.1), "var": (0.5, 1.5), "scale": (0.5, 1.5)}

    def draw(path, leaf):
        return rng.uniform(*ranges.get(path[-1], (-0.5, 0.5)), leaf.shape).astype(np.float32)

    shapes = jax.eval_shape(TINY.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    return path_aware_map(draw, shapes)


LOADED = variables()
BODY = {
    "params": {name: value for name, value in LOADED["params"].items() if name != HEAD},
    "batch_stats": LOADED["batch_stats"],
}


def moved(tree, loaded=BODY["params"]) -> set[str]:
    """Names of the modules that are no longer as they were loaded."""
    return {name for name in loaded if not same_bits(tree[name], loaded[name])}


def test_what_was_loaded_is_averaged_and_what_is_frozen_never_moves():
    trainer = build(BASE.replace(trainable="stage2", ema=0.5), PHOTOS, pretrained=BODY)
    state, sums = begun(trainer, 0)
    assert not moved(state.params)
    assert not moved(state.batch_stats, BODY["batch_stats"])
    assert same_bits(state.average, state.params)
    state, _ = trainer.feed.train((state, sums), 0, 0, 3)
    statistics = jax.tree.map(np.asarray, state.batch_stats)
    assert moved(state.params) == moved(state.average) == {"Block_1"}
    assert moved(statistics, BODY["batch_stats"]) == {"Block_1"}
    evaluated = trainer.feed.averaged(state)
    assert same_bits(evaluated.params, state.average)
    assert moved(evaluated.batch_stats, BODY["batch_stats"]) == {"Block_1"}
    assert not same_bits(evaluated.batch_stats["Block_1"], statistics["Block_1"])


def test_norms_that_are_frozen_keep_their_statistics_in_the_average_too():
    trainer = build(BASE.replace(frozen_norms=True, ema=0.5), PHOTOS, pretrained=BODY)
    state, _ = trainer.feed.train(begun(trainer, 0), 0, 0, 3)
    assert moved(state.params) == set(BODY["params"])
    assert not moved(state.batch_stats, BODY["batch_stats"])
    assert not moved(trainer.feed.averaged(state).batch_stats, BODY["batch_stats"])


def test_frozen_stages_have_no_gradients():
    images = steps.to_unit_interval(jnp.asarray(IMAGES))
    network = freezing.freeze(TINY.apply, frozenset(FROZEN))

    @jax.jit
    @jax.grad
    def gradients(params):
        return cross_entropy(network({**LOADED, "params": params}, images), LABELS).mean()

    found = gradients(LOADED["params"])
    assert {
        name for name, leaves in found.items() if any(map(np.any, jax.tree.leaves(leaves)))
    } == {"Block_1", HEAD}


def test_the_body_under_a_head_has_no_gradients():
    images = steps.to_unit_interval(jnp.asarray(IMAGES))
    network = freezing.head_on_body(TINY.apply, TINY)

    @jax.jit
    def gradients(params):
        def loss(params):
            logits, _ = network(
                {**LOADED, "params": params}, images, train=True, mutable=["batch_stats"]
            )
            return cross_entropy(logits, LABELS).mean(), logits

        return jax.grad(loss, has_aux=True)(params)

    found, logits = gradients(LOADED["params"])
    np.testing.assert_allclose(logits, jax.jit(TINY.apply)(LOADED, images), rtol=1e-4, atol=1e-5)
    assert {
        name for name, leaves in found.items() if any(map(np.any, jax.tree.leaves(leaves)))
    } == {HEAD}


def test_evaluation_enlarges_mirrors_and_normalises():
    config = BASE.replace(eval_size=12, tta="flip", normalise="symmetric")
    network = make_network(config, num_classes=3, image_shape=(8, 8, 3), constants={})
    images = steps.to_unit_interval(jnp.asarray(IMAGES))
    found = jax.jit(lambda x: network.evaluate_fn(LOADED, x, train=False))(images)

    @jax.jit
    def by_hand(images):
        large = 2 * jax.image.resize(images, (12, 12, 12, 3), "linear") - 1
        return (TINY.apply(LOADED, large) + TINY.apply(LOADED, large[:, :, ::-1])) / 2

    np.testing.assert_allclose(found, by_hand(images), rtol=1e-4, atol=1e-5)
    plain = jax.jit(TINY.apply)(LOADED, 2 * images - 1)
    assert np.abs(found - plain).max() > 1e-2


def test_a_heads_first_epochs_learn_at_their_own_rate():
    """Adam's first steps move every weight by about the rate."""
    features = np.random.default_rng(2).normal(size=(12, 8)).astype(np.float32)
    source = resident.Resident(jnp.asarray(features), jnp.asarray(LABELS), (8,))
    state = steps.TrainState(
        jnp.int32(0), jax.tree.map(jnp.asarray, LOADED["params"]), {}, (), jax.random.key(0)
    )
    for rate in (1e-5, 1e-2):
        fit_head = make_fit_head(
            model=TINY, binary=False, loss_fn=cross_entropy, of=HeadFit(1, rate, 4),
            found=source, state=state,
        )  # fmt: skip
        fitted = fit_head(state).params
        change = np.abs(fitted[HEAD]["kernel"] - LOADED["params"][HEAD]["kernel"]).max()
        assert rate < change < 4 * rate  # three steps
        assert not moved(fitted)


def test_a_run_on_photos_predicts_from_files_what_it_evaluated(tmp_path, monkeypatch):
    """From features in training, by the whole network in prediction; photos are padded."""
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    weights = types.SimpleNamespace(variables=BODY, source="nowhere")
    monkeypatch.setattr("imgcls_jax.pretrained.load", lambda *_, **__: weights)
    folder = write_photos(tmp_path / "photos", each=4, side=16)  # 16 x 20 pixels
    config = BASE.replace(
        trainable="head", lr=0.001, resize="pad", test_fraction=0.25, normalise="symmetric"
    )
    assert config.features_once
    dataset = data.load("folder", data_dir=folder, **config.data.options())
    workdir = Workdir(tmp_path / "run")
    summary = run.train(config, name="photos", dataset=dataset, workdir=workdir)
    assert (summary["steps"], summary["watched"]) == (3, None)
    kept = np.load(workdir.path / "predictions.npz")["probabilities"]
    expected = temperature.of_probabilities(kept, summary["temperature"]["value"])

    network = predictor.load(workdir.path)
    files = sorted(map(str, folder.rglob("*.png")))
    found = np.stack([p.probabilities for p in predictor.predict(network, files)])
    for row in expected:  # every test photo is among all
        assert np.abs(found - row).max(axis=1).min() < 1e-6
    assert np.ptp(found, axis=0).max() > 1e-4  # of random weights, known to be worth little
