"""The settings of the data: which data set, how photos become one, what is held out."""

import dataclasses
from typing import Any

from imgcls_jax.config.setting import check, setting
from imgcls_jax.data.catalog import PUBLISHED, naming
from imgcls_jax.data.catalog.folders import split_syntax
from imgcls_jax.data.photos.options import (
    CORRUPT,
    DUPLICATES,
    FEEDS,
    GROUPS,
    INTERPOLATIONS,
    RESIZES,
    PhotoOptions,
    SmallOptions,
    square,
)
from imgcls_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The choice of examples; the ranges of the settings of photos stand in `PhotoOptions`."""

    dataset: str = setting(
        "fashion_mnist",
        f"data set: {', '.join(PUBLISHED)}, folder (one's own photos), any of TFDS that has one "
        "image and one label, as NAME, NAME/CONFIG or NAME:VERSION, or of the Hugging Face Hub, as "
        "hf:OWNER/NAME, with /CONFIG or @REVISION behind it or not",
    )
    train_split: str | None = setting(
        None, "examples to train on, as TFDS writes a part of its splits, such as train[:80%]"
    )
    test_split: str | None = setting(
        None, "examples to evaluate on, written likewise, such as train[80%:]"
    )
    hold_out: float = setting(
        PhotoOptions.hold_out,
        "fraction of the training set kept for validation",
        holds=lambda x: 0 <= x < 1,
        wanted="at least 0 and below 1",
    )
    join_validation: bool = setting(
        PhotoOptions.join_validation,
        "train on the photos of the folder's validation split too",
        of="photos",
    )
    split_seed: int = setting(
        PhotoOptions.split_seed,
        "seed of that split, as scikit-learn's random_state",
        holds=lambda x: 0 <= x < 2**31,
        wanted="at least 0 and below 2147483648",
    )
    image_size: int | None = setting(
        None, "pixels per side of what a network sees of a photo, where sizes vary", of="photos"
    )
    resize: str = setting(
        PhotoOptions.resize, "how a photo is made square", choices=RESIZES, of="photos"
    )
    interpolation: str = setting(
        PhotoOptions.interpolation,
        "how a photo's pixels are resampled for that",
        choices=INTERPOLATIONS,
        of="photos",
    )
    crop_fraction: float = setting(
        PhotoOptions.crop_fraction,
        "share of the resized photo's sides, from the middle, that a network sees",
        holds=lambda x: 0.1 <= x <= 1,
        wanted="at least 0.1, at most 1",
        of="photos",
    )
    corrupt: str = setting(
        PhotoOptions.corrupt, "what to do about unreadable photos", choices=CORRUPT, of="photos"
    )
    duplicates: str = setting(
        PhotoOptions.duplicates,
        "what to do about photos that evaluation shares with training",
        choices=DUPLICATES,
        of="photos",
    )
    label_file: str | None = setting(
        None,
        "CSV or Parquet file of the photos' labels, in place of class folders: a column of paths "
        "or names, then one of labels with | or ; between them, or one of 0 and 1 per label; "
        "`split` may be another",
        of="photos",
    )
    inspected: str | None = setting(
        None,
        "folder that an inspection of the photos wrote, whose corrections are followed",
        of="photos",
    )
    group_by: str = setting(
        PhotoOptions.group_by,
        "what to keep on one side of every split: near copies, as `inspected` lists them",
        choices=GROUPS,
        of="photos",
    )
    test_fraction: float = setting(
        PhotoOptions.test_fraction,
        "share of the photos to evaluate on, where no folder is set aside for that",
        of="photos",
    )
    folds: int = setting(
        PhotoOptions.folds, "parts for cross-validation; 0: the test split", of="photos"
    )
    fold: int = setting(PhotoOptions.fold, "which of them is evaluated on", of="photos")
    feed: str = setting(PhotoOptions.feed, "where training images wait", choices=FEEDS, of="photos")
    random_crop: float | None = setting(
        None,
        "smallest share of a photo that a random crop keeps, for streamed training images",
        of="photos",
    )

    def __post_init__(self):
        check(self)
        naming.check(self.dataset)
        for name in ("train_split", "test_split"):
            if getattr(self, name) is not None:
                split_syntax.check(getattr(self, name), setting=name)
        if self.dataset == "digits" and self.image_size is not None:
            raise UserError("digits comes in one size; leave out `image_size`.")
        if self.of_photos:
            self._photo_options()
            return
        kept = {field.name for field in dataclasses.fields(SmallOptions)}
        for field in dataclasses.fields(self):
            of_photos = field.metadata["of"] and field.name not in kept
            if of_photos and getattr(self, field.name) != field.default:
                raise UserError(
                    f"`{field.name}` is for photos; give `image_size` too, or leave it out."
                )
        SmallOptions(**self.options())

    def _photo_options(self) -> PhotoOptions:
        return PhotoOptions(**self.options())

    @property
    def of_photos(self) -> bool:
        """True where images are resized to `image_size`, as those in folders always are."""
        return self.dataset == "folder" or self.image_size is not None

    @property
    def square(self) -> str:
        """How a photo becomes square, as `photos.decode.resize` has it."""
        return square(self.resize, self.interpolation, self.crop_fraction)

    def options(self) -> dict[str, Any]:
        """Returns the options that `data.load` takes for this data set, beside its places."""
        kind = PhotoOptions if self.of_photos else SmallOptions
        names = {field.name: field.default for field in dataclasses.fields(kind)}
        chosen = {name: v for name, v in dataclasses.asdict(self).items() if name in names}
        if self.of_photos:
            return chosen
        return {name: v for name, v in chosen.items() if v != names[name]}
