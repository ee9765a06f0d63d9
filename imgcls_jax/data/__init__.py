"""Data sets by name: `load("cifar10")`, as uint8 images in the order of the raw files."""

import os

from imgcls_jax.data.catalog import cifar10, digits, fashion_mnist
from imgcls_jax.data.catalog.load import load as load_recipe
from imgcls_jax.data.dataset import Dataset, Split, batches, hold_out, k_fold
from imgcls_jax.errors import UserError

__all__ = ["NAMES", "Dataset", "Split", "batches", "hold_out", "k_fold", "load"]

NAMES = ("fashion_mnist", "digits", "cifar10", "folder")


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    raw_dir: str | os.PathLike | None = None,
    offline: bool = False,
) -> Dataset:
    """Loads a data set by name.

    Args:
      name: one of NAMES.
      data_dir: TFDS folder to read, or to prepare the data in; default $TFDS_DATA_DIR, else
        ~/tensorflow_datasets.
      raw_dir: folder with the official raw files, or their archive where they are published as
        one, read instead of anything prepared earlier.
      offline: whether a data set that is not on this machine may not be fetched.

    Raises:
      UserError: an unknown name, a folder given for `digits`, which uses none, and whatever
        `catalog.load` finds wrong with files and folders.
    """
    match name:
        case "fashion_mnist" | "cifar10":
            recipe = {"fashion_mnist": fashion_mnist, "cifar10": cifar10}[name].recipe()
            return load_recipe(recipe, data_dir=data_dir, raw_dir=raw_dir, offline=offline)
        case "digits":
            folders = {"--raw_dir": raw_dir, "--data_dir": data_dir}
            if given := [flag for flag, folder in folders.items() if folder is not None]:
                raise UserError(
                    f"digits comes with scikit-learn and uses no {' or '.join(given)}; "
                    "leave it out."
                )
            return digits.load()
    raise UserError(f"There is no data set {name!r}: choose one of {', '.join(NAMES)}.")
