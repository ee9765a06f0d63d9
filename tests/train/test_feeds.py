"""Streamed training: the resident numbers, stopped and resumed to the bit, odd settings refused."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from conftest import same_bits
from photo_helpers import write_photos
from test_loop import StopAfter, figures, train

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data.photos import load
from imgcls_jax.errors import UserError
from imgcls_jax.train.loop import Interrupted
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.trainer import build

# 29 training photos at batch 8 end every epoch with one of 5.
CONFIG = Config(
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


@pytest.fixture(scope="module")
def program(folder):
    dataset = load.load(folder, size=8, streamed=True, crop_scale=(0.5, 1.0))
    return build(CONFIG, dataset)


def test_it_learns(program, tmp_path):
    state, history = train(program, tmp_path)
    assert int(state.step) == 12
    sums, logits = program.evaluate["test"](state, program.test)
    assert logits.shape == (len(program.test), 3)
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
    other = load.load(folder, size=8, streamed=True, split_seed=1)
    with pytest.raises(UserError, match="cannot go on from a state of another stream"):
        train(build(CONFIG, other), tmp_path / "cut")


def test_evaluation_is_the_resident_one(program, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path))
    resident = build(dataclasses.replace(CONFIG, feed="resident"), load.load(folder, size=8))
    state, _ = program.start(1)
    streamed = program.evaluate["test"](state, program.test)
    at_hand = resident.evaluate["test"](state, resident.test)
    np.testing.assert_allclose(streamed[1], at_hand[1], rtol=1e-5, atol=1e-5)
    assert int(streamed[0]["count"]) == int(at_hand[0]["count"]) == len(program.test)
    assert int(streamed[0]["correct"]) == int(at_hand[0]["correct"])
    assert jax.tree.structure(state) == jax.tree.structure(resident.start(1)[0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ema": 0.9}, "--ema needs the images at hand"),
        ({"normalise": "standard"}, "normalise=standard needs all training images at once"),
    ],
)
def test_what_needs_all_images_is_refused(folder, changes, sentence):
    dataset = load.load(folder, size=8, streamed=True)
    with pytest.raises(UserError, match=sentence):
        build(dataclasses.replace(CONFIG, **changes), dataset)


def test_a_photo_that_cannot_be_read_ends_a_run_that_goes_on_with_another(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "photos")
    program = build(CONFIG, load.load(copy, size=8, streamed=True))
    photo = copy / program.train.images.source.paths[0]
    content = photo.read_bytes()
    photo.write_bytes(content[:-30])
    with pytest.raises(UserError, match=r"replace it and run the same command again to go on, or"):
        train(program, tmp_path / "run")
    photo.write_bytes(content)
    state, _ = train(program, tmp_path / "run")
    assert int(state.step) == 12
    photo.write_bytes(b"")
    with pytest.raises(UserError, match=r"is empty .*begin anew with --corrupt=skip"):
        program.evaluate["test"](state, program.train)
