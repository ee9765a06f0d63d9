"""Folders of pictures, one folder per class: which files, which labels, which split.

No pixel is decoded here: 100,000 files take about a second.
"""

import dataclasses
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from imgcls_jax.data.photos.decode import EXTENSIONS, printable
from imgcls_jax.errors import UserError

_SPELLINGS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_SPELLING_END = re.compile("[ _-]?(set|data|images)$")
_LOOP = "link that leads back to where it lies"
_LAYOUT = "give a folder that holds one folder of images for each class, in split folders or not"


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """Image files of one split.

    paths: relative to the data folder, by class, sorted.
    labels: int32 (N,), indices of the class names.
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
    """

    path: Path
    class_names: tuple[str, ...]
    splits: Mapping[str, Files]
    ignored: Mapping[str, int]

    def counts(self) -> dict[str, np.ndarray]:
        """Counts the images of each class, int (K,), by split."""
        return {
            split: np.bincount(files.labels, minlength=len(self.class_names))
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

    Layouts: `class/image`, or `split/class/image` with train (training), validation (val, valid,
    dev) and test (testing), in any case and also as train_set and the like. Folders within a class
    folder belong to it. Links are followed, except back to where they lie. Hidden files and
    everything that has no image's name are passed over and counted.

    Raises:
      UserError: no such folder, unreadable folders, no image, one class only, a class folder
        without images, a split twice, no train split or one without some class of the others.
    """
    root = Path(os.path.expanduser(path))
    ignored = Counter()
    top = _entries(root, ignored)
    split_folders = _split_folders(root, top)
    real = root.resolve()
    above = tuple(_identity(folder) for folder in (real, *real.parents))
    if split_folders:
        found = {}
        for split, folder in split_folders.items():
            found[split] = _classes(root, folder, _entries(root / folder, ignored), above, ignored)
        for entry in top:
            if entry.name not in split_folders.values():
                ignored[f"{printable(entry.name)}, beside the split folders"] += 1
    else:
        found = {"all": _classes(root, "", top, above, ignored)}
    class_names = _class_names(root, found)
    splits = {}
    for split, classes in found.items():
        paths, labels = [], []
        for label, name in enumerate(class_names):
            paths += classes.get(name, [])
            labels += [label] * len(classes.get(name, []))
        splits[split] = Files(tuple(paths), np.array(labels, np.int32))
    return Folder(root, class_names, splits, dict(ignored))


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


def _split_folders(root: Path, top: list[os.DirEntry]) -> dict[str, str]:
    """Maps splits to the names of their folders; {} if the top folders are classes.

    A split folder holds folders: one with images right inside is a class, whatever its name.
    """
    found: dict[str, str] = {}
    flat = 0
    folders = [entry for entry in top if entry.is_dir()]
    for entry in folders:
        split = _SPELLINGS.get(_SPELLING_END.sub("", entry.name.lower()))
        if split is None:
            continue
        if not any(inner.is_dir() for inner in _entries(Path(entry.path), Counter())):
            flat += 1
        elif split in found:
            raise UserError(
                f"{printable(root)} has two folders for the {split} split, {found[split]} and "
                f"{entry.name}: keep one of them."
            )
        else:
            found[split] = entry.name
    if (found and "train" not in found) or flat == len(folders) > 0:
        raise UserError(
            f"{printable(root)} has split folders but none named train that holds class folders: "
            "put one folder of images for each class into train."
        )
    return {split: found[split] for split in ("train", "validation", "test") if split in found}


def _classes(
    root: Path, within: str, entries: list[os.DirEntry], above: tuple, ignored: Counter
) -> dict[str, list[str]]:
    """Maps classes to their sorted images, relative to the root; `within` is the split's folder."""
    classes = {}
    for entry in entries:
        if entry.is_dir():
            if _identity(entry.path) in above:
                ignored[_LOOP] += 1
                continue
            images = [os.path.join(within, entry.name, p) for p in _images(entry, above, ignored)]
            if not images:
                raise UserError(
                    f"The class folder {printable(entry.path)} has no image: add some or remove it."
                )
            # macOS decomposes accents in names, other systems do not: one spelling of both.
            name = printable(unicodedata.normalize("NFC", entry.name))
            classes[name] = sorted(classes.get(name, []) + images)
        elif _is_image(entry.name):
            ignored["image outside the class folders"] += 1
        else:
            ignored[_kind(entry)] += 1
    return classes


def _images(folder: os.DirEntry, above: tuple, ignored: Counter) -> Iterator[str]:
    """Lists images in and below a folder, relative to it; `above` identifies its parents."""
    above = (*above, _identity(folder.path))
    for entry in _entries(Path(folder.path), ignored):
        if entry.is_dir():
            if _identity(entry.path) in above:
                ignored[_LOOP] += 1
            else:
                yield from (f"{entry.name}/{inner}" for inner in _images(entry, above, ignored))
        elif _is_image(entry.name) and entry.is_file():
            yield entry.name
        else:
            ignored[_kind(entry)] += 1


def _entries(folder: Path, ignored: Counter) -> list[os.DirEntry]:
    """Lists a folder, sorted by name, without hidden files and links that lead nowhere."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"The folder {printable(folder)} cannot be read ({error.strerror}): {_LAYOUT}."
        ) from error
    kept = []
    for entry in found:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            ignored["hidden"] += 1
        elif entry.is_symlink() and not os.path.exists(entry.path):
            ignored["link that leads nowhere"] += 1
        else:
            kept.append(entry)
    return kept


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _kind(entry: os.DirEntry) -> str:
    if not entry.is_file():
        return "neither file nor folder"
    return f"not an image ({printable(os.path.splitext(entry.name)[1].lower()) or 'no suffix'})"


def _class_names(root: Path, found: Mapping[str, Mapping[str, list[str]]]) -> tuple[str, ...]:
    """Returns the sorted classes of the first split, which has all that the others have."""
    (first, classes), *others = found.items()
    names = tuple(sorted(classes))
    if not names:
        raise UserError(f"The data folder {printable(root)} has no class folders: {_LAYOUT}.")
    if len(names) == 1:
        raise UserError(
            f"The data folder {printable(root)} has one class only, {names[0]}, but at least two "
            f"are needed: {_LAYOUT}."
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
