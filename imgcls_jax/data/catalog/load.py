"""Where a data set comes from: a prepared folder, raw files, a download, in this order."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from absl import logging

from imgcls_jax.data.catalog import prepared
from imgcls_jax.data.catalog.recipe import Recipe
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.data.raw import layouts
from imgcls_jax.errors import UserError


def load(
    recipe: Recipe,
    *,
    data_dir: str | os.PathLike | None = None,
    raw_dir: str | os.PathLike | None = None,
) -> Dataset:
    """Loads by the first of: raw_dir if given, a prepared folder, raw files, a download.

    What was not prepared yet is prepared in data_dir, once, so that the next load is quick. Where
    data_dir cannot be written (permissions, full disk) that is a warning, and the data is used as
    it was read. raw_dir never yields other data than its own: a folder prepared earlier is left
    as it is and not looked at. Nor do later loads get the data of raw_dir unless it is the
    published: other data is used as read and not prepared.

    Args:
      data_dir: TFDS folder; default $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      raw_dir: folder with the official raw files, with or without .gz, or their archive.

    Raises:
      UserError: files that are missing or not what they should be, a data_dir that is no folder,
        no route to the data host.
    """
    data_dir = _data_dir(data_dir)
    folder = prepared.folder_of(recipe, data_dir)
    if raw_dir is None and prepared.exists(folder):
        return prepared.read(recipe, data_dir)

    paths, source = _raw_paths(recipe, raw_dir) or _download(recipe, data_dir)
    splits = recipe.read_raw(paths)
    differing = recipe.differing(splits)
    if differing:
        logging.warning(
            "%s as read from %s is not the published data (by digest: %s); results may not be "
            "comparable.",
            recipe.name,
            source,
            ", ".join(differing),
        )
    # Prepared, other data that a person names would pass for the data set in every later load.
    keep = raw_dir is None or not differing
    if keep and not prepared.exists(folder):
        try:
            prepared.write(recipe, data_dir, splits, source=source)
        except OSError as error:
            logging.warning(
                "%s cannot be prepared in %s (%s): it is used as read, and read again next time.",
                recipe.name,
                data_dir,
                error.strerror or error,
            )
    return Dataset(
        name=recipe.name,
        train=splits["train"],
        test=splits["test"],
        class_names=recipe.class_names,
        source=f"{source[0].upper()}{source[1:]}.",
        verified=not differing,
    )


def _data_dir(given: str | os.PathLike | None) -> Path:
    where = given or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    data_dir = Path(where).expanduser().absolute()
    existing = next(path for path in (data_dir, *data_dir.parents) if os.path.exists(path))
    if not existing.is_dir():
        raise UserError(
            f"data_dir={data_dir} cannot be a folder because {existing} is a file: "
            "give another --data_dir or TFDS_DATA_DIR."
        )
    return data_dir


def _raw_paths(
    recipe: Recipe, raw_dir: str | os.PathLike | None
) -> tuple[Mapping[str, Path], str] | None:
    """Paths of the raw files by official name, and where they are; None where there are none."""
    if raw_dir is not None:
        raw_dir = Path(raw_dir).expanduser().absolute()
        return layouts.find(recipe.layouts, raw_dir), f"the raw files in {raw_dir}"
    for folder in recipe.raw_dirs:
        with contextlib.suppress(UserError):  # incomplete: not chosen by anybody, so no error
            return layouts.find(recipe.layouts, folder), f"the raw files in {folder}"
    return None


def _download(recipe: Recipe, data_dir: Path) -> tuple[Mapping[str, Path], str]:
    from imgcls_jax.data.catalog import download

    try:
        return download.fetch(recipe, data_dir), f"a download from {recipe.homepage}"
    except OSError as error:
        raise UserError(
            f"{recipe.name} cannot be downloaded into data_dir={data_dir} "
            f"({error.strerror or error}): give a folder with room that you may write to."
        ) from error
