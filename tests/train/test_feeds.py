"""Streamed training: the resident numbers, stopped and resumed to the bit, odd settings refused."""

import shutil

import jax
import numpy as np
import pytest
from conftest import begun, same_bits
from photo_helpers import write_photos
from test_loop import StopAfter, figures, train

from imgcls_jax import data, steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.train.build import build
from imgcls_jax.train.loop import Interrupted
from imgcls_jax.train.progress import Progress

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
def program(dataset):
    return build(CONFIG, dataset)


def test_it_learns(program, dataset, tmp_path):
    state, history = train(program, tmp_path)
    assert int(state.step) == 12
    sums, logits = program.feed.evaluate(state, dataset.test)
    assert logits.shape == (len(dataset.test), 3)
    assert steps.means(sums)["accuracy"] > 0.8
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.parametrize("examples", [1, 17, 29, 45])
def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(program, tmp_path, examples):
    whole, history = train(program, tmp_path / "whole")
    with pytest.raises(Interrupted, match=r"stopped at step \d+, saved"):
        train(program, tmp_path / "cut", progress=StopAfter(examples))
    resumed, resumed_history = train(program, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)


def test_long_epochs_are_saved_within(program, tmp_path, monkeypatch):
    """Killed between two checkpoints of an epoch, a run goes on from the last."""
    monkeypatch.setattr("imgcls_jax.train.loop._OVERDUE_SECONDS", 0.0)
    whole, history = train(program, tmp_path / "whole")

    class Kill(Progress):
        seen = 0

        def examples(self, count, loss):
            self.seen += 1
            if self.seen == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr("imgcls_jax.train.loop._FIRST_STEPS", {"cpu": 1})
    monkeypatch.setattr("imgcls_jax.train.loop._CALL_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(program, tmp_path / "cut", progress=Kill())
    with Checkpoints(tmp_path / "cut" / "checkpoints") as checkpoints:
        assert checkpoints.step("last") == 2
    resumed, resumed_history = train(program, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)


def test_other_photos_are_no_continuation(program, folder, tmp_path):
    with pytest.raises(Interrupted):
        train(program, tmp_path / "cut", progress=StopAfter(1))
    other = photos(folder, split_seed=1)
    with pytest.raises(UserError, match="cannot go on from a state of another stream"):
        train(build(CONFIG, other), tmp_path / "cut")


def test_evaluation_is_the_resident_one(program, dataset, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path))
    at_hand = photos(folder, feed="resident")
    resident = build(CONFIG.replace(feed="resident", random_crop=None), at_hand)
    state, _ = begun(program, 1)
    streamed = program.feed.evaluate(state, dataset.test)
    at_hand = resident.feed.evaluate(state, at_hand.test)
    np.testing.assert_allclose(streamed[1], at_hand[1], rtol=1e-5, atol=1e-5)
    assert int(streamed[0]["count"]) == int(at_hand[0]["count"]) == len(dataset.test)
    assert int(streamed[0]["correct"]) == int(at_hand[0]["correct"])
    assert jax.tree.structure(state) == jax.tree.structure(begun(resident, 1)[0])


def test_a_photo_that_cannot_be_read_ends_a_run_that_goes_on_with_another(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "photos")
    dataset = photos(copy)
    program = build(CONFIG, dataset)
    photo = copy / dataset.train.images.source.paths[0]
    content = photo.read_bytes()
    photo.write_bytes(content[:-30])
    with pytest.raises(UserError, match=r"replace it and run the same command again to go on, or"):
        train(program, tmp_path / "run")
    photo.write_bytes(content)
    state, _ = train(program, tmp_path / "run")
    assert int(state.step) == 12
    photo.write_bytes(b"")
    with pytest.raises(UserError, match=r"is empty .*begin anew with `corrupt=skip`"):
        program.feed.evaluate(state, dataset.train)
