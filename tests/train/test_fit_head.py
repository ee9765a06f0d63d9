"""The head fitted before a fine-tuning: against a plain loop, its seconds, its resuming."""

import json
import os
import signal
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_loop import StopAfter

from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split, resident
from imgcls_jax.errors import Interrupted
from imgcls_jax.losses import cross_entropy
from imgcls_jax.report import console
from imgcls_jax.steps import TrainState
from imgcls_jax.train import run
from imgcls_jax.train.build import build
from imgcls_jax.train.features import HeadFit, make_fit_head
from imgcls_jax.train.loop import fit
from imgcls_jax.train.progress import Beginning
from imgcls_jax.workdir import Workdir


class Staged(nn.Module):
    """A body of one dense layer on the pixels' means, and a head."""

    dropout: float = 0.0

    def stages(self):
        return {"stem": ("Dense_0",), "head": ("Dense_1",)}

    @nn.compact
    def __call__(self, x, train=False):
        features = nn.relu(nn.Dense(4)(x.mean((1, 2))))
        self.sow("intermediates", "features", features)
        return nn.Dense(3)(features)


@pytest.mark.parametrize(
    ("count", "sampler"),
    [
        pytest.param(24, "uniform", marks=pytest.mark.slow),
        (29, "uniform"),
        pytest.param(29, "balanced", marks=pytest.mark.slow),
    ],
)
def test_every_example_drawn_counts_in_every_epoch(count, sampler):
    """Batches of 8, a last one of 5 of 29, and Adam written out."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(count, 4)).astype(np.float32)
    labels = rng.integers(0, 3, count).astype(np.int32)
    found = resident.Resident(jnp.asarray(features), jnp.asarray(labels), (4,))
    params = {
        "Dense_0": {"kernel": jnp.ones((3, 4))},
        "Dense_1": {
            "kernel": jnp.asarray(rng.normal(size=(4, 3)), jnp.float32),
            "bias": jnp.ones(3),
        },
    }
    state = TrainState(jnp.zeros((), jnp.int32), params, {}, (), jax.random.key(7))
    fit_head = make_fit_head(
        model=Staged(), binary=False, loss_fn=cross_entropy, of=HeadFit(3, 0.05, 8, sampler),
        found=found, state=state,
    )  # fmt: skip
    after = fit_head(state)

    w = np.vstack([params["Dense_1"]["kernel"], np.ones((1, 3))]).astype(np.float64)
    first, second, step = np.zeros_like(w), np.zeros_like(w), 0
    inputs = np.hstack([features, np.ones((count, 1))])
    for epoch in range(3):
        order = np.asarray(resident.drawn_order(sampler, state.key, epoch, found.labels))
        for start in range(0, count, 8):
            chosen = order[start : start + 8]
            scores = np.exp(inputs[chosen] @ w)
            errors = scores / scores.sum(1, keepdims=True) - np.eye(3)[labels[chosen]]
            gradient = inputs[chosen].T @ errors / len(chosen)
            step += 1
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            w -= 0.05 * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    np.testing.assert_allclose(after.params["Dense_1"]["kernel"], w[:4], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after.params["Dense_1"]["bias"], w[4], rtol=1e-4, atol=1e-5)
    assert after.params["Dense_0"] is params["Dense_0"]


CONFIG = Config.of(
    dataset="folder", image_size=8, model="resnet20", weights="file.safetensors",
    trainable="all", head_epochs=2, batch_size=8, epochs=2,
)  # fmt: skip


@pytest.fixture
def photos(monkeypatch):
    monkeypatch.setattr("imgcls_jax.models.create", lambda *_, **__: Staged())
    images = np.random.default_rng(1).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    split = Split(images, np.arange(20, dtype=np.int32) % 3)
    return Dataset("photos", split, split, ("a", "b", "c"), "made up", None)


@pytest.fixture
def epochs(monkeypatch):
    """The epochs of heads that begin; a test may act on the length of the list."""
    found, draw = types.SimpleNamespace(begun=[], at={}), resident.drawn_order

    def drawn(sampler, key, epoch, labels):
        if isinstance(epoch, int):  # not while the order of the training is compiled
            found.begun.append(epoch)
            found.at.get(len(found.begun), lambda: None)()
        return draw(sampler, key, epoch, labels)

    loaded = types.SimpleNamespace(variables={"params": {}}, source="nowhere")
    monkeypatch.setattr("imgcls_jax.pretrained.load", lambda *_, **__: loaded)
    monkeypatch.setattr(resident, "drawn_order", drawn)
    return found


def test_a_signal_stops_the_fit_between_its_epochs(photos, tmp_path, epochs):
    stop = []
    epochs.at[3] = lambda: stop.append(signal.SIGTERM)
    of = {"name": "run", "dataset": photos, "stop": stop}
    with pytest.raises(Interrupted, match="stopped before training began"):
        run.train(CONFIG.replace(head_epochs=50), workdir=Workdir(tmp_path), **of)
    assert epochs.begun == [0, 1, 2]
    with pytest.raises(Interrupted):  # before the features, the head or anything else
        run.train(CONFIG.replace(head_epochs=50), workdir=Workdir(tmp_path), **of)
    assert epochs.begun == [0, 1, 2]


@pytest.mark.parametrize(("number", "seed"), [(2, 0), (5, 1)])
def test_a_signal_stops_the_fit_of_seeds_too(photos, tmp_path, epochs, number, seed):
    """Their trainer is made once, and asks whether the seed that is trained should stop."""
    epochs.at[number] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    config, at = CONFIG.replace(head_epochs=3), {"workdir": Workdir(tmp_path)}
    with pytest.raises(Interrupted, match=f"stopped at seed {seed}"):
        run.repeat(config, seeds=2, name="run", dataset=photos, **at)
    assert epochs.begun == [0, 1, 2, 0, 1][:number]


def test_a_signal_is_looked_for_between_compilations_and_batches_of_features(photos, monkeypatch):
    monkeypatch.setattr("imgcls_jax.train.build.evaluation_batch_size", lambda *_: 6)
    checked = []
    build(CONFIG, photos, pretrained={"params": {}}, check=lambda: checked.append(None))
    assert len(checked) == 1 + 4 + 1 + 2  # the start, 20 images, the head, the training
    before = Beginning([signal.SIGTERM])
    before.end()
    before.check()  # steps are saved from now on


@pytest.mark.slow
def test_its_seconds_are_in_the_summary_and_shown_after_a_stop_too(photos, tmp_path, capsys):
    trainer = build(CONFIG, photos, pretrained={"params": {}})
    workdir = Workdir(tmp_path)
    workdir.claim(CONFIG)
    with pytest.raises(Interrupted), Checkpoints(workdir.checkpoints) as checkpoints:
        fit(trainer, seed=0, workdir=workdir, checkpoints=checkpoints, progress=StopAfter(8))
    (seconds,) = trainer.head_seconds
    assert seconds > 0
    given = {"dataset": photos, "shared_trainer": lambda **_: trainer, "name": "run"}
    summary = run.train(CONFIG, workdir=workdir, **given)
    assert summary["head_seconds"] == seconds
    assert trainer.head_seconds == [seconds]  # it was not fitted again
    assert json.loads((tmp_path / "head.json").read_text()) == {"seconds": seconds}
    assert summary["parameters_mb"] == pytest.approx(4e-6 * summary["parameters"])
    assert summary["checkpoint_mb"] > summary["parameters_mb"]
    capsys.readouterr()
    console.closing(summary)
    assert f"{seconds:.2f} s before training" in capsys.readouterr().out
    for other in (0.0, None):
        console.closing(summary | {"head_seconds": other})
        assert "fitting the head" not in capsys.readouterr().out
