"""The commands that are killed: one for every path that a training takes, on the smallest data."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from golden import published_networks as published
from kills.commands import Command
from photo_helpers import write_photos
from weight_files import write_legacy

# Checkpoints within epochs, too.
_DIGITS = ("--dataset=digits", "--hidden=8", "--batch_size=100", "--checkpoint_every=5steps")
_PLAIN = ("--model=linear", "--epochs=1")
_MLP = ("--model=mlp", "--hidden=8", "--batch_size=8", "--epochs=2", "--checkpoint_every=1steps")
_LINEAR = (
    "--dataset=digits", "--model=linear", "--optimizer=sgd", "--batch_size=100",
    "--checkpoint_every=5steps",
)  # fmt: skip
_NETWORK = "mobilenet_v3_small"


class Files:
    """What the commands read, made when it is first asked for.

    Args:
      root: for the files.
    """

    def __init__(self, root: Path):
        self._root = root

    @functools.cached_property
    def photos(self) -> Path:
        return write_photos(self._root / "photos", each=6)

    @functools.cached_property
    def many_photos(self) -> Path:
        """Returns more photos than the blocks of a cache that are decoded at a time."""
        return write_photos(self._root / "many", each=70, side=120)

    @functools.cached_property
    def weights(self) -> Path:
        return write_legacy(self._root / "v3.h5", published.tensors("keras", _NETWORK))


class Case(NamedTuple):
    """A path of training.

    Attributes:
      name: what a test is called by.
      kills: how often it is killed at a drawn moment.
      of: gives the entry point and its arguments, without the folder of the run.
      share: of its time, from its beginning, that is drawn from; what comes after is another's.
      archive: see `Command`.
    """

    name: str
    kills: int
    of: Callable[[Files], tuple[str, ...]]
    share: float = 1.0
    archive: str | None = None

    def command(self, files: Files, folder: Path, **changes) -> Command:
        """Returns the command in a folder of its own, whose run is in `run`."""
        experiment, *arguments = self.of(files)
        of_run = ("--nofigures", "--offline", "--workdir=run")
        arguments = (*arguments, *of_run)
        return Command(experiment, arguments, folder, archive=self.archive, **changes)


def _of_folder(photos: Path, *more: str) -> tuple[str, ...]:
    return ("train", "--dataset=folder", f"--data_dir={photos}", "--image_size=16", *more)


def _streamed(files: Files, workers: int) -> tuple[str, ...]:
    streamed = ("--feed=streamed", "--random_crop=0.3", f"--workers={workers}")
    return _of_folder(files.photos, *_MLP, *streamed)


def _published(files: Files, *more: str) -> tuple[str, ...]:
    network = (f"--model={_NETWORK}", f"--weights={files.weights}", "--image_size=32")
    sizes = ("--batch_size=4", "--epochs=2", "--lr=0.001", "--checkpoint_every=2steps")
    return ("transfer", f"--data_dir={files.photos}", *network, *sizes, *more)


_CACHE = Case("cache", 24, lambda files: _of_folder(files.many_photos, *_PLAIN), share=0.4)
_PREPARATION = Case(
    "preparation", 24, lambda _: ("train", "--dataset=mnist", *_PLAIN), share=0.4, archive="mnist"
)
CASES = (
    Case(
        "resident",
        44,
        lambda _: ("fmnist", *_DIGITS, "--epochs=4", "--hold_out=0.2", "--evaluate=best"),
    ),
    Case("seeds", 24, lambda _: ("fmnist", *_DIGITS, "--epochs=2", "--seeds=3")),
    Case("folds", 20, lambda files: _of_folder(files.photos, *_MLP, "--folds=3")),
    Case("streamed", 26, lambda files: _streamed(files, workers=0)),
    Case("streamed by two workers", 14, lambda files: _streamed(files, workers=2)),
    Case("head first", 10, lambda files: _published(files, "--trainable=all", "--head_epochs=2")),
    Case("frozen", 14, lambda files: _published(files)),
    _CACHE,
    _PREPARATION,
)
# Of the default run: 20 kills of what compiles quickly.
QUICK = (
    Case("resident", 6, lambda _: ("fmnist", *_LINEAR, "--epochs=3")),
    _CACHE._replace(kills=7),
    _PREPARATION._replace(kills=7),
)
# Killed before and after every renaming.
RENAMING = (
    Case(
        "resident",
        0,
        lambda _: ("fmnist", *_LINEAR, "--epochs=1", "--hold_out=0.2", "--evaluate=best"),
    ),
    _CACHE,
    _PREPARATION,
)
