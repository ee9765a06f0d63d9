"""Descriptions of data sets by name, made without TensorFlow and without network."""

import os
from typing import Any

from imgcls_jax.data.catalog import cifar10, digits, fashion_mnist, naming
from imgcls_jax.data.catalog.description import Description
from imgcls_jax.data.catalog.places import data_dir_of
from imgcls_jax.errors import UserError

RECIPES = {"fashion_mnist": fashion_mnist, "cifar10": cifar10}


def describe(
    name: str, *, data_dir: str | os.PathLike | None = None, offline: bool = False
) -> Description:
    """Tells what a data set is before any of its examples is read.

    Args:
      name: NAME[/CONFIG][:VERSION] as TFDS writes it, or "digits".
      data_dir: the TFDS folder to look for a prepared data set in, as `data.load` has it.
      offline: accepted as `data.load` accepts it; nothing is fetched either way.

    Raises:
      UserError: there is no such data set, or it has not one image and one label.
    """
    del offline
    wanted = naming.parse(name)
    if wanted is None or name == "folder":
        raise UserError(f"{name} is no data set that TFDS describes; give one of its names.")
    if name == "digits":
        return digits.describe()
    from imgcls_jax.data.catalog import stock  # tensorflow_datasets costs half a second

    found = stock.builder(wanted, data_dir=data_dir_of(data_dir))
    described = _of_builder(name, found)
    if wanted.name in RECIPES and not described.counts:
        counts = dict(RECIPES[wanted.name].recipe().counts)
        return Description(**{**vars(described), "counts": counts, "remarks": ()})
    return described


def _of_builder(name: str, builder: Any) -> Description:
    from imgcls_jax.data.catalog import stock

    info = builder.info
    image, label = stock.image_and_label(info, where=f"The data set {name}")
    counts = {split: found.num_examples for split, found in info.splits.items()}
    config = builder.builder_config
    return Description(
        name=f"{builder.name}/{config.name}" if config else builder.name,
        version=str(builder.version),
        class_names=stock.class_names(info.features[label]),
        counts=counts,
        image_shape=tuple(info.features[image].shape),
        download_bytes=_download_bytes(builder),
        licence=info.redistribution_info.license if info.redistribution_info else "",
        homepage=info.homepage or "",
        citation=info.citation or "",
        remarks=() if counts else ("The sizes of its splits are known once it is prepared",),
    )


def _download_bytes(builder: Any) -> int | None:
    """Returns the size of all files that TFDS pins for the data set, None where it pins none."""
    sizes = [found.size for found in (builder.url_infos or {}).values()]
    return sum(sizes) or None
