"""Trainings on balanced batches: the very examples drawn, stopped and resumed to the bit."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import SMALL, begun, same_bits
from photo_helpers import write_photos
from test_loop import StopAfter, train

from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.data import Split, resident
from imgcls_jax.errors import Interrupted
from imgcls_jax.train.build import build

STREAMED = Config.of(
    dataset="folder", image_size=8, feed="streamed", model="mlp", hidden=(8,), batch_size=8,
    epochs=2, sampler="balanced",
)  # fmt: skip


@pytest.fixture(scope="module")
def uneven(digits):
    """Digits of which most are 0 or 1."""
    few = np.flatnonzero(digits.train.labels > 1)[:60]
    rows = np.sort(np.concatenate([np.flatnonzero(digits.train.labels < 2), few]))
    part = Split(digits.train.images[rows], digits.train.labels[rows])
    return dataclasses.replace(digits, train=part)


@pytest.fixture(scope="module")
def trainer(uneven):
    return build(SMALL.replace(sampler="balanced", batch_size=60, epochs=3), uneven)


@pytest.mark.slow
def test_the_examples_are_those_drawn(trainer):
    """A run of single steps on them ends with the same bits."""
    state, sums = begun(trainer, 4)
    found, sums = trainer.feed.train((state, sums), 2, 0, trainer.steps_per_epoch)
    assert int(sums["count"]) == trainer.feed.size
    state, _ = begun(trainer, 4)
    source = trainer.feed.on_device(trainer.train)
    order = np.asarray(resident.balanced_order(state.key, 2, source.labels))
    for start in range(0, len(order), 60):
        batch = resident.take(source, order[start : start + 60])
        state, _ = trainer.setup.train_step(state, batch)
    for a, b in zip(jax.tree.leaves(found.params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(trainer, tmp_path):
    whole, _ = train(trainer, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(trainer, tmp_path / "cut", progress=StopAfter(500))
    resumed, _ = train(trainer, tmp_path / "cut")
    assert same_bits(whole, resumed)


@pytest.mark.slow
def test_a_streamed_run_too(tmp_path):
    folder = write_photos(tmp_path / "photos")
    photos = data.load("folder", data_dir=folder, image_size=8, feed="streamed", random_crop=0.5)
    trainer = build(STREAMED, photos)
    whole, _ = train(trainer, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(trainer, tmp_path / "cut", progress=StopAfter(10))
    resumed, _ = train(trainer, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert b'"sampler": "balanced"' in trainer.feed.position().tobytes()
