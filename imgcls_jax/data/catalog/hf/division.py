"""Which rows of a Hub data set's own splits make train, validation and test."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from imgcls_jax.data.catalog.folders import splitting
from imgcls_jax.data.catalog.hf import shards
from imgcls_jax.data.catalog.hf.columns import UNLABELLED
from imgcls_jax.data.photos import folders
from imgcls_jax.data.photos.options import PhotoOptions, SmallOptions

Options = PhotoOptions | SmallOptions

_NAMES = re.compile(r"(?:^|\+)\s*([\w-]+)")


def needed(splits: shards.Splits, options: Options, of: str) -> shards.Splits:
    """Returns the splits that have to be read, those of a known meaning by its name.

    Raises:
      UserError: two splits have one meaning.
    """
    meanings = {name: ours for ours, name in shards.assign(splits, of).items()}
    renamed = {meanings.get(name, name): files for name, files in splits.items()}
    expressions = [e for e in (options.train_split, options.test_split) if e is not None]
    mentioned = {name for expression in expressions for name in _NAMES.findall(expression)}
    if "all" in mentioned or not meanings:
        return renamed
    wanted = mentioned if len(expressions) == 2 else mentioned | set(meanings.values())
    # Where none of what is mentioned is there, all that is says so.
    return {name: files for name, files in renamed.items() if name in wanted} or renamed


def divide(
    labels: Mapping[str, np.ndarray], options: Options, of: str, *, class_names: Sequence[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns the rows of train, test and perhaps validation, and notes about them.

    Args:
      labels: of each split that was read, int (N,), -1 where a class is not published; rows are
        counted through all of them.

    Raises:
      UserError: a row that is used has no label, a class is too rare to be divided, or settings and
        splits do not go together.
    """
    every = np.concatenate(list(labels.values()))
    chosen = splitting.choose(
        {name: (len(of_split),) for name, of_split in labels.items()},
        options,
        title=of,
        labelled=lambda name: bool(np.any(labels[name] != UNLABELLED)),
    )
    first = dict(zip(labels, np.cumsum([0, *map(len, labels.values())]).tolist(), strict=False))
    rows = {}
    for ours, parts in chosen.parts.items():
        found = [np.arange(part.start, part.stop) + first[part.split] for part in parts]
        rows[ours] = np.concatenate(found)
        splitting.require_labels(every[rows[ours]], class_names, of=f"the {ours} split of {of}")
    wanted = {} if chosen.test else {"test": options.test_fraction}
    # Of images that are kept as they are, the training itself holds some out.
    if options.hold_out and isinstance(options, PhotoOptions):
        wanted["validation"] = options.hold_out
    if wanted:
        train, seed = rows["train"], options.split_seed
        drawn = folders.stratified(every[train], wanted, seed, class_names=class_names)
        rows |= {ours: train[indices] for ours, indices in drawn.items()}
    untrained = splitting.untrained(every[rows["train"]], every[rows["test"]], class_names)
    return rows, chosen.notes + untrained
