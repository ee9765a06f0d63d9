"""Members by their parameters and their test set, several of one fold, and what is said of all."""

import types

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL

from imgcls_jax import metrics
from imgcls_jax.errors import UserError
from imgcls_jax.predict import ensemble, folds, gains, members
from imgcls_jax.predict.members import Member
from imgcls_jax.workdir import Workdir

LABELS = np.array([0, 1, 1, 0])


def _member(folder, probabilities, *, labels=LABELS, config=SMALL):
    """A member that has nothing but its settings and what it said of a test set."""
    folder.mkdir(parents=True, exist_ok=True)
    said = np.asarray(probabilities, np.float32)
    Workdir(folder).write_arrays("predictions.npz", labels=labels, probabilities=said)
    restored = types.SimpleNamespace(record={"class_names": ["no", "yes"]})
    return Member(folder, "0" * 16, config, {}, restored)


def _sure(*of_the_second):
    return np.stack([1 - np.array(of_the_second), of_the_second], axis=1)


def test_a_digest_knows_settings_network_and_parameters(tmp_path):
    kept = tmp_path / "checkpoints" / "evaluated" / "3" / "array"
    kept.parent.mkdir(parents=True)
    for path in (tmp_path / "config.json", tmp_path / "network.json", kept):
        path.write_text("1")
    digests = [members.digest(tmp_path)]
    for path in (tmp_path / "config.json", tmp_path / "network.json", kept):
        path.write_text("2")
        digests.append(members.digest(tmp_path))
    assert len(set(digests)) == 4
    (tmp_path / "summary.json").write_text("{}")  # says nothing of the network
    assert members.digest(tmp_path) == digests[-1]


def test_members_of_another_test_set_of_one_size_are_refused(tmp_path):
    same = [_member(tmp_path / name, _sure(0.1, 0.2, 0.9, 0.6)) for name in ("a", "b")]
    assert members.test_probabilities(same, LABELS).shape == (2, 4, 2)
    other = _member(tmp_path / "c", _sure(0.1, 0.2, 0.9, 0.6), labels=LABELS[::-1] * 0)
    with pytest.raises(UserError, match="c met another test set than the other"):
        members.test_probabilities([*same, other], LABELS)


def test_a_fold_is_told_by_all_its_members_and_counts_once(tmp_path):
    """Two seeds of fold 0 are right together where the first of them is not."""
    of = SMALL.replace(dataset="folder", image_size=8, folds=2)
    found = [
        _member(tmp_path / "a", _sure(0.6, 0.9, 0.9, 0.1), config=of),
        _member(tmp_path / "b", _sure(0.1, 0.9, 0.9, 0.1), config=of.replace(seed=1)),
        _member(tmp_path / "c", _sure(0.1, 0.9, 0.3, 0.1), config=of.replace(fold=1)),
    ]
    said = folds.described(found)["out_of_fold"]
    assert said["folds"] == [0, 1]
    assert said["accuracy"] == pytest.approx(7 / 8)
    assert said["confusion_matrix"] == [[4, 0], [1, 3]]
    with pytest.raises(UserError, match="are not of one cross-validation"):
        folds.described([found[0], _member(tmp_path / "d", _sure(0, 1, 1, 0), config=SMALL)])


def test_what_is_said_of_members_is_of_all_of_them():
    """Three members of which the first and the second agree, on ten examples."""
    labels = np.arange(10) % 2
    first = np.where(labels == 1, 0.8, 0.3)
    said = np.stack([_sure(*first), _sure(*first), _sure(*np.full(10, 0.9))])
    summary, arrays = gains.described(np.array([0.5, 0.25, 0.25]), said, labels, ["no", "yes"])
    of = summary["of_members"]["accuracy"]
    assert of["values"] == [1.0, 1.0, 0.5]
    assert of["std"] == pytest.approx(np.std([1.0, 1.0, 0.5], ddof=1))
    apart = summary["disagreement"]
    assert (apart["min"], apart["max"], apart["mean"]) == (0.0, 0.5, pytest.approx(1 / 3))
    pooled = metrics.calibration(np.concatenate(list(said)), np.tile(labels, 3))
    assert summary["of_members"]["bins"] == pooled["bins"]
    np.testing.assert_allclose(arrays["probabilities"][0], [0.55, 0.45], rtol=1e-6)
    assert summary["test_accuracy"] == 1.0


def test_probabilities_are_averaged_by_weight_and_so_are_their_logarithms():
    logits = np.array([[[3.0, 0.0], [-1.0, 0.0]], [[-2.0, 0.0], [1.0, 0.0]]])
    networks = tuple(types.SimpleNamespace(logits=lambda images, k=k: logits[k]) for k in (0, 1))
    of = ensemble.Ensemble(networks, (0.7, 0.3))
    said = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    mixed = 0.7 * said[0] + 0.3 * said[1]
    np.testing.assert_allclose(of.probabilities(np.zeros(2)), mixed, rtol=1e-5)
    np.testing.assert_allclose(of.log_probabilities(np.zeros(2)), np.log(mixed), rtol=1e-4)


def test_a_map_is_the_weighted_mean_of_the_members_maps(monkeypatch):
    maps = {"a": [[1.0, 0.0]], "b": [[0.0, 1.0]]}
    networks = tuple(
        types.SimpleNamespace(
            network=types.SimpleNamespace(model=name), variables=None, seen=lambda images: images
        )
        for name in maps
    )
    monkeypatch.setattr(ensemble.saliency, "grad_cam", lambda model, *of: jnp.array([maps[model]]))
    found = ensemble.Ensemble(networks, (0.8, 0.2)).grad_cam(np.zeros((1, 1, 2, 1)), [0])
    np.testing.assert_allclose(found, [[[1.0, 0.25]]], rtol=1e-6)
