"""Going on where a run stopped, and what each epoch's record and best checkpoint are of.

From a checkpoint before a damaged one it ends as if nothing had happened.
"""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL, same_bits
from test_loop import StopAfter, figures, restore, train

from imgcls_jax import data
from imgcls_jax.checkpoint import Checkpoints, arrays
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.predict import restored
from imgcls_jax.train import run
from imgcls_jax.train.build import build
from imgcls_jax.train.loop import evaluate
from imgcls_jax.train.summary import evaluated_record
from imgcls_jax.workdir import Workdir

EXAMPLES = 1437 - 288  # of digits, a fifth held out
BEST = SMALL.replace(hold_out=0.2, evaluate="best")


class Judged:
    """A feed whose evaluations come out as told, of states that it marks as averaged."""

    def __init__(self, feed, accuracies=()):
        self._feed, self._accuracies, self.met = feed, list(accuracies), []

    def __getattr__(self, name):
        return getattr(self._feed, name)

    def averaged(self, state):
        return state.replace(step=-state.step)

    def evaluate(self, state, split):
        self.met.append(int(state.step))
        right = self._accuracies[(len(self.met) - 1) % len(self._accuracies)]
        return {"loss": 50.0, "correct": right, "count": 100}, np.zeros((1, 10))


def judged(trainer, accuracies):
    return dataclasses.replace(trainer, feed=Judged(trainer.feed, accuracies))


def best_step(folder):
    with Checkpoints(folder / "checkpoints") as checkpoints:
        return checkpoints.step("best")


def test_the_best_epoch_before_a_stop_stays_the_best(held_out_trainer, tmp_path):
    trainer = judged(held_out_trainer, [50, 90, 60, 70])
    with pytest.raises(Interrupted):
        train(trainer, tmp_path, progress=StopAfter(2 * EXAMPLES))
    assert best_step(tmp_path) == 2 * trainer.steps_per_epoch
    _, history = train(trainer, tmp_path)
    assert [record["validation_accuracy"] for record in history] == [0.5, 0.9, 0.6, 0.7]
    assert best_step(tmp_path) == 2 * trainer.steps_per_epoch
    assert evaluated_record(history, SMALL.replace(hold_out=0.2, evaluate="best"))["epoch"] == 2


def test_of_equal_epochs_the_first_is_kept_and_reported(held_out_trainer, tmp_path):
    trainer = judged(held_out_trainer, [50, 90, 90, 90])
    _, history = train(trainer, tmp_path)
    kept = evaluated_record(history, SMALL.replace(hold_out=0.2, evaluate="best"))
    assert best_step(tmp_path) == kept["step"] == 2 * trainer.steps_per_epoch


def test_a_record_is_of_its_own_epoch_alone(held_out_trainer, tmp_path):
    """The rate is its last step's, the examples are one epoch's; the average is validated."""
    trainer = judged(held_out_trainer, [50])
    trainer = dataclasses.replace(
        trainer, setup=trainer.setup._replace(schedule=lambda step: 0.25 * step)
    )
    _, history = train(trainer, tmp_path)
    length = trainer.steps_per_epoch
    assert [r["learning_rate"] for r in history] == [0.25 * (n * length - 1) for n in range(1, 5)]
    for record in history:
        examples = record["examples_per_second"] * record["train_seconds"]
        assert examples == pytest.approx(EXAMPLES)
    assert trainer.feed.met == [-n * length for n in range(1, 5)]


def test_the_test_set_meets_the_average(held_out_trainer):
    trainer = judged(held_out_trainer, [50])
    state = trainer.start(0).state
    found = evaluate(trainer, state.replace(step=state.step + 9), trainer.watched.split)
    assert (trainer.feed.met, int(found.state.step)) == ([-9], -9)


def test_every_epoch_visits_in_an_order_of_its_own(small_trainer):
    """Epoch 1 is the same after epoch 0 as from a feed that was opened anew."""
    position = small_trainer.start(3)
    carry = (position.state, position.sums)
    state, sums = small_trainer.feed.train(carry, 0, 0, 1)
    step = int(state.step)
    copies = [jax.tree.map(jnp.copy, (state, sums)) for _ in range(2)]
    going_on = small_trainer.feed.train(copies[0], 1, 0, 3)
    small_trainer.feed.open(3)
    anew = small_trainer.feed.train(copies[1], 1, 0, 3)
    assert step == 1
    assert same_bits(going_on, anew)


def test_a_stopped_run_with_noise_and_a_best_checkpoint_is_the_uninterrupted_one(digits, tmp_path):
    """Dropout, shifts and batch statistics; the slow tests have more of it."""
    small = data.Split(digits.train.images[:100], digits.train.labels[:100])
    config = SMALL.replace(
        model="cnn", hidden=(), widths=(2,), dropout=0.3, augment=("flip", "shift"), hold_out=0.2,
        epochs=3, batch_size=40,
    )  # fmt: skip
    trainer = build(config, dataclasses.replace(digits, train=small))
    whole, history = train(trainer, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(trainer, tmp_path / "cut", progress=StopAfter(100))
    resumed, resumed_history = train(trainer, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)
    best = [restore("best", trainer, tmp_path / folder).state for folder in ("whole", "cut")]
    assert same_bits(*best)


def damage(folder, *kinds):
    for kind in kinds:
        for path in folder.glob(f"checkpoints/{kind}/manifest.ocdbt"):
            path.write_bytes(path.read_bytes()[::-1])


@pytest.fixture
def every_epoch(monkeypatch):
    """A checkpoint after every epoch, however short."""
    monkeypatch.setattr("imgcls_jax.train.ledger.Saver.is_due", lambda self, record: True)


def test_a_damaged_newest_costs_an_epoch_and_no_bit(
    held_out_trainer, tmp_path, every_epoch, caplog
):
    trainer = judged(held_out_trainer, [50, 60, 70, 40])
    whole, history = train(trainer, tmp_path / "whole")
    trainer.feed.met.clear()
    with pytest.raises(Interrupted):
        train(trainer, tmp_path / "cut", progress=StopAfter(3 * EXAMPLES - 1))
    length = trainer.steps_per_epoch
    damage(tmp_path / "cut", f"last/{3 * length}", f"best/{3 * length}")
    trainer.feed.met[:] = trainer.feed.met[:2]  # as a feed tells that begins with the third
    again, resumed_history = train(trainer, tmp_path / "cut")
    assert f"going on from step {2 * length}" in caplog.text
    assert same_bits(whole, again)
    assert figures(resumed_history) == figures(history)
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
    with Checkpoints(tmp_path / "cut" / "checkpoints") as checkpoints:
        kept = checkpoints.restore("best", trainer.blank())
    assert int(kept.state.step) == 3 * length


def test_without_any_whole_one_the_sentence_names_what_to_remove(
    held_out_trainer, tmp_path, every_epoch
):
    train(held_out_trainer, tmp_path)
    damage(tmp_path, "last/*")
    with pytest.raises(UserError, match=r"or remove .*/checkpoints/last, and nothing else, to"):
        train(held_out_trainer, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "last")  # as told
    _, history = train(held_out_trainer, tmp_path)
    assert len(history) == 4


@pytest.fixture(scope="module")
def finished(digits, held_out_trainer, tmp_path_factory):
    """(runs the command in a folder, the folder of a run that met the test set with its best)."""
    trainer = dataclasses.replace(held_out_trainer, config=BEST)

    def again(folder):
        at = {"workdir": Workdir(folder), "shared_trainer": lambda **_: trainer}
        return run.train(BEST, name="one", dataset=digits, **at)

    folder = tmp_path_factory.mktemp("finished")
    again(folder)
    return again, folder


def test_what_the_end_needs_is_asked_for_at_the_start(finished, tmp_path, monkeypatch):
    again, folder = finished[0], shutil.copytree(finished[1], tmp_path / "run")
    (folder / "summary.json").unlink()
    damage(folder, "best/*")
    monkeypatch.setattr(run, "fit", None)  # not reached
    onto_a_device, read = [], arrays.read

    def noted(folder, like, record):
        onto_a_device.append(folder.parent.name)
        return read(folder, like, record)

    monkeypatch.setattr(arrays, "read", noted)
    with pytest.raises(UserError, match=r"/best/\d+ cannot be read .* needs it at its end: bring"):
        again(folder)
    assert onto_a_device == ["last"]
    shutil.rmtree(folder / "checkpoints" / "best")
    with pytest.raises(UserError, match=r"/best/\d+ is missing; the run in .* needs it at its end"):
        again(folder)


def test_a_damaged_network_is_made_anew_as_the_sentence_says(finished, tmp_path):
    again, folder = finished[0], shutil.copytree(finished[1], tmp_path / "run")
    before = restored.restore(folder).variables
    (folder / "figures").mkdir(exist_ok=True)
    leftover = folder / "figures" / ".imgcls-curves.png.99999999.4711"
    leftover.touch()
    damage(folder, "evaluated/*")
    with pytest.raises(UserError, match=r"/evaluated/\d+ cannot be read .* or remove .*/summary"):
        restored.restore(folder)
    (folder / "summary.json").unlink()  # as told
    again(folder)
    assert same_bits(restored.restore(folder).variables, before)
    assert not leftover.exists()
