"""A study on digits, and a stand-in for training, that the tests of tuning share."""

import functools

from absl import flags

from experiments.cli import tuning
from imgcls_jax.config import Config
from imgcls_jax.train.tuning import trials
from imgcls_jax.train.tuning.search import Search
from imgcls_jax.train.tuning.search_space import parse

BASE = {"dataset": "digits", "hidden": (8,), "lr": 0.01, "batch_size": 100, "epochs": 2}


def _configure(base, given):
    return Config.of(**{**base, **given})


def search(
    folder, *, space="lr=1e-3..1e-1:log", trials=3, data="digits", storage="journal", **changed
):
    return Search(
        configure=functools.partial(_configure, BASE),
        given={"hold_out": 0.1, **changed},
        fixed={"optimizer": "adamw"},
        space=parse(space),
        data=data,
        url=f"{storage}:///{folder / 'study'}",
        name="test",
        folder=folder,
        pruner="median",
        trials=trials,
    )


def trained(config, trial, dataset, stop):
    """Stands for a training: the larger the rate, the better."""
    progress = trials._Reporting(trial, epochs=config.train.epochs, stop=stop)
    for epoch in range(1, config.train.epochs + 1):
        record = {"epoch": epoch, "validation_accuracy": min(config.optim.lr, 1.0)}
        progress.epoch(record)
    return record | {"validation_loss": 1.0, "train_accuracy": 0.5}, 10, 144


def planned(*arguments, folder):
    """Returns what a command line comes to."""
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["tune", *arguments])
    return tuning.plan(arguments[0], number=None, name=None, folder=str(folder))
