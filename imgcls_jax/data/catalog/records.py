"""Photos in a data set that TFDS prepared as array records, streamed or decoded at once."""

import os
from pathlib import Path

import numpy as np

from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.data.photos.sources import RecordPhotos
from imgcls_jax.errors import UserError


def is_record_folder(path: str | os.PathLike) -> bool:
    """Whether a folder is a prepared TFDS data set, `data_dir/name/version`."""
    return (Path(path) / "dataset_info.json").is_file()


def load(
    path: str | os.PathLike,
    *,
    size: int,
    how: str = "crop",
    test_fraction: float = 0.2,
    validation_fraction: float = 0.0,
    streamed: bool = False,
    crop_scale: tuple[float, float] | None = None,
    workers: int = 0,
) -> Dataset:
    """Loads a TFDS folder of coloured images with labels; see `photos.load`.

    Splits that are missing are the last records of the training split, which TFDS has shuffled.

    Raises:
      UserError: the folder is damaged, or has no training split, image or label.
    """
    import tensorflow_datasets as tfds

    try:
        info = tfds.builder_from_directory(path).info
    except Exception as error:  # TFDS raises anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(f"{path} is no TFDS data set that can be read ({reason}).") from error

    def feature(kind) -> str:
        names = [name for name, found in info.features.items() if isinstance(found, kind)]
        if len(names) != 1:
            raise UserError(
                f"{path} has {len(names)} features of the kind {kind.__name__}; it takes one."
            )
        return names[0]

    image, label = feature(tfds.features.Image), feature(tfds.features.ClassLabel)
    if "train" not in info.splits:
        raise UserError(f"{path} has no split called train; prepare one.")
    found = {name: name for name in ("test", "validation") if name in info.splits}
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    wanted = {"test": test_fraction, "validation": validation_fraction}
    total = left = info.splits["train"].num_examples
    for name, fraction in wanted.items():
        if name not in found and fraction:
            first = left - max(1, round(fraction * total))
            found[name], left = f"train[{first}:{left}]", first
    found["train"] = f"train[:{left}]"

    def split(name: str) -> Split:
        source = RecordPhotos(path, found[name], image=image, label=label)
        images = LazyPhotos(
            source,
            size=size,
            how=how,
            crop_scale=crop_scale if name == "train" else None,
            workers=workers,
        )
        labels = np.array([source[index][1] for index in range(len(source))], np.int32)
        return Split(images if streamed else images[:], labels)

    return Dataset(
        name=info.name,
        train=split("train"),
        test=split("test"),
        validation=split("validation") if "validation" in found else None,
        class_names=tuple(info.features[label].names),
        source=f"TFDS records in {path}, {size}x{size} by {how}",
        verified=None,
    )
