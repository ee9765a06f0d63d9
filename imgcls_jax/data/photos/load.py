"""A folder of photos as a data set: scanned, split, checked for copies, decoded once."""

import os
from pathlib import Path

import numpy as np

from imgcls_jax.data import memory
from imgcls_jax.data.dataset import Dataset, Split, class_counts, k_fold
from imgcls_jax.data.photos import audit, cache, folders, grouping, inspected, labelled
from imgcls_jax.data.photos.folders import Folder
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.data.photos.options import PhotoOptions
from imgcls_jax.data.photos.remarks import remarks
from imgcls_jax.data.photos.sources import FolderPhotos
from imgcls_jax.errors import UserError, printable

# The folder as far as it can be read, its splits, and the unreadable files, with reasons.
Loaded = tuple[Folder, dict[str, Split], list[tuple[str, str]]]


def load(path: str | os.PathLike, options: PhotoOptions) -> Dataset:
    """Loads the photos below `path`, one folder per class or with a table of labels, as squares.

    The pixels lie in a memory-mapped cache, which the first call fills, or, streamed, are decoded
    whenever they are needed. A validation split is held out where the options ask for it and the
    folder has none, or has it as the only split to evaluate on.

    Raises:
      UserError: for whatever is wrong with folder, files or splits.
    """
    for name in ("train_split", "test_split"):
        if getattr(options, name) is not None:
            raise UserError(f"`{name}` is for data sets of TFDS, not for folders; leave it out.")
    if options.label_file:
        several = options.several_labels
        found, groups, notes = labelled.scan(path, options.label_file, several=several), None, []
    else:
        found, groups, notes = _as_inspected(folders.scan(path), options)
    whole = folder = _divided(found, options, groups)
    labelled.require_trained(folder)
    notes += remarks(found, whole, options)
    copies = audit.duplicates(whole)
    if groups is not None:  # the cache does not depend on the split that is evaluated
        near = grouping.several(folder, groups)  # of splits that no grouping can change
        folder, dropped = audit.drop_from_evaluation(folder, near)
        notes += [f"near copies left out of evaluation: {len(dropped):,}"] if dropped else []
    if options.duplicates == "drop":
        kept = {path for files in folder.splits.values() for path in files.paths}
        left = (tuple(path for path in group if path in kept) for group in copies)
        folder, dropped = audit.drop_from_evaluation(folder, [g for g in left if len(g) > 1])
        notes += [f"copies left out of evaluation: {len(dropped):,}"] if dropped else []
    make = _streamed if options.streamed else _resident
    folder, splits, bad = make(folder, whole, options)
    notes += audit.report(whole, copies=copies, bad=bad, limit=10).splitlines()
    size, how = options.image_size, options.square
    by = f", labelled by {printable(folder.labelled_by)}" if folder.labelled_by else ""
    return Dataset(
        name=folder.path.resolve().name,
        train=splits["train"],
        test=splits["test"],
        validation=splits.get("validation"),
        class_names=folder.class_names,
        source=f"photos in {printable(folder.path)}, {size}x{size} by {how}{by}",
        verified=None,
        notes=tuple(notes),
    )


def _streamed(folder: Folder, whole: Folder, options: PhotoOptions) -> Loaded:
    """Leaves the pixels in their files."""
    bad = []
    if options.corrupt == "skip":  # every file has to be tried, but no pixel is kept
        bad = audit.corrupt(whole)
        folder = _without(folder, {name for name, _ in bad})
    splits = {
        name: Split(
            LazyPhotos(
                FolderPhotos(folder.path, files.paths, files.labels),
                size=options.image_size,
                how=options.square,
                crop_scale=options.crop_scale if name == "train" else None,
                workers=options.workers,
            ),
            files.labels,
            files.paths,
        )
        for name, files in folder.splits.items()
    }
    return folder, splits, bad


def _resident(folder: Folder, whole: Folder, options: PhotoOptions) -> Loaded:
    """Decodes all photos, or finds them in the cache."""
    count, size = sum(map(len, whole.splits.values())), options.image_size
    memory.require_photos(count, size)
    paths = sorted(path for files in whole.splits.values() for path in files.paths)
    images, kept, bad = cache.load(
        folder.path,
        paths,
        size=size,
        how=options.square,
        corrupt=options.corrupt,
        verify=options.verify,
    )
    folder = _without(folder, {name for name, _ in bad})
    row_of = dict(zip(np.array(paths)[kept].tolist(), range(len(images)), strict=True))
    splits = {
        name: Split(images[[row_of[path] for path in files.paths]], files.labels, files.paths)
        for name, files in folder.splits.items()
    }
    return folder, splits, bad


def _as_inspected(
    folder: Folder, options: PhotoOptions
) -> tuple[Folder, dict[str, int] | None, list[str]]:
    """Returns the folder as an inspection corrected it, its near copies if wanted, and notes."""
    if not options.inspected:
        return folder, None, []
    where, groups = Path(options.inspected).expanduser(), None
    corrections = inspected.read_corrections(where)
    folder = inspected.corrected(folder, corrections)
    excluded = sum(correction.action == inspected.EXCLUDE for correction in corrections)
    notes = [
        f"As corrected by {printable(where)} (photos left out: {excluded:,}, of another class: "
        f"{len(corrections) - excluded:,})"
    ]
    if options.group_by == "copies":
        groups = inspected.read_groups(where, folder)
        notes.append("Near copies are on one side of every split")
    return folder, groups, notes


def _divided(folder: Folder, options: PhotoOptions, groups: dict[str, int] | None = None) -> Folder:
    """Divides the folder into "train", "test" and perhaps "validation"; see `load`.

    A validation folder without a test folder becomes the test split: the run is evaluated on it.
    """
    test, seed = options.test_fraction, options.split_seed
    if options.folds:
        if "all" not in folder.splits:
            raise UserError(
                f"{printable(folder.path)} has split folders, and `folds` makes its own "
                "splits; give a folder without them, or leave out `folds`."
            )
        folder = folder.divide("all", _fold(folder, options, groups))
    elif "all" in folder.splits:
        folder = _hold_out(folder, "all", "test", test, seed, groups)
    if "test" not in folder.splits:
        if "validation" in folder.splits:
            everything = np.arange(len(folder.splits["validation"]))
            folder = folder.divide("validation", {"test": everything})
        else:
            folder = _hold_out(folder, "train", "test", test, seed, groups)
    if options.hold_out and "validation" in folder.splits:
        raise UserError(f"{printable(folder.path)} has a validation split; leave out `hold_out`.")
    if options.hold_out:
        folder = _hold_out(folder, "train", "validation", options.hold_out, seed, groups)
    if options.join_validation:
        if "validation" not in folder.splits:
            raise UserError(
                f"{printable(folder.path)} has no validation split beside its test split; leave "
                "out `join_validation`."
            )
        folder = folder.join("validation", "train")
    return folder


def _hold_out(
    folder: Folder,
    split: str,
    name: str,
    fraction: float,
    seed: int,
    groups: dict[str, int] | None,
) -> Folder:
    """Returns the folder with a part of one split as another; the rest is "train".

    Each class has its share in both; several labels per photo are left to chance.
    """
    files, names = folder.splits[split], folder.class_names
    if files.labels.ndim == 2:
        parts = folders.at_random(len(files), {name: fraction}, seed)
    elif groups is None:
        parts = folders.stratified(files.labels, {name: fraction}, seed, class_names=names)
    else:
        numbers = np.array([groups[path] for path in files.paths])
        train, held_out = grouping.hold_out_groups(
            files.labels, numbers, fraction, seed, class_names=names
        )
        parts = {"train": train, name: held_out}
    return folder.divide(split, parts)


def _fold(
    folder: Folder, options: PhotoOptions, groups: dict[str, int] | None
) -> dict[str, np.ndarray]:
    """Returns train and test indices of one fold of a shuffled stratified cross-validation."""
    files = folder.splits["all"]
    if files.labels.ndim == 2:
        raise UserError(
            "`folds` give every class its share of each, and photos with several labels are of no "
            "one class; leave it out."
        )
    numbers = None if groups is None else np.array([groups[path] for path in files.paths])
    folds = k_fold(files.labels, folds=options.folds, seed=options.split_seed, groups=numbers)
    train, test = folds[options.fold]
    return {"train": train, "test": test}


def _without(folder: Folder, bad: set[str]) -> Folder:
    """Returns the folder without files that cannot be read.

    Raises:
      UserError: if a split has none left, or the training split none of some class.
    """
    for name, files in folder.splits.items():
        kept = np.flatnonzero([path not in bad for path in files.paths])
        left = class_counts(files.labels[kept], len(folder.class_names))
        if not len(kept) or (name == "train" and not left.all()):
            missing = "" if not len(kept) else f" of class {folder.class_names[left.argmin()]}"
            raise UserError(
                f"no photo{missing} in the {name} split of {printable(folder.path)} can be "
                "read; replace them."
            )
        folder = folder.divide(name, {name: kept})
    return folder
