"""Small images of one size in a prepared TFDS folder, decoded once into uint8 arrays."""

import functools
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from imgcls_jax.data import memory
from imgcls_jax.data.catalog.folders import kept, splitting
from imgcls_jax.data.catalog.folders.folder_info import FolderInfo
from imgcls_jax.data.catalog.folders.shards import Shards
from imgcls_jax.data.catalog.folders.split_syntax import Part
from imgcls_jax.data.catalog.folders.splitting import Chosen
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.data.photos import folders
from imgcls_jax.data.photos.options import SmallOptions
from imgcls_jax.errors import UserError, printable

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of Pillow, by channels


class Run(NamedTuple):
    """Examples of a published split that follow each other, from number `first` on."""

    first: int
    images: np.ndarray
    labels: np.ndarray


def load(info: FolderInfo, options: SmallOptions) -> Dataset:
    """Loads a data set whose images have one size, in the order of its records.

    A split that is used as a whole is decoded once and kept beside the folder for the next time.

    Raises:
      UserError: for whatever is wrong with the folder or the options, or too little memory.
    """
    title, (height, width, channels) = info.title, info.features.image_shape
    if height is None or width is None:
        raise UserError(f"{title} has images of several sizes: load it as photos.")
    if channels not in _MODES:
        raise UserError(f"{title} has images of {channels} channels: choose one of 1, 3 or 4.")
    chosen = splitting.choose(
        info.shards, options, title=title, labelled=functools.partial(_labelled, info)
    )
    ranges = splitting.ranges(chosen)
    count = sum(stop - start for start, stop in ranges.values())
    memory.require(
        count * height * width * channels,
        what=f"{count:,} images of {height}x{width} pixels",
        advice="stream them with `feed=streamed` and an `image_size`, or take fewer with "
        "`train_split`",
    )
    runs = {
        split: Run(start, *_examples(info, split, start, stop))
        for split, (start, stop) in ranges.items()
    }
    source = f"The prepared TFDS folder {printable(info.path)}."
    about = {"name": title, "class_names": info.class_names, "source": source, "verified": None}
    return _divided(runs, chosen, options, about)


def redivided(dataset: Dataset, options: SmallOptions) -> Dataset:
    """Divides a data set that is loaded already as the options say; without any it is as it was.

    Raises:
      UserError: for parts that it has not.
    """
    if options == SmallOptions(hold_out=options.hold_out, split_seed=options.split_seed):
        return dataset
    chosen = splitting.choose(
        {split: (len(of),) for split, of in dataset.splits.items()},
        options,
        title=dataset.name,
        labelled=lambda split: True,
    )
    runs = {split: Run(0, of.images, of.labels) for split, of in dataset.splits.items()}
    told = ("name", "class_names", "source", "verified")
    return _divided(runs, chosen, options, {name: getattr(dataset, name) for name in told})


def _divided(
    runs: Mapping[str, Run], chosen: Chosen, options: SmallOptions, about: Mapping[str, Any]
) -> Dataset:
    """Makes the data set of the parts chosen, with a drawn test set where none is chosen.

    Raises:
      UserError: examples without labels, or classes too small to divide.
    """
    names = about["class_names"]
    splits = {}
    for split, parts in chosen.parts.items():
        splits[split] = _joined(runs, parts)
        of = f"the {split} split of {about['name']}"
        splitting.require_labels(splits[split].labels, names, of=of)
    if chosen.test is None:
        whole, seed = splits["train"], options.split_seed
        fractions = {"test": options.test_fraction}
        drawn = folders.stratified(whole.labels, fractions, seed, class_names=names)
        for split, rows in drawn.items():
            splits[split] = Split(whole.images[rows], whole.labels[rows])
    notes = splitting.untrained(splits["train"].labels, splits["test"].labels, names)
    return Dataset(**splits, **about, notes=chosen.notes + notes)


def _joined(runs: Mapping[str, Run], parts: Sequence[Part]) -> Split:
    """Returns the examples of some parts, one after the other; those of one part are no copy."""
    cut = []
    for part in parts:
        first, images, labels = runs[part.split]
        chosen = slice(part.start - first, part.stop - first)
        cut.append((images[chosen], labels[chosen]))
    if len(cut) == 1:
        return Split(*cut[0])
    return Split(*(np.concatenate(column) for column in zip(*cut, strict=True)))


def _labelled(info: FolderInfo, split: str) -> bool:
    where, of = info.beside("decoded", split), info.state(split)
    if found := kept.read(where, of=of, names=["labels"]):
        return bool((found["labels"] >= 0).any())
    return Shards(info, split).labelled


def _examples(info: FolderInfo, split: str, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images (N, H, W, C) uint8 and labels (N,) int32 of a run of examples.

    Raises:
      UserError: a record is damaged, or its image has another shape.
    """
    where, of = info.beside("decoded", split), info.state(split)
    if found := kept.read(where, of=of, names=["images", "labels"]):
        return found["images"][start:stop], found["labels"][start:stop]
    shape = info.features.image_shape
    images = np.empty((stop - start, *shape), np.uint8)
    labels = np.empty(stop - start, np.int32)
    progress = tqdm(
        Shards(info, split).all(start, stop),
        total=len(labels),
        desc=f"Decoding {info.title} {split}",
        unit=" images",
        leave=False,
        disable=None,
    )
    for row, (content, label) in enumerate(progress):
        try:
            images[row], labels[row] = _pixels(content, shape), label
        except Exception as error:  # Pillow raises anything
            raise UserError(
                f"Record {start + row} of the split {split} of {printable(info.path)} is no image "
                f"of {shape[0]}x{shape[1]} pixels ({error}): delete the folder and prepare it "
                "again."
            ) from error
    if len(labels) == info.counts[split]:
        kept.write(where, {"images": images, "labels": labels}, of=of)
    return images, labels


def _pixels(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as opened:
        mode = _MODES[shape[2]]
        # `convert` copies also where there is nothing to convert.
        image = opened if opened.mode == mode else opened.convert(mode)
        return np.asarray(image).reshape(shape)
