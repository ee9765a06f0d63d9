"""Photos in a data set that TFDS prepared as array records, streamed or decoded at once."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.data.photos.options import PhotoOptions
from imgcls_jax.data.photos.sources import RecordPhotos
from imgcls_jax.errors import UserError


def is_record_folder(path: str | os.PathLike) -> bool:
    """Returns whether a folder is a prepared TFDS data set, `data_dir/name/version`."""
    return (Path(path) / "dataset_info.json").is_file()


def load(path: str | os.PathLike, options: PhotoOptions) -> Dataset:
    """Loads a TFDS folder of coloured images with labels; see `photos.load`.

    Splits that are missing are the last records of the training split, which TFDS has shuffled.

    Raises:
      UserError: the folder is damaged, or has no training split, image or label; or options that
        are for photos in class folders.
    """
    import tensorflow_datasets as tfds

    for name in ("train_split", "test_split"):
        if getattr(options, name) is not None:
            raise UserError(f"`{name}` is not for `dataset=folder`; leave it out.")
    for name in ("inspected", "label_file"):
        if getattr(options, name):
            raise UserError(f"`{name}` is for folders of photos, not for records; leave it out.")
    if options.folds or options.duplicates == "drop" or options.corrupt == "skip":
        raise UserError("`folds`, `duplicates` and `corrupt` are for photos in class folders.")
    try:
        info = tfds.builder_from_directory(path).info
    except Exception as error:  # TFDS raises anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(f"{path} is no TFDS data set that can be read ({reason}).") from error

    image, label = (_feature(path, info, kind) for kind in ("Image", "ClassLabel"))
    if "train" not in info.splits:
        raise UserError(f"{path} has no split called train; prepare one.")
    found = _parts(info, options)

    def split(name: str) -> Split:
        source = RecordPhotos(path, found[name], image=image, label=label)
        images = LazyPhotos(
            source,
            size=options.image_size,
            how=options.square,
            crop_scale=options.crop_scale if name == "train" else None,
            workers=options.workers,
        )
        labels = np.array([source[index][1] for index in range(len(source))], np.int32)
        return Split(images if options.streamed else images[:], labels)

    size = options.image_size
    return Dataset(
        name=info.name,
        train=split("train"),
        test=split("test"),
        validation=split("validation") if "validation" in found else None,
        class_names=tuple(info.features[label].names),
        source=f"TFDS records in {path}, {size}x{size} by {options.square}",
        verified=None,
    )


def _feature(path: str | os.PathLike, info: Any, kind: str) -> str:
    """Returns the name of the one feature of a kind.

    Raises:
      UserError: there are none, or several.
    """
    import tensorflow_datasets as tfds

    of_kind = getattr(tfds.features, kind)
    names = [name for name, found in info.features.items() if isinstance(found, of_kind)]
    if len(names) != 1:
        raise UserError(f"{path} has {len(names)} features of the kind {kind}; it takes one.")
    return names[0]


def _parts(info: Any, options: PhotoOptions) -> dict[str, str]:
    """Returns our splits by name, each as TFDS writes it; see `load`."""
    found = {name: name for name in ("test", "validation") if name in info.splits}
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    wanted = {"test": options.test_fraction, "validation": options.hold_out}
    total = left = info.splits["train"].num_examples
    for name, fraction in wanted.items():
        if name not in found and fraction:
            first = left - max(1, round(fraction * total))
            found[name], left = f"train[{first}:{left}]", first
    return found | {"train": f"train[:{left}]"}
