"""Photos in a data set that TFDS prepared, streamed or decoded at once."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from imgcls_jax.data import memory
from imgcls_jax.data.catalog.folders import (
    decoded_photos,
    folder_info,
    kept,
    places,
    shards,
    splitting,
)
from imgcls_jax.data.catalog.folders.folder_info import FolderInfo
from imgcls_jax.data.catalog.folders.split_syntax import Part
from imgcls_jax.data.catalog.folders.splitting import Chosen, Parts
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.data.photos import folders
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.data.photos.options import PhotoOptions, refuse_options_of_folders
from imgcls_jax.data.photos.sources import RecordPhotos
from imgcls_jax.errors import printable

# (labels, share of each part that is held out) -> the numbers of the examples of each part
Divide = Callable[[np.ndarray, Mapping[str, float]], Mapping[str, np.ndarray]]


class _Ours(NamedTuple):
    """Examples of one of our splits: which `rows` of some parts, or None for all, and labels."""

    parts: Parts
    rows: np.ndarray | None
    labels: np.ndarray


def find(path: str | os.PathLike) -> Path | None:
    """Returns the prepared TFDS folder that a folder is or holds, None where there is none.

    Raises:
      UserError: it holds several.
    """
    return places.find_any(Path(path).expanduser())


def load_folder(path: Path, options: PhotoOptions) -> Dataset:
    """Loads a prepared folder as `load` does, for a person who names the folder and no data set.

    Splits that are missing are the last records of the training split, which TFDS has shuffled.

    Raises:
      UserError: as `load`.
    """
    return load(folder_info.read(path), options, divide=_last)


def load(info: FolderInfo, options: PhotoOptions, *, divide: Divide | None = None) -> Dataset:
    """Loads a prepared data set of coloured images with labels; see `photos.load`.

    Args:
      divide: holds parts of the training examples out; by default at random, each class having its
        share in each.

    Raises:
      UserError: the folder is damaged, there is too little memory, or an option is for photos in
        class folders or does not fit the data set.
    """
    refuse_options_of_folders(options)
    title, size = info.title, options.image_size
    chosen = splitting.choose(
        info.shards,
        options,
        title=title,
        labelled=lambda split: shards.Shards(info, split).labelled,
        drawn="the last" if divide is _last else "",
    )
    if divide is None:
        of = {"seed": options.split_seed, "class_names": info.class_names}
        divide = functools.partial(folders.stratified, **of)
    ours = _divided(info, chosen, options, divide)
    if options.streamed:
        splits = {name: _streamed(info, name, of, options) for name, of in ours.items()}
    else:
        count = sum(len(of.labels) for of in ours.values())
        memory.require_photos(count, size)
        splits = _resident(info, ours, chosen, options)
    notes = splitting.untrained(ours["train"].labels, ours["test"].labels, info.class_names)
    return Dataset(
        name=title,
        **splits,
        class_names=info.class_names,
        source=f"TFDS records in {printable(info.path)}, {size}x{size} by {options.square}",
        verified=None,
        notes=chosen.notes + notes,
    )


def _divided(
    info: FolderInfo, chosen: Chosen, options: PhotoOptions, divide: Divide
) -> dict[str, _Ours]:
    """Returns our splits, with those that are held out of the training examples."""
    ours = {}
    for name, parts in chosen.parts.items():
        labels = _labels_of(info, parts)
        of = f"the {name} split of {info.title}"
        splitting.require_labels(labels, info.class_names, of=of)
        ours[name] = _Ours(parts, None, labels)
    wanted = {} if chosen.test else {"test": options.test_fraction}
    wanted |= {"validation": options.hold_out} if options.hold_out else {}
    if wanted:
        train = ours["train"]
        for name, rows in divide(train.labels, wanted).items():
            ours[name] = _Ours(train.parts, rows, train.labels[rows])
    return ours


def _labels_of(info: FolderInfo, parts: Sequence[Part]) -> np.ndarray:
    """Returns the labels (N,) int32 of the examples of some parts.

    Every record has to be read for that, so the labels of a whole split are kept for the next time.
    """
    return np.concatenate([_labels(info, part) for part in parts])


def _labels(info: FolderInfo, part: Part) -> np.ndarray:
    where, of = info.beside("labels", part.split), info.state(part.split)
    if found := kept.read(where, of=of, names=["labels"]):
        return found["labels"][part.start : part.stop]
    progress = tqdm(
        shards.Shards(info, part.split).all(part.start, part.stop),
        total=part.stop - part.start,
        desc=f"Reading the labels of {info.title} {part.split}",
        unit=" images",
        leave=False,
        disable=None,
    )
    found = np.fromiter((label for _, label in progress), np.int32)
    if len(found) == info.counts[part.split]:
        kept.write(where, {"labels": found}, of=of)
    return found


def _last(labels: np.ndarray, fractions: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Holds out the last examples."""
    total = left = len(labels)
    found = {}
    for name, fraction in fractions.items():
        first = left - max(1, round(fraction * total))
        found[name], left = np.arange(first, left), first
    return found | {"train": np.arange(left)}


def _resident(
    info: FolderInfo, ours: Mapping[str, _Ours], chosen: Chosen, options: PhotoOptions
) -> dict[str, Split]:
    """Decodes what is used of the published splits, or finds it in the cache."""
    decoded = {
        split: decoded_photos.load(info, Part(split, *bounds), options)
        for split, bounds in splitting.ranges(chosen).items()
    }

    def images(of: _Ours) -> np.ndarray:
        runs = [decoded[part.split] for part in of.parts]
        cut = [
            run.images[part.start - run.first : part.stop - run.first]
            for part, run in zip(of.parts, runs, strict=True)
        ]
        every = cut[0] if len(cut) == 1 else np.concatenate(cut)
        return every if of.rows is None else every[of.rows]

    return {name: Split(images(of), of.labels) for name, of in ours.items()}


def _streamed(info: FolderInfo, name: str, ours: _Ours, options: PhotoOptions) -> Split:
    """Leaves the pixels in their records."""
    parts, rows = ours.parts, ours.rows
    if rows is not None and len(parts) == 1 and rows[-1] - rows[0] + 1 == len(rows):
        start = parts[0].start + int(rows[0])
        parts, rows = (Part(parts[0].split, start, start + len(rows)),), None
    images = LazyPhotos(
        RecordPhotos(info.path, "+".join(_written(info, part) for part in parts), rows),
        size=options.image_size,
        how=options.square,
        crop_scale=options.crop_scale if name == "train" else None,
        workers=options.workers,
    )
    return Split(images, ours.labels)


def _written(info: FolderInfo, part: Part) -> str:
    """Writes a part as TFDS does; "train" with its end, since states of streams have held that."""
    if part.start:
        return f"{part.split}[{part.start}:{part.stop}]"
    whole = part.split != "train" and part.stop == info.counts[part.split]
    return part.split if whole else f"{part.split}[:{part.stop}]"
