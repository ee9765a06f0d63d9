"""The benchmark of limits on made-up features: what it measures, its table, its bad input."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from experiments import tables
from experiments.benchmarks import limits
from imgcls_jax.limits import unknown
from imgcls_jax.workdir import environment

CLASSES, EACH = 24, 40


class LeastSquares:
    """Heads by one solve, far too timid."""

    def __init__(self, trainer, source, *, size):
        self.source, self.size = source, size

    def train(self, rows, *, seed):
        assert len(rows) == self.size
        features, labels = (np.asarray(of)[rows] for of in (self.source.pixels, self.source.labels))
        weights = np.linalg.lstsq(features, np.eye(CLASSES)[labels], rcond=None)[0]
        return lambda new: new @ weights


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(CLASSES), EACH)
    means = rng.normal(size=(CLASSES, 32))
    features = means[labels] + rng.normal(size=(len(labels), 32)) * 1.8
    return limits.Photos(
        features.astype(np.float32), labels, np.arange(len(labels)) // CLASSES % 4 == 0
    )


@pytest.fixture(scope="module")
def result(photos):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits.held_out, "Heads", LeastSquares)
        return limits.of_features(None, photos, seeds=2)


def test_the_rates_are_those_asked_for_and_the_temperature_calibrates(result):
    assert result["photos"] == {"train": 720, "test": 240}
    for way in ("as_split", "split_anew"):
        found = {name: np.array(values) for name, values in result[way].items()}
        assert all(len(values) == 2 for values in found.values())
        assert (found["ece_before"] > 0.3).all()
        assert (found["ece_after"] < 0.4 * found["ece_before"]).all()
        assert (found["loss_after"] < found["loss_before"]).all()
        assert found["covered"].mean() == pytest.approx(0.9, abs=0.05)
        assert found["refused"].mean() == pytest.approx(0.05, abs=0.035)
        assert (found["classes_in_set"] >= 1).all()
    assert "unknown_auroc" not in result["split_anew"]


def test_left_out_classes_are_told_from_the_others(result, photos):
    left_out = np.random.default_rng(1).choice(np.arange(CLASSES), 10, replace=False)
    known = ~np.isin(photos.labels, left_out)
    learned = known & ~photos.test
    given = (photos.features[learned], photos.labels[learned])
    folds, logits = limits.held_out.folds_of(given[1]), np.empty((learned.sum(), CLASSES))

    def answers(of, features):
        targets = np.eye(CLASSES)[given[1][of]]
        return features @ np.linalg.lstsq(given[0][of], targets, rcond=None)[0]

    for fold in range(5):
        some = np.flatnonzero(folds != fold)[: limits.held_out.size_of_part(len(folds))]
        logits[folds == fold] = answers(some, given[0][folds == fold])
    statistics, _ = unknown.learn(unknown.Features(*given, folds=folds), logits)
    shown = photos.features[photos.test]
    far = unknown.distances(statistics, shown, answers(np.arange(len(folds)), shown))
    expected = roc_auc_score(~known[photos.test], far)
    assert result["as_split"]["unknown_auroc"][1] == pytest.approx(expected)
    assert expected > 0.7
    few = photos._replace(labels=photos.labels % 19)
    assert limits._of_strangers(None, None, few, 0) == {}


def test_every_seed_draws_other_test_photos_as_many_of_each_class(photos):
    one, other = (limits._drawn(photos, seed) for seed in (0, 1))
    assert one.sum() == other.sum() == photos.test.sum()
    assert (one & other).sum() < 0.5 * one.sum()
    assert np.ptp(np.bincount(photos.labels[one])) <= 1


def test_a_result_is_shown_and_has_its_rows_on_the_page(result, tmp_path, capsys):
    limits.show(result)
    shown = capsys.readouterr().out
    assert "Split anew, 2 seeds" in shown
    assert "classes in set" in shown
    (tmp_path / "limits_eggs.json").write_text(json.dumps(result | environment()))
    page = tables.page(tmp_path)
    rows = [line for line in page.splitlines() if line.startswith("| 634 eggs, mobilenet_v2 |")]
    assert [row.split(" | ")[1] for row in rows] == ["as split", "split anew"]
    assert f"{100 * np.mean(result['as_split']['covered']):.2f} ±" in rows[0]
    assert "experiments.benchmark limits --data_dir=eggs" in page


def test_limits_without_photos_or_weights_are_one_sentence(any_main, tmp_path):
    photos, weights = f"--data_dir={tmp_path}", "--weights=imagenet"
    for arguments in ([], [photos], [weights]):
        status, _, err = any_main(lambda: limits.asked(), *arguments)
        assert status == 1
        assert "add --data_dir=PHOTOS --weights=FILE" in err
    for other in ("--augment=flip", "--hold_out=0.2", "--trainable=all"):
        status, _, err = any_main(lambda: limits.asked(), photos, weights, other)
        assert status == 1
        assert "limits are measured of a frozen network on fixed features" in err
