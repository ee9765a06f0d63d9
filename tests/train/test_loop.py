"""The loop: same seed same bits, stopping and going on, the best checkpoint, a diverging loss."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import SMALL, begun, same_bits

from imgcls_jax import data, steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.train.build import build
from imgcls_jax.train.loop import evaluate, fit
from imgcls_jax.train.progress import Progress
from imgcls_jax.train.setup import make_setup
from imgcls_jax.workdir import Workdir


class StopAfter(Progress):
    """Asks to stop once this many examples were trained on."""

    def __init__(self, examples: int):
        self.left = examples

    def examples(self, count, loss):
        assert loss > 0
        self.left -= count

    def stop_requested(self):
        return self.left <= 0


def restore(kind, trainer, folder):
    with Checkpoints(Path(folder) / "checkpoints") as checkpoints:
        return checkpoints.restore(kind, trainer.blank())


def train(trainer, folder, seed=0, progress=None):
    workdir = Workdir(folder)
    workdir.claim(trainer.config)
    with Checkpoints(workdir.checkpoints) as checkpoints:
        return fit(
            trainer,
            seed=seed,
            workdir=workdir,
            checkpoints=checkpoints,
            progress=progress or Progress(),
        )


def figures(history):
    """The history without what a clock says."""
    return [{k: v for k, v in r.items() if "second" not in k} for r in history]


def test_it_learns(small_trainer, tmp_path):
    state, history = train(small_trainer, tmp_path)
    assert int(state.step) == 4 * 15
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert history[0]["train_accuracy"] < history[-1]["train_accuracy"] > 0.8
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
    assert history == Workdir(tmp_path).history()


def test_same_seed_same_bits_other_seed_other_bits(small_trainer, tmp_path):
    one, _ = train(small_trainer, tmp_path / "a", seed=7)
    same, _ = train(small_trainer, tmp_path / "b", seed=7)
    other, _ = train(small_trainer, tmp_path / "c", seed=8)
    assert same_bits(one, same)
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        assert not np.allclose(a, b)


@pytest.mark.parametrize("examples", [1, 900, 1437, 3000])
def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(small_trainer, tmp_path, examples):
    """Stopped at once, within an epoch, at the end of one, within a later one."""
    whole, history = train(small_trainer, tmp_path / "whole")
    with pytest.raises(Interrupted, match=r"stopped at step \d+, saved"):
        train(small_trainer, tmp_path / "cut", progress=StopAfter(examples))
    resumed, resumed_history = train(small_trainer, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)


def test_a_killed_run_loses_only_what_came_after_its_checkpoint(small_trainer, tmp_path):
    """History lines beyond the checkpoint, one of them cut short, are made again."""
    whole, history = train(small_trainer, tmp_path / "whole")
    folder = tmp_path / "killed"
    with pytest.raises(Interrupted):
        train(small_trainer, folder, progress=StopAfter(1437))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(history[1]) + "\n" + '{"epoch": 3, "train_l')
    resumed, resumed_history = train(small_trainer, folder)
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)


def test_best_is_chosen_by_validation(held_out_trainer, tmp_path):
    state, history = train(held_out_trainer, tmp_path)
    accuracies = [record["validation_accuracy"] for record in history]
    best = int(np.argmax(accuracies))
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.step("last") == int(state.step)
        assert checkpoints.step("best") == history[best]["step"]
    kept = restore("best", held_out_trainer, tmp_path).state
    found = evaluate(held_out_trainer, kept, held_out_trainer.watched.split).sums
    assert float(found["correct"]) / float(found["count"]) == accuracies[best]


def test_validation_is_what_was_held_out_of_training(held_out_trainer, digits):
    """And never the test set, to which a choice must not look."""
    train, held_out = data.hold_out(digits.train, fraction=0.2, seed=42)
    name, split = held_out_trainer.watched
    assert name == "validation"
    np.testing.assert_array_equal(split.images, held_out.images)
    np.testing.assert_array_equal(split.labels, held_out.labels)
    assert held_out_trainer.feed.size == len(train)


def test_without_validation_there_is_no_best(small_trainer, tmp_path):
    train(small_trainer, tmp_path)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.step("best") is None


def test_a_diverging_loss_stops_with_earlier_checkpoints_intact(small_trainer, tmp_path):
    """The poison comes after the first checkpoint: that one survives and can be read."""

    with pytest.raises(Interrupted):
        train(small_trainer, tmp_path, progress=StopAfter(1437))
    before = Workdir(tmp_path).history()

    kept = restore("last", small_trainer, tmp_path)
    broken = dataclasses.replace(small_trainer, feed=Spoiled(small_trainer.feed, _nan))
    with pytest.raises(
        UserError, match="training diverged in epoch 2: the loss is nan; use a smal"
    ):
        train(broken, tmp_path)
    assert same_bits(kept, restore("last", small_trainer, tmp_path))
    assert figures(Workdir(tmp_path).history()) == figures(before)


def test_parameters_that_the_last_step_ruined_are_not_saved(small_trainer, tmp_path):
    """The loss is from before the update, so it cannot tell."""

    def ruin(state, sums):
        return state.replace(params=jax.tree.map(lambda x: x * np.inf, state.params)), sums

    with pytest.raises(
        UserError, match=r"epoch 1: a parameter is no longer finite.*nothing was saved yet"
    ):
        train(dataclasses.replace(small_trainer, feed=Spoiled(small_trainer.feed, ruin)), tmp_path)


def test_a_lost_history_is_a_sentence(small_trainer, tmp_path):
    with pytest.raises(Interrupted):
        train(small_trainer, tmp_path, progress=StopAfter(1437))
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(
        UserError, match=r"does not say.* what epoch 1 came to, and the checkpoint is of epoch 1"
    ):
        train(small_trainer, tmp_path)


def test_the_history_goes_by_the_numbers_of_epochs(small_trainer, tmp_path):
    """Lines doubled, of another run or cut short are found; two opinions are a sentence."""
    whole, history = train(small_trainer, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(small_trainer, tmp_path / "cut", progress=StopAfter(3 * 1437))
    path = tmp_path / "cut" / "metrics.jsonl"
    lines = path.read_text().splitlines()
    later = json.dumps(json.loads(lines[1]) | {"train_seconds": 1.0})
    foreign = json.dumps(json.loads(lines[1]) | {"step": 31, "train_loss": 9.0})
    path.write_text(
        "\n".join([lines[0], foreign, lines[1], later, '{"ep', "7", lines[2], lines[1]])
    )
    resumed, resumed_history = train(small_trainer, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history) == figures(Workdir(path.parent).history())
    assert len(path.read_text().splitlines()) == 4

    with pytest.raises(Interrupted):
        train(small_trainer, tmp_path / "two", progress=StopAfter(3 * 1437))
    path = tmp_path / "two" / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, json.dumps(json.loads(lines[1]) | {"train_loss": 9.0})]))
    with pytest.raises(UserError, match="says in two ways, what epoch 2 came to, and the checkpoi"):
        train(small_trainer, tmp_path / "two")


@pytest.mark.slow
def test_a_stopped_cnn_with_noise_and_validation_resumes_bit_for_bit(digits, tmp_path):
    """Dropout, shifts, batch statistics and the best checkpoint too."""
    small = data.Split(digits.train.images[:300], digits.train.labels[:300])
    config = SMALL.replace(
        model="cnn", hidden=(), augment=("flip", "shift"), hold_out=0.2, epochs=3,
        batch_size=50, optimizer="adamw",
    )  # fmt: skip
    trainer = build(config, dataclasses.replace(digits, train=small))
    whole, history = train(trainer, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(trainer, tmp_path / "cut", progress=StopAfter(400))
    resumed, resumed_history = train(trainer, tmp_path / "cut")
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)
    best = [restore("best", trainer, tmp_path / folder).state for folder in ("whole", "cut")]
    assert same_bits(*best)


def test_the_time_of_a_stopped_epoch_is_not_forgotten(small_trainer, tmp_path):
    with pytest.raises(Interrupted):
        train(small_trainer, tmp_path, progress=StopAfter(1))
    spent = float(restore("last", small_trainer, tmp_path).seconds)
    assert spent > 0
    _, history = train(small_trainer, tmp_path)
    assert history[0]["train_seconds"] > spent


class Spoiled:
    """A feed after whose every call something is done to state and sums."""

    def __init__(self, feed, spoil):
        self._feed, self._spoil = feed, spoil

    def __getattr__(self, name):
        return getattr(self._feed, name)

    def train(self, *arguments):
        return self._spoil(*self._feed.train(*arguments))


def _nan(state, sums):
    return state, sums | {"loss": sums["loss"] * np.nan}


def test_settings_reach_the_program(digits):
    """Each of these must change what is trained: an option that does nothing is a defect."""
    base = SMALL.replace(epochs=1, hidden=(), model="linear")
    changes = [
        {},
        {"optimizer": "adamw", "weight_decay": 0.5},
        {"optimizer": "adamw", "weight_decay": 0.5, "decay": "kernels"},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        {"optimizer": "sgd", "momentum": 0.9, "framework": "keras", "schedule": "cosine"},
        {"schedule": "cosine"},
        {"schedule": "step", "step_epochs": 0.5, "step_gamma": 0.5},
        {"schedule": "step", "step_epochs": 0.5},
        {"warmup_epochs": 0.5},
        {"label_smoothing": 0.2},
        {"init": "keras_glorot"},
        {"augment": ("shift",)},
        {"batch_size": 50},
        {"lr": 0.02},
        {"lr_scale": ("bias=0",)},
        {"clip_norm": 0.1},
        {"normalise": "standard"},
        {"seed": 1},
    ]
    train = data.Split(digits.train.images[:600], digits.train.labels[:600])
    seen = []
    for change in changes:
        config = base.replace(**change)
        setup = make_setup(config, train=train, num_classes=10)
        state = steps.init_state(
            model=setup.network.model,
            tx=setup.tx,
            key=jax.random.key(config.train.seed),
            image_shape=setup.network.image_shape,
        )
        for first in range(0, 5 * config.train.batch_size, config.train.batch_size):
            here = slice(first, first + config.train.batch_size)
            batch = {"image": digits.train.images[here], "label": digits.train.labels[here]}
            state, _ = setup.train_step(state, batch)
        kernel = np.asarray(state.params["Dense_0"]["kernel"])
        for other, earlier in seen:
            assert not np.allclose(kernel, other, atol=1e-7), (change, earlier)
        seen.append((kernel, change))


def test_one_hot_labels_train_the_same_network(digits, small_trainer):
    """Integer and one-hot cross-entropy are the same function."""
    one_hot = build(SMALL.replace(labels="one_hot"), digits)
    results = []
    for trainer in (small_trainer, one_hot):
        state, sums = begun(trainer, 0)
        results.append(trainer.feed.train((state, sums), 0, 0, 15)[0].params)
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch_size": 1438}, "`batch_size=1438` is larger than the training set of 1437"),
        ({"hold_out": 0.5, "batch_size": 1000}, "`hold_out=0.5` leaves 718 of 1437 examples"),
        ({"optimizer": "adamw", "decay": "nothing"}, "'nothing' matches none of"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(digits, change, sentence):
    with pytest.raises(UserError, match=sentence):
        build(SMALL.replace(**change), digits)
