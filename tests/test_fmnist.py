"""The Fashion-MNIST entry point end to end on digits, and what it says to bad input."""

import contextlib
import gzip
import json
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import presets
from experiments.documented import RUNS
from imgcls_jax import run
from imgcls_jax.config import Config
from imgcls_jax.train import Interrupted

ROOT = Path(__file__).parents[1]
QUICK = ("--dataset=digits", "--epochs=2", "--hidden=16")


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
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"last", "best"}
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


def test_zero_epochs_of_a_new_run_evaluates_the_initial_network(fmnist_main, tmp_path):
    status, _, err = fmnist_main("--dataset=digits", "--epochs=0", f"--workdir={tmp_path}")
    assert (status, err) == (0, "")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["epochs"], summary["steps"], summary["train_accuracy"]) == (0, 0, None)
    assert summary["test_accuracy"] < 0.5


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


def test_run_8_cross_validates_and_has_its_own_settings(fmnist_main, tmp_path):
    status, out, err = fmnist_main("--run=8", "--dataset=digits", f"--workdir={tmp_path / 'a'}")
    assert (status, err) == (0, "")
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert len(summary["fold_accuracy"]) == 5
    assert np.sum(summary["confusion_matrix"]) == 1437
    assert f"{summary['cross_validation_accuracy']:.4f}" in out
    assert summary["cross_validation_accuracy"] > 0.85
    assert (tmp_path / "a" / "figures" / "confusion_matrix.png").exists()
    status, _, err = fmnist_main("--run=8", "--lr=0.1", f"--workdir={tmp_path / 'b'}")
    assert (status, err.count("\n")) == (1, 1)
    assert "run 8 has no setting lr" in err
    status, _, err = fmnist_main("--run=8", "--dataset=digits", f"--workdir={tmp_path / 'a'}")
    assert (status, err.count("\n")) == (1, 1)
    assert "is not empty" in err
    status, _, err = fmnist_main(*QUICK, f"--workdir={tmp_path / 'a'}")
    assert (status, err.count("\n")) == (1, 1)
    assert "holds run 8, which is never continued" in err


def test_interrupted_seeds_say_how_to_go_on_and_do(fmnist_main, tmp_path, monkeypatch):
    """Stopped in the second seed; the same command finishes with the first one's result."""
    command_line = (*QUICK, "--seeds=2", f"--workdir={tmp_path}", "--nofigures")
    real, calls = run.train, []

    def stopped(config, **options):
        calls.append(config.seed)
        if config.seed == 1:
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
    assert "holds a run over seeds; give --seeds to continue it" in err


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
    assert "hidden" not in presets.choose(5, {"model": "linear"}).settings
    assert presets.choose(5, {}).settings["hidden"] == (256, 128)


def test_runs_are_listed_with_their_figures(fmnist_main):
    status, out, _ = fmnist_main("--list_runs")
    assert status == 0
    for found in RUNS.values():
        assert f"{found.headline[1]:.4f}" in out


def test_with_no_run_the_defaults_are_run_5s():
    preset = presets.choose(None, {"lr": 0.0008, "epochs": 15})
    assert preset.settings == RUNS[5].settings
    found = presets.documented(preset, Config(**preset.settings, seed=3))
    assert (found["run"], found["figures"]["test_accuracy"]) == (5, 0.8894)
    other = presets.documented(preset, Config(**{**preset.settings, "lr": 0.008}))
    assert (other["run"], other["reading"][:8]) == (5, "lr 0.008")
    assert presets.documented(preset, Config(**{**preset.settings, "lr": 0.3})) is None


@pytest.mark.parametrize("number", [n for n in RUNS if n != 8])
def test_every_reading_is_a_valid_configuration_and_recognised(number):
    for reading in RUNS[number].readings:
        preset = presets.choose(number, {})
        found = presets.documented(preset, Config(**reading.settings))
        assert found["run"] == number
        assert found["reading"].startswith(reading.label)


BAD_FLAGS = [
    (("--run=99",), "there is no documented run 99"),
    (("--dataset=imagenet",), "unknown --dataset=imagenet"),
    (("--model=vgg",), "unknown --model=vgg"),
    (("--lr=0",), "--lr=0.0 cannot be used"),
    (("--lr=-0.1",), "--lr=-0.1 cannot be used"),
    (("--lr=nan",), "--lr=nan cannot be used"),
    (("--batch_size=0",), "--batch_size=0 cannot be used"),
    (("--dataset=digits", "--batch_size=2000"), "larger than the training set of 1437"),
    (("--epochs=-1",), "--epochs=-1 cannot be used"),
    (("--seeds=0",), "--seeds=0 cannot be used"),
    (("--hidden=ten",), "--hidden=ten must be whole numbers"),
    (("--momentum=0.9",), "--momentum is not for --optimizer=adam"),
    (("--dataset=digits", "--hold_out=0.999"), "--hold_out=0.999 leaves 1 of 1437 examples"),
    (("--run=8", "--seeds=2"), "run 8 takes no --seeds"),
    (("--run=8", "--workdir=/dev/null"), "/dev/null"),
    (("stray",), "unexpected argument 'stray'"),
    (("--raw_dir=/nonexistent/folder",), "/nonexistent/folder"),
    (("--dataset=digits", "--workdir=/dev/null/run"), "cannot use /dev/null/run as --workdir"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_FLAGS)
def test_bad_flags_are_one_sentence(fmnist_main, tmp_path, arguments, sentence):
    if not any(a.startswith("--workdir") for a in arguments):
        arguments = (*arguments, f"--workdir={tmp_path / 'run'}")
    status, _, err = fmnist_main(*arguments)
    assert status == 1
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_help_shows_every_setting():
    done = command("--help")
    for name in ("--lr", "--hold_out", "--raw_dir", "--run", "--seeds", "--[no]nesterov"):
        assert f"{name}:" in done.stdout


def test_an_unknown_flag_stops_the_program():
    done = command("--learning_rate=0.1")
    assert done.returncode == 1
    assert "Unknown command line flag 'learning_rate'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_another_run_is_refused(fmnist_main, tmp_path):
    fmnist_main(*QUICK, f"--workdir={tmp_path}", "--nofigures")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for arguments, sentence in (
        (("--lr=0.5",), "lr is 0.0008 there, 0.5 here"),
        (("--run=7",), "epochs is 2 there, 30 here"),
        (("--epochs=3",), "whose settings are fixed"),
        (("--run=9",), "model is mlp there, linear here"),
        (("--seeds=2",), "holds a single run; choose another --workdir for --seeds"),
    ):
        status, _, err = fmnist_main(f"--workdir={tmp_path}", *arguments)
        assert status == 1
        assert sentence in err
        assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_diverging_learning_rate_stops_with_one_sentence(fmnist_main, tmp_path, optimizer):
    """SGD's loss turns NaN; Adam's bounded steps leave it finite, but absurd."""
    status, _, err = fmnist_main(
        *QUICK, f"--optimizer={optimizer}", "--lr=1e6", f"--workdir={tmp_path}", "--nofigures"
    )
    assert status == 1
    assert "training diverged in epoch" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "summary.json").exists()


def idx_files(folder: Path) -> dict[str, Path]:
    """Four IDX files of the right form but of six examples."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for split in ("train", "t10k"):
        images = struct.pack(">IIII", 2051, 6, 28, 28) + bytes(6 * 784)
        labels = struct.pack(">II", 2049, 6) + bytes(range(6))
        for kind, content in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{split}-{kind}-ubyte"
            path.write_bytes(content)
            paths[f"{split}-{kind}"] = path
    return paths


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("missing", "lacks train-labels-idx1-ubyte"),
        ("truncated", "train-images-idx3-ubyte"),
        ("swapped", "label"),
        ("garbage", "train-images-idx3-ubyte"),
        ("few", "60000"),
        ("empty", "lacks train-images-idx3-ubyte, train-labels-idx1-ubyte"),
    ],
)
def test_bad_raw_files_are_one_sentence(fmnist_main, tmp_path, damage, words):
    raw = tmp_path / "raw"
    files = idx_files(raw)
    images, labels = files["train-images-idx3"], files["train-labels-idx1"]
    if damage == "missing":
        labels.unlink()
    elif damage == "truncated":
        images.write_bytes(gzip.compress(os.urandom(5000))[:3000])
    elif damage == "swapped":
        content = images.read_bytes(), labels.read_bytes()
        labels.write_bytes(content[0])
        images.write_bytes(content[1])
    elif damage == "garbage":
        images.write_bytes(os.urandom(5000))
    elif damage == "empty":
        for path in files.values():
            path.unlink()
    status, _, err = fmnist_main(
        f"--raw_dir={raw}", f"--data_dir={tmp_path / 'data'}", f"--workdir={tmp_path / 'run'}"
    )
    assert status == 1
    assert err.startswith("error: ")
    assert str(raw) in err
    assert words in err
    assert ("60000" in err) == (damage == "few")
    assert err.count("\n") == 1


def command(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "experiments.fmnist", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False, **options,
    )  # fmt: skip


def test_a_terminated_process_says_how_to_go_on_and_does(tmp_path):
    """SIGTERM in the middle of training; the same folder then gives the uninterrupted result."""
    settings = ("--dataset=digits", "--hidden=16", "--epochs=400", "--nofigures")
    whole = command(*settings, f"--workdir={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.fmnist", *settings, f"--workdir={tmp_path / 'cut'}"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if "epoch  20/" in line:
            process.send_signal(signal.SIGTERM)
            break
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to continue" in err
    assert "error" not in err
    assert "Traceback" not in err
    assert not (tmp_path / "cut" / "summary.json").exists()
    again = command(f"--workdir={tmp_path / 'cut'}", "--nofigures")
    assert again.returncode == 0, again.stderr
    assert "resuming from step" in again.stdout

    def result(folder):
        summary = json.loads((tmp_path / folder / "summary.json").read_text())
        return summary["test_loss"], summary["confusion_matrix"], summary["steps"]

    assert result("whole") == result("cut")


def test_a_progress_bar_appears_on_a_terminal_only(tmp_path):
    import fcntl
    import pty
    import termios

    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.fmnist", *QUICK, f"--workdir={tmp_path}",
         "--nofigures", "--epochs=40"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal, text=True,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(terminal)
    shown = ""
    with contextlib.suppress(OSError):  # the terminal is gone when the process is
        while chunk := os.read(main, 1 << 16):
            shown += chunk.decode()
    os.close(main)
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    assert "examples/s" in shown
    assert "loss" in shown
    assert "\r" in shown
    assert "\r" not in out


def test_nothing_imports_tensorflow_or_pytorch(tmp_path):
    """A whole run with figures leaves them out of `sys.modules`."""
    code = (
        "import sys; from experiments import cli, fmnist\n"
        "try: cli.run(fmnist.main)\n"
        "finally: print('heavy:', {'tensorflow', 'torch', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *QUICK, f"--workdir={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "heavy: set()" in done.stdout
