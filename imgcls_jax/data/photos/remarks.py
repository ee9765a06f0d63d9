"""What a reader of a result must know of a folder's splits and classes, as sentences."""

import os
from collections import defaultdict

import numpy as np

from imgcls_jax.data.photos import above
from imgcls_jax.data.photos.folders import Folder
from imgcls_jax.data.photos.listing import some
from imgcls_jax.data.photos.options import PhotoOptions
from imgcls_jax.errors import printable

_FEW = 5  # test photos of a class, of which one is a fifth of its recall
_NAMED = 3  # classes named in a sentence at most


def remarks(found: Folder, divided: Folder, options: PhotoOptions) -> list[str]:
    """Returns what is to be said of a folder that was scanned and then divided into splits."""
    said = [_where(found), _test_set(found, options), _few_test_photos(divided, options)]
    return [*filter(None, said), *([] if found.labelled_by else _class_folders(found))]


def _where(found: Folder) -> str:
    """Says which folders the splits are, where their names do not begin as those."""
    places = {split: printable(place) for split, place in found.places.items()}
    if set(places) == {"all"}:
        return f"The class folders are in {places['all']}" if places["all"] else ""
    begin = (place.lower().startswith(split[:3]) for split, place in places.items())
    if all(begin) and not any("/" in place for place in places.values()):
        return ""
    listed = ", ".join(f"{place} is {split}" for split, place in places.items())
    return f"Split folders: {listed}"


def _test_set(found: Folder, options: PhotoOptions) -> str:
    """Says what the test set is where no folder, or no row of a table, is set aside for it."""
    if found.labelled_by is not None:
        return _test_rows(found, options)
    share = f"{100 * options.test_fraction:g} % of"
    drawn = f"drawn by `split_seed={options.split_seed}`, are the test set"
    if options.folds:
        return f"No split folders: part {options.fold} of {options.folds} is the test set"
    if "all" in found.splits:
        whole = above.of_split(found.path)
        more = (
            f"; it is a split of {printable(whole)}: give that to use the others" if whole else ""
        )
        return f"No split folders: {share} the photos, {drawn}{more}"
    if "test" in found.splits:
        return ""
    if "validation" not in found.splits:
        return f"No test folder: {share} the train folder's photos, {drawn}"
    name = printable(found.places.get("validation", "validation"))
    instead = f"with `hold_out={options.hold_out or 0.1:g}` a part of train is there to choose by"
    return (
        f"No test folder: the {name} folder is the test set, so choose no setting by it; {instead}"
    )


def _test_rows(found: Folder, options: PhotoOptions) -> str:
    """Says what the test set is where no row of a table is set aside for it."""
    if options.folds or "test" in found.splits:
        return f"Part {options.fold} of {options.folds} is the test set" if options.folds else ""
    share = f"{100 * options.test_fraction:g} % of"
    drawn = f"drawn by `split_seed={options.split_seed}`, are the test set"
    if "validation" not in found.splits:
        return f"No row is of a test split: {share} the training photos, {drawn}"
    return (
        "No row is of a test split: the validation photos are the test set, so choose no setting "
        "by them"
    )


def _few_test_photos(divided: Folder, options: PhotoOptions) -> str:
    """Says which classes are tested on so few photos that their recall says little."""
    counts = divided.counts()["test"]
    few = [label for label in np.argsort(counts, kind="stable") if counts[label] < _FEW]
    if not few:
        return ""
    listed = some([f"{divided.class_names[label]} {counts[label]}" for label in few], _NAMED)
    several = divided.splits["test"].labels.ndim == 2
    figures = "recall" if several else "recall, and balanced accuracy with it,"
    folds = ", or test on all in turn with `folds=5`" if _may_fold(divided, options) else ""
    return f"Few test photos: {listed}; their {figures} hangs on single photos: add some{folds}"


def _may_fold(divided: Folder, options: PhotoOptions) -> bool:
    rarest = sum(divided.counts().values()).min()
    return "all" in divided.places and not options.folds and rarest >= 5


def _class_folders(found: Folder) -> list[str]:
    """Says which class folders are one class, which names differ little, and what lies deeper."""
    spelled, deeper = defaultdict(set), set()
    for split, files in found.splits.items():
        start = found.places.get(split, "")
        start = len(os.path.join(start, "")) if start else 0
        for path, label in zip(files.paths, files.labels.tolist(), strict=True):
            folder, _, rest = path[start:].partition("/")
            spelled[label, split].add(folder)
            if "/" in rest:
                deeper.add(f"{folder}/{rest.partition('/')[0]}")
    said = [
        f"One class: the folders {', '.join(map(repr, sorted(folders)))}"
        for folders in spelled.values()
        if len(folders) > 1
    ]
    alike = defaultdict(list)
    for name in found.class_names:
        alike[name.casefold()].append(name)
    said += [
        f"Two classes by capital letters alone: {', '.join(names)}"
        for names in alike.values()
        if len(names) > 1
    ]
    if deeper:
        listed = some(sorted(map(printable, deeper)), _NAMED)
        said.append(f"Folders within class folders belong to the class: {listed}")
    return said
