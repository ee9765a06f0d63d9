"""Splits that keep groups of photos, such as near copies, on one side."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from imgcls_jax.data.photos.folders import Folder
from imgcls_jax.errors import UserError


def hold_out_groups(
    labels: np.ndarray,
    groups: np.ndarray,
    fraction: float,
    seed: int,
    *,
    class_names: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Splits at random into (train, held out), sorted indices, every class in both.

    Groups come in a random order, and each is held out if it fits into what is still wanted of its
    classes: their share to the nearest photo, at least one. Where no group of a class fits, the
    smallest is held out.

    Args:
      labels, groups: (N,).
      fraction: the share to hold out, above 0 and below 1.
      class_names: for the error message.

    Raises:
      UserError: a class has all its photos in one group, so that one side would have none.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.tolist()):
        members[group].append(index)
    counts = np.bincount(labels, minlength=len(class_names))
    wanted = np.where(counts > 0, np.maximum(1, np.rint(counts * fraction)), 0).astype(int)
    held, left = [], counts.copy()
    # RandomState's streams are frozen (NEP 19), so that a seed means the same split for ever.
    order = np.random.RandomState(seed).permutation(list(members))
    of = {group: np.bincount(labels[members[group]], minlength=len(counts)) for group in members}
    taken = np.zeros_like(counts)
    for group in order.tolist():
        if np.all((of[group] == 0) | (taken + of[group] <= wanted)):
            held.append(group)
            taken, left = taken + of[group], left - of[group]
    for label in np.flatnonzero(counts):
        if taken[label]:
            continue
        fits = [g for g in order.tolist() if of[g][label] and np.all((left > of[g]) | (of[g] == 0))]
        if not fits:
            raise UserError(
                f"Class {class_names[label]} has too few photos that are no copies of each other "
                "to have some on both sides of a split: add photos of it, or leave out `group_by`."
            )
        smallest = min(fits, key=lambda group: int(of[group].sum()))
        held.append(smallest)
        taken, left = taken + of[smallest], left - of[smallest]
    held_out = np.sort(np.array([index for group in held for index in members[group]], int))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def several(folder: Folder, groups: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Returns the groups that several of the folder's photos are of, each as their paths.

    Args:
      groups: path -> number of the group.
    """
    together: dict[int, list[str]] = defaultdict(list)
    for files in folder.splits.values():
        for path in files.paths:
            together[groups[path]].append(path)
    return [tuple(paths) for paths in together.values() if len(paths) > 1]
