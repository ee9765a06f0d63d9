"""An error that names a setting which nobody gave says where it comes from."""

import json
import shutil

import pytest
from golden import behaviour

from experiments.cli import origins
from experiments.presets import choose
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError

W = "--weights=none"


@pytest.mark.parametrize(
    ("flags", "end"),
    [
        (
            (W, "--model=cnn"),
            "; --trainable=head comes from the preset frozen: give your own to re",
        ),
        ((W, "--model=cnn", "--run=12"), "; --trainable=head comes from documented run 12: give"),
        (
            (W, "--model=mobilenet_v2", "--preset=fine_tuned", "--accumulate=5"),
            "--batch_size=32; --batch_size=32 comes from the preset fine_tuned: give your own to",
        ),
        (
            (W, "--model=mobilenet_v2", "--trainable=all", "--epochs=0", "--eval_size=999"),
            "most twice that; --image_size=224 comes from the preset fine_tuned: give your own",
        ),
    ],
)
def test_settings_of_a_preset_are_told(transfer_main, tmp_path, flags, end):
    status, out, err = transfer_main(f"--workdir={tmp_path / 'new'}", *flags)
    assert (status, out) == (1, "")
    assert end in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((W, "--model=cnn", "--trainable=head"), "resnet110.\n"),
        ((W, "--model=mobilenet_v2", "--image_size=4", "--trainable=all"), "must be at least 8.\n"),
        (
            (W, "--model=mobilenet_v2", "--trainable=all"),
            "a folder with one folder of photos per cl",
        ),
    ],
)
def test_settings_that_were_given_are_not(transfer_main, tmp_path, flags, sentence):
    status, _, err = transfer_main(f"--workdir={tmp_path / 'new'}", *flags)
    assert status == 1
    assert sentence in err
    assert "comes from" not in err


def test_a_number_is_the_same_however_it_is_written(cifar10_main):
    del cifar10_main  # defines the flags
    held = {"warmup_epochs": 1.0}
    with pytest.raises(UserError) as raised, origins.named(held, "the preset resnet"):
        Config.of(epochs=1, warmup_epochs=1.0)  # the error says `warmup_epochs=1`
    assert "; `warmup_epochs=1.0` comes from the preset resnet: give your" in str(raised.value)


def test_a_training_as_short_as_the_warm_up_of_its_preset_has_none():
    short, longer = ({"epochs": epochs, "model": "cnn"} for epochs in (1, 2))
    assert choose.named("cifar10", "resnet", short).settings["warmup_epochs"] == 0
    assert choose.named("cifar10", "resnet", longer).settings["warmup_epochs"] == 1


def test_settings_of_a_run_that_goes_on_are_told_as_its_own(fmnist_main, tmp_path):
    run = shutil.copytree(behaviour.GOLDEN.with_name("old_runs") / "finished", tmp_path / "run")
    size = json.loads((run / "config.json").read_text())["batch_size"]
    status, _, err = fmnist_main("--accumulate=7", f"--workdir={run}")
    assert status == 1
    assert err.endswith(f"; --batch_size={size} comes from the run in {run}.\n")
