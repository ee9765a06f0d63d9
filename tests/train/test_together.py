"""Seeds trained in one program against the same seeds one by one: figures, files, interruptions."""

import functools
import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest
from conftest import SMALL

from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.predict.restored import restore
from imgcls_jax.train import run, together
from imgcls_jax.train.build import build
from imgcls_jax.train.many import Many, considered, gains
from imgcls_jax.train.progress import ProgressBar
from imgcls_jax.workdir import Workdir

CONFIG = SMALL.replace(epochs=2, hold_out=0.2, evaluate="best")


def repeat(digits, folder, config=CONFIG, *, seeds, vectorize="off"):
    of = {"name": "small", "seeds": seeds, "dataset": digits, "workdir": Workdir(folder)}
    trainer = run.begin_together(config, vectorize=vectorize, **of)
    return run.repeat(config, shared_trainer=trainer, **of)


@pytest.fixture(scope="module", autouse=True)
def built_once(digits):
    """One trainer for all: it serves any number of seeds."""
    make = functools.cache(lambda config: build(config, digits))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "make_trainer", lambda config, *a, **k: make(config.replace(seed=0)))
        yield


@pytest.fixture(scope="module")
def alone(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    repeat(digits, folder, seeds=2)
    return folder


def close(ours, theirs):
    """Whether two runs came to the same figures, but for rounding."""
    for name in ("test_accuracy", "test_loss", "train_loss", "validation_loss"):
        values = [json.loads((of / "summary.json").read_text())[name] for of in (ours, theirs)]
        assert values[0] == pytest.approx(values[1], rel=1e-4), name
    probabilities = [np.load(of / "predictions.npz")["probabilities"] for of in (ours, theirs)]
    np.testing.assert_allclose(*probabilities, atol=1e-4)
    histories = [Workdir(of).history() for of in (ours, theirs)]
    for one, other in zip(*histories, strict=True):
        assert set(one) - {"together"} == set(other)
        figures = [name for name in other if "seconds" not in name and "second" not in name]
        for name in figures:
            assert one[name] == pytest.approx(other[name], rel=1e-3), name


def files(folder):
    """The files of a run, without those of which Orbax decides how many there are."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if "checkpoints" not in path.parts} | {
        path.name for path in (folder / "checkpoints").iterdir()
    }


@pytest.mark.slow
def test_each_seed_has_the_folder_that_it_has_alone(digits, alone, tmp_path, capsys):
    result = repeat(digits, tmp_path, seeds=2, vectorize="on")
    assert "seeds 0, 1 in one program" in capsys.readouterr().out
    assert result["together"] == [2, 2]
    assert "together" not in json.loads((alone / "summary.json").read_text())
    for seed in range(2):
        ours, theirs = (folder / f"seed-{seed}" for folder in (tmp_path, alone))
        close(ours, theirs)
        assert files(ours) == files(theirs)
        summaries = [json.loads((of / "summary.json").read_text()) for of in (ours, theirs)]
        assert set(summaries[0]) - set(summaries[1]) == {"together"}
        assert summaries[0]["seed"] == seed
        assert (ours / "config.json").read_text() == (theirs / "config.json").read_text()
        expected = np.load(ours / "predictions.npz")["probabilities"]
        found = jax.nn.softmax(restore(ours).logits(digits.test.images))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert repeat(digits, tmp_path, seeds=2, vectorize="on") == result


@pytest.mark.slow
def test_a_stopped_program_goes_on_seed_by_seed(digits, alone, tmp_path, monkeypatch, capsys):
    """Seed 0 is finished before, and stays; a signal comes in the first epoch of the others."""
    shutil.copytree(alone / "seed-0", tmp_path / "seed-0")
    (tmp_path / "seeds.json").write_text((alone / "seeds.json").read_text())
    before = (tmp_path / "seed-0" / "summary.json").read_bytes()
    real = ProgressBar.epoch

    def stopping(self, record):
        real(self, record)
        if record["epoch"] == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "epoch", stopping)
    with pytest.raises(Interrupted, match=r"after epoch 1 of 2 seeds .* `seeds=3` to continue\."):
        repeat(digits, tmp_path, seeds=3, vectorize="on")
    monkeypatch.setattr(ProgressBar, "epoch", real)
    capsys.readouterr()
    result = repeat(digits, tmp_path, seeds=3, vectorize="on")
    out = capsys.readouterr().out
    assert "in one program" not in out
    assert out.count("resuming from step 12 of 24") == 2
    assert result["together"] == [1, 2, 2]
    assert (tmp_path / "seed-0" / "summary.json").read_bytes() == before
    close(tmp_path / "seed-1", alone / "seed-1")
    for seed in (1, 2):
        history = Workdir(tmp_path / f"seed-{seed}").history()
        assert [record.get("together") for record in history] == [2, None]


@pytest.mark.slow
def test_patience_ends_each_seed_by_its_own_history(digits, tmp_path):
    """At a rate of nothing no epoch is better than the first, so patience of one ends two."""
    config = CONFIG.replace(lr=1e-12, patience=1, epochs=4)
    repeat(digits, tmp_path, config, seeds=2, vectorize="on")
    assert [len(Workdir(tmp_path / f"seed-{seed}").history()) for seed in (0, 1)] == [2, 2]


@pytest.mark.parametrize("name", ["train_loss", "validation_loss"])
def test_a_diverging_seed_is_named(digits, tmp_path, monkeypatch, name):
    record = {"epoch": 1, "step": 12, "train_loss": 1.0, "validation_loss": 1.0}
    record |= {"train_accuracy": 0.5, "train_seconds": 1.0, "eval_seconds": 0.0}
    records = [record, record | {name: float("nan")}]
    monkeypatch.setattr(Many, "train_epoch", lambda *_: records)
    with pytest.raises(UserError, match="seed 1: training diverged in epoch 1: the loss is nan"):
        repeat(digits, tmp_path, seeds=2, vectorize="on")
    assert len(Workdir(tmp_path / "seed-0").history()) == 1
    assert Workdir(tmp_path / "seed-1").history() == []


def test_auto_is_one_by_one_on_a_cpu_and_elsewhere_decided_by_trying(
    digits, alone, tmp_path, monkeypatch
):
    """What is decided otherwise would train, and find nothing to train with."""
    monkeypatch.setattr(run, "train_together", None)
    repeat(digits, alone, seeds=2, vectorize="auto")
    monkeypatch.undo()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert considered("auto", CONFIG)
    assert not considered("off", CONFIG)
    monkeypatch.undo()
    asked = []
    monkeypatch.setattr(together, "gains", lambda *a, members: asked.append(members))
    configs = [CONFIG.replace(seed=seed) for seed in (0, 1)]
    folders = [Workdir(tmp_path / str(seed)) for seed in (0, 1)]
    of = (configs, folders, lambda **_: None, None, digits)
    assert together.train_together(*of, tried=False, name="small") is None
    assert asked == [2]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("moment", ["while it is built", "while it is tried"])
def test_a_signal_before_the_first_step_is_heard(digits, tmp_path, monkeypatch, moment):
    built = moment == "while it is built"

    def asked(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run, "make_trainer", asked if built else lambda *a, **k: None)
    monkeypatch.setattr(together, "gains", (lambda *a, **k: True) if built else asked)
    monkeypatch.setattr(run, "considered", lambda *_: True)
    with pytest.raises(Interrupted, match="stopped before training began"):
        repeat(digits, tmp_path, seeds=2, vectorize="auto")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"ema": 0.9}, "averaged weights (`ema`)"),
        ({"feed": "streamed", "dataset": "folder", "image_size": 8}, "a stream (`feed=streamed`)"),
        (
            {
                "trainable": "head", "cache_features": True, "weights": "imagenet",
                "model": "resnet20", "hidden": (), "dataset": "folder", "image_size": 32,
            },
            "features computed once (`cache_features`)",
        ),
    ],
)  # fmt: skip
def test_settings_that_do_not_allow_it(monkeypatch, changes, what):
    config = SMALL.replace(**changes)
    with pytest.raises(UserError) as refused:
        considered("on", config)
    assert what in str(refused.value)
    assert str(refused.value).endswith("do not share a program; leave out `vectorize=on`.")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not considered("auto", config)


def test_too_little_memory_is_a_sentence_and_no_gain(small_trainer, digits, monkeypatch):
    def refused(self, steps_at_most):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(Many, "_trained", refused)
    with pytest.raises(UserError, match="2 trainings side by side do not fit into the device's"):
        Many(small_trainer, digits.train, seeds=[0, 1]).train_epoch()
    assert not gains(small_trainer, digits.train, members=2)
