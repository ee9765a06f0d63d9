"""The benchmark commands: that they start, their bookkeeping, their contenders' work."""

import json
import re
import subprocess
import sys
import types

import numpy as np
import pytest
from photo_helpers import write_photos

from experiments import benchmark
from experiments.benchmarks import (
    checkpoints,
    cifar10,
    keras_cifar10,
    logistic,
    predict,
    start,
    streaming,
    timing,
)
from imgcls_jax.data import Split
from imgcls_jax.errors import UserError
from imgcls_jax.predict.predictor import Predictor


@pytest.mark.slow
def test_contenders_take_turns_and_the_first_is_not_counted():
    called = []
    contenders = {name: lambda turn, name=name: called.append((turn, name)) for name in "ab"}
    seconds, peak = timing.take_turns(contenders, rounds=2)
    assert called == [(turn, name) for turn in range(3) for name in "ab"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}
    assert peak > 0
    assert timing.medians({"a": [3.0, 1.0, 2.0]}) == {"a": 2.0}


def test_a_warm_turn_is_two_calls_of_which_one_counts():
    called = []
    contenders = {name: lambda turn, name=name: called.append((turn, name)) for name in "ab"}
    seconds, _ = timing.take_turns(contenders, rounds=1, warm=True)
    assert called == [(0, "a"), (0, "b"), (1, "a"), (1, "a"), (1, "b"), (1, "b")]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("main", "arguments", "sentence"),
    [
        (benchmark.main, [], "name one benchmark of fmnist, cifar10, transfer, logistic, start"),
        (benchmark.main, ["fmnist", "start"], "not fmnist start"),
        (streaming.main, [], "give FOLDER"),
        (streaming.main, ["folder", "--images=3"], "give FOLDER"),
    ],
)
def test_a_command_without_what_it_measures_is_one_sentence(main, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        main(arguments)


def test_a_result_goes_into_a_folder_that_is_not_there_yet(any_main, tmp_path, monkeypatch):
    module = types.SimpleNamespace(measure=lambda *_, **__: {"seconds": 1}, show=lambda _: None)
    monkeypatch.setitem(benchmark._BENCHMARKS, "start", (module, list))
    out = tmp_path / "new" / "result.json"
    status, _, err = any_main(benchmark.main, "start", f"--out={out}")
    assert (status, err) == (0, "")
    assert json.loads(out.read_text())["seconds"] == 1
    (tmp_path / "file").touch()
    module.measure = lambda *_, **__: pytest.fail("measured before --out was looked at")
    status, _, err = any_main(benchmark.main, "start", f"--out={tmp_path}/file/result.json")
    assert status == 1
    assert err.endswith("give another --out.\n")


def test_predictions_stand_beside_their_parts(tmp_path, monkeypatch, capsys):
    """Photos come again until there are enough, in batches of one shape."""
    shapes = []

    def probabilities(images):
        shapes.append(images.shape)
        return np.zeros((len(images), 2))

    network = Predictor(probabilities, ("a", "b"), (224, 224, 3), {"resize": "crop"})
    monkeypatch.setattr(predict, "made_up_network", lambda: network)
    monkeypatch.setattr(timing, "matmul_peak", lambda: 1.0)
    folder = write_photos(tmp_path, each=3)  # nine photos
    found = predict.measure(str(folder), rounds=1, count=40)
    assert set(shapes) == {(network.batch_size, 224, 224, 3)}
    assert {name: len(turns) for name, turns in found["cpu_seconds"].items()} == {
        "decoding": 1, "network": 1, "predict": 1
    }  # fmt: skip
    slower = max(found["median"]["decoding"], found["median"]["network"])
    assert found["whole_to_slower_part"] == found["median"]["predict"] / slower
    predict.show(found)
    assert "times its slower part" in capsys.readouterr().out
    with pytest.raises(UserError, match="no photos"):
        predict.measure(None, rounds=1)


def test_keras_is_asked_for_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(UserError, match="pip install keras"):
        keras_cifar10.main()


def test_keras_history_has_our_names_and_its_validation_set_is_the_test_set():
    history = {"accuracy": [0.5], "loss": [1.25], "val_accuracy": [0.4], "val_loss": [1.50000004]}
    assert keras_cifar10.by_epoch(history) == {
        "train_loss": [1.25], "train_accuracy": [0.5], "test_loss": [1.5], "test_accuracy": [0.4]
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("module", ["benchmark", "benchmarks.keras_cifar10"])
def test_a_command_shows_its_flags(module):
    command = [sys.executable, "-m", f"experiments.{module}", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.search(r"--out\b", shown.stdout)
    assert shown.stderr == ""


def test_a_folder_of_links_is_streamed(tmp_path, capsys):
    streaming.main([str(tmp_path / "pictures"), "200"])
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["streamed"], found["workers"]) == (200, 200, 0)


@pytest.mark.slow
def test_a_training_is_timed_with_checkpoints_and_without(digits, capsys):
    result = checkpoints.measure(digits, rounds=1)
    (kept,), (plain,) = result["seconds"].values()
    assert result["cost"] == pytest.approx(kept / plain - 1)
    assert result["epochs"] == 15
    assert result["saved"][0] >= 2  # the last and the evaluated
    checkpoints.show(result)
    assert re.search(r"checkpoints cost +-?[\d.]+%", capsys.readouterr().out)


@pytest.mark.slow
def test_run_8_is_timed_against_scikit_learn(digits, capsys):
    result = logistic.measure(digits, rounds=1)
    seconds = result["seconds"]
    assert result["scikit_learn_over_ours"]["cold"] == pytest.approx(
        seconds[logistic.THEIRS][0] / seconds["ours"][0]
    )
    assert result["accuracy"]["ours"] == pytest.approx(result["accuracy"]["scikit-learn"], abs=0.03)
    logistic.show(result)
    assert f"accuracy {result['accuracy']['ours']:.4f}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_main_command_is_timed_whole_and_to_its_first_step(capsys):
    arguments = ["--dataset=digits", "--epochs=2", "--hidden=16", "--nofigures"]
    result = start.measure(arguments, rounds=1)
    assert 0 < result["median"]["to_first_step"] < result["median"]["whole"]
    start.show(result)
    assert "to_first_step" in capsys.readouterr().out
    with pytest.raises(UserError, match="the main command failed"):
        start.measure(["--dataset=none"], rounds=1)


@pytest.mark.slow
@pytest.mark.parametrize("case", cifar10.CASES, ids=lambda case: case.name)
def test_our_contenders_train_and_count_the_same_operations(case):
    config = case.config
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (config.train.batch_size, 32, 32, 3), dtype=np.uint8)
    train = Split(images, rng.integers(0, 10, config.train.batch_size).astype(np.int32))
    ours, operations = cifar10.our_steps(config, train, 10, 1)
    for turn in ours.values():
        turn(0)
    # A step is about three forward passes; run 10's network makes 4.55 million products forward.
    if config.model.model == "documented_cnn":
        assert 2 * 2.5 < operations / config.train.batch_size / 4.55e6 < 2 * 3.3
