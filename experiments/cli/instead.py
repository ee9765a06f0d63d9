"""What a training command does instead of training: it lists runs, or draws augmentations."""

import numpy as np
from absl import flags

from experiments.cli import flags as cli
from experiments.cli import out_flag
from experiments.presets import choose
from imgcls_jax.config import Config
from imgcls_jax.report.augmentation_sheet import augmentation_sheet

LIST_RUNS = flags.DEFINE_bool("list_runs", False, "print the documented runs and exit")
AUGMENTATIONS = flags.DEFINE_string(
    "augmentations", None, "PNG file to draw what every augmentation does to the data; then exit"
)


def listed_or_drawn(dataset: str) -> bool:
    """Lists runs or draws augmentations if asked to, and returns whether that was all.

    Args:
      dataset: whose documented runs are listed, and whose images are drawn unless --dataset says
        otherwise.
    """
    if LIST_RUNS.value:
        choose.list_runs(dataset)
    elif AUGMENTATIONS.value:
        out_flag.require_writable(AUGMENTATIONS)
        settings = {"dataset": dataset} | cli.given_settings()
        if settings["dataset"] == "folder" or cli.describe(settings["dataset"]).photos:
            settings.setdefault("image_size", 224)
        images = cli.load_dataset(Config.of(**settings)).train.images
        some = np.linspace(0, len(images) - 1, min(32, len(images))).astype(int)
        print(augmentation_sheet(images[some], AUGMENTATIONS.value))
    return bool(LIST_RUNS.value or AUGMENTATIONS.value)
