"""The audit of an image folder before training: bad files, copies, and images to leave out.

Class counts, files passed over, images that cannot be read, and byte-identical images: copies on
both sides of a split flatter an evaluation, copies under two labels cannot be classified at all.
"""

import contextlib
import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from imgcls_jax.data.photos import decode
from imgcls_jax.data.photos.folders import Folder
from imgcls_jax.errors import UserError
from imgcls_jax.files.reading import content

_EXTREME = 10  # times the images of the smallest class, from which weights are advised

Copies = tuple[str, ...]  # paths of images with the same bytes, sorted


def corrupt(folder: Folder, *, workers: int | None = None) -> list[tuple[str, str]]:
    """Lists (path, reason) of every image that cannot be decoded, trying each; shows a bar.

    JPEGs are decoded at an eighth of their size, which reads all of the file. Pillow lets go of
    Python's lock while it decodes, so threads are enough.
    """

    def reason(path: str) -> str | None:
        try:
            decode.decode(folder.path / path, at_least=(1, 1))
        except decode.BadImage as error:
            return error.reason

    paths = _paths(folder)
    with ThreadPoolExecutor(workers) as pool:
        reasons = tqdm(
            pool.map(reason, paths),
            total=len(paths), desc="checking images", unit="image", disable=None, leave=False,
        )  # fmt: skip
        return [(path, why) for path, why in zip(paths, reasons, strict=True) if why]


def duplicates(folder: Folder) -> tuple[Copies, ...]:
    """Returns groups of two or more images with the same bytes, in any split and class.

    Only files of equal size are read; a bar shows how many. Files that are empty or cannot be read
    are in no group.
    """
    by_size, by_digest = defaultdict(list), defaultdict(list)
    for path in _paths(folder):
        with contextlib.suppress(OSError):
            by_size[os.stat(folder.path / path).st_size].append(path)
    by_size.pop(0, None)
    alike = [path for paths in by_size.values() if len(paths) > 1 for path in paths]
    shown = tqdm(alike, "looking for copies", unit=" images", delay=1, disable=None, leave=False)
    for path in shown:
        with contextlib.suppress(OSError):
            by_digest[hashlib.sha256(content(folder.path / path)).digest()].append(path)
    return tuple(sorted(tuple(sorted(paths)) for paths in by_digest.values() if len(paths) > 1))


def drop_from_evaluation(
    folder: Folder, copies: Iterable[Copies]
) -> tuple[Folder, tuple[str, ...]]:
    """Returns the folder without images that must not be evaluated on, and the paths of those.

    Validation images whose bytes are in train, test images whose bytes are in train or validation,
    and from both the images that are in two classes. The train split keeps all it has.

    Raises:
      UserError: nothing would be left of a split.
    """
    earlier = {split: order for order, split in enumerate(("all", "train", "validation", "test"))}
    split_of, label_of = _places(folder)
    dropped = set()
    for group in copies:
        first = min(earlier[split_of[path]] for path in group)
        two_classes = len({label_of[path] for path in group}) > 1
        for path in group:
            order = earlier[split_of[path]]
            if order > earlier["train"] and (two_classes or order > first):
                dropped.add(path)
    splits = {}
    for split, files in folder.splits.items():
        kept = np.flatnonzero([path not in dropped for path in files.paths])
        if not len(kept):
            raise UserError(
                f"Every {split} image of {decode.printable(folder.path)} is a copy of an image in "
                f"another split or class: put other images into {split}."
            )
        splits[split] = files.take(kept)
    left = dataclasses.replace(folder, splits=splits)
    return left, tuple(path for path in _paths(folder) if path in dropped)


def report(
    folder: Folder,
    *,
    copies: Iterable[Copies] = (),
    bad: Sequence[tuple[str, str]] = (),
    limit: int | None = 20,
) -> str:
    """Returns all findings as text, one per line.

    Args:
      copies: from `duplicates`.
      bad: (path, reason) from `corrupt` or from decoding.
      limit: classes, bad images and groups of copies listed at most; None lists all.
    """
    lines = _counts(folder, limit)
    if folder.ignored:
        reasons = (f"{count:,} {reason}" for reason, count in sorted(folder.ignored.items()))
        lines.append(f"Passed over: {', '.join(reasons)}")
    lines.append(f"Images that cannot be used: {len(bad):,}")
    lines += _listed([f"{decode.printable(path)} {reason}" for path, reason in bad], limit)
    split_of, label_of = _places(folder)
    kinds = {"across splits": [], "in two classes": [], "within a split and class": []}
    for group in copies:
        if len({label_of[path] for path in group}) > 1:
            kinds["in two classes"].append(group)
        elif len({split_of[path] for path in group}) > 1:
            kinds["across splits"].append(group)
        else:
            kinds["within a split and class"].append(group)
    for kind, groups in kinds.items():
        count = sum(map(len, groups))
        lines.append(f"Byte-identical images {kind}: {count:,} in {len(groups):,} groups")
        lines += _listed([" = ".join(map(decode.printable, group)) for group in groups], limit)
    return "\n".join(lines)


def _counts(folder: Folder, limit: int | None) -> list[str]:
    counts = folder.counts()
    names, splits = folder.class_names, list(counts)
    totals = ", ".join(f"{len(files):,} {split}" for split, files in folder.splits.items())
    several = any(files.labels.ndim == 2 for files in folder.splits.values())
    kind = "labels, any number of them per image" if several else "classes"
    lines = [f"{decode.printable(folder.path)}: {len(names)} {kind}; images: {totals}"]
    trained = counts.get("train", counts.get("all"))
    order = np.argsort(-trained, kind="stable")
    shown = order if limit is None else order[:limit]
    width = max(len(names[label]) for label in shown)
    for label in shown:
        cells = ", ".join(f"{counts[split][label]:,} {split}" for split in splits)
        lines.append(f"  {names[label]:<{width}}  {cells}")
    if len(shown) < len(order):
        lines.append(f"  and {len(order) - len(shown):,} smaller or equal ones")
    if several:
        return lines
    most, least = order[0], order[-1]
    times = trained[most] / max(trained[least], 1)
    advice = "; `class_weights` lets all classes count the same" if times >= _EXTREME else ""
    lines.append(
        f"Imbalance: the largest class, {names[most]}, has {times:.1f} times the images of the "
        f"smallest, {names[least]}{advice}"
        if trained[most] > trained[least]
        else "Imbalance: none, all classes are of the same size"
    )
    return lines


def _listed(items: list[str], limit: int | None) -> list[str]:
    shown = items[:limit]
    more = [f"  and {len(items) - len(shown):,} more"] if len(shown) < len(items) else []
    return [f"  {item}" for item in shown] + more


def _paths(folder: Folder) -> list[str]:
    return [path for files in folder.splits.values() for path in files.paths]


def _places(folder: Folder) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    """Maps every path to its split, and to its label or labels."""
    split_of, label_of = {}, {}
    for split, files in folder.splits.items():
        split_of |= dict.fromkeys(files.paths, split)
        rows = files.labels.tolist()
        keys = rows if files.labels.ndim == 1 else map(tuple, rows)
        label_of |= zip(files.paths, keys, strict=True)
    return split_of, label_of
