"""Descriptions of data sets by name, made without TensorFlow and without network."""

import dataclasses
import os

from imgcls_jax.data.catalog import cifar10, digits, fashion_mnist, naming
from imgcls_jax.data.catalog.description import Description
from imgcls_jax.data.catalog.folders import folder_info, places
from imgcls_jax.data.catalog.naming import Name
from imgcls_jax.data.catalog.recipe import Recipe
from imgcls_jax.errors import UserError, printable

_RECIPES = {"fashion_mnist": fashion_mnist, "cifar10": cifar10}


def describe(name: str, *, data_dir: str | os.PathLike | None = None) -> Description:
    """Tells what a data set is before any of its examples is read.

    Args:
      name: NAME[/CONFIG][:VERSION] as TFDS writes it, "digits", or "folder" for a prepared folder.
      data_dir: the TFDS folder to look for a prepared data set in, as `data.load` has it.

    Raises:
      UserError: there is no such data set, or it has not one image and one label.
    """
    if name == "digits":
        return digits.describe()
    where = places.data_dir_of(data_dir)
    wanted = naming.parse(name)
    if name == "folder":
        if (folder := places.find_any(where)) is None:
            raise UserError(
                f"There is no prepared data set in {printable(where)}: photos in class folders "
                "are told of once they are loaded."
            )
        return folder_info.read(folder).description
    if wanted is not None and (folder := places.find(wanted, where)):
        return folder_info.read(folder).description
    from imgcls_jax.data.catalog import stock  # tensorflow_datasets costs half a second

    if wanted is None:
        raise stock.unknown(name)

    described = stock.describe(stock.builder(wanted, data_dir=where))
    recipe = recipe_of(wanted)
    if recipe is None:
        return described
    return dataclasses.replace(
        described, class_names=recipe.class_names, counts=dict(recipe.counts), remarks=()
    )


def recipe_of(wanted: Name) -> Recipe | None:
    """Returns the recipe of a data set, None where there is none of its name and version."""
    if wanted.config or wanted.name not in _RECIPES:
        return None
    recipe = _RECIPES[wanted.name].recipe()
    return recipe if wanted.version in (None, recipe.version) else None
