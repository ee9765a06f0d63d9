"""Folders given one or two levels too deep: a class's or a split's, in place of the whole."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from imgcls_jax.data.photos import listing, split_names

_LOOKED_AT = 100  # names of a folder, among which an image is looked for


def of_class(folder: Path) -> Path | None:
    """Returns the folder of all classes, or of all splits, that a class's folder lies in.

    Returns:
      None where no other folder of images lies beside it.
    """
    inside = folder.resolve()
    if not _has_another(inside, _holds_images):
        return None
    return of_split(inside.parent) or inside.parent


def of_split(folder: Path) -> Path | None:
    """Returns the folder of all splits that a split's folder lies in; None for any other folder."""
    inside = folder.resolve()
    return inside.parent if _is_split(inside) and _has_another(inside, _is_split) else None


def _has_another(folder: Path, is_such: Callable[[Path], bool]) -> bool:
    """Says whether a folder of the kind lies beside this one; False where nobody may look."""
    try:
        return any(is_such(other) for other in folder.parent.iterdir() if other != folder)
    except OSError:
        return False


def _is_split(folder: Path) -> bool:
    kind, rest = split_names.read(folder.name)
    return kind is not None and not rest and folder.is_dir()


def _holds_images(folder: Path) -> bool:
    """Says whether a folder has an image right inside, by the first names in it."""
    if listing.is_junk(folder.name) or not folder.is_dir():
        return False
    with os.scandir(folder) as found:
        return any(map(listing.is_image, itertools.islice(found, _LOOKED_AT)))
