"""Data sets by name: `load("cifar10")`, as uint8 images in the order of the raw files.

data.load("digits")
data.load("cifar100:3.0.2", train_split="train[:90%]")
data.load("oxford_iiit_pet", image_size=224)
data.load("folder", data_dir="photos", image_size=64)
data.load("hf:ylecun/mnist")
"""

import dataclasses
import os
from typing import Any

from imgcls_jax.data.batching import batches
from imgcls_jax.data.catalog import NAMES, describing, digits, naming
from imgcls_jax.data.catalog.describing import recipe_of
from imgcls_jax.data.catalog.description import Description
from imgcls_jax.data.catalog.folders.places import data_dir_of
from imgcls_jax.data.catalog.load import load as load_published
from imgcls_jax.data.catalog.prepared import exists, folder_of
from imgcls_jax.data.dataset import Dataset, Split, hold_out, k_fold
from imgcls_jax.data.photos.options import PhotoOptions, SmallOptions
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
      name: "digits"; "folder" for photos, one folder per class, or records that TFDS prepared;
        hf:OWNER/NAME[/CONFIG][@REVISION] of the Hugging Face Hub, see `catalog.hf.load`; else
        NAME[/CONFIG][:VERSION] of a data set of TFDS with one image and one label.
      data_dir: the folder of photos, or of a copy of the Hub's Parquet files; else the TFDS folder
        to read, or to prepare the data in, by default $TFDS_DATA_DIR or ~/tensorflow_datasets.
      raw_dir: folder with the official raw files, or their archive where they are published as
        one, read instead of anything prepared earlier.
      offline: whether a data set that is not on this machine may not be fetched.
      **options: for photos, those of `photos.options.PhotoOptions`, such as `image_size=64`; for
        small images of one size, those of `SmallOptions`, such as `train_split="train[:80%]"`.

    Raises:
      UserError: an unknown name, an option, `data_dir` or `raw_dir` that the data set has no use
        for, and whatever is wrong with files and folders.
    """
    wanted = naming.parse(name)
    if wanted is None and not name.startswith("hf:"):
        from imgcls_jax.data.catalog import stock  # half a second of TFDS

        raise stock.unknown(name)
    of_photos = name == "folder" or options.get("image_size") is not None
    options = _checked(name, options, PhotoOptions if of_photos else SmallOptions)
    if wanted is None:
        from imgcls_jax.data.catalog.hf import load as hub  # Pillow and Grain cost half a second

        return hub.load(name, options, data_dir=data_dir, raw_dir=raw_dir, offline=offline)
    if name == "folder":
        return _load_photos(data_dir, raw_dir, PhotoOptions(**options))
    folders = {"raw_dir": raw_dir, "data_dir": data_dir}
    if name == "digits":
        if given := [f"`{option}`" for option in folders if folders[option] is not None]:
            raise UserError(
                f"digits comes with scikit-learn and uses no {' or '.join(given)}; leave it out."
            )
        if of_photos:
            raise UserError("digits comes in one size; leave out `image_size`.")
        return _redivided(digits.load(), options)
    recipe = recipe_of(wanted)
    if recipe is not None and not of_photos:
        return _redivided(load_published(recipe, offline=offline, **folders), options)
    if recipe is not None and raw_dir is not None:
        raise UserError("`raw_dir` is for images in their own size; leave out `image_size`.")
    if recipe is not None and not exists(folder_of(recipe, data_dir_of(data_dir))):
        load_published(recipe, data_dir=data_dir, offline=offline)  # which prepares it
    from imgcls_jax.data.catalog import named  # Pillow and Grain cost half a second

    return named.load(wanted, offline=offline, options=options, **folders)


def _checked(name: str, options: dict[str, Any], kind: type) -> dict[str, Any]:
    """Returns the options if a data set of this kind takes them, and they are of the right type."""
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := set(options) - known:
        raise UserError(
            f"{name} takes no {' or '.join(f'`{option}`' for option in sorted(unknown))}"
            f"{'' if kind is PhotoOptions else ' without `image_size`'}; leave it out."
        )
    try:
        kind(**options)
    except TypeError as error:
        raise UserError(f"an option of {name} has a value of the wrong type ({error}).") from error
    return options


def _redivided(dataset: Dataset, options: dict[str, Any]) -> Dataset:
    """Divides a data set anew where the options ask for that."""
    if not set(options) - {"hold_out", "split_seed"}:
        return dataset
    from imgcls_jax.data.catalog.folders import small

    return small.redivided(dataset, SmallOptions(**options))


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
    return describing.describe(name, data_dir=data_dir)


def _load_photos(
    data_dir: str | os.PathLike | None, raw_dir: str | os.PathLike | None, options: PhotoOptions
) -> Dataset:
    if raw_dir is not None:
        raise UserError("folder has no raw files and uses no `raw_dir`; leave it out.")
    if not data_dir:
        raise UserError(
            "`dataset=folder` needs `data_dir`, a folder with one folder of photos per class."
        )
    from imgcls_jax.data.catalog.folders import records  # Pillow and Grain cost half a second

    if folder := records.find(data_dir):
        return records.load_folder(folder, options)
    from imgcls_jax.data.photos.load import load as load_folder

    return load_folder(data_dir, options)
