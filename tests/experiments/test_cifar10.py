"""The CIFAR-10 entry point end to end, on digits: presets, options, figures, bad flags."""

import json

import pytest

from experiments.documented import RUNS
from experiments.presets import choose, cifar10
from imgcls_jax.config import Config

# Every training feature at once, on a network and images small enough for seconds.
EVERYTHING = (
    "--dataset=digits",
    "--model=cnn",
    "--widths=8",
    "--epochs=2",
    "--batch_size=120",
    "--optimizer=muon",
    "--lr=0.01",
    "--schedule=one_cycle",
    "--normalise=standard",
    "--augment=crop:1,mixup:0.2",
    "--label_smoothing=0.1",
    "--accumulate=2",
    "--clip_norm=5",
    "--lr_scale=bias=0.5",
    "--ema=0.9",
    "--tta=flip",
)


@pytest.mark.slow
def test_every_feature_together_trains_and_is_drawn(cifar10_main, tmp_path):
    status, _, err = cifar10_main(*EVERYTHING, f"--workdir={tmp_path}")
    assert (status, err) == (0, "")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["test_accuracy"] > 0.3  # guessing gives 0.1
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert {"learning_curves", "confusion_matrix", "predictions", "augmentation"} <= figures


def test_documented_runs_are_presets(cifar10_main):
    status, out, _ = cifar10_main("--list_runs")
    assert status == 0
    assert "0.8520" in out
    assert "784" not in out  # Fashion-MNIST's are not listed here
    for number in (10, 11):
        preset = choose.cifar10(number, None, {})
        found = choose.documented(preset, Config.of(**preset.settings, seed=3))
        assert found["run"] == number
    assert choose.cifar10(None, None, {}).run is RUNS[10]
    assert choose.cifar10(None, None, {"model": "resnet20"}).name == "resnet"


def test_a_preset_leaves_the_options_of_another_optimiser_to_it():
    preset = choose.cifar10(None, "resnet", {"optimizer": "adamw"})
    assert Config.of(**{**preset.settings, "optimizer": "adamw"}).optim.momentum == 0
    preset = choose.cifar10(None, "fast", {"model": "resnet20", "optimizer": "sgd"})
    assert not {"widths", "lr_scale"} & set(preset.settings)


@pytest.mark.parametrize("name", cifar10.PRESETS)
def test_named_presets_are_valid(name):
    preset = choose.cifar10(None, name, {})
    assert Config.of(**preset.settings).data.dataset == "cifar10"
    assert choose.documented(preset, Config.of(**preset.settings)) is None


BAD_FLAGS = [
    (("--run=5",), "there is no documented run 5 here"),
    (("--run=10", "--preset=resnet"), "--run and --preset both name"),
    (("--dataset=digits",), "images of 8x8 are too small for documented_cnn"),
    (("--model=resnet50", "--stem=vgg"), "unknown --stem=vgg"),
    (("--model=resnet18", "--depth=2"), "--depth is not for --model=resnet18"),
    (("--dataset=digits", "--model=resnet18"), "too small for a ResNet"),
    (("--dataset=digits", "--model=cnn", "--widths=8,8,8,8"), "too small for a CNN of 4 stages"),
    (("--augment=blur",), "blur"),
    (("--augment=crop:-1",), "crop"),
    (("--accumulate=3",), "--accumulate=3 must divide --batch_size=32"),
    (("--lr_scale=bias",), "--lr_scale=bias cannot be used"),
    (("--optimizer=muon",), "is not offered as framework 'keras' has it"),
    (("--watch_test", "--hold_out=0.1"), "--watch_test is for runs that choose nothing"),
    (("--schedule=one_cycle", "--warmup_epochs=1"), "give --warmup_epochs=0"),
    (("--ema=1",), "--ema=1.0 cannot be used"),
    (("--final_fraction=0.1",), "--final_fraction is for --schedule=linear"),
    (("--raw_dir=/nonexistent/folder",), "/nonexistent/folder"),
    ((f"--raw_dir={__file__}",), "test_cifar10.py"),
]


# The named presets at sizes for seconds, on images that are large enough for their networks.
REDUCED = {
    "fast": ("--widths=8", "--batch_size=100", "--augment=alternate_flip"),
    "best": ("--model=resnet20", "--batch_size=100", "--lr=0.05", "--augment=cutmix"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REDUCED)
def test_a_named_preset_learns_at_reduced_size(cifar10_main, tmp_path, name):
    status, _, err = cifar10_main(
        f"--preset={name}",
        "--dataset=digits",
        "--epochs=4",
        *REDUCED[name],
        "--nofigures",
        f"--workdir={tmp_path}",
    )
    assert (status, err) == (0, "")
    assert json.loads((tmp_path / "summary.json").read_text())["test_accuracy"] > 0.4


@pytest.mark.parametrize(("arguments", "sentence"), BAD_FLAGS)
def test_bad_flags_are_one_sentence(cifar10_main, tmp_path, arguments, sentence):
    status, _, err = cifar10_main(*arguments, f"--workdir={tmp_path / 'run'}")
    assert status == 1
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


SPEEDRUN = (
    "--preset=speedrun",
    "--dataset=digits",
    "--widths=16",
    "--precision=float32",
    "--batch_size=479",
    "--augment=flip",
    "--lr=0.1",
)


@pytest.mark.slow
def test_a_speed_run_races_seeds_and_learns(cifar10_main, tmp_path):
    status, out, err = cifar10_main(*SPEEDRUN, "--seeds=2", f"--workdir={tmp_path}")
    assert (status, err) == (0, "")
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["seeds"] == [0, 1]
    assert min(found["accuracies"]) > 0.5  # guessing gives 0.1
    assert all(total > train > 0 for total, train in zip(
        found["total_seconds"], found["train_seconds"], strict=True
    ))  # fmt: skip
    assert f"{found['accuracies_summary']['mean']:.4f}" in out
    status, again, _ = cifar10_main(*SPEEDRUN, "--seeds=2", f"--workdir={tmp_path}")
    assert status == 0
    assert "finished" in again
    before = (tmp_path / "summary.json").read_bytes()
    for arguments in ((), ("--seeds=2",), (*SPEEDRUN, "--seeds=3")):  # nothing is lost
        status, _, err = cifar10_main(*arguments, f"--workdir={tmp_path}")
        assert status == 1
        assert "another --workdir" in err
    assert (tmp_path / "summary.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--batch_size=1000",), "a speed run needs a --batch_size that divides the 1437"),
        (("--ema=0.9",), "a speed run takes no --ema"),
        (("--widths=8,8,8",), "too small for a speed network of 3 groups"),
        (("--tensorboard",), "a speed run takes no --tensorboard"),
    ],
)
def test_a_speed_run_that_cannot_be_is_one_sentence(cifar10_main, tmp_path, arguments, sentence):
    status, _, err = cifar10_main(*SPEEDRUN, *arguments, f"--workdir={tmp_path}")
    assert status == 1
    assert sentence in err
    assert err.count("\n") == 1
