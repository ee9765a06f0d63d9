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


def fitted(config: Config, dataset: Dataset, *, preset: Preset) -> Config:
    """Returns the settings with a batch size that the training set has, and says so.

    It is the largest power of two, where the preset's own batch is larger than the set. Of several
    folds the one that is given tells the others, which have as many examples but for one a class.
    """
    size, spare = config.train.batch_size, dataset.num_classes if config.data.folds else 0
    if not _is_own(preset) or size < len(dataset.train) * (1 - config.data.hold_out) - 1 - spare:
        return config
    train, _ = training_splits(config.replace(batch_size=1), dataset)
    least = max(len(train) - spare, 1)
    if size <= least:
        return config
    fitting = 1 << (least.bit_length() - 1)
    has = "of a fold may have" if spare else "has"
    print(
        f"batches of {fitting} examples, since the training set {has} {least}, fewer than the "
        f"usual {size}."
    )
    return config.replace(batch_size=fitting)


def _is_own(preset: Preset) -> bool:
    """Says whether a preset, and no flag nor document, chose the batch size."""
    return preset.run is None and "batch_size" not in cli.given_settings()
