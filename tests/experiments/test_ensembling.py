"""The decisions of an ensemble: by which examples weights, soup and student are made."""

import types

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL
from run_helpers import SUMMARY

from experiments.cli import ensembling
from imgcls_jax.data import Dataset, Split
from imgcls_jax.predict.members import Member
from imgcls_jax.train.build import training_splits
from imgcls_jax.workdir import Workdir


def _member(config, bias=(), digest="0" * 16):
    """A member whose logits are the same for every image."""
    variables = {"params": {"bias": jnp.asarray(bias)}, "batch_stats": {}}
    network = types.SimpleNamespace(apply_fn=None, evaluate_fn=_biased)
    restored = types.SimpleNamespace(variables=variables, network=network)
    return Member(None, digest, config, {}, restored)


def _biased(variables, images):
    return jnp.broadcast_to(variables["params"]["bias"], (len(images), 2))


def test_members_that_held_out_other_examples_share_none(digits):
    of = SMALL.replace(hold_out=0.2)
    split, _ = ensembling.common_validation([_member(of), _member(of.replace(seed=1))], digits)
    _, watched = training_splits(of, digits)
    np.testing.assert_array_equal(split.images, watched.split.images)
    for other in ({"split_seed": 7}, {"hold_out": 0.1}, {"hold_out": 0.0}):
        split, why = ensembling.common_validation(
            [_member(of), _member(of.replace(**other))], digits
        )
        assert split is None
        assert "held out different parts" in why or "did not all hold out" in why


def test_a_soup_is_chosen_by_validation_and_meets_the_test_set_as_chosen():
    """The first network is right on all of validation, their mean on all of the test set."""
    images = np.zeros((300, 2, 2, 1), np.uint8)
    splits = [Split(images, np.full(300, label, np.int32)) for label in (0, 1, 0)]
    train, test, validation = splits
    dataset = Dataset("made up", train, test, ("no", "yes"), "here", None, validation=validation)
    of = SMALL.replace(batch_size=10)
    both = [_member(of, [3.0, 0.0]), _member(of.replace(lr=0.1), [0.0, 4.0])]
    found = ensembling.cook(both, dataset)
    assert (found["kind"], found["members"]) == ("greedy", [0])
    assert found["validation"]["accuracy"] == 1
    assert found["uniform"]["validation"]["accuracy"] == 0
    assert found["accuracy"] == 0


@pytest.fixture
def taught(monkeypatch):
    """Notes who teaches, in place of training."""
    teachers = []

    def made(networks, weights):
        return types.SimpleNamespace(log_probabilities=weights)

    def repeat(config, *, seeds, workdir, shared_trainer, **of):
        teachers.append(shared_trainer.keywords["teacher"])
        for seed in range(seeds):
            summary = SUMMARY | {"test_accuracy": 0.7 + seed / 10, "seed": seed}
            summary["calibration"] = {"ece": 0.1, "bins": []}
            folder = Workdir(workdir.path / f"seed-{seed}")
            folder.write_json("summary.json", summary)
            folder.write_arrays("predictions.npz", labels=np.zeros(1))

    monkeypatch.setattr(ensembling, "Ensemble", made)
    monkeypatch.setattr(ensembling.run, "repeat", repeat)
    monkeypatch.setattr(ensembling.cli, "given_settings", dict)
    return teachers


def test_students_learn_from_the_weighted_ensemble_and_all_of_them_count(taught, tmp_path):
    both = [_member(SMALL, digest=name * 16) for name in "ab"]
    options = {"temperature": 3.0, "share": 0.5}
    for number, weights in enumerate(([0.75, 0.25], [0.5, 0.5])):
        workdir = Workdir(tmp_path / str(number))
        of = {"dataset": None, "workdir": workdir, "options": options, "seeds": 3}
        found = ensembling.distil(both, np.array(weights), **of)
        assert taught[-1].log_probabilities == tuple(weights)
        assert found["teacher"]["soft_share"] == 0.5
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["values"]["accuracy"] == pytest.approx([0.7, 0.8, 0.9])
    assert found["seeds"] == [0, 1, 2]
    assert taught[0].name != taught[1].name  # or a student would go on with other weights
