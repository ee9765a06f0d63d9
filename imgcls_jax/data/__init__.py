"""Data sets by name: `load("cifar10")`, as uint8 images in the order of the raw files.

data.load("digits")
data.load("folder", data_dir="photos", image_size=64)
data.load("hf:ylecun/mnist")
"""

import dataclasses
import os
from typing import Any

from imgcls_jax.data.batching import batches
from imgcls_jax.data.catalog import NAMES, describing, digits
from imgcls_jax.data.catalog.describing import RECIPES
from imgcls_jax.data.catalog.description import Description
from imgcls_jax.data.catalog.load import load as load_published
from imgcls_jax.data.dataset import Dataset, Split, hold_out, k_fold
from imgcls_jax.data.photos.options import PhotoOptions
from imgcls_jax.errors import UserError

__all__ = [
    "NAMES",
    "Dataset",
    "Description",
    "Split",
    "batches",
    "describe",
    "hold_out",
    "k_fold",
    "load",
]


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    raw_dir: str | os.PathLike | None = None,
    offline: bool = False,
    **options: Any,
) -> Dataset:
    """Loads a data set by name: the one way to any of them.

    Args:
      name: one of NAMES; "folder" is of photos, one folder per class, or of records that TFDS
        prepared; or hf:OWNER/NAME[/CONFIG][@REVISION] of the Hugging Face Hub, see
        `catalog.hf.load`.
      data_dir: the folder of photos, or of a copy of the Hub's Parquet files; else the TFDS folder
        to read, or to prepare the data in, by default $TFDS_DATA_DIR or ~/tensorflow_datasets.
      raw_dir: folder with the official raw files, or their archive where they are published as
        one, read instead of anything prepared earlier.
      offline: whether a data set that is not on this machine may not be fetched.
      **options: for "folder" and the Hub's, those of `photos.options.PhotoOptions`, such as
        `image_size=64`.

    Raises:
      UserError: an unknown name, an option, `data_dir` or `raw_dir` that the data set has no use
        for, and whatever is wrong with files and folders.
    """
    if name.startswith("hf:"):
        from imgcls_jax.data.catalog.hf import load as hub  # Pillow and Grain cost half a second

        return hub.load(name, options, data_dir=data_dir, raw_dir=raw_dir, offline=offline)
    if name not in NAMES:
        raise UserError(f"There is no data set {name!r}: choose one of {', '.join(NAMES)}.")
    known = {field.name for field in dataclasses.fields(PhotoOptions)}
    if name != "folder":
        known = {"hold_out", "split_seed"}  # of the part that training holds out itself
    if unknown := set(options) - known:
        raise UserError(
            f"{name} takes no {' or '.join(f'`{option}`' for option in sorted(unknown))}; leave "
            "it out."
        )
    if name in RECIPES:
        return load_published(
            RECIPES[name].recipe(), data_dir=data_dir, raw_dir=raw_dir, offline=offline
        )
    if name == "digits":
        folders = {"raw_dir": raw_dir, "data_dir": data_dir}
        if given := [f"`{option}`" for option, folder in folders.items() if folder is not None]:
            raise UserError(
                f"digits comes with scikit-learn and uses no {' or '.join(given)}; leave it out."
            )
        return digits.load()
    try:
        chosen = PhotoOptions(**options)
    except TypeError as error:
        raise UserError(f"an option of folder has a value of the wrong type ({error}).") from error
    return _load_photos(data_dir, raw_dir, chosen)


def describe(
    name: str, *, data_dir: str | os.PathLike | None = None, offline: bool = False
) -> Description:
    """Tells what a data set is before any of its examples is read.

    Args:
      name: NAME[/CONFIG][:VERSION] of TFDS, "digits", or hf:OWNER/NAME of the Hugging Face Hub,
        which is asked where it has not told before.
      data_dir: as `load` has it.
      offline: whether the Hub may not be asked; for others nothing is fetched either way.

    Raises:
      UserError: there is no such data set, or it has not one image and one label.
    """
    if name.startswith("hf:"):
        from imgcls_jax.data.catalog.hf import load as hub

        return hub.describe(name, data_dir=data_dir, offline=offline)
    return describing.describe(name, data_dir=data_dir, offline=offline)


def _load_photos(
    data_dir: str | os.PathLike | None, raw_dir: str | os.PathLike | None, options: PhotoOptions
) -> Dataset:
    if raw_dir is not None:
        raise UserError("folder has no raw files and uses no `raw_dir`; leave it out.")
    if not data_dir:
        raise UserError(
            "`dataset=folder` needs `data_dir`, a folder with one folder of photos per class."
        )
    from imgcls_jax.data.catalog import records  # Pillow and Grain cost half a second

    if records.is_record_folder(data_dir):
        return records.load(data_dir, options)
    from imgcls_jax.data.photos.load import load as load_folder

    return load_folder(data_dir, options)
