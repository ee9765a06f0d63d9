"""Folders of pictures, one folder per class: which files, which labels, which split.

No pixel is decoded here: 100,000 files take about a second.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from imgcls_jax.data.dataset import class_counts
from imgcls_jax.data.photos import above, kinds, listing
from imgcls_jax.data.photos.layout import find, look_through, unread_table
from imgcls_jax.data.photos.listing import LAYOUT
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import local_path

_LOOP = "link that leads back to where it lies"


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """Image files of one split.

    paths: relative to the data folder, by class, sorted.
    labels: int32 (N,), indices of the class names, or (N, K) of 0 and 1 where a photo may have
      several.
    """

    paths: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: np.ndarray) -> "Files":
        return Files(tuple(self.paths[i] for i in indices), self.labels[indices])


@dataclasses.dataclass(frozen=True, eq=False)
class Folder:
    """A scanned data folder.

    class_names: sorted; the label is the position.
    splits: "train" and perhaps "validation" and "test", or "all" where the folder has no splits.
    ignored: reason -> number of files or folders that were passed over.
    places: split -> the folder that holds its class folders, relative to `path`.
    labelled_by: the table that has the labels, see `labelled`; None for class folders.
    """

    path: Path
    class_names: tuple[str, ...]
    splits: Mapping[str, Files]
    ignored: Mapping[str, int]
    places: Mapping[str, str] = dataclasses.field(default_factory=dict)
    labelled_by: Path | None = None

    def counts(self) -> dict[str, np.ndarray]:
        """Counts the images of each class, int (K,), by split."""
        return {
            split: class_counts(files.labels, len(self.class_names))
            for split, files in self.splits.items()
        }

    def divide(self, split: str, indices: Mapping[str, np.ndarray]) -> "Folder":
        """Replaces one split of the folder by parts of it, such as those of `stratified`."""
        parts = {name: self.splits[split].take(chosen) for name, chosen in indices.items()}
        others = {name: files for name, files in self.splits.items() if name != split}
        return dataclasses.replace(self, splits=parts | others)

    def join(self, split: str, to: str) -> "Folder":
        """Puts the images of one split behind those of another."""
        first, second = self.splits[to], self.splits[split]
        labels = np.concatenate([first.labels, second.labels])
        others = {name: files for name, files in self.splits.items() if name != split}
        return dataclasses.replace(
            self, splits=others | {to: Files(first.paths + second.paths, labels)}
        )


def scan(path: str | os.PathLike) -> Folder:
    """Finds the images below `path`.

    Layouts: `class/image`, or `split/class/image` with the splits' names as people spell them (see
    `split_names`). Folders that hold one folder and nothing else are looked through. Folders within
    a class folder belong to it. Links are followed, except back to where they lie. Junk and
    everything that has no image's name are passed over and counted.

    Raises:
      UserError: no such folder, unreadable folders, no image, one class only, a class folder
        without images, a split twice, folders that look like splits and are not understood, no
        train split or one without some class of the others.
    """
    root = local_path(path, "data_dir")
    ignored = Counter()
    layout = find(root, ignored)
    places, found = dict(layout.splits), {}
    for split, place in layout.splits.items():
        known = found.get("train", ())
        inner, entries = look_through(root, place, ignored, known=known)
        found[split] = _classes(root, inner, entries, _above(root, root / inner), ignored)
        places[split] = inner
    if layout.splits:
        for entry in layout.entries:
            if os.path.join(layout.top, entry.name) not in layout.splits.values():
                ignored[f"{printable(entry.name)}, beside the split folders"] += 1
    else:
        chain = _above(root, root / layout.top)
        found["all"] = _classes(root, layout.top, layout.entries, chain, ignored)
        places["all"] = layout.top
        if not found["all"]:
            top = root / layout.top
            raise UserError(
                listing.without_class_folders(top, layout.entries, whole=above.of_class(top))
            )
    class_names = _class_names(root, found)
    splits = {}
    for split, classes in found.items():
        paths, labels = [], []
        for label, name in enumerate(class_names):
            paths += classes.get(name, [])
            labels += [label] * len(classes.get(name, []))
        splits[split] = Files(tuple(paths), np.array(labels, np.int32))
    return Folder(root, class_names, splits, dict(ignored), places)


def stratified(
    labels: np.ndarray,
    fractions: Mapping[str, float],
    seed: int,
    *,
    class_names: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Splits at random so that every class is in every split, at its share within one image.

    Args:
      labels: int (N,).
      fractions: name -> share of the examples; the rest becomes "train".
      class_names: for the error message.

    Returns:
      Sorted index arrays by split, "train" first; over all classes each split has its share to the
      nearest image, unless rare classes call for more.

    Raises:
      UserError: fractions that leave nothing to train on, or a class too small for all splits.
    """
    if min(fractions.values(), default=1) <= 0 or sum(fractions.values()) >= 1:
        raise UserError(
            f"Held-out fractions {dict(fractions)} must each be above 0 and sum to less than 1."
        )
    # RandomState's streams are frozen (NEP 19), so that a seed means the same split for ever.
    rng = np.random.RandomState(seed)
    chosen = {split: [] for split in ("train", *fractions)}
    passed = 0
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < len(chosen):
            name = class_names[label] if len(class_names) else label
            raise UserError(
                f"Class {name!s} has {len(members)} image{'s' * (len(members) != 1)}, too few for "
                f"the {len(chosen)} splits {', '.join(chosen)}: add images, remove the class or "
                "hold out fewer splits."
            )
        # Running totals are rounded, not each class' share, so that the errors do not add up.
        upto = passed + len(members)
        sizes = {
            split: max(1, round(upto * share) - round(passed * share))
            for split, share in fractions.items()
        }
        while sum(sizes.values()) >= len(members):
            sizes[max(sizes, key=sizes.get)] -= 1
        passed = upto
        parts = np.split(members, np.cumsum(list(sizes.values())))
        for split, part in zip((*fractions, "train"), parts, strict=True):
            chosen[split].append(part)
    return {split: np.sort(np.concatenate(parts)) for split, parts in chosen.items()}


def at_random(count: int, fractions: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Splits `count` examples at random; see `stratified`, whose classes it knows nothing of.

    Raises:
      UserError: if a split would be empty.
    """
    order = np.random.RandomState(seed).permutation(count)
    sizes = {split: max(1, round(count * share)) for split, share in fractions.items()}
    if sum(sizes.values()) >= count:
        raise UserError(f"{count} images are too few for the splits train, {', '.join(sizes)}.")
    parts = np.split(order, np.cumsum(list(sizes.values())))
    named = dict(zip((*sizes, "train"), map(np.sort, parts), strict=True))
    return {split: named[split] for split in ("train", *sizes)}


def _classes(
    root: Path, within: str, entries: list[os.DirEntry], above: tuple, ignored: Counter
) -> dict[str, list[str]]:
    """Maps classes to their sorted images, relative to the root; `within` is the split's folder."""
    classes = {}
    for entry in entries:
        if entry.is_dir():
            if listing.identity(entry.path) in above:
                ignored[_LOOP] += 1
                continue
            passed = Counter()
            images = [os.path.join(within, entry.name, p) for p in _images(entry, above, passed)]
            if not images:
                raise UserError(_without_images(entry, passed, entries))
            ignored.update(passed)
            name = listing.class_name(entry.name)
            classes[name] = sorted(classes.get(name, []) + images)
        elif listing.is_image(entry):
            ignored["image outside the class folders"] += 1
        else:
            ignored[listing.kind(entry)] += 1
    return classes


def _without_images(entry: os.DirEntry, passed: Counter, among: list[os.DirEntry]) -> str:
    """Returns the sentence that refuses a class folder without images, among those beside it."""
    start = f"The class folder {printable(entry.path)} has no image"
    for kind, count in passed.items():
        if kind.startswith("HEIC"):
            photos = f"{count:,} HEIC photo{'s' * (count != 1)}"
            return f"{start} that can be read but {photos}: {kinds.INSTALL} to read them."
    others = [other for other in among if other.is_dir() and other is not entry]
    if len(others) == 1 and any(
        inner.is_dir() for inner in listing.entries(Path(others[0].path), Counter())
    ):  # images/CLASS beside annotations
        there, name = printable(others[0].path), printable(entry.name)
        return f"{start}: if the classes are the folders in {there}, move {name} elsewhere."
    return f"{start}: add some or remove it."


def images_below(root: Path, ignored: Counter) -> Iterator[str]:
    """Lists images in and below a folder, relative to it; what is passed over is counted."""
    return _images(root, _above(root), ignored)


def _images(folder: os.PathLike, above: tuple, ignored: Counter) -> Iterator[str]:
    """Lists images in and below a folder, relative to it; `above` identifies its parents."""
    above = (*above, listing.identity(folder))
    for entry in listing.entries(Path(folder), ignored):
        if entry.is_dir():
            if listing.identity(entry.path) in above:
                ignored[_LOOP] += 1
            else:
                yield from (f"{entry.name}/{inner}" for inner in _images(entry, above, ignored))
        elif listing.is_image(entry):
            yield entry.name
        else:
            ignored[listing.kind(entry)] += 1


def _above(*chain: Path) -> tuple[tuple[int, int], ...]:
    """Identifies folders and all that they lie in."""
    real = (folder.resolve() for folder in chain)
    return tuple({listing.identity(one) for folder in real for one in (folder, *folder.parents)})


def _class_names(root: Path, found: Mapping[str, Mapping[str, list[str]]]) -> tuple[str, ...]:
    """Returns the sorted classes of the first split, which has all that the others have."""
    (first, classes), *others = found.items()
    names = tuple(sorted(classes))
    if len(names) == 1:
        raise UserError(
            f"The data folder {printable(root)} has one class only, {names[0]}, but at least two "
            f"are needed{unread_table(root)}: {LAYOUT}."
        )
    for split, classes in others:
        unknown = sorted(set(classes) - set(names))
        if unknown:
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise UserError(
                f"The {split} split of {printable(root)} has classes that {first} has not, "
                f"{', '.join(unknown[:3])}{more}: name the class folders alike in all splits."
            )
    return names
