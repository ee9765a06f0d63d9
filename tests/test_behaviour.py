"""What training computes stays the same to the last bit, and folders of older versions go on.

The digests hold on the machine kinds that behaviour.json knows: elsewhere the same program rounds
otherwise, and figures are compared within what that can change. So are those of run 8, whose bits
are not steady on one machine either.
"""

import json
import shutil

import numpy as np
import pytest
from golden import behaviour

from imgcls_jax.predict import predictor
from imgcls_jax.workdir import Workdir

_ACCURACIES = {"test_accuracy", "train_accuracy", "roc_auc", "cross_validation_accuracy"}
OLD_RUNS = behaviour.GOLDEN.with_name("old_runs")
BEGUN_ON = "jax 0.10.2, 9c80de83ce49"  # their machine kind: what goes on elsewhere rounds otherwise


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return behaviour.inputs(tmp_path_factory.mktemp("inputs"))


def assert_as_before(name: str, workdir, *, bits: bool = True) -> None:
    every = json.loads(behaviour.GOLDEN.read_text())
    found = json.loads(json.dumps(behaviour.outcome(workdir)))
    if bits and (here := behaviour.machine()) in every and name not in behaviour.UNSTEADY:
        assert found == every[here][name]
        return
    for expected in (machine[name] for machine in every.values()):
        assert found.keys() == expected.keys()
        for folder in found:
            ours, theirs = (one[folder]["figures"] for one in (found, expected))
            assert ours.keys() == theirs.keys()
            for key in ours.keys() & _ACCURACIES:
                assert ours[key] == pytest.approx(theirs[key], abs=0.1), key
            for key in ours.keys() & {"test_loss", "train_loss"}:
                assert ours[key] == pytest.approx(theirs[key], rel=0.1), key


@pytest.mark.slow
@pytest.mark.parametrize("name", behaviour.RUNS)
def test_a_run_ends_with_the_bits_it_always_ended_with(name, inputs, tmp_path):
    behaviour.run(name, tmp_path, inputs)
    assert_as_before(name, tmp_path)


@pytest.mark.slow
def test_a_run_that_an_older_version_began_goes_on_to_the_same_end(inputs, tmp_path):
    workdir = shutil.copytree(OLD_RUNS / "stopped", tmp_path / "stopped")
    behaviour.run("stopped", workdir, inputs)
    assert_as_before("stopped", workdir, bits=behaviour.machine() == BEGUN_ON)


def test_a_run_that_an_older_version_finished_predicts_and_exports(tmp_path):
    workdir = shutil.copytree(OLD_RUNS / "finished", tmp_path / "finished")
    network = predictor.load(workdir)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    probabilities = np.asarray(network.probabilities(images))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    exported = predictor.load(network.export(tmp_path / "network.zip", platforms=["cpu"]))
    np.testing.assert_allclose(exported.probabilities(images), probabilities, atol=1e-5)


def test_an_older_version_called_a_watched_test_set_validation():
    """Here its figures have the name of the split they are of."""
    records = Workdir(OLD_RUNS / "finished").history()
    assert len(records) == 2
    for record in records:
        assert {"test_loss", "test_accuracy", "train_loss"} <= record.keys()
        assert not any(name.startswith("validation") for name in record)
    assert records[-1]["test_accuracy"] == Workdir(OLD_RUNS / "finished").summary()["test_accuracy"]
