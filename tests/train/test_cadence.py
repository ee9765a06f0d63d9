"""How often checkpoints are written: the grammar, and that a training keeps to it."""

import math

import pytest
from conftest import SMALL

from imgcls_jax.checkpoint import Checkpoints, NoCheckpoints
from imgcls_jax.config.cadence import Cadence
from imgcls_jax.errors import UserError
from imgcls_jax.train import ledger
from imgcls_jax.train.loop import fit
from imgcls_jax.train.progress import Progress
from imgcls_jax.workdir import Workdir


@pytest.mark.parametrize(
    ("text", "seconds", "steps", "epochs"),
    [
        ("30s", 30, math.inf, math.inf),
        ("0.5s", 0.5, math.inf, math.inf),
        ("500steps", math.inf, 500, math.inf),
        ("1step", math.inf, 1, math.inf),
        ("2epochs", math.inf, math.inf, 2),
        ("1epoch", math.inf, math.inf, 1),
    ],
)
def test_a_number_and_its_unit(text, seconds, steps, epochs):
    assert Cadence.of(text) == Cadence(seconds, steps, epochs)


@pytest.mark.parametrize(
    "text",
    ["", "30", "0s", "0steps", "1.5epochs", "-1s", "s", "5 minutes", "٣s", "1e9s", "9" * 400],
)
def test_anything_else_is_a_sentence(text):
    with pytest.raises(
        UserError, match=r"checkpoint_every=.* cannot be used; write a number and it"
    ):
        Cadence.of(text)


class Noted(Checkpoints):
    """Checkpoints that note their steps and write nothing."""

    def __init__(self, directory):
        super().__init__(directory)
        self.saved = []

    def save(self, kind, step, tree):
        self.saved.append(step)


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("4steps", [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60]),
        ("25steps", [25, 50, 60]),
        ("1epoch", [15, 30, 45, 60]),
        ("3epochs", [45, 60]),
        ("1000s", [60]),
        (None, [60]),
    ],
)
def test_a_training_keeps_to_it(small_trainer, tmp_path, monkeypatch, every, steps):
    """Its epochs have 15 steps, of which one call makes several."""
    monkeypatch.setattr(ledger, "_SAVE_SECONDS", 1000.0)
    workdir = Workdir(tmp_path, checkpoint_every=every and Cadence.of(every))
    workdir.claim(small_trainer.config)
    with Noted(workdir.checkpoints) as noted:
        at = {"workdir": workdir, "checkpoints": noted, "progress": Progress()}
        fit(small_trainer, seed=0, **at)
    assert noted.saved == steps


@pytest.mark.parametrize(("of", "seconds"), [(1, 10), (3, 30), (64, 120)])
def test_an_epochs_end_is_saved_10_s_a_training_after_the_last_or_two_minutes(
    tmp_path, monkeypatch, of, seconds
):
    at = ledger.Ledger(SMALL, Workdir(tmp_path), NoCheckpoints(), num_classes=10, steps=3, of=of)
    for age, due in ((seconds - 1, False), (seconds + 1, True)):
        monkeypatch.setattr(at.saver, "_age", lambda age=age: age)
        assert at.saver.is_due({"epoch": 1, "step": 3}) is due


def test_seconds_count_within_an_epoch_too(small_trainer, tmp_path):
    workdir = Workdir(tmp_path, checkpoint_every=Cadence.of("0.000001s"))
    workdir.claim(small_trainer.config)
    with Noted(workdir.checkpoints) as noted:
        at = {"workdir": workdir, "checkpoints": noted, "progress": Progress()}
        fit(small_trainer, seed=0, **at)
    assert len(noted.saved) > 4
    assert {15, 30, 45, 60} < set(noted.saved)


def test_the_flag_reaches_a_run_and_what_it_cannot_be_is_said(fmnist_main, tmp_path):
    status, _, err = fmnist_main("--dataset=digits", "--checkpoint_every=often")
    assert (status, err.count("\n")) == (1, 1)
    assert "--checkpoint_every=often cannot be used" in err
    status, _, err = fmnist_main("--run=8", "--checkpoint_every=1s", f"--workdir={tmp_path}")
    assert (status, "run 8 takes no --checkpoint_every" in err) == (1, True)
