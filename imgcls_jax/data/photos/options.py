"""The choices about photos in folders, under the names of the settings that make them."""

import dataclasses

from imgcls_jax.errors import UserError

RESIZES = ("crop", "stretch", "pad")
INTERPOLATIONS = ("bilinear", "bicubic")
CORRUPT = ("refuse", "skip")
DUPLICATES = ("report", "drop")
FEEDS = ("resident", "streamed")
GROUPS = ("none", "copies")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotoOptions:
    """How photos become a data set.

    Attributes:
      image_size: side in pixels of the squares that photos become; it has to be given.
      train_split, test_split: parts of a TFDS data set's splits, as TFDS writes them, or None.
      resize: how a photo becomes square, see `decode.resize`.
      interpolation: how its pixels are resampled for that, "bilinear" or "bicubic".
      crop_fraction: share of the resized photo's sides, from the middle, that is kept; 1 for all.
      corrupt: "refuse" or "skip" photos that cannot be read.
      label_file: table that has the photos' labels, see `label_table`; None for class folders.
      several_labels: whether a photo of that table may have any number of labels; None: as it has.
      duplicates: "report" copies across splits and classes, or "drop" them from evaluation.
      inspected: folder that an inspection wrote, whose corrections are followed; None for none.
      group_by: "copies" keeps the near copies that the inspection found on one side of every split.
      test_fraction: share of the photos to evaluate on, where no folder is set aside for that.
      hold_out: share of the training photos held out for validation; 0 for none.
      join_validation: whether to train on the folder's validation split too.
      split_seed: seed of these stratified splits.
      folds: number of parts for cross-validation; 0 for none.
      fold: which of the parts is evaluated on.
      feed: "resident" decodes all photos once, "streamed" leaves the pixels in their files.
      random_crop: smallest share of its area that a random crop keeps of a streamed training photo.
      workers: processes that decode streamed photos; 0 for threads of this one.
      verify: whether all decoded photos in the cache are compared with their checksums; some are
        at each start.

    Raises:
      UserError: a value that cannot be used.
    """

    image_size: int | None = None
    train_split: str | None = None
    test_split: str | None = None
    resize: str = "crop"
    interpolation: str = "bilinear"
    crop_fraction: float = 1.0
    corrupt: str = "refuse"
    duplicates: str = "report"
    label_file: str | None = None
    several_labels: bool | None = None
    inspected: str | None = None
    group_by: str = "none"
    test_fraction: float = 0.2
    hold_out: float = 0.0
    join_validation: bool = False
    split_seed: int = 42
    folds: int = 0
    fold: int = 0
    feed: str = "resident"
    random_crop: float | None = None
    workers: int = 0
    verify: bool = False

    def __post_init__(self):
        if self.image_size is None:
            raise UserError("photos need `image_size`, such as 224.")
        for name, known in (
            ("resize", RESIZES),
            ("interpolation", INTERPOLATIONS),
            ("corrupt", CORRUPT),
            ("duplicates", DUPLICATES),
            ("feed", FEEDS),
            ("group_by", GROUPS),
        ):
            if (value := getattr(self, name)) not in known:
                raise UserError(f"unknown `{name}={value}`; choose one of: {', '.join(known)}.")
        crop = self.random_crop
        for name, holds, wanted in (
            ("image_size", self.image_size >= 8, "at least 8"),
            ("crop_fraction", 0.1 <= self.crop_fraction <= 1, "at least 0.1, at most 1"),
            ("test_fraction", 0 < self.test_fraction < 1, "above 0 and below 1"),
            ("hold_out", 0 <= self.hold_out < 1, "at least 0 and below 1"),
            ("folds", self.folds == 0 or self.folds >= 2, "0 or at least 2"),
            ("fold", 0 <= self.fold < max(1, self.folds), "from 0 to `folds` - 1"),
            ("random_crop", crop is None or 0 < crop <= 1, "above 0, at most 1"),
            ("workers", self.workers >= 0, "at least 0"),
        ):
            if not holds:
                raise UserError(
                    f"`{name}={getattr(self, name)}` cannot be used; it must be {wanted}."
                )
        if self.several_labels and not self.label_file:
            raise UserError(
                "`head=multi_label` is for photos with a table of labels; add `label_file`, the "
                "table."
            )
        if self.label_file and self.inspected:
            raise UserError(
                "`inspected` is for photos in class folders, and `label_file` for a table of "
                "labels; leave one out."
            )
        if self.join_validation and (self.hold_out or self.folds):
            other = "hold_out" if self.hold_out else "folds"
            raise UserError(
                f"`join_validation` is for folders with a validation split, and `{other}` for "
                "those without; leave one out."
            )
        if self.group_by != "none" and not self.inspected:
            raise UserError(
                f"`group_by={self.group_by}` needs `inspected`, the folder of an inspection that "
                "has looked for copies."
            )
        if self.resize == "pad" and self.crop_fraction != 1:
            raise UserError(
                "`crop_fraction` is for `resize=crop` and `resize=stretch`; with `resize=pad` the "
                "whole photo is kept, so leave it out."
            )
        if crop is not None and self.feed != "streamed":
            raise UserError(
                "`random_crop` is for `feed=streamed`; give both, or `augment=resized_crop`."
            )

    @property
    def square(self) -> str:
        """How a photo becomes square, as `decode.resize` has it."""
        return square(self.resize, self.interpolation, self.crop_fraction)

    @property
    def streamed(self) -> bool:
        """True where the pixels stay in their files."""
        return self.feed == "streamed"

    @property
    def crop_scale(self) -> tuple[float, float] | None:
        """The range of a random crop's share of the area; None for no random crops."""
        return self.random_crop and (self.random_crop, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmallOptions:
    """How a data set of small images of one size is split; see `PhotoOptions` of the same names.

    Raises UserError for a value that cannot be used.
    """

    train_split: str | None = None
    test_split: str | None = None
    test_fraction: float = PhotoOptions.test_fraction
    hold_out: float = PhotoOptions.hold_out
    join_validation: bool = PhotoOptions.join_validation
    split_seed: int = PhotoOptions.split_seed

    def __post_init__(self):
        if not 0 < self.test_fraction < 1:
            raise UserError(
                f"`test_fraction={self.test_fraction}` cannot be used; it must be above 0 and "
                "below 1."
            )
        if self.join_validation and self.hold_out:
            raise UserError(
                "`join_validation` is for data sets with a validation split, and `hold_out` for "
                "those without; leave one out."
            )


def square(resize: str, interpolation: str, crop_fraction: float) -> str:
    """Returns the `how` of `decode.resize`: "crop", or "crop-bicubic-0.875" with other choices."""
    if (interpolation, crop_fraction) == ("bilinear", 1):
        return resize
    return f"{resize}-{interpolation}-{crop_fraction:.6g}"


def refuse_options_of_folders(options: PhotoOptions) -> None:
    """Raises UserError for options of photos in class folders, where they are records of files."""
    for name in ("inspected", "label_file"):
        if getattr(options, name):
            raise UserError(f"`{name}` is for folders of photos, not for records; leave it out.")
    if options.folds or options.duplicates == "drop" or options.corrupt == "skip":
        raise UserError("`folds`, `duplicates` and `corrupt` are for photos in class folders.")
