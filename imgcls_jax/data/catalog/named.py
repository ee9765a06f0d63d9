"""Any data set of TFDS by its name: found prepared or prepared, then small or of photos."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgcls_jax.data.catalog import prepared
from imgcls_jax.data.catalog.description import Description
from imgcls_jax.data.catalog.folders import folder_info, places
from imgcls_jax.data.catalog.naming import Name
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.data.photos.options import PhotoOptions, SmallOptions
from imgcls_jax.errors import UserError, printable


def load(
    wanted: Name,
    *,
    data_dir: str | os.PathLike | None = None,
    raw_dir: str | os.PathLike | None = None,
    offline: bool = False,
    options: Mapping[str, Any],
) -> Dataset:
    """Loads a data set as its prepared folder has it, or prepares it first.

    Images of one size of up to 96 pixels per side become arrays as they are; others, and those that
    an `image_size` is given for, are photos.

    Args:
      data_dir: the TFDS folder, or the data set's own below it; see `places.find`.
      raw_dir: folder of files that have to be downloaded by hand, to prepare from.
      offline: whether nothing may be fetched.
      options: those of `PhotoOptions` where there is an `image_size`, else of `SmallOptions`.

    Raises:
      UserError: there is no such data set, it has not one image and one label, it cannot be had, it
        is of photos and there is no `image_size`, or whatever else is wrong.
    """
    where = places.data_dir_of(data_dir)
    folder = places.find(wanted, where)
    of_photos = options.get("image_size") is not None
    chosen = PhotoOptions(**options) if of_photos else SmallOptions(**options)
    if folder is None:
        folder = _prepared(wanted, where, raw_dir, offline, of_photos)
    elif raw_dir is not None:
        raise UserError(f"{wanted.name} is prepared in {printable(folder)}; leave out `raw_dir`.")
    prepared.tidy(folder)
    info = folder_info.read(folder)
    if of_photos:
        from imgcls_jax.data.catalog.folders import records

        return records.load(info, chosen)
    _require_one_size(info.description)
    from imgcls_jax.data.catalog.folders import small

    return small.load(info, chosen)


def _require_one_size(described: Description) -> None:
    """Raises UserError for photos, which need a size to be brought to."""
    if described.photos:
        height, width, _ = described.image_shape
        sizes = "of varying sizes" if None in (height, width) else f"of {height}x{width} pixels"
        raise UserError(f"{described.name} has photos {sizes}: give `image_size`, such as 224.")


def _prepared(
    wanted: Name,
    data_dir: Path,
    raw_dir: str | os.PathLike | None,
    offline: bool,
    of_photos: bool,
) -> Path:
    """Prepares a data set with the stock builder, if what it will be is of use."""
    from imgcls_jax.data.catalog import stock  # half a second of TFDS

    builder = stock.builder(wanted, data_dir=data_dir)
    described = stock.describe(builder)
    if not of_photos:
        _require_one_size(described)
    from imgcls_jax.data.catalog.preparing.preparation import prepare

    return prepare(builder, manual_dir=raw_dir, offline=offline)
