"""Ensembles: averages by hand, weights against scipy, selection by brute force, gains, folders."""

import dataclasses
import itertools
import json
import shutil

import jax
import numpy as np
import pytest
from conftest import SMALL
from scipy.optimize import minimize

from imgcls_jax import metrics
from imgcls_jax.errors import UserError
from imgcls_jax.predict import ensemble, export, folds, gains, members, predictor, weighting
from imgcls_jax.train import run
from imgcls_jax.workdir import Workdir


def made_up(count, examples=300, classes=4, seed=0):
    """Probabilities (K, N, C) of members of different skill, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, examples)
    skill = np.linspace(0.3, 2.0, count)[:, None, None]
    logits = rng.normal(0, 1.2, (count, examples, classes)) + skill * np.eye(classes)[labels]
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), labels


@pytest.mark.parametrize(("count", "seed"), [(2, 0), (5, 1), (9, 2)])
def test_fitted_weights_are_an_independent_optimisers(count, seed):
    probabilities, labels = made_up(count, seed=seed)

    def loss(weights):
        mixed = np.einsum("k,knc->nc", weights, probabilities)
        return -np.log(mixed[np.arange(len(labels)), labels]).mean()

    best = minimize(
        loss,
        np.full(count, 1 / count),
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    found = weighting.fit(probabilities, labels)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert loss(found) == pytest.approx(best.fun, abs=1e-6)
    np.testing.assert_allclose(found, best.x, atol=5e-3)
    mixed = weighting.averaged(probabilities, found)
    assert weighting.mean_loss(mixed, labels) == pytest.approx(loss(found))


def test_a_member_that_gives_the_truth_no_chance_harms_nothing():
    probabilities = np.stack([np.eye(2)[[1, 0]], np.full((2, 2), 0.5)])
    labels = np.array([0, 1])
    np.testing.assert_allclose(weighting.fit(probabilities, labels), [0, 1], atol=1e-6)
    assert weighting.select(probabilities, labels).chosen == [1]


def test_greedy_selection_is_the_brute_forces():
    probabilities, labels = made_up(4, examples=60, seed=3)
    found = weighting.select(probabilities, labels, choices=8)
    chosen, losses = [], []
    for _ in range(8):
        tried = []
        for k in range(4):
            mixed = np.mean([probabilities[i] for i in (*chosen, k)], axis=0)
            tried.append(-np.mean([np.log(mixed[n, labels[n]]) for n in range(60)]))
        chosen.append(int(np.argmin(tried)))
        losses.append(min(tried))
    np.testing.assert_allclose(found.losses, losses, rtol=1e-12)
    kept = chosen[: int(np.argmin(losses)) + 1]
    assert found.chosen == kept
    assert len(set(kept)) < len(kept)  # with replacement
    np.testing.assert_allclose(found.weights, [kept.count(k) / len(kept) for k in range(4)])


def test_figures_by_size_are_means_over_all_subsets():
    probabilities, labels = made_up(3)
    records = gains.by_size(probabilities, labels)
    assert [(r["members"], r["combinations"]) for r in records] == [(1, 3), (2, 3), (3, 1)]
    pairs = [probabilities[[a, b]].mean(0) for a, b in itertools.combinations(range(3), 2)]
    accuracies = [(one.argmax(1) == labels).mean() for one in pairs]
    eces = [metrics.calibration(one, labels)["ece"] for one in pairs]
    assert records[1]["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    assert records[1]["accuracy"]["std"] == pytest.approx(np.std(accuracies, ddof=1))
    assert records[1]["accuracy"]["min"] == min(accuracies)
    assert records[1]["ece"]["max"] == max(eces)
    assert records[2]["loss"]["mean"] == gains.figures(probabilities.mean(0), labels)["loss"]
    assert records[2]["loss"]["std"] is None
    assert sum(entry["count"] for entry in records[1]["bins"]) == 3 * len(labels)


def test_of_many_members_random_orders_are_followed():
    chosen = gains.combinations(9)
    assert len(chosen[9]) == 1 < len(chosen[5]) <= 30
    assert all(len(set(subset)) == size for size in chosen for subset in chosen[size])
    assert chosen[9] == [tuple(range(9))]
    assert len(gains.combinations(8)[4]) == 70


def test_gain_disagreement_and_what_is_kept_by_hand():
    labels = np.array([0, 0, 1, 1])
    members_ = np.eye(2)[np.array([[0, 0, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]])]
    mixed = members_.mean(0)  # right on all four
    found = gains.gain(mixed, members_, labels)
    assert found["accuracy"] == pytest.approx(1 - 9 / 12)
    differences = np.array([1 / 3, 1 / 3, 0, 1 / 3])
    half = 1.96 * differences.std(ddof=1) / 2
    np.testing.assert_allclose(found["interval"], [0.25 - half, 0.25 + half])
    half_apart = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    np.testing.assert_array_equal(gains.disagreement(members_), half_apart)
    summary = {"gain": {"accuracy": 0.02}, "of_members": {"accuracy": {"mean": 0.9}}}
    assert gains.kept(0.915, summary) == pytest.approx(0.75)
    assert gains.kept(0.915, summary | {"gain": {"accuracy": 0.0}}) is None


@pytest.fixture(scope="module")
def seeds(tmp_path_factory, digits):
    """Three runs on digits."""
    folder = Workdir(tmp_path_factory.mktemp("members") / "runs")
    run.repeat(SMALL.replace(epochs=1), seeds=3, name="small", dataset=digits, workdir=folder)
    return folder.path


@pytest.fixture
def made(seeds, tmp_path):
    """A copy of the runs and an ensemble of them."""
    copied = shutil.copytree(seeds, tmp_path / "runs")
    paths = members.find([copied])
    folder = Workdir(tmp_path / "ensemble")
    entries = ensemble.entries(paths, [members.digest(p) for p in paths], folder=folder.path)
    ensemble.claim(folder, {"members": entries})
    folder.write_json("ensemble.json", {"members": entries, "weights": [0.5, 0.3, 0.2]})
    return folder.path


def test_an_ensemble_is_a_predictor_that_averages(made, digits, tmp_path):
    found = predictor.load(made)
    images = digits.test.images[:7]
    kept = [
        np.load(tmp_path / f"runs/seed-{k}/predictions.npz")["probabilities"][:7] for k in range(3)
    ]
    expected = 0.5 * kept[0] + 0.3 * kept[1] + 0.2 * kept[2]
    np.testing.assert_allclose(found.probabilities(images), expected, rtol=1e-4, atol=1e-6)
    assert found.class_names == digits.class_names
    restored = ensemble.restore_ensemble(made)
    logs = restored.log_probabilities(images)
    np.testing.assert_allclose(np.exp(logs), expected, rtol=1e-4, atol=1e-6)
    whole = ensemble.over(jax.jit(restored.probabilities), digits.test.images)
    np.testing.assert_allclose(whole[:7], expected, rtol=1e-4, atol=1e-6)
    assert len(whole) == len(digits.test)


def test_the_exported_ensemble_predicts_the_same(made, digits, tmp_path):
    found = predictor.load(made)
    path = found.export(tmp_path / "ensemble.zip", platforms=("cpu",))
    assert export.difference(path, found.probabilities) < 1e-6
    images = digits.test.images[:5]
    np.testing.assert_allclose(
        predictor.load(path).probabilities(images), found.probabilities(images), atol=1e-6
    )


def test_a_member_of_no_weight_is_not_computed(made):
    found = ensemble.restore_ensemble(made)
    bad = found.networks[1]._replace(variables=None)
    without = dataclasses.replace(
        found, networks=(found.networks[0], bad, found.networks[2]), weights=(0.5, 0.0, 0.5)
    )
    assert without.probabilities(np.zeros((1, 8, 8, 1), np.uint8)).sum() == pytest.approx(1)


def test_a_moved_changed_or_unfinished_member_is_one_sentence(made, tmp_path):
    moved = tmp_path / "elsewhere"
    (tmp_path / "runs" / "seed-1").rename(moved)
    with pytest.raises(UserError, match=r"has a member in .*seed-1, which is gone; bring it back"):
        predictor.load(made)
    moved.rename(tmp_path / "runs" / "seed-1")
    predictor.load(made)
    shutil.rmtree(tmp_path / "runs" / "seed-1")
    shutil.copytree(tmp_path / "runs" / "seed-2", tmp_path / "runs" / "seed-1")
    with pytest.raises(UserError, match="is another one than when the ensemble"):
        predictor.load(made)
    (made / "ensemble.json").write_text(json.dumps({"members": []}))
    with pytest.raises(UserError, match=r"the ensemble in .* is not finished; run its command"):
        predictor.load(made)


def test_members_are_found_in_every_kind_of_folder(seeds, tmp_path, monkeypatch):
    every = [seeds / f"seed-{k}" for k in range(3)]
    assert members.find([seeds]) == every
    assert members.find([every[2], every[0]]) == [every[2], every[0]]
    study = tmp_path / "study"
    for number in (2, 10):
        shutil.copytree(seeds, study / "finals" / f"trial-{number}")
    (study / "finals" / "trial-2" / "seed-1" / "summary.json").unlink()  # a trial that was given up
    found = [path.relative_to(study / "finals").as_posix() for path in members.find([study])]
    assert found == [
        "trial-2/seed-0", "trial-2/seed-2", "trial-10/seed-0", "trial-10/seed-1", "trial-10/seed-2"
    ]  # fmt: skip
    assert members.names(members.find([study]))[0] == "trial-2/seed-0"
    with pytest.raises(UserError, match="has no validation accuracy to choose by"):
        members.find([study], best=2)
    trials = [{"number": 2, "value": 0.8}, {"number": 10, "value": 0.9}]
    (study / "summary.json").write_text(json.dumps({"trials": trials}))
    best = [path.relative_to(study / "finals").as_posix() for path in members.find([study], best=4)]
    assert best == [*(f"trial-10/seed-{k}" for k in range(3)), "trial-2/seed-0"]
    for path, accuracy in zip(members.find([study]), (0.5, 0.9, 0.7, 0.8, 0.6), strict=True):
        text = json.loads((path / "summary.json").read_text()) | {"validation_accuracy": accuracy}
        (path / "summary.json").write_text(json.dumps(text))
    best = [path.relative_to(study / "finals").as_posix() for path in members.find([study], best=2)]
    assert best == ["trial-2/seed-2", "trial-10/seed-1"]


def test_members_that_are_none_are_one_sentence(seeds, made, tmp_path):
    one = seeds / "seed-0"
    for sources, says in (
        ([one], "needs at least two members"),
        ([tmp_path / "none", one], "there is no folder"),
        ([one, one], "is given twice as a member"),
        ([made], "holds an ensemble, which is no member"),
    ):
        with pytest.raises(UserError, match=says):
            members.find(sources)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no finished run"):
        members.find([tmp_path / "empty"])
    with pytest.raises(UserError, match=r"`best=4` cannot be used; it must be from 2 to 3"):
        members.find([seeds], best=4)
    (tmp_path / "runs" / "summary.json").unlink()
    with pytest.raises(UserError, match=r"over seeds or folds in .* is not finished"):
        members.find([tmp_path / "runs"])
    (tmp_path / "runs" / "seed-0" / "summary.json").unlink()
    with pytest.raises(UserError, match=r"the run in .*seed-0 is not finished; run its command"):
        members.read([tmp_path / "runs" / "seed-1", tmp_path / "runs" / "seed-0"])


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("class_names", [*"abcdefghij"], "have different classes"),
        ("image_shape", [9, 9, 1], "have different image shapes"),
        ("resize", "pad", "different ways to make pictures square"),
    ],
)
def test_members_that_differ_are_refused(made, tmp_path, key, value, says):
    kept = tmp_path / "runs" / "seed-1" / "network.json"
    record = json.loads(kept.read_text())
    records = [record, record | {key: value}]
    with pytest.raises(UserError, match=says):
        members.require_alike([made, kept.parent], records)


def test_a_folder_that_holds_something_else_is_refused(made, seeds, tmp_path):
    settings = {"members": json.loads((made / "ensemble.json").read_text())["members"]}
    ensemble.claim(Workdir(tmp_path / "new"), settings)
    (made / "summary.json").write_text("{}")
    ensemble.claim(Workdir(made), settings)  # its own again
    with pytest.raises(UserError, match="holds another ensemble"):
        ensemble.claim(Workdir(made), {"members": settings["members"][:2]})
    changed = [member | {"digest": "0" * 16} for member in settings["members"]]
    with pytest.raises(UserError, match="or members that changed since"):
        ensemble.claim(Workdir(made), {"members": changed})
    with pytest.raises(UserError, match="holds a run over seeds or folds"):
        ensemble.claim(Workdir(seeds), settings)
    with pytest.raises(UserError, match="holds an ensemble; choose another"):
        Workdir(made).claim(SMALL)


def test_members_of_folds_are_told_by_their_settings():
    of = SMALL.replace(dataset="folder", image_size=8, folds=3)
    assert folds.are_folds([of, of.replace(fold=1)])
    assert not folds.are_folds([of, of.replace(seed=1)])
    assert not folds.are_folds([SMALL, SMALL.replace(seed=1)])
