"""A data set as it is here: two splits of uint8 images, their labels, and where they came from."""

import dataclasses
import functools
import hashlib
import math

import numpy as np

from imgcls_jax.errors import UserError

_HASHED_BYTES = 2**24  # at once, so that an array that is not contiguous is copied in parts


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split, in the order of the published files.

    images: uint8 (N, H, W, C), values 0..255.
    labels: int32 (N,), class indices; or, where an example may have several labels or none,
      (N, K) of 0 and 1.
    paths: N names of the files, relative to the folder of the data; None where there are none.

    Raises UserError where a dtype or shape differs, the lengths differ or there is no example.
    """

    images: np.ndarray
    labels: np.ndarray
    paths: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise UserError(
                "Images must be uint8 of shape (N, H, W, C), not "
                f"{self.images.dtype} of shape {self.images.shape}: convert them first."
            )
        if self.labels.dtype != np.int32 or self.labels.ndim not in (1, 2):
            raise UserError(
                "Labels must be int32 of shape (N,) or, of several per example, (N, K), not "
                f"{self.labels.dtype} of shape {self.labels.shape}: convert them first."
            )
        if len(self.images) != len(self.labels):
            raise UserError(
                f"There are {len(self.images)} images but {len(self.labels)} labels: "
                "give one label an image."
            )
        if self.paths is not None and len(self.paths) != len(self.labels):
            raise UserError(
                f"There are {len(self.labels)} images but {len(self.paths)} paths: give one path "
                "an image."
            )
        if not len(self.images):
            raise UserError("A split has no examples: give it at least one image.")

    def __len__(self) -> int:
        return len(self.labels)

    @functools.cached_property
    def digest(self) -> bytes:
        """The digest of shape and pixels, or of the names and sizes of files that are streamed.

        It is computed once, a gigabyte per second where the processor knows SHA-256.
        """
        digest = hashlib.sha256(repr(self.images.shape).encode())
        if not isinstance(self.images, np.ndarray):
            digest.update(self.images.fingerprint().encode(errors="surrogateescape"))
            return digest.digest()
        rows = max(1, _HASHED_BYTES // max(1, self.images[0].size))
        for first in range(0, len(self), rows):
            digest.update(np.ascontiguousarray(self.images[first : first + rows]))
        return digest.digest()


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set.

    class_names: in the order of the label indices.
    source: one sentence, where the data came from.
    verified: the content has the published digests (False also where none are known to match;
      None where nothing is published, as for one's own photos).
    test: the split that is met once, at the end; None where there is none to be met, as while
      tuning.
    validation: a split to choose by, if the data set has one; else one is held out of `train`.
    notes: sentences about the data that a reader of a result should know.

    Raises UserError where the splits' image shapes differ or a label has no class name.
    """

    name: str
    train: Split
    test: Split | None
    class_names: tuple[str, ...]
    source: str
    verified: bool | None
    validation: Split | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        for split_name, split in self.splits.items():
            if split.images.shape[1:] != self.image_shape:
                raise UserError(
                    f"{self.name}: training images have shape {self.image_shape} but {split_name} "
                    f"images {split.images.shape[1:]}: make them the same."
                )
        for split_name, split in self.splits.items():
            lowest, highest = split.labels.min(), split.labels.max()
            if self.several_labels:
                shape = (len(split), self.num_classes)
                if split.labels.shape != shape or lowest < 0 or highest > 1:
                    raise UserError(
                        f"{self.name}: the {split_name} labels must be 0 and 1 of shape {shape}, "
                        "as those of training: one column for each class name."
                    )
            elif split.labels.ndim != 1 or lowest < 0 or highest >= self.num_classes:
                raise UserError(
                    f"{self.name}: the {split_name} labels run from {lowest} to {highest} but "
                    f"there are {self.num_classes} classes: use labels 0..{self.num_classes - 1}."
                )

    @property
    def splits(self) -> dict[str, Split]:
        """The splits that the data set has, by name."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in every.items() if split is not None}

    @property
    def several_labels(self) -> bool:
        """True where an example may have any number of labels, `Split.labels` being (N, K)."""
        return self.train.labels.ndim == 2

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of every image."""
        return self.train.images.shape[1:]


def class_counts(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts the examples of each class, int (K,), from labels (N,) or (N, K) of 0 and 1."""
    if labels.ndim == 2:
        return labels.sum(axis=0)
    return np.bincount(labels, minlength=num_classes)


def hold_out(split: Split, *, fraction: float, seed: int) -> tuple[Split, Split]:
    """Splits at random into (train, held out), `ceil(fraction * N)` examples held out.

    The same examples in the same order as scikit-learn's
    `train_test_split(images, labels, test_size=fraction, random_state=seed)`.

    Raises:
      UserError: fraction is not inside (0, 1), or one side would be empty.
    """
    if not 0 < fraction < 1:
        raise UserError(f"The held-out fraction must lie between 0 and 1, not {fraction}.")
    if math.ceil(fraction * len(split)) >= len(split):
        raise UserError(
            f"Holding out {fraction} of {len(split)} examples leaves none to train on: "
            "hold out less or use more data."
        )
    # Its ShuffleSplit in two lines: importing scikit-learn would add 0.9 s to every training run.
    # RandomState's streams are frozen (NEP 19), so the draw cannot drift.
    permutation = np.random.RandomState(seed).permutation(len(split))
    held_out, train = np.split(permutation, [math.ceil(fraction * len(split))])
    return (
        Split(split.images[train], split.labels[train]),
        Split(split.images[held_out], split.labels[held_out]),
    )


def k_fold(
    labels: np.ndarray,
    *,
    folds: int = 5,
    seed: int | None = None,
    groups: np.ndarray | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns stratified folds as index pairs (train, test), shuffled where there is a seed.

    The folds are those of scikit-learn's `StratifiedKFold`; without a seed, those of its
    `cross_validate(..., cv=folds)`; with groups, those of its `StratifiedGroupKFold`.

    Args:
      labels: (N,).
      groups: (N,) numbers; examples of one number are in one fold.

    Raises:
      UserError: folds is below 2 or above the number of examples of the rarest class, or there are
        fewer groups than folds.
    """
    rarest = int(np.unique(labels, return_counts=True)[1].min())
    if rarest < 2:
        raise UserError("Folds need at least two examples of every class, and one class has one.")
    if not 2 <= folds <= rarest:
        raise UserError(
            f"{folds} folds are not possible: choose between 2 and {rarest}, the number of "
            "examples of the rarest class."
        )
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if groups is not None and (several := len(np.unique(groups))) < folds:
        raise UserError(
            f"{folds} folds are not possible: the examples make {several} groups that must stay "
            "together; choose fewer folds."
        )
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_splits=folds, shuffle=seed is not None, random_state=seed)
    return list(splitter.split(np.zeros(len(labels)), labels, groups))


def identity(dataset: Dataset) -> str:
    """Tells data sets apart whose classes, splits, labels or images differ.

    Returns:
      `LABELS-IMAGES`, two digests of 16 hexadecimal digits; the first is what `labels_identity`
      returns.
    """
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation, dataset.test):
        digest.update(b"-" if split is None else split.digest)
    return f"{labels_identity(dataset)}-{digest.hexdigest()[:16]}"


def labels_identity(dataset: Dataset) -> str:
    """Tells data sets apart whose classes, splits or labels differ, whatever their images are.

    This is all that folders of versions up to 0.1 know of their data.
    """
    digest = hashlib.sha256("\0".join(dataset.class_names).encode(errors="surrogateescape"))
    for split in (dataset.train, dataset.validation, dataset.test):
        digest.update(b"-" if split is None else split.labels.tobytes())
    return digest.hexdigest()[:16]
