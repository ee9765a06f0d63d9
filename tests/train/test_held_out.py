"""The limits that a run learns: from which examples, by which heads, and where they are used."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from conftest import SMALL
from test_fit_head import Staged

from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split
from imgcls_jax.data.dataset import hold_out
from imgcls_jax.data.sampling import SAMPLERS
from imgcls_jax.errors import UserError
from imgcls_jax.limits import kept, temperature, unknown
from imgcls_jax.predict import export, predictor
from imgcls_jax.predict.judge import Asked, make_judge
from imgcls_jax.report import console
from imgcls_jax.train import held_out, run
from imgcls_jax.train.build import build
from imgcls_jax.workdir import Workdir

FROZEN = Config.of(
    dataset="folder", image_size=8, model="resnet20", weights="file.safetensors", lr=0.02,
    trainable="head", optimizer="adamw", schedule="cosine", batch_size=8, epochs=6,
)  # fmt: skip
NAMES = ("red", "green", "blue")


def coloured(count, seed):
    """Photos of a colour and much noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % 3
    images = rng.normal(100, 40, (count, 1, 1, 3)) + 60 * np.eye(3)[labels][:, None, None]
    images = images + rng.normal(0, 10, (count, 8, 8, 3))
    return Split(images.clip(0, 255).astype(np.uint8), labels)


@pytest.fixture
def photos(monkeypatch):
    monkeypatch.setattr("imgcls_jax.models.create", lambda *_, **__: Staged())
    return Dataset("photos", coloured(61, 1), coloured(30, 2), NAMES, "made up", None)


def trained(config, photos, workdir, **more):
    """Runs the configuration; returns its summary."""
    trainer = build(config, photos, **more)
    return run.train(
        config, name="run", dataset=photos, workdir=workdir, shared_trainer=lambda **_: trainer
    )


@pytest.mark.parametrize(
    "sampler", [SAMPLERS[0], *(pytest.param(s, marks=pytest.mark.slow) for s in SAMPLERS[1:])]
)
def test_heads_of_parts_are_those_that_are_trained_on_the_parts_alone(photos, sampler):
    config = FROZEN.replace(sampler=sampler)
    trainer = build(config, photos, pretrained={"params": {}})
    state = trainer.start(3).state
    found = held_out.find(trainer, state, seed=3, dataset=photos)
    fold = held_out.folds_of(photos.train.labels)
    size = min((fold != k).sum() for k in range(held_out.FOLDS))
    rows, out = np.flatnonzero(fold != 0)[:size], fold == 0
    part = Split(photos.train.images[rows], photos.train.labels[rows])
    alone = build(config, dataclasses.replace(photos, train=part), pretrained={"params": {}})
    position = alone.start(3)
    carry = (position.state, position.sums)
    for epoch in range(FROZEN.train.epochs):
        carry = alone.feed.train(carry, epoch, 0, alone.steps_per_epoch)
    split = Split(photos.train.images[out], photos.train.labels[out])
    expected = alone.feed.evaluate(carry[0], split)[1]
    np.testing.assert_allclose(found.logits[: out.sum()], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.labels[: out.sum()], split.labels)
    assert len(found.labels) == len(photos.train)


def test_folds_spread_every_class_evenly():
    labels = np.repeat([0, 1, 2], [23, 2, 100])
    fold = held_out.folds_of(labels)
    counts = np.array([[((labels == c) & (fold == k)).sum() for k in range(5)] for c in range(3)])
    assert (np.ptp(counts, axis=1) <= 1).all()
    assert np.ptp(np.bincount(fold)) == 0


@pytest.mark.slow
def test_of_many_examples_few_heads_are_trained_and_of_few_none(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(held_out, "_ENOUGH", 20)
    trainer = build(FROZEN, photos, pretrained={"params": {}})
    found = held_out.find(trainer, trainer.start(0).state, seed=0, dataset=photos)
    assert len(found.labels) == 13 + 12
    assert len(found.features.known) == 61
    assert len(unknown.learn(found.features, found.logits)[1]) == 25
    config = FROZEN.replace(batch_size=50)  # more than the 48 in a part
    few = dataclasses.replace(trainer, config=config)
    given = {"config": config, "dataset": photos, "workdir": Workdir(tmp_path)}
    assert held_out.learn_limits(few, None, **given)["why_not"] == held_out.TOO_FEW


def test_a_frozen_run_learns_from_its_training_photos_and_uses_it_everywhere(
    photos, tmp_path, capsys
):
    workdir = Workdir(tmp_path / "run")
    summary = trained(FROZEN, photos, workdir, pretrained={"params": {}})
    limits = kept.read(workdir.path)
    value = limits.temperature
    assert value == temperature.fit(limits.logits, limits.labels)
    assert summary["temperature"]["value"] == value
    assert summary["temperature"]["fitted_on"]["examples"] == 61
    kept_of_test = np.load(workdir.path / "predictions.npz")["probabilities"]
    expected = temperature.of_probabilities(kept_of_test, value)
    network = predictor.load(workdir.path)
    images = photos.test.images
    np.testing.assert_allclose(network.probabilities(images), expected, rtol=1e-3, atol=1e-5)
    assert not np.allclose(expected, kept_of_test, atol=1e-3)
    np.testing.assert_array_equal(expected.argmax(1), kept_of_test.argmax(1))
    loss = -np.log(expected[np.arange(30), photos.test.labels]).mean()
    assert summary["temperature"]["test_loss"]["after"] == pytest.approx(loss, rel=1e-3)
    assert summary["temperature"]["test_loss"]["before"] == pytest.approx(summary["test_loss"])
    assert summary["temperature"]["test_ece"]["before"] == pytest.approx(
        summary["calibration"]["ece"], abs=1e-5
    )
    path = network.export(tmp_path / "network.zip", platforms=("cpu",))
    assert export.difference(path, network.probabilities) < 1e-6
    probabilities, far = network.with_distances(images)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-3, atol=1e-5)
    assert limits.distances.shape == (61,)
    assert abs(np.median(far) - np.median(limits.distances)) < limits.distances.std()
    capsys.readouterr()
    console.closing(summary)
    assert f"{value:.3f}   calibration error" in capsys.readouterr().out
    strange = np.asarray(network.with_distances(np.zeros((1, 8, 8, 3), np.uint8))[1])
    judge = make_judge(network, Asked(unknown=0.1))
    black = predictor.Prediction("a", probabilities=expected[0], distance=float(strange[0]))
    assert judge(black).decision is None
    near = dataclasses.replace(black, distance=float(np.median(far)))
    assert judge(near).decision == expected[0].argmax()


@pytest.mark.slow
def test_a_fine_tuned_run_learns_from_its_validation_photos(photos, tmp_path):
    config = FROZEN.replace(trainable="all", epochs=2, hold_out=0.3, weights="none", tta="flip")
    workdir = Workdir(tmp_path)
    summary = trained(config, photos, workdir)
    assert summary["temperature"]["fitted_on"] == {"of": "validation examples", "examples": 19}
    limits = kept.read(tmp_path)
    network = predictor.load(tmp_path)
    trainer = build(config, photos)
    held = trainer.watched.split
    np.testing.assert_array_equal(limits.labels, held.labels)
    expected = temperature.probabilities(limits.logits, limits.temperature)
    probabilities, far = network.with_distances(held.images)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-3)
    np.testing.assert_allclose(far, limits.distances, rtol=1e-3)


def test_without_held_out_examples_nothing_is_learned_and_it_is_said(photos, tmp_path):
    config = FROZEN.replace(trainable="all", epochs=1, weights="none")
    summary = trained(config, photos, Workdir(tmp_path))
    assert summary["temperature"] == {"value": None, "why_not": held_out.NOTHING}
    network = predictor.load(tmp_path)
    assert network.limits is None
    for asked in (Asked(unknown=0.1), Asked(coverage=0.9)):
        with pytest.raises(UserError, match="no example was held out from training; train with"):
            make_judge(network, asked)
    (tmp_path / "calibration.json").unlink()  # as an older version left it
    with pytest.raises(UserError, match="the run is of a version that kept nothing"):
        make_judge(predictor.load(tmp_path), Asked(coverage=0.9))


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory, digits):
    """A run on digits with a validation split."""
    folder = Workdir(tmp_path_factory.mktemp("digits") / "run")
    config = SMALL.replace(epochs=1, hold_out=0.2)
    run.train(config, name="small", dataset=digits, workdir=folder)
    return folder.path


def test_the_test_set_decides_nothing_even_where_it_is_watched(digits_run, digits, tmp_path):
    config = SMALL.replace(epochs=1, watch_test=True)
    train, validation = hold_out(digits.train, fraction=0.2, seed=config.data.split_seed)
    test = Split(digits.test.images, np.roll(digits.test.labels, 7))
    other = dataclasses.replace(digits, train=train, validation=validation, test=test)
    run.train(config, name="small", dataset=other, workdir=Workdir(tmp_path))
    here, there = (json.loads((p / "calibration.json").read_text()) for p in (tmp_path, digits_run))
    here.pop("seconds"), there.pop("seconds")
    assert here == there
    found = kept.read(tmp_path)
    assert found.statistics is None
    assert len(found.labels) == 288


def test_sets_hold_the_label_and_the_rest_is_one_sentence(digits_run, digits):
    network = predictor.load(digits_run)
    probabilities = np.asarray(network.probabilities(digits.test.images))
    judge = make_judge(network, Asked(coverage=0.9))
    chosen = [judge(predictor.Prediction("a", probabilities=row)).chosen for row in probabilities]
    inside = [label in one for label, one in zip(digits.test.labels, chosen, strict=True)]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.06)
    assert all(one[0] == row.argmax() for one, row in zip(chosen, probabilities, strict=True))
    for asked, says in (
        (Asked(unknown=0.05), "this network hands out none; train one that is made for transfer"),
        (Asked(coverage=0.9999), r"`coverage=0\.9999` needs more than the 288 held-out examples"),
        (Asked(positive="3"), "`positive` is for networks of two classes, and this one tells 10"),
        (Asked(threshold=0.5), "`threshold` is for networks of two classes"),
    ):
        with pytest.raises(UserError, match=says):
            make_judge(network, asked)


def test_damaged_files_are_one_sentence(digits_run, tmp_path):
    facts = json.loads((digits_run / "calibration.json").read_text())
    for text in ("{", "[]", "{}", json.dumps(facts | {"temperature": -1})):
        (tmp_path / "calibration.json").write_text(text)
        with pytest.raises(UserError, match=r"calibration\.json cannot be used .*; remove it to"):
            kept.read(tmp_path)
    (tmp_path / "calibration.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"limits\.npz is missing; bring it back, or remove calib"):
        kept.read(tmp_path)
    (tmp_path / "limits.npz").write_bytes(b"PK no zip")
    with pytest.raises(
        UserError, match=r"limits\.npz is damaged; bring back a good one, or remove"
    ):
        kept.read(tmp_path)
    np.savez(tmp_path / "limits.npz", labels=np.zeros(3))
    with pytest.raises(UserError, match=r"limits\.npz is of another version of this program"):
        kept.read(tmp_path)
    assert kept.read(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("asked", "decision"),
    [
        (Asked(positive="bad", threshold=0.2), 0),
        (Asked(positive="bad"), 1),
        (Asked(positive="good", threshold=0.8), 0),
        (Asked(positive="good", threshold=0.6), 1),
    ],
)
def test_a_threshold_moves_the_decision(asked, decision):
    network = predictor.Predictor(None, ("bad", "good"), (4, 4, 3), {})
    prediction = predictor.Prediction("a", probabilities=np.array([0.3, 0.7]))
    assert make_judge(network, asked)(prediction).decision == decision


@pytest.mark.parametrize(("name", "value"), [("coverage", 1.5), ("unknown", 0), ("threshold", 2)])
def test_what_is_out_of_its_range_is_refused_before_any_network(name, value):
    with pytest.raises(UserError, match=rf"`{name}={value}` cannot be used; it must lie between"):
        Asked(**{name: value})


def test_thresholds_that_cannot_be_used_are_one_sentence():
    network = predictor.Predictor(None, ("bad", "good"), (4, 4, 3), {})
    for asked, says in (
        (Asked(threshold=0.2), "`threshold` needs `positive`, the class that it is for: bad or go"),
        (Asked(positive="worse"), "there is no class `positive=worse`; choose bad or good"),
    ):
        with pytest.raises(UserError, match=says):
            make_judge(network, asked)


def test_statistics_and_logits_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 5)), np.arange(40) % 4
    logits = rng.normal(size=(40, 4)).astype(np.float32)
    folds = unknown.Features(features, labels, folds=labels, answers=np.arange(40))
    learned = kept.learn(labels, logits, of="some", identity="x", features=folds)
    kept.write(Workdir(tmp_path), learned)
    found = kept.read(tmp_path)
    assert found.temperature == learned.temperature
    assert found.facts == learned.facts
    np.testing.assert_array_equal(found.logits, logits)
    np.testing.assert_allclose(found.distances, learned.distances, rtol=1e-6)
    for here, there in zip(found.statistics, learned.statistics, strict=True):
        np.testing.assert_array_equal(here, there)
    np.testing.assert_allclose(found.scores(), learned.scores(), rtol=1e-6)
    assert jax.tree.leaves(found.statistics)[0].dtype == np.float32
