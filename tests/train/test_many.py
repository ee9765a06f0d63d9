"""Trainings in one program against the same trainings one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax import data, steps
from imgcls_jax.config import Config
from imgcls_jax.data.sampling import SAMPLERS
from imgcls_jax.errors import UserError
from imgcls_jax.train.build import build, training_splits
from imgcls_jax.train.many import Many, gains
from imgcls_jax.train.trainer import Watched

DIGITS = data.load("digits")
SETTINGS = {
    "dataset": "digits",
    "model": "mlp",
    "hidden": (16,),
    "optimizer": "adam",
    "lr": 0.01,
    "batch_size": 60,  # the last batch of an epoch is smaller
    "schedule": "cosine",
    "augment": ("flip",),
    "epochs": 2,
}


def _alone(settings, seed):
    """Trains by the ordinary feed; returns figures of the last epoch's record, and test logits."""
    trainer = build(Config.of(**settings), DIGITS)
    begun = trainer.start(seed)
    carry = (begun.state, begun.sums)
    for epoch in range(settings["epochs"]):
        carry = (carry[0], jax.tree.map(jnp.zeros_like, carry[1]))
        carry = trainer.feed.train(carry, epoch, 0, trainer.steps_per_epoch)
    figures = {
        "train_loss": steps.means(carry[1])["loss"],
        "validation_loss": steps.means(trainer.feed.evaluate(carry[0], DIGITS.train)[0])["loss"],
        "learning_rate": float(trainer.setup.schedule(int(carry[0].step) - 1)),
    }
    return figures, trainer.feed.evaluate(carry[0], DIGITS.test)[1]


@pytest.mark.parametrize(
    "sampler", [pytest.param(s, marks=[pytest.mark.slow] * (s != "uniform")) for s in SAMPLERS]
)
def test_each_member_is_the_training_that_it_is_alone(sampler):
    """Another seed and another rate, with augmentation, a schedule and a smaller batch."""
    settings = SETTINGS | {"sampler": sampler}
    config = Config.of(**settings)
    train, _ = training_splits(config, DIGITS)
    many = Many(build(config, DIGITS), train, seeds=[0, 3], scales=[1.0, 0.5])
    for _ in range(2):
        records = many.train_epoch(Watched("validation", train))
    sums, logits = many.evaluate(DIGITS.test)
    for member, (seed, lr) in enumerate(((0, 0.01), (3, 0.005))):
        figures, alone = _alone(settings | {"lr": lr}, seed)
        assert {name: records[member][name] for name in figures} == pytest.approx(figures, rel=1e-5)
        np.testing.assert_allclose(logits[member], alone, atol=2e-4)
        correct = int((alone.argmax(1) == DIGITS.test.labels).sum())
        assert int(sums[member]["correct"]) == correct
    assert int(many.members()[1].step) == records[0]["step"] == 2 * -(-len(train) // 60)


def test_which_is_faster_is_found_by_trying(monkeypatch):
    config = Config.of(**SETTINGS)
    trainer, (train, _) = build(config, DIGITS), training_splits(config, DIGITS)
    for cost, expected in ((0.1, True), (10.0, False)):  # seconds per member beyond the first
        clock = iter(np.cumsum([0, 1 + 7 * cost, 0, 1]))
        monkeypatch.setattr("imgcls_jax.train.many.Many", lambda *a, **k: _Idle())
        monkeypatch.setattr("imgcls_jax.train.many.time.perf_counter", lambda c=clock: next(c))
        assert gains(trainer, train, members=8) is expected


class _Idle:
    def train_epoch(self, steps_at_most):
        assert steps_at_most


def test_averaged_weights_are_refused():
    config = Config.of(**SETTINGS, ema=0.9)
    train, _ = training_splits(config, DIGITS)
    with pytest.raises(UserError, match="do not share a program; train them one by one"):
        Many(build(config, DIGITS), train, seeds=[0, 1])
