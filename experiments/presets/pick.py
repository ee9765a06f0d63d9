"""Picks the settings to start from, by experiment."""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.presets import choose, general
from experiments.presets.choose import Preset

# By experiment: (number of a run, name of a preset, given settings) -> the settings to start from.
PICK: dict[str, Callable[[int | None, str | None, Mapping[str, Any]], Preset]] = {
    "train": general.train,
    "fmnist": choose.fashion_mnist,
    "cifar10": choose.cifar10,
    "transfer": choose.transfer,
}
