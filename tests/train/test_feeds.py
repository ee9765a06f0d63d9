"""Streamed training: the resident numbers, stopped and resumed to the bit, odd settings refused."""

import dataclasses
import shutil
import types

import jax
import numpy as np
import pytest
from conftest import begun, same_bits
from photo_helpers import write_photos
from test_loop import StopAfter, figures, train

from imgcls_jax import data, models, steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.train import run
from imgcls_jax.train.build import build
from imgcls_jax.train.kept import network_record
from imgcls_jax.train.loop import Interrupted, fit
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.setup import make_setup
from imgcls_jax.workdir import Workdir

# 29 training photos at batch 8 end every epoch with one of 5.
CONFIG = Config.of(
    dataset="folder",
    image_size=8,
    feed="streamed",
    model="mlp",
    hidden=(16,),
    lr=0.01,
    augment=("flip",),
    batch_size=8,
    epochs=3,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))


def photos(folder, **options):
    return data.load("folder", data_dir=folder, **{"image_size": 8, "feed": "streamed"} | options)


@pytest.fixture(scope="module")
def dataset(folder):
    return photos(folder, random_crop=0.5)


@pytest.fixture(scope="module")
def trainer(dataset):
    return build(CONFIG, dataset)


def test_it_learns(trainer, dataset, tmp_path):
    state, history = train(trainer, tmp_path)
    assert int(state.step) == 12
    sums, logits = trainer.feed.evaluate(state, dataset.test)
    assert logits.shape == (len(dataset.test), 3)
    assert steps.means(sums)["accuracy"] > 0.8
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.parametrize("examples", [1, 17, 29, 45])
def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(trainer, tmp_path, examples):
    whole, history = train(trainer, tmp_path / "whole")
    with pytest.raises(Interrupted, match=r"stopped at step \d+, saved"):
        train(trainer, tmp_path / "cut", progress=StopAfter(examples))
    resumed, resumed_history = train(trainer, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)


@pytest.mark.slow
def test_long_epochs_are_saved_within(trainer, tmp_path, monkeypatch):
    """Killed between two checkpoints of an epoch, a run goes on from the last."""
    monkeypatch.setattr("imgcls_jax.train.ledger._OVERDUE_SECONDS", 0.0)
    whole, history = train(trainer, tmp_path / "whole")

    class Kill(Progress):
        seen = 0

        def examples(self, count, loss):
            self.seen += 1
            if self.seen == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr("imgcls_jax.train.loop._FIRST_STEPS", {"cpu": 1})
    monkeypatch.setattr("imgcls_jax.train.loop._CALL_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(trainer, tmp_path / "cut", progress=Kill())
    with Checkpoints(tmp_path / "cut" / "checkpoints") as checkpoints:
        assert checkpoints.step("last") == 2
    resumed, resumed_history = train(trainer, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)


def test_a_stop_is_looked_for_between_a_streams_compilations(dataset):
    checked = []
    build(CONFIG, dataset, check=lambda: checked.append(None))
    assert len(dataset.train) % CONFIG.train.batch_size > 0
    assert len(checked) == 1 + 2  # the network, and batches of two sizes


def test_other_photos_are_no_continuation(trainer, folder, tmp_path):
    with pytest.raises(Interrupted):
        train(trainer, tmp_path / "cut", progress=StopAfter(1))
    other = photos(folder, split_seed=1)
    with pytest.raises(UserError, match="cannot go on from a state of another stream"):
        train(build(CONFIG, other), tmp_path / "cut")


def test_evaluation_is_the_resident_one(trainer, dataset, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path))
    at_hand = photos(folder, feed="resident")
    resident = build(CONFIG.replace(feed="resident", random_crop=None), at_hand)
    state, _ = begun(trainer, 1)
    streamed = trainer.feed.evaluate(state, dataset.test)
    at_hand = resident.feed.evaluate(state, at_hand.test)
    np.testing.assert_allclose(streamed[1], at_hand[1], rtol=1e-5, atol=1e-5)
    assert int(streamed[0]["count"]) == int(at_hand[0]["count"]) == len(dataset.test)
    assert int(streamed[0]["correct"]) == int(at_hand[0]["correct"])
    assert jax.tree.structure(state) == jax.tree.structure(begun(resident, 1)[0])


@pytest.mark.parametrize("name", ["standard", "whiten"])
def test_the_pixels_of_a_stream_have_the_resident_statistics(folder, name, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path))
    found = [
        make_setup(
            CONFIG.replace(normalise=name, feed=feed),
            train=photos(folder, feed=feed).train,
            num_classes=3,
        ).constants
        for feed in ("streamed", "resident")
    ]
    assert found[0].keys() == found[1].keys() != set()
    for key, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][key])


def both_ways(folder, settings, **more):
    """Trainers of the same settings, streamed and resident."""
    return [
        build(settings.replace(feed=feed), photos(folder, feed=feed, **more), pretrained=WEIGHTS)
        if settings.model.weights != "none"
        else build(settings.replace(feed=feed), photos(folder, feed=feed, **more))
        for feed in ("streamed", "resident")
    ]


@pytest.mark.slow
def test_averaged_weights_have_the_resident_statistics(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path))
    settings = CONFIG.replace(model="cnn", hidden=(), widths=(4,), ema=0.9, augment=())
    streamed, resident = both_ways(folder, settings)
    state = streamed.feed.train(begun(streamed, 1), 0, 0, 3)[0]
    averaged = [trainer.feed.averaged(state) for trainer in (streamed, resident)]
    assert not np.allclose(
        averaged[0].batch_stats["BatchNorm_0"]["mean"], state.batch_stats["BatchNorm_0"]["mean"]
    )
    for ours, theirs in zip(*map(jax.tree.leaves, averaged), strict=True):
        if jax.dtypes.issubdtype(ours.dtype, np.floating):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


WEIGHTS = models.create("resnet20", num_classes=3).init(
    jax.random.key(5), np.zeros((1, 16, 16, 3), np.float32)
)
FROZEN = Config.of(
    dataset="folder", image_size=16, model="resnet20", weights="imagenet", trainable="head",
    lr=0.01, batch_size=8, epochs=2,
)  # fmt: skip


@pytest.mark.slow
def test_a_frozen_network_streams_once(folder, tmp_path, monkeypatch):
    """Its features are computed once and then fed: the same training as with images at hand."""
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path))
    trainers = both_ways(folder, FROZEN, image_size=16)
    heads = [t.feed.train(begun(t, 3), 0, 0, 4)[0].params["Dense_0"] for t in trainers]
    assert len(trainers[0].feature_seconds) == 1
    for ours, theirs in zip(*map(jax.tree.leaves, heads), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_frozen_stream_that_an_older_version_began_goes_on(folder, tmp_path, monkeypatch):
    """It had no features computed once, and where its stream stands is in its checkpoint."""
    loaded = types.SimpleNamespace(variables=WEIGHTS, source="nowhere")
    monkeypatch.setattr("imgcls_jax.pretrained.load", lambda *_, **__: loaded)
    found, older = photos(folder, image_size=16), FROZEN.replace(feed="streamed")
    workdir = Workdir(tmp_path / "older")
    workdir.claim(older)
    trainer = build(older.replace(cache_features=False), found, pretrained=WEIGHTS)
    record = network_record(trainer, found)
    del record["features_once"]
    workdir.write_json("network.json", record)
    with pytest.raises(Interrupted), Checkpoints(workdir.checkpoints) as checkpoints:
        fit(trainer, seed=0, workdir=workdir, checkpoints=checkpoints, progress=StopAfter(9))
    summary = run.train(older, name="older", dataset=found, workdir=workdir)
    assert (summary["epochs"], summary["steps"]) == (2, 8)
    assert run.evaluate_only(older, name="older", dataset=found, workdir=workdir)["steps"] == 8


@pytest.mark.slow
def test_the_head_comes_first_of_a_stream_too(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path))
    settings = FROZEN.replace(trainable="all", head_epochs=3)
    heads = [begun(t, 3)[0].params["Dense_0"] for t in both_ways(folder, settings, image_size=16)]
    for ours, theirs in zip(*map(jax.tree.leaves, heads), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_training_never_needs_the_test_set(folder, tmp_path):
    """And comes to the same without one."""
    whole = photos(folder)
    without = dataclasses.replace(whole, test=None)
    states = [
        train(build(CONFIG, found), tmp_path / name)[0]
        for name, found in (("whole", whole), ("without", without))
    ]
    assert same_bits(*states)


def test_a_photo_that_cannot_be_read_ends_a_run_that_goes_on_with_another(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "photos")
    dataset = photos(copy)
    trainer = build(CONFIG, dataset)
    photo = copy / dataset.train.images.source.paths[0]
    content = photo.read_bytes()
    photo.write_bytes(content[:-30])
    with pytest.raises(UserError, match=r"replace it and run the same command again to go on, or"):
        train(trainer, tmp_path / "run")
    photo.write_bytes(content)
    state, _ = train(trainer, tmp_path / "run")
    assert int(state.step) == 12
    photo.write_bytes(b"")
    with pytest.raises(UserError, match=r"is empty .*begin anew with `corrupt=skip`"):
        trainer.feed.evaluate(state, dataset.train)
