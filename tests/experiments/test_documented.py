"""The documented runs: transcription against the documents' own redundancy, and sane settings."""

import dataclasses

import numpy as np
import pytest

from experiments.documented import RUNS
from imgcls_jax.config import Config

REPORT_RUNS = range(1, 8)
ALL_READINGS = [(n, reading) for n, run in RUNS.items() for reading in run.readings]


def test_every_run_is_there_under_its_number():
    assert list(RUNS) == list(range(1, 16))
    assert all(run.number == number for number, run in RUNS.items())


@pytest.mark.parametrize("number", REPORT_RUNS)
def test_matrix_agrees_with_the_test_set_and_the_documented_accuracy(number):
    matrix = np.array(RUNS[number].confusion_matrix)
    assert matrix.shape == (10, 10)
    assert matrix.min() >= 0
    np.testing.assert_array_equal(matrix.sum(axis=1), np.full(10, 1000))
    assert matrix.trace() == round(10_000 * RUNS[number].figures["test_accuracy"])


@pytest.mark.parametrize(
    ("number", "true", "predicted", "count"),
    [  # read off the report by eye: T-shirts (0) and shirts (6) are confused unevenly
        (1, 6, 0, 137),
        (2, 0, 6, 118),
        (3, 2, 4, 204),
        (4, 6, 3, 57),
        (5, 9, 8, 0),
        (6, 0, 6, 236),
        (6, 6, 0, 56),
        (7, 9, 5, 8),
    ],
)
def test_matrix_cells_stand_where_the_report_has_them(number, true, predicted, count):
    assert RUNS[number].confusion_matrix[true][predicted] == count


def test_headlines():
    assert {number: run.headline for number, run in RUNS.items()} == {
        1: ("test_accuracy", 0.8652),
        2: ("test_accuracy", 0.8731),
        3: ("test_accuracy", 0.8467),
        4: ("test_accuracy", 0.8382),
        5: ("test_accuracy", 0.8894),
        6: ("test_accuracy", 0.8881),
        7: ("test_accuracy", 0.8879),
        8: ("cross_validation_accuracy", 0.8194166666666666),
        9: ("validation_accuracy", 0.8462),
        10: ("test_accuracy", None),
        11: ("validation_accuracy", 0.852),
        12: ("test_accuracy", (0.97, 0.98)),
        13: ("test_accuracy", 0.99),
        14: ("test_accuracy", (0.96, 0.98)),
        15: ("test_accuracy", 0.98),
    }


def test_readings_of_the_contradictory_runs():
    def values(number, field):
        return [reading.settings[field] for reading in RUNS[number].readings]

    assert values(1, "lr") == [0.001, 0.01]
    assert values(3, "hidden") == [(256, 128), (128,)]
    assert values(4, "epochs") == [5, 30, 10, 5, 30]
    assert values(4, "hidden") == 3 * [(256, 128)] + 2 * [(128,)]
    assert values(5, "lr") == [0.0008, 0.008, 0.001]
    assert values(6, "lr") == [0.0008, 0.008]
    assert values(7, "lr") == [0.0005, 0.005]
    assert [RUNS[n].settings["epochs"] for n in REPORT_RUNS] == [5, 5, 5, 5, 15, 20, 30]
    assert [RUNS[n].settings["lr"] for n in (2, 3, 4)] == [0.001, 0.01, 0.0001]
    assert [RUNS[n].settings["hidden"] for n in REPORT_RUNS] == [(128,)] + 6 * [(256, 128)]
    seconds = {n: run.seconds for n, run in RUNS.items() if run.seconds is not None}
    assert seconds == {5: 30.0, 6: 40.8, 7: 61.0, 11: 7200.0}


def test_a_run_with_several_readings_says_what_the_document_disagrees_about():
    for run in RUNS.values():
        assert len({reading.label for reading in run.readings}) == len(run.readings)
        assert run.settings == run.readings[0].settings
        if len(run.readings) > 1:
            assert run.disagreement is not None
            assert run.disagreement.endswith(".")


@pytest.mark.parametrize(("number", "reading"), ALL_READINGS)
def test_settings_are_usable(number, reading):
    settings = reading.settings
    names = 9 * ["fashion_mnist"] + 2 * ["cifar10"] + 4 * ["folder"]
    assert settings["dataset"] == names[number - 1]
    if number >= 12:  # the document gives no settings beyond what is frozen and augmented
        config = Config.of(**settings)
        assert config.model.weights == "imagenet"
        assert (config.model.head == "binary") == (number >= 14)
        assert (config.train.trainable == "head") == ("frozen" in reading.label or number == 15)
        return
    assert settings["framework"] == RUNS[number].framework
    assert 1 <= settings["epochs"] <= (50 if number == 11 else 30)
    if number >= 10:
        config = Config.of(**settings)
        assert (config.model.model, config.optim.optimizer, config.optim.lr) == (
            "documented_cnn",
            "adam",
            0.001,
        )
        assert (config.train.batch_size, config.model.init, config.evaluation.watch_test) == (
            32,
            None,
            True,
        )
        assert (config.model.dropout, config.train.labels) == {
            10: (None, "integer"),
            11: (0.5, "one_hot"),
        }[number]
        return
    if number == 8:
        assert (settings["alpha"], settings["folds"], settings["seed"]) == (1e-4, 5, 42)
        return
    framework, init, optimizer, batch_size = (
        ("keras", "keras_glorot", "rmsprop", 32)
        if number == 9
        else ("torch", "torch_linear", "adam", 64)
    )
    assert settings["framework"] == framework
    assert (settings["init"], settings["optimizer"]) == (init, optimizer)
    assert settings["batch_size"] == batch_size
    assert settings["hold_out"] == (0.2 if number == 9 else 0.0)
    assert settings["model"] == ("linear" if settings["hidden"] == () else "mlp")


def test_runs_cannot_be_altered_by_the_code_that_uses_them():
    RUNS[5].settings["lr"] = 1.0
    assert RUNS[5].settings["lr"] == 0.0008
    with pytest.raises(dataclasses.FrozenInstanceError):
        RUNS[5].seconds = 1.0
