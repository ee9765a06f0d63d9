"""The Fashion-MNIST entry point end to end on digits: what a run writes, shows and continues."""

import json
import os
import re
import signal

import numpy as np
import pytest
from conftest import QUICK
from PIL import Image

from experiments.documented import RUNS
from experiments.presets import choose
from imgcls_jax.config import Config
from imgcls_jax.train import run
from imgcls_jax.train.loop import Interrupted

FASHION_MNIST = [run for run in RUNS.values() if run.settings["dataset"] == "fashion_mnist"]


def test_a_run_writes_and_shows_everything(fmnist_main, tmp_path):
    status, out, err = fmnist_main(
        *QUICK, "--hold_out=0.2", f"--workdir={tmp_path}", "--tensorboard"
    )
    assert (status, err) == (0, "")
    for words in ("hold_out", "scikit-learn", "epoch 1/2", "95 % interval", "precision", "Figures"):
        assert words in out
    summary = json.loads((tmp_path / "summary.json").read_text())
    keys = (
        "run dataset model parameters seed epochs steps test_accuracy test_loss train_accuracy "
        "confusion_matrix per_class train_seconds compile_seconds eval_seconds "
        "examples_per_second device versions git_commit"
    )
    for key in keys.split():
        assert key in summary, key
    assert summary["parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    matrix = np.array(summary["confusion_matrix"])
    assert matrix.sum() == 360
    assert np.trace(matrix) / 360 == pytest.approx(summary["test_accuracy"])
    assert f"{summary['test_accuracy']:.4f}" in out
    history = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [record["epoch"] for record in history] == [1, 2]
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {
        "last",
        "best",
        "evaluated",
    }
    assert json.loads((tmp_path / "config.json").read_text())["hidden"] == [16]
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert figures == {
        "learning_curves", "confusion_matrix", "predictions", "mistakes", "calibration",
        "sample_image", "sample_row",
    }  # fmt: skip
    for path in (tmp_path / "figures").iterdir():
        assert str(path) in out
        Image.open(path).verify()
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))
    assert summary["examples"] == {"train": 1149, "validation": 288, "test": 360}
    assert f"  {tmp_path}/report.html\n" in out
    report = (tmp_path / "report.html").read_text()
    assert f"{summary['test_accuracy']:.4f}" in report
    assert report.count("data:image/png;base64,") == len(figures)
    assert (tmp_path / "predictions.csv").read_text().count("\n") == 361


def test_the_same_command_again_shows_the_finished_run(fmnist_main, tmp_path):
    _, first, _ = fmnist_main(*QUICK, f"--workdir={tmp_path}", "--nofigures")
    before = (tmp_path / "summary.json").read_bytes()
    for arguments in ((), QUICK):  # its own settings are understood where no flag gives them
        status, out, err = fmnist_main(f"--workdir={tmp_path}", "--nofigures", *arguments)
        assert (status, err) == (0, "")
        assert "nothing to train" in out
        assert out[out.index("Result") :] == first[first.index("Result") :]
    assert (tmp_path / "summary.json").read_bytes() == before


def test_zero_epochs_evaluates_and_changes_nothing(fmnist_main, tmp_path):
    _, first, _ = fmnist_main(*QUICK, f"--workdir={tmp_path}", "--nofigures")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    status, out, err = fmnist_main("--epochs=0", f"--workdir={tmp_path}")
    assert (status, err) == (0, "")
    accuracy = re.search(r"test accuracy +(\S+)", first)[1]
    assert re.search(r"test accuracy +(\S+)", out)[1] == accuracy
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_zero_epochs_of_a_new_run_evaluates_the_initial_network(fmnist_main, tmp_path):
    status, _, err = fmnist_main(
        "--dataset=digits", "--epochs=0", "--nofigures", f"--workdir={tmp_path}"
    )
    assert (status, err) == (0, "")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["epochs"], summary["steps"], summary["train_accuracy"]) == (0, 0, None)
    assert summary["test_accuracy"] < 0.5


@pytest.mark.slow
def test_settings_that_are_defaults_are_shown_on_request(fmnist_main, tmp_path):
    shown = []
    for number, more in enumerate(((), ("--show_config",))):
        status, out, err = fmnist_main(
            *QUICK, "--clip_norm=2", f"--workdir={tmp_path / str(number)}", "--nofigures", *more
        )
        assert (status, err) == (0, "")
        shown.append(out.partition("Data\n")[0])
    lines = [line for line in shown[0].splitlines() if "=" in line]
    assert len(lines) == 4  # a line for each group
    for group, values in (
        ("Data", ["dataset=digits"]),
        ("Network", ["model=mlp", "hidden=16", "init=torch_linear"]),
        ("Optimiser", ["optimizer=adam", "lr=0.0008", "clip_norm=2.0"]),
        ("Training", ["batch_size=64", "epochs=2", "seed=0"]),
    ):
        assert [group, *values] in [line.split() for line in lines]
    for pattern in (r"^  hidden +16$", r"^  clip_norm +2.0$", r"^  seed +0$"):
        assert re.search(pattern, shown[1], re.MULTILINE)
    assert re.search(rf"^  Workdir +{tmp_path}/0$", shown[0], re.MULTILINE)
    assert "momentum" not in shown[0]
    assert "--show_config prints them" in shown[0]
    assert re.search(r"^  momentum +0.0$", shown[1], re.MULTILINE)


def test_seeds_give_mean_and_deviation(fmnist_main, tmp_path):
    status, out, err = fmnist_main(*QUICK, "--seeds=2", f"--workdir={tmp_path}", "--nofigures")
    assert (status, err) == (0, "")
    result = json.loads((tmp_path / "summary.json").read_text())
    assert result["seeds"] == [0, 1]
    values = [
        json.loads((tmp_path / f"seed-{seed}" / "summary.json").read_text())["test_accuracy"]
        for seed in (0, 1)
    ]
    entry = result["spread"]["test_accuracy"]
    assert entry["values"] == values
    assert entry["mean"] == pytest.approx(sum(values) / 2)
    assert entry["std"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert f"{entry['mean']:.4f}" in out


@pytest.mark.slow
def test_seeds_in_one_program(fmnist_main, tmp_path):
    common = (*QUICK, "--vectorize=on", "--nofigures", f"--workdir={tmp_path}")
    status, out, err = fmnist_main(*common, "--seeds=2", "--tensorboard")
    assert (status, err) == (0, "")
    assert "seeds 0, 1 in one program" in out
    assert "shares of a program of several seeds" in out
    assert json.loads((tmp_path / "summary.json").read_text())["together"] == [2, 2]
    for seed in (0, 1):
        assert list((tmp_path / f"seed-{seed}" / "tensorboard").glob("events.out.tfevents.*"))
    for flags, sentence in (
        (("--seeds=1",), "--vectorize=on trains several seeds in one program; give --seeds=2"),
        (("--seeds=2", "--ema=0.9", f"--workdir={tmp_path / 'b'}"), "averaged weights (--ema) do"),
    ):
        status, _, err = fmnist_main(*common, *flags)
        assert (status, err.count("\n")) == (1, 1)
        assert sentence in err


def test_run_8_cross_validates_and_has_its_own_settings(fmnist_main, tmp_path):
    status, out, err = fmnist_main("--run=8", "--dataset=digits", f"--workdir={tmp_path / 'a'}")
    assert (status, err) == (0, "")
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert len(summary["fold_accuracy"]) == 5
    assert np.sum(summary["confusion_matrix"]) == 1437
    assert f"{summary['cross_validation_accuracy']:.4f}" in out
    assert summary["cross_validation_accuracy"] > 0.85
    assert (tmp_path / "a" / "figures" / "confusion_matrix.png").exists()
    report = (tmp_path / "a" / "report.html").read_text()
    for words in (f"{summary['cross_validation_accuracy']:.4f}", "--run=8 --dataset=digits"):
        assert words in report
    status, _, err = fmnist_main("--run=8", "--lr=0.1", f"--workdir={tmp_path / 'b'}")
    assert (status, err.count("\n")) == (1, 1)
    assert "run 8 has no setting lr" in err
    status, _, err = fmnist_main("--run=8", "--dataset=digits", f"--workdir={tmp_path / 'a'}")
    assert (status, err.count("\n")) == (1, 1)
    assert "is not empty" in err
    status, _, err = fmnist_main(*QUICK, f"--workdir={tmp_path / 'a'}")
    assert (status, err.count("\n")) == (1, 1)
    assert "holds run 8, which keeps no network and is never continued" in err


@pytest.mark.slow
def test_interrupted_seeds_say_how_to_go_on_and_do(fmnist_main, tmp_path, monkeypatch):
    """Stopped in the second seed; the same command finishes with the first one's result."""
    command_line = (*QUICK, "--seeds=2", f"--workdir={tmp_path}", "--nofigures")
    real, calls = run.train, []

    def stopped(config, **options):
        calls.append(config.train.seed)
        if config.train.seed == 1:
            raise Interrupted("stopped at step 3, saved; ...")
        return real(config, **options)

    monkeypatch.setattr(run, "train", stopped)
    status, _, err = fmnist_main(*command_line)
    assert (status, calls) == (130, [0, 1])
    assert f"--workdir={tmp_path} --seeds=2 to continue" in err
    monkeypatch.setattr(run, "train", real)
    first = (tmp_path / "seed-0" / "summary.json").read_bytes()
    status, out, err = fmnist_main(f"--workdir={tmp_path}", "--seeds=2", "--nofigures")
    assert (status, err) == (0, "")
    assert "nothing to train" in out
    assert (tmp_path / "seed-0" / "summary.json").read_bytes() == first
    status, _, err = fmnist_main(f"--workdir={tmp_path}")
    assert "holds a run over seeds or folds; give --seeds or --folds to continue it" in err


def test_a_signal_ends_a_run_over_seeds(fmnist_main, tmp_path, monkeypatch):
    """Even one that comes after the last step of a seed."""
    real, calls = run.train, []

    def interrupted(config, **options):
        calls.append(config.train.seed)
        summary = real(config, **options)
        os.kill(os.getpid(), signal.SIGINT)
        return summary

    monkeypatch.setattr(run, "train", interrupted)
    status, _, err = fmnist_main(*QUICK, "--seeds=3", f"--workdir={tmp_path}", "--nofigures")
    assert (status, calls) == (130, [0])
    assert "stopped at seed 1" in err


def test_the_best_checkpoint_meets_the_test_set_when_asked(fmnist_main, tmp_path):
    """At this rate accuracy falls after its peak: best and last differ."""
    status, _, err = fmnist_main(
        "--dataset=digits", "--hidden=16", "--epochs=8", "--lr=0.3", "--hold_out=0.2",
        "--evaluate=best", "--nofigures", f"--workdir={tmp_path}",
    )  # fmt: skip
    assert (status, err) == (0, "")
    history = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    best = max(history, key=lambda record: record["validation_accuracy"])
    assert best["epoch"] < 8
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["evaluated_epoch"] == best["epoch"]
    assert summary["validation_accuracy"] == best["validation_accuracy"]
    assert summary["steps"] == history[-1]["step"]
    last = fmnist_main("--epochs=0", f"--workdir={tmp_path}")[1]
    assert f"{summary['test_accuracy']:.4f}" in last


def test_unverified_data_is_said_and_recorded(fmnist_main, tmp_path, monkeypatch, digits):
    import dataclasses

    doubtful = dataclasses.replace(digits, verified=False)
    monkeypatch.setattr("imgcls_jax.data.load", lambda *_, **__: doubtful)
    _, out, _ = fmnist_main(*QUICK, "--nofigures", f"--workdir={tmp_path}")
    assert "NOT VERIFIED" in out
    assert json.loads((tmp_path / "summary.json").read_text())["data"]["verified"] is False


def test_a_model_flag_sheds_the_documented_hidden_sizes():
    assert "hidden" not in choose.fashion_mnist(5, None, {"model": "linear"}).settings
    assert choose.fashion_mnist(5, None, {}).settings["hidden"] == (256, 128)


def test_runs_are_listed_with_their_figures(fmnist_main):
    status, out, _ = fmnist_main("--list_runs")
    assert status == 0
    for found in FASHION_MNIST:
        assert f"{found.headline[1]:.4f}" in out


def test_with_no_run_the_defaults_are_run_5s():
    preset = choose.fashion_mnist(None, None, {"lr": 0.0008, "epochs": 15})
    assert preset.settings == RUNS[5].settings
    found = choose.documented(preset, Config.of(**preset.settings, seed=3))
    assert (found["run"], found["figures"]["test_accuracy"]) == (5, 0.8894)
    other = choose.documented(preset, Config.of(**{**preset.settings, "lr": 0.008}))
    assert (other["run"], other["reading"][:8]) == (5, "lr 0.008")
    assert choose.documented(preset, Config.of(**{**preset.settings, "lr": 0.3})) is None


@pytest.mark.parametrize("number", [run.number for run in FASHION_MNIST if run.number != 8])
def test_every_reading_is_a_valid_configuration_and_recognised(number):
    for reading in RUNS[number].readings:
        preset = choose.fashion_mnist(number, None, {})
        found = choose.documented(preset, Config.of(**reading.settings))
        assert found["run"] == number
        assert found["reading"].startswith(reading.label)
