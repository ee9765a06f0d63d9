"""The batch size of a preset, for training sets that are smaller than it."""

from collections.abc import Mapping
from typing import Any

from experiments.cli import flags as cli
from experiments.presets.choose import Preset
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.train.build import training_splits


def as_held(preset: Preset, *, held: Config | None) -> Mapping[str, Any]:
    """Returns the preset's settings with the smaller batch size that a folder's run was given.

    Args:
      held: the settings of the run that the folder holds; None without one.
    """
    usual = preset.settings.get("batch_size", Config().train.batch_size)
    if held is None or not _is_own(preset) or held.train.batch_size >= usual:
        return preset.settings
    return {**preset.settings, "batch_size": held.train.batch_size}


def fitted(
    config: Config, dataset: Dataset, *, preset: Preset, held: Config | None, spare: int = 0
) -> Config:
    """Returns the settings with a batch size that the training set has, and says so.

    It is the largest power of two, where the preset's own batch is larger than the set. A run that
    is held already has its own.

    Args:
      held: as for `as_held`.
      spare: by how many examples the training sets of other folds may be smaller: one, unless
        copies are kept together.
    """
    size = config.train.batch_size
    if held is not None or not _is_own(preset):
        return config
    if size < len(dataset.train) * (1 - config.data.hold_out) - 1 - spare:
        return config
    train, _ = training_splits(config.replace(batch_size=1), dataset)
    least = max(len(train) - spare, 1)
    if size <= least:
        return config
    fitting = 1 << (least.bit_length() - 1)
    others = " or one fewer" if spare else ""
    print(
        f"batches of {fitting} examples in place of {size}, since the training set has "
        f"{len(train)}{others}."
    )
    return config.replace(batch_size=fitting)


def _is_own(preset: Preset) -> bool:
    """Says whether a preset, and no flag nor document, chose the batch size."""
    return preset.run is None and "batch_size" not in cli.given_settings()
