"""What a data set is here: two splits of uint8 images, their labels, and where they came from."""

import dataclasses

import numpy as np

from imgcls_jax.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split, in the order of the published files.

    images: uint8 (N, H, W, C), values 0..255.
    labels: int32 (N,), class indices.

    Raises UserError where a dtype or shape differs, the lengths differ or there is no example.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise UserError(
                "Images must be uint8 of shape (N, H, W, C), not "
                f"{self.images.dtype} of shape {self.images.shape}: convert them first."
            )
        if self.labels.dtype != np.int32 or self.labels.ndim != 1:
            raise UserError(
                "Labels must be int32 of shape (N,), not "
                f"{self.labels.dtype} of shape {self.labels.shape}: convert them first."
            )
        if len(self.images) != len(self.labels):
            raise UserError(
                f"There are {len(self.images)} images but {len(self.labels)} labels: "
                "give one label an image."
            )
        if not len(self.images):
            raise UserError("A split has no examples: give it at least one image.")

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set.

    class_names: in the order of the label indices.
    source: one sentence, where the data came from.
    verified: the content has the published digests (False also where none are known to match;
      None where nothing is published, as for one's own photos).
    validation: a split to choose by, if the data set has one; else one is held out of `train`.
    notes: sentences about the data that whoever looks at a result should know.

    Raises UserError where the splits' image shapes differ or a label has no class name.
    """

    name: str
    train: Split
    test: Split
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
            if lowest < 0 or highest >= self.num_classes:
                raise UserError(
                    f"{self.name}: the {split_name} labels run from {lowest} to {highest} but "
                    f"there are {self.num_classes} classes: use labels 0..{self.num_classes - 1}."
                )

    @property
    def splits(self) -> dict[str, Split]:
        """Those that there are, by name."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in every.items() if split is not None}

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)"""
        return self.train.images.shape[1:]
