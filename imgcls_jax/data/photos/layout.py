"""Where the classes lie below a data folder: which folders are splits, which only wrap others.

Folders that look like splits and are not understood are refused: trained on as classes they give a
figure that means nothing.
"""

import dataclasses
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from imgcls_jax.data.photos import listing, split_names
from imgcls_jax.data.photos.split_names import EVALUATION, TEST, TRAIN, VALIDATION
from imgcls_jax.errors import UserError, printable

_NAMED = 4  # folders named in a sentence at most


@dataclasses.dataclass(frozen=True)
class Layout:
    """The folders whose folders are classes.

    Attributes:
      top: the folder of the classes or splits, relative to the data folder; "" for itself.
      entries: what lies in it.
      splits: "train", "validation" and "test" as far as they are there -> the folder of the split,
        relative to the data folder; {} where the folders in `top` are classes.
    """

    top: str
    entries: list[os.DirEntry]
    splits: Mapping[str, str]


def find(root: Path, ignored: Counter) -> Layout:
    """Finds the folders of the classes; what is passed over on the way is counted in `ignored`.

    Raises:
      UserError: splits that are not understood, a split twice, or none to train on.
    """
    top, entries = look_through(root, "", ignored, splits_wrap=False)
    folders = [entry for entry in entries if entry.is_dir()]
    splits = _splits(root / top, folders)
    if not splits and len(folders) > 1:
        _refuse_folders_that_hold_the_same(root / top, folders)
    if list(splits) == [TRAIN]:
        _refuse_folders_like_train(root / top, folders, splits[TRAIN])
    places = {split: os.path.join(top, name) for split, name in splits.items()}
    return Layout(top, entries, places)


def look_through(
    root: Path,
    within: str,
    ignored: Counter,
    *,
    known: Collection[str] = (),
    splits_wrap: bool = True,
) -> tuple[str, list[os.DirEntry]]:
    """Goes down while a folder holds one folder, and that one holds folders and no image.

    Args:
      root, within: the data folder, and where to begin below it.
      ignored: what is passed over on the way, by reason.
      known: names of classes, which wrap nothing.
      splits_wrap: whether a folder that is called as a split is may be a wrapper too.

    Returns:
      The folder arrived at, relative to the root, and what lies in it.
    """
    seen = {listing.identity(root / within)} if (root / within).is_dir() else set()
    entries = listing.entries(root / within, ignored)
    while True:
        folders = [entry for entry in entries if entry.is_dir()]
        if len(folders) != 1 or any(map(listing.is_image, entries)):
            return within, entries
        (only,) = folders
        kind, rest = split_names.read(only.name)
        is_split = kind is not None and not rest
        if listing.class_name(only.name) in known or (is_split and not splits_wrap):
            return within, entries
        passed = Counter()
        below = listing.entries(Path(only.path), passed)
        holds_classes = any(map(os.DirEntry.is_dir, below)) and not any(
            map(listing.is_image, below)
        )
        here = listing.identity(only.path)
        if not holds_classes or here in seen:
            return within, entries
        ignored.update(listing.kind(entry) for entry in entries if entry is not only)
        ignored.update(passed)
        seen.add(here)
        within, entries = os.path.join(within, only.name), below


def unread_table(root: Path) -> str:
    """Returns a clause that names a table beside the folders, whose labels nobody reads."""
    found = sorted(itertools.chain(root.glob("*.csv"), root.glob("*/*.csv")))
    return f", and {printable(found[0].relative_to(root))} is not read" if found else ""


def _splits(root: Path, folders: list[os.DirEntry]) -> dict[str, str]:
    """Maps splits to the names of their folders; {} if the folders are classes.

    A split folder holds folders: one with images right inside is a class, whatever its name. Words
    beside that of the split must be the same in two splits, as in `seg_train` and `seg_test`.
    """
    alike: dict[tuple[str, ...], list[tuple[str, os.DirEntry]]] = defaultdict(list)
    for entry in folders:
        kind, rest = split_names.read(entry.name)
        if kind is not None:
            alike[rest].append((kind, entry))
    kinds = {rest: {kind for kind, _ in of} for rest, of in alike.items()}
    several = {rest for rest, of in kinds.items() if TRAIN in of and len(of) > 1}
    holding = {
        rest: [(kind, entry) for kind, entry in of if _holds_class_folders(entry)]
        for rest, of in alike.items()
    }
    plain = holding.get((), [])
    if TRAIN in dict(plain):
        return _assigned(root, plain)
    rests = [rest for rest in several if rest and TRAIN in dict(holding[rest])]
    if len(rests) == 1:
        return _assigned(root, holding[rests[0]])
    flat = len(alike.get((), [])) - len(plain)
    if plain or several or flat == len(folders) > 0:
        named = _some([entry.name for of in alike.values() for _, entry in of])
        raise UserError(
            f"{printable(root)} has split folders ({named}) but none named train that holds class "
            f"folders{unread_table(root)}: put one folder of images for each class into train."
        )
    return {}


def _holds_class_folders(entry: os.DirEntry) -> bool:
    """Says whether a split's folder holds folders, and not a single one of images of any class."""
    _, found = look_through(Path(entry.path), "", Counter())
    folders = [inner for inner in found if inner.is_dir()]
    if len(folders) != 1:
        return bool(folders)
    return folders[0].name != entry.name and not split_names.is_plain(folders[0].name)


def _assigned(root: Path, named: list[tuple[str, os.DirEntry]]) -> dict[str, str]:
    """Returns the splits in their order; a folder for evaluation takes the place that is free."""
    kinds = [kind for kind, _ in named]
    free = VALIDATION if TEST in kinds and VALIDATION not in kinds else TEST
    found: dict[str, str] = {}
    for kind, entry in named:
        split = free if kind == EVALUATION else kind
        if split in found:
            raise UserError(
                f"{printable(root)} has two folders for the {split} split, "
                f"{printable(found[split])} and {printable(entry.name)}: keep one of them."
            )
        found[split] = entry.name
    return {split: found[split] for split in (TRAIN, VALIDATION, TEST) if split in found}


def _refuse_folders_that_hold_the_same(root: Path, folders: list[os.DirEntry]) -> None:
    """Raises UserError where all folders hold folders of the same names: those are the classes."""
    common: set[str] | None = None
    every: set[str] = set()
    for entry in folders:
        names = _names_of_folders(entry)
        common = names if common is None else common & names
        every |= names
        if len(common) < 2:
            return
    if 2 * len(common) < len(every):
        return
    seen = (
        f"{_some([entry.name for entry in folders])} in {printable(root)} hold folders of the same "
        f"names ({_some(sorted(common))})"
    )
    if all(split_names.read(name)[0] for name in common):
        raise UserError(
            f"{seen}: splits within classes are not read; put one folder for each class into "
            "train, and the same into test."
        )
    raise UserError(
        f"{seen}: if the outer folders are splits, name them train, validation and test; if they "
        "are classes, put their images right into them."
    )


def _refuse_folders_like_train(root: Path, folders: list[os.DirEntry], train: str) -> None:
    """Raises UserError where folders beside a lone train hold its classes, and are no split."""
    inner = {entry.name: _names_of_folders(entry) for entry in folders}
    alike = [name for name in inner if name != train and len(inner[name] & inner[train]) > 1]
    if alike:
        common = sorted(set.union(*(inner[name] & inner[train] for name in alike)))
        raise UserError(
            f"{printable(root)} has {_some(alike)} beside {printable(train)}, with folders of the "
            f"same names ({_some(common)}): if those are splits, name them validation and test; "
            f"if they and {printable(train)} are classes, put the images right into each; else "
            "move them elsewhere."
        )


def _names_of_folders(folder: os.DirEntry) -> set[str]:
    found = listing.entries(Path(folder.path), Counter())
    return {entry.name.strip().casefold() for entry in found if entry.is_dir()}


def _some(names: Iterable[str]) -> str:
    return listing.some([printable(name) for name in names], _NAMED)
