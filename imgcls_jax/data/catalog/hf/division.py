"""Which rows of a data set's own splits make train, validation and test."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from imgcls_jax.data.catalog import split_syntax
from imgcls_jax.data.catalog.hf import shards
from imgcls_jax.data.catalog.hf.columns import UNLABELLED
from imgcls_jax.data.catalog.split_syntax import Part
from imgcls_jax.data.photos import folders
from imgcls_jax.data.photos.options import PhotoOptions, SmallOptions
from imgcls_jax.errors import UserError, printable

Options = PhotoOptions | SmallOptions

_SETTINGS = {"train": "train_split", "test": "test_split"}
_NAMES = re.compile(r"(?:^|\+)\s*([\w-]+)")


def needed(names: Sequence[str], options: Options, of: str) -> tuple[str, ...]:
    """Returns the splits of a data set that have to be read, as it calls them.

    Raises:
      UserError: there is no training split, or a setting names a split that is not there.
    """
    expressions = _expressions(options)
    wanted = set()
    for ours, expression in expressions.items():
        split_syntax.check(expression, setting=_SETTINGS[ours])
        for name in _NAMES.findall(expression):
            if name not in (*names, "all"):
                raise UserError(
                    f"`{_SETTINGS[ours]}={printable(expression)}` names a split that "
                    f"{printable(of)} has not; its splits are {', '.join(map(printable, names))}."
                )
            wanted |= set(names) if name == "all" else {name}
    if set(expressions) != set(_SETTINGS):
        assigned = shards.assign(names, of, must_train="train" not in expressions)
        wanted |= {name for ours, name in assigned.items() if ours not in expressions}
    return tuple(name for name in names if name in wanted)


def divide(
    labels: Mapping[str, np.ndarray],
    options: Options,
    of: str,
    *,
    class_names: Sequence[str],
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Returns the sorted rows of train, test and perhaps validation, and notes about them.

    Args:
      labels: of each split that was read, int (N,), -1 where a class is not published; rows are
        counted through all of them.

    Raises:
      UserError: train and test share rows, no row has a label, a class is too rare to be divided,
        or settings and splits do not go together.
    """
    every = np.concatenate(list(labels.values()))
    known = {name: of_split != UNLABELLED for name, of_split in labels.items()}
    bare = [name for name, has in known.items() if not has.any()]
    notes = [f"Without labels, so not used: {', '.join(map(printable, bare))}"] if bare else []
    if missing := sum(int((~has).sum()) for name, has in known.items() if name not in bare):
        notes.append(f"{missing:,} rows without a label are not used")
    parts = _parts({name: len(has) for name, has in known.items() if name not in bare}, options, of)
    start = dict(zip(labels, np.cumsum([0, *map(len, labels.values())]).tolist(), strict=False))
    rows = {}
    for ours, several in parts.items():
        found = [np.arange(p.start, p.stop) + start[p.split] for p in several]
        rows[ours] = np.unique(np.concatenate(found))
        rows[ours] = rows[ours][every[rows[ours]] != UNLABELLED]
        if not len(rows[ours]):
            raise UserError(f"no row of the {ours} split of {printable(of)} has a label.")
    if "validation" in parts and "test" not in parts:
        rows["test"] = rows.pop("validation")
        notes.append(
            "No test split: the validation split is the test set, so choose no setting by it"
        )
    if "test" not in rows:
        notes.append(
            f"No test split: {100 * options.test_fraction:g} % of the training split, drawn by "
            f"`split_seed={options.split_seed}`, are the test set"
        )
        rows = _held_out(rows, "test", options.test_fraction, every, options, class_names)
    return _validated(rows, every, options, of, class_names), notes


def _validated(
    rows: dict[str, np.ndarray],
    every: np.ndarray,
    options: Options,
    of: str,
    class_names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Returns the rows with the validation split that the options ask for."""
    if options.hold_out and "validation" in rows:
        raise UserError(f"{printable(of)} has a validation split; leave out `hold_out`.")
    if options.join_validation:
        if "validation" not in rows:
            raise UserError(
                f"{printable(of)} has no validation split beside its test split; leave out "
                "`join_validation`."
            )
        return {
            "train": np.union1d(rows["train"], rows["validation"]),
            "test": rows["test"],
        }
    # Of images that are kept as they are, the training itself holds some out.
    if options.hold_out and isinstance(options, PhotoOptions):
        return _held_out(rows, "validation", options.hold_out, every, options, class_names)
    return rows


def _expressions(options: Options) -> dict[str, str]:
    given = {ours: getattr(options, setting) for ours, setting in _SETTINGS.items()}
    return {ours: expression for ours, expression in given.items() if expression is not None}


def _parts(counts: Mapping[str, int], options: Options, of: str) -> dict[str, tuple[Part, ...]]:
    """Returns the parts of the data set's splits that each of ours is."""
    expressions = _expressions(options)
    parts = {}
    if set(expressions) != set(_SETTINGS):
        assigned = shards.assign(counts, of, must_train="train" not in expressions)
        parts = {ours: (Part(name, 0, counts[name]),) for ours, name in assigned.items()}
    for ours, expression in expressions.items():
        parts[ours] = split_syntax.parts(expression, counts, setting=_SETTINGS[ours])
    if "test" in parts and (shared := split_syntax.overlap(parts["train"], parts["test"])):
        raise UserError(
            f"train and test of {printable(of)} share {shared.stop - shared.start:,} examples of "
            f"{printable(shared.split)}; give `train_split` and `test_split` that share none."
        )
    if "validation" in parts and any(
        split_syntax.overlap(parts["validation"], parts[ours])
        for ours in parts
        if ours != "validation"
    ):
        del parts["validation"]
    return parts


def _held_out(
    rows: dict[str, np.ndarray],
    name: str,
    fraction: float,
    every: np.ndarray,
    options: Options,
    class_names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Returns the rows with a part of the training split as another, each class with its share."""
    of = rows["train"]
    parts = folders.stratified(
        every[of], {name: fraction}, options.split_seed, class_names=class_names
    )
    return {**rows, **{split: of[indices] for split, indices in parts.items()}}
