"""The search for a learning rate: what curves say, where ramps end, and that nothing is changed."""

import dataclasses
import itertools
import re

import numpy as np
import pytest
from conftest import SMALL, same_bits
from figure_helpers import pixels
from photo_helpers import write_photos
from test_loop import train

from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.report.rate_chart import losses_by_rate
from imgcls_jax.train import rate_finder
from imgcls_jax.train.build import build, training_splits, without_evaluation


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(rate_finder, "STEPS", 60)


class Untouched:
    """A split that nobody may look at."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} of a split that is none of a rate finder's business")

    def __len__(self):
        raise AssertionError("its length")


def curve(rates, *, falls_at, grows_at):
    """A loss that falls by 2 around one rate and grows without end from another."""
    return 2.5 - 2 / (1 + (falls_at / rates) ** 2) + (rates / grows_at) ** 2


def test_the_steepest_place_and_a_tenth_of_the_lowest_are_found_in_noise():
    rates = np.geomspace(1e-6, 10, 300)
    exact = curve(rates, falls_at=1e-3, grows_at=1.0)
    losses = exact + np.random.default_rng(0).normal(0, 0.03, 300)
    found = rate_finder.judge(rates, losses, diverged=True)
    assert found.steepest == pytest.approx(1e-3, rel=0.25)
    assert found.tenth == pytest.approx(rates[exact.argmin()] / 10, rel=0.4)
    inner = slice(20, 200)
    assert np.abs(found.smoothed - exact)[inner].max() < 0.06
    assert found.diverged


NOISE = (1 + np.random.default_rng(0).normal(0, 0.1, 300)).tolist()


@pytest.mark.parametrize("losses", [[1.0, 1.1, 1.3, 2.0], [2.0, 1.0], [], NOISE])
def test_where_nothing_falls_there_is_no_suggestion(losses):
    rates = np.geomspace(1e-6, 1e-3, max(1, len(losses)))
    with pytest.raises(UserError, match="the loss fell at no learning rate from 1e-06"):
        rate_finder.judge(rates, np.array(losses), diverged=False)


def test_a_fall_from_a_height_that_the_ramp_climbed_is_no_suggestion():
    rates = np.geomspace(1e-6, 1, 300)
    places = np.log10(rates)
    losses = np.interp(places, [-6, -4, -3, -2, -1, -0.8, 0], [2.0, 2.0, 1.0, 1.2, 5.0, 2.0, 2.0])
    found = rate_finder.judge(rates, losses, diverged=False)
    assert 1e-4 < found.steepest < 1e-3


def test_a_ramp_grows_by_equal_factors():
    schedule = rate_finder.ramp(1e-4, 1.0, 5)
    np.testing.assert_allclose([schedule(k) for k in range(5)], 10.0 ** np.arange(-4, 1), rtol=1e-5)


@pytest.mark.parametrize(
    ("losses", "kept", "diverged"),
    [
        ([2.0] * 5 + [0.1] * 40 + [0.5] * 30 + [0.05], 76, False),  # above four times the lowest
        ([2.0] * 5 + [0.1] * 40 + [9.0] * 30, 48, True),
        ([2.0, 1.0, np.nan, 1.0], 2, True),
        ([2.0, 1.0, 1e6, 1.0], 2, True),
    ],
)
def test_a_ramp_ends_where_the_loss_grows_above_its_start(losses, kept, diverged):
    def step(state, batch):
        return state + 1, {"loss": 4 * losses[state], "count": 4}

    found, ended = rate_finder.sweep(step, 0, itertools.repeat({}, len(losses)), num_classes=10)
    assert (len(found), ended) == (kept, diverged)
    assert found == losses[:kept]


def test_a_training_after_it_is_the_one_without_it(small_trainer, tmp_path):
    before, history = train(small_trainer, tmp_path / "before")
    found = rate_finder.find(small_trainer, seed=0)
    assert 1e-4 < found.steepest < 1
    assert 1e-4 < found.tenth < 1
    after, again = train(small_trainer, tmp_path / "after")
    assert same_bits(before, after)
    assert [one["train_loss"] for one in again] == [one["train_loss"] for one in history]


@pytest.mark.slow
def test_a_streamed_training_goes_on_where_it_was(tmp_path):
    config = Config.of(
        dataset="folder", image_size=8, feed="streamed", model="mlp", hidden=(8,), batch_size=8,
        epochs=2,
    )  # fmt: skip
    folder = write_photos(tmp_path / "photos")
    trainer = build(config, data.load("folder", data_dir=folder, image_size=8, feed="streamed"))

    def trained(*, found: bool):
        position = trainer.start(3)
        carry = trainer.feed.train((position.state, position.sums), 0, 0, 2)
        if found:
            rate_finder.find(trainer, seed=3)
        return trainer.feed.train(carry, 0, 2, 2)

    assert same_bits(trained(found=False), trained(found=True))


def test_it_meets_training_examples_alone(digits):
    """Neither those held out nor the test set, and the training split is the run's."""
    config = SMALL.replace(hold_out=0.2, evaluate="best", patience=1)
    alone, given = without_evaluation(config, digits)
    assert given.validation is None
    object.__setattr__(given, "test", Untouched())
    trainer = build(alone, given)
    assert trainer.watched is None
    assert trainer.train.digest == training_splits(config, digits)[0].digest
    seen = set()

    def watched(state, batch):
        seen.update(np.asarray(batch["index"]).tolist())
        assert len(batch["label"]) == config.train.batch_size
        return state, {"loss": 1.0 - 0.001 * len(seen), "count": 1}

    setup = trainer.setup._replace(step_with=lambda schedule: watched)
    rate_finder.find(dataclasses.replace(trainer, setup=setup), seed=0)
    assert max(seen) < len(trainer.train)


@pytest.mark.slow
def test_the_command_draws_and_leaves_the_folder_alone(fmnist_main, tmp_path):
    common = ("--dataset=digits", "--hidden=16", f"--workdir={tmp_path / 'run'}")
    status, out, err = fmnist_main(*common, f"--find_lr={tmp_path / 'rates.png'}")
    assert status == 0, err
    rate = float(re.search(r"suggestion\s+--lr=(\S+)", out)[1])
    assert 1e-4 < rate < 1
    assert not (tmp_path / "run").exists()
    assert pixels(tmp_path / "rates.png").shape[2] == 3


@pytest.mark.parametrize("flags", [("--run=8",), ("--run=8", "--dataset=digits")])
def test_run_8_has_no_rate_to_find(fmnist_main, tmp_path, flags):
    status, _, err = fmnist_main(*flags, f"--find_lr={tmp_path / 'rates.png'}")
    assert status == 1
    assert err == "error: run 8 takes no --find_lr; leave it out.\n"


def test_the_chart_keeps_a_diverging_loss_from_pressing_the_rest_flat(tmp_path):
    rates = np.geomspace(1e-6, 10, 300)
    losses = curve(rates, falls_at=1e-3, grows_at=0.1)
    found = rate_finder.judge(rates, losses, diverged=True)
    path = losses_by_rate(
        rates, losses, found.smoothed, {"steepest": found.steepest}, tmp_path / "a"
    )
    image = pixels(path)
    dark = (image < 60).all(axis=2).nonzero()[0]
    assert np.ptp(dark) > 0.4 * len(image)  # the curve spans the figure's height
