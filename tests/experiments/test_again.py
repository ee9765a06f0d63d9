"""The command in a report comes to the settings of its run, however the run was begun."""

import shlex

import pytest
from absl import flags

from experiments.cli import again
from experiments.cli import flags as cli
from experiments.presets import choose
from experiments.presets.general import PICK
from imgcls_jax.config import Config


def parse(line: str) -> None:
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(shlex.split(line)[2:])


@pytest.fixture(autouse=True)
def no_flags():
    parse("python -m experiments.fmnist")


def settings_of(line: str) -> tuple[dict, int | None, str | None]:
    """Reads a command line as the experiment does."""
    parse(line)
    return cli.given_settings(), flags.FLAGS["run"].value, flags.FLAGS["preset"].value


@pytest.mark.parametrize(
    ("experiment", "given", "run", "name"),
    [
        ("fmnist", {"lr": 0.0008, "epochs": 15}, None, None),
        ("fmnist", {"model": "cnn", "widths": (4, 8), "augment": ("flip", "shift")}, None, None),
        ("fmnist", {"dataset": "digits", "seed": 3}, 9, None),
        ("cifar10", {"model": "resnet20"}, None, None),
        ("cifar10", {"nesterov": False}, None, "resnet"),
        ("transfer", {"weights": "none", "model": "cnn", "trainable": "all"}, None, "fine_tuned"),
    ],
)
def test_the_command_comes_to_the_same_settings(experiment, given, run, name):
    pick = PICK[experiment]
    preset = pick(run, name, given)
    settings = {**preset.settings, **given} | ({"layer_decay": 1.0} if name == "fine_tuned" else {})
    config = Config.of(**settings)
    started = {"preset": preset, "run": run, "name": name, "given": given}
    begun = again.command(experiment, config, **started)
    # The folder alone: nothing is given, and another preset is the one to start from.
    nothing = {"preset": pick(None, None, {}), "run": None, "name": None, "given": {}}
    continued = again.command(experiment, config, **nothing)
    for line in (begun, continued):
        assert line.startswith(f"python -m experiments.{experiment}")
        typed, number, named = settings_of(line)
        assert Config.of(**{**pick(number, named, typed).settings, **typed}) == config


def test_the_general_command_names_its_data_set():
    """Even where the folder of the run named it."""
    given = {"dataset": "digits", "model": "linear", "lr": 0.01}
    config = Config.of(**{**PICK["train"](None, None, given).settings, **given})
    preset = PICK["train"](None, None, {"dataset": "digits"})
    line = again.command("train", config, preset=preset, run=None, name=None, given={})
    assert line.startswith("python -m experiments.train --dataset=digits ")
    typed, number, named = settings_of(line)
    assert Config.of(**{**PICK["train"](number, named, typed).settings, **typed}) == config


def test_each_seed_and_fold_has_its_own():
    preset = choose.fashion_mnist(None, None, {})
    config = Config.of(**preset.settings, seed=4)
    given = {"preset": preset, "run": None, "name": None, "given": {}}
    assert again.command("fmnist", config, **given) == "python -m experiments.fmnist --seed=4"
