"""Which examples of a TFDS data set are trained on, chosen by and tested on."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from imgcls_jax.data.catalog.folders import split_syntax
from imgcls_jax.data.catalog.folders.split_syntax import Part
from imgcls_jax.data.photos.options import PhotoOptions, SmallOptions
from imgcls_jax.errors import UserError

Parts = tuple[Part, ...]


class Chosen(NamedTuple):
    """The parts of the published splits that are ours.

    test: None where a share of the training part is to be the test set.
    validation: None where there is none.
    notes: sentences that a reader of a result should know.
    """

    train: Parts
    test: Parts | None
    validation: Parts | None
    notes: tuple[str, ...]

    @property
    def parts(self) -> dict[str, Parts]:
        """The parts of each of our splits that is not drawn."""
        ours = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: parts for name, parts in ours.items() if parts is not None}


def choose(
    shards: Mapping[str, Sequence[int]],
    options: PhotoOptions | SmallOptions,
    *,
    title: str,
    labelled: Callable[[str], bool],
    drawn: str = "",
) -> Chosen:
    """Chooses the parts by the options, else by the names of the splits.

    Tested is on the split test, where it has labels, else on the validation split, else on a share
    of the training part.

    Args:
      shards: the lengths of each split's files.
      title: the data set's name, as a sentence begins with it.
      labelled: whether the examples of a split have labels.
      drawn: which examples a share of the training part is, for the note; by default those that
        `split_seed` draws.

    Raises:
      UserError: a part that is not there, parts that share examples, no training split, or options
        that do not go together.
    """
    wanted = options.train_split, options.test_split
    if wanted[0] is None and "train" not in shards:
        listed = ", ".join(f"{name} ({sum(of):,})" for name, of in shards.items())
        name = next(iter(shards))
        raise UserError(
            f"{title} has no split called train but {listed}: give `train_split` and "
            f"`test_split`, such as {name}[:80%] and {name}[80%:]."
        )
    train = split_syntax.parts(wanted[0] or "train", shards, setting="train_split")
    own = {n: (Part(n, 0, sum(shards[n])),) for n in ("validation", "test") if n in shards}
    drawn = drawn or f"drawn by `split_seed={options.split_seed}`"
    test, notes = _test(shards, options, own, labelled, drawn)
    if test and (shared := split_syntax.overlap(train, test)):
        raise UserError(
            f"`train_split={wanted[0] or 'train'}` and `test_split={wanted[1] or test[0].split}` "
            f"share {shared.stop - shared.start:,} examples of {shared.split}: give parts that "
            "share none."
        )
    validation = own.get("validation")
    if validation and any(split_syntax.overlap(validation, of) for of in (train, test or ())):
        validation = None
    _require_use(options, title, test=test, validation=validation)
    if options.join_validation:
        train, validation = train + validation, None
    return Chosen(train, test, validation, notes)


def _test(
    shards: Mapping[str, Sequence[int]],
    options: PhotoOptions | SmallOptions,
    own: Mapping[str, Parts],
    labelled: Callable[[str], bool],
    drawn: str,
) -> tuple[Parts | None, tuple[str, ...]]:
    """Returns the part to test on, if it is not to be drawn, and what is to be said of it."""
    if options.test_split is not None:
        return split_syntax.parts(options.test_split, shards, setting="test_split"), ()
    why = "No test split"
    if "test" in own:
        if labelled("test"):
            return own["test"], ()
        why = "The test split has no labels"
    if "validation" in own:
        instead = f"with `hold_out={options.hold_out or 0.1:g}` a part of train is there for that"
        return own["validation"], (
            f"{why}: the validation split is the test set, so choose no setting by it; {instead}",
        )
    return None, (
        f"{why}: {100 * options.test_fraction:g} % of the training examples, {drawn}, are the "
        "test set",
    )


def _require_use(
    options: PhotoOptions | SmallOptions,
    title: str,
    *,
    test: Parts | None,
    validation: Parts | None,
) -> None:
    """Raises UserError for options that would do nothing."""
    if test and options.test_fraction != SmallOptions.test_fraction:
        raise UserError(
            f"{title} has a test set of its own ({test[0].split}); leave out `test_fraction`."
        )
    if options.hold_out and validation:
        raise UserError(f"{title} has a validation split; leave out `hold_out`.")
    if options.join_validation and not validation:
        raise UserError(
            f"{title} has no validation split beside its test set; leave out `join_validation`."
        )


def ranges(chosen: Chosen) -> dict[str, tuple[int, int]]:
    """Returns the first example used of each published split, and the one after the last."""
    found: dict[str, tuple[int, int]] = {}
    for part in itertools.chain(*chosen.parts.values()):
        start, stop = found.get(part.split, (part.start, part.stop))
        found[part.split] = min(start, part.start), max(stop, part.stop)
    return found


def require_labels(labels: np.ndarray, classes: Sequence[str], *, of: str) -> None:
    """Raises UserError for examples without a label, which TFDS marks by -1, or beyond the last."""
    wrong = np.count_nonzero((labels < 0) | (labels >= len(classes)))
    if wrong:
        raise UserError(
            f"{wrong:,} of the {len(labels):,} examples of {of} have no label: choose others with "
            "`train_split` and `test_split`."
        )


def untrained(train: np.ndarray, test: np.ndarray, classes: Sequence[str]) -> tuple[str, ...]:
    """Says how many classes are tested on that no training example has."""
    missing = np.setdiff1d(test, train)
    if not len(missing):
        return ()
    return (
        f"{len(missing):,} of the {len(classes):,} classes, such as {classes[missing[0]]}, are "
        "tested on without a training example",
    )
