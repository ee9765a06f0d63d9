"""Data sets of the Hugging Face Hub by name, as the Parquet files that nearly all have there.

`hf:OWNER/NAME`, with a configuration, `hf:OWNER/NAME/CONFIG`, or a branch, tag or commit,
`hf:OWNER/NAME@REVISION`. Images of one size and at most 96 pixels per side stay as they are; others
need `image_size` and are decoded as photos in folders are, at once or streamed.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imgcls_jax.data.catalog import naming
from imgcls_jax.data.catalog.description import Description
from imgcls_jax.data.catalog.hf import columns, division, files, peek, pixels, repository, shards
from imgcls_jax.data.catalog.hf.repository import Repository
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.data.photos.options import PhotoOptions, SmallOptions, refuse_options_of_folders
from imgcls_jax.data.photos.parquet import ParquetPhotos
from imgcls_jax.errors import UserError, printable

Options = PhotoOptions | SmallOptions
Images = Callable[[str, np.ndarray], Any]  # a split and its indices -> images, or `LazyPhotos`


class _Rows(NamedTuple):
    """The rows of all files that are read, and which of them make which split.

    Attributes:
      photos: of the rows that are used.
      splits: train, test and perhaps validation -> int (N,), sorted indices of `photos`.
      notes: what a reader of a result should know of the splits.
    """

    photos: ParquetPhotos
    class_names: tuple[str, ...]
    splits: dict[str, np.ndarray]
    notes: tuple[str, ...]


def load(
    name: str,
    options: Mapping[str, Any],
    *,
    data_dir: str | os.PathLike | None = None,
    raw_dir: str | os.PathLike | None = None,
    offline: bool = False,
) -> Dataset:
    """Loads a data set of the Hub; see `data.load`.

    Without a test split the validation split is the test split, and without either a part of the
    training split is, drawn by `split_seed`, every class with its share.

    Args:
      options: those of `PhotoOptions` where `image_size` is among them, else of `SmallOptions`.
      data_dir: a folder with a copy of the repository, used in its place.

    Raises:
      UserError: no such data set, files that cannot be fetched or are not what the Hub told, no
        column of images or of labels, splits that are not there, or images of several sizes.
    """
    if raw_dir is not None:
        raise UserError("data sets of the Hub have no raw files; leave out `raw_dir`.")
    of_photos = options.get("image_size") is not None
    chosen = PhotoOptions(**options) if of_photos else SmallOptions(**options)
    if of_photos:
        refuse_options_of_folders(chosen)
    source, of, splits = _found(name, data_dir, offline)
    rows = _rows(source, of, splits, chosen)
    images, how = _images(rows, chosen, repository.place(source.name))
    return Dataset(
        name=of.removeprefix("hf:").replace("/", "-"),
        **{
            split: Split(images(split, indices), rows.photos.labels[indices])
            for split, indices in rows.splits.items()
        },
        class_names=rows.class_names,
        source=f"{of} {_where(source)}{how}",
        verified=None if source.commit is None else True,
        notes=rows.notes,
    )


def describe(
    name: str, *, data_dir: str | os.PathLike | None = None, offline: bool = False
) -> Description:
    """Tells what a data set of the Hub is; see `data.describe`.

    Where its files are not on this machine, the head of one is read over the network: of a few
    pictures the sizes are told, and it is believed that the others have them too.

    Raises:
      UserError: as `load` does for what can be told of a name.
    """
    source, of, splits = _found(name, data_dir, offline)
    assigned = shards.assign(splits, of) or {name: name for name in splits}
    paths = [path for split in assigned.values() for path in splits[split]]
    here = files.there(source, paths)
    peeked = peek.read(source, paths[0], here=here)
    found = columns.find(peeked.schema, of) if peeked else None
    counts = peek.counts(source, {ours: splits[s] for ours, s in assigned.items()}, here=here)
    shape = peeked.shape(found.image) if found else (None, None, 3)
    sizes = {file.path: file.size for file in source.files}
    remarks = [] if peeked else ["What its columns and sizes are is known once it is fetched"]
    left_out = sorted(set(splits) - set(assigned.values()))
    remarks += [f"Not used: {', '.join(map(printable, left_out))}"] if left_out else []
    licence = source.card.get("license") or ""
    return Description(
        name=of,
        version=source.commit,
        class_names=(found and found.class_names) or (),
        counts=counts,
        image_shape=shape,
        download_bytes=sum(sizes[path] for path in paths),
        licence=", ".join(map(str, licence)) if isinstance(licence, list) else str(licence),
        homepage=source.homepage,
        remarks=tuple(remarks),
    )


def _found(
    name: str, data_dir: str | os.PathLike | None, offline: bool
) -> tuple[Repository, str, shards.Splits]:
    """Returns the repository, what the data set is called, and its splits, each with its files."""
    wanted = naming.parse_hub(name)
    if wanted is None:
        naming.check(name)
    of = f"hf:{wanted.repository}"
    if data_dir is not None:
        source = repository.in_folder(wanted.repository, Path(data_dir).expanduser())
    else:
        source = repository.ask(wanted.repository, wanted.revision, offline=offline)
    arranged = shards.arrange(source.paths, source.card)
    config = shards.choose(arranged, wanted.config, source.card, of)
    return source, of if len(arranged) == 1 else f"{of}/{config}", arranged[config]


def _where(source: Repository) -> str:
    if source.commit is None:
        return f"in {printable(source.folder)}"
    return f"at {source.commit[:12]} on the Hugging Face Hub"


def _rows(source: Repository, of: str, splits: shards.Splits, options: Options) -> _Rows:
    """Fetches the files that are needed and finds the rows of each split in them."""
    read = division.needed(splits, options, of)
    needed = [path for paths in read.values() for path in paths]
    here = dict(zip(needed, files.fetch(source, needed), strict=True))
    found = columns.find(columns.read_schema(here[needed[0]]), of)
    labels = {
        name: columns.read_labels([here[path] for path in paths], found.label)
        for name, paths in read.items()
    }
    notes = []
    if found.others:
        others = ", ".join(map(printable, found.others))
        notes.append(f"The labels are those of the column {found.label}, not of {others}")
    partial = [
        name for name, paths in splits.items() if "partial" in name and paths in read.values()
    ]
    if partial:  # of large data sets the Hub converts the beginning only
        notes.append(
            f"Only the beginning of the split is there: {', '.join(map(printable, partial))}"
        )
    left_out = sorted(name for name, paths in splits.items() if paths not in read.values())
    if left_out:
        notes.append(f"Splits that are not used: {', '.join(map(printable, left_out))}")
    numbers, class_names = columns.numbered(labels, found.class_names, of)
    divided, said = division.divide(numbers, options, of, class_names=class_names)
    used = np.unique(np.concatenate(list(divided.values())))
    photos = ParquetPhotos(
        of=f"{of}@{source.commit[:12]}" if source.commit else of,
        files=tuple(str(here[path]) for path in needed),
        image=found.image,
        rows=used,
        labels=np.concatenate(list(numbers.values()))[used],
    )
    places = {split: np.searchsorted(used, rows) for split, rows in divided.items()}
    return _Rows(photos, class_names, places, (*notes, *said))


def _images(rows: _Rows, options: Options, place: Path) -> tuple[Images, str]:
    """Returns what gives the images of each split, and how they became what they are."""
    if not isinstance(options, PhotoOptions):
        images = pixels.as_they_are(rows.photos, place)
        return lambda name, of: images[of], ""
    size, how = options.image_size, options.square
    said = f", {size}x{size} by {how}"
    if not options.streamed:
        images = pixels.squares(rows.photos, size=size, how=how, verify=options.verify)
        return lambda name, of: images[of], said

    def lazy(name: str, of: np.ndarray) -> LazyPhotos:
        return LazyPhotos(
            rows.photos.take(of),
            size=size,
            how=how,
            crop_scale=options.crop_scale if name == "train" else None,
            workers=options.workers,
        )

    return lazy, said
