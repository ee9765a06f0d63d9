"""A finished run read back from its folder gives the very predictions it was evaluated with."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from conftest import SMALL

from imgcls_jax.data import Split
from imgcls_jax.errors import UserError
from imgcls_jax.predict.restored import restore
from imgcls_jax.train import run
from imgcls_jax.workdir import Workdir


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"normalise": "standard", "ema": 0.9, "model": "cnn", "hidden": (), "widths": (4,)},
            marks=pytest.mark.slow,
        ),
        {"normalise": "whiten", "hold_out": 0.2, "evaluate": "best", "tta": "flip"},
    ],
)
def test_predictions_are_the_evaluated_ones(digits, tmp_path, changes):
    config = SMALL.replace(epochs=2, **changes)
    run.train(config, name="small", dataset=digits, workdir=Workdir(tmp_path))
    expected = np.load(tmp_path / "predictions.npz")["probabilities"]
    restored = restore(tmp_path)
    probabilities = jax.nn.softmax(restored.logits(digits.test.images))
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-6)
    assert restored.record["class_names"] == list(digits.class_names)
    assert restored.record["image_shape"] == [8, 8, 1]


def test_other_data_is_no_continuation(digits, tmp_path):
    config = SMALL.replace(epochs=1)
    run.train(config, name="small", dataset=digits, workdir=Workdir(tmp_path))
    labels = digits.train.labels.copy()
    labels[0] = (labels[0] + 1) % 10
    before = (tmp_path / "network.json").read_bytes()
    for other in (
        dataclasses.replace(digits, train=Split(digits.train.images, labels)),
        dataclasses.replace(digits, class_names=(*digits.class_names, "ten")),
    ):
        with pytest.raises(UserError, match="was made of other data than digits as it is now"):
            run.train(config, name="small", dataset=other, workdir=Workdir(tmp_path))
    assert (tmp_path / "network.json").read_bytes() == before


def test_seeds_that_are_finished_build_nothing(digits, tmp_path, monkeypatch):
    given = {"seeds": 2, "name": "small", "dataset": digits, "workdir": Workdir(tmp_path)}
    config = SMALL.replace(epochs=1)
    built = []
    build = run.build
    monkeypatch.setattr(
        run, "build", lambda *args, **more: built.append(args) or build(*args, **more)
    )
    first = run.repeat(config, **given)
    assert len(built) == 1  # for both seeds
    one, other = (np.load(tmp_path / f"seed-{n}" / "predictions.npz") for n in range(2))
    assert not np.allclose(one["probabilities"], other["probabilities"], atol=1e-3)
    assert run.repeat(config, **given) == first
    assert len(built) == 1


def test_what_holds_no_finished_run_is_one_sentence(digits, tmp_path):
    with pytest.raises(UserError, match="does not exist; give the folder of a finished run"):
        restore(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no run with a network"):
        restore(tmp_path)
    config = SMALL.replace(epochs=1)
    run.repeat(config, seeds=1, name="small", dataset=digits, workdir=Workdir(tmp_path / "seeds"))
    with pytest.raises(UserError, match=r"holds a run over seeds or folds; give one of .*seed-0"):
        restore(tmp_path / "seeds")
    one = tmp_path / "seeds" / "seed-0"
    assert restore(one).record["normalise"] == {"name": "unit", "constants": {}}
    for path in sorted((one / "checkpoints" / "evaluated").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match="is not finished; run its command again"):
        restore(one)
    (one / "network.json").write_text("{")
    with pytest.raises(UserError, match=r"network\.json cannot be used"):
        restore(one)
    assert json.loads((one / "config.json").read_text())["model"] == "mlp"
