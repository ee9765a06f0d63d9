"""Faults of data from elsewhere: the Hub, Parquet files, tables of labels, raw files renamed."""

from .fault import plant

_HUB = "imgcls_jax/data/catalog/hf"
FAULTS = (
    plant(
        f"{_HUB}/files.py",
        ("data/catalog/test_hf_files.py",),
        hub_files_are_believed=(
            "a file of the Hub need not have the digest that the Hub told",
            "if not _is(file, path):",
            "if not path.exists():",
        ),
        checked_hub_files_may_change=(
            "a file that was checked once may hold anything later",
            "status.st_size, status.st_mtime_ns, file.sha256 or file.blob",
            "status.st_size, file.sha256 or file.blob",
        ),
    )
    + plant(
        f"{_HUB}/repository.py",
        ("data/catalog/test_hf_files.py",),
        a_branch_stays_where_it_was=(
            "a branch of the Hub is the commit that it was first",
            "settled = revision is None or _COMMIT.fullmatch(revision)",
            "settled = True",
        ),
    )
    + plant(
        f"{_HUB}/division.py",
        ("data/catalog/test_hf_load.py",),
        hub_splits_begin_at_nought=(
            "rows of every split are those of the first file",
            "np.arange(part.start, part.stop) + first[part.split]",
            "np.arange(part.start, part.stop)",
        ),
    )
    + plant(
        f"{_HUB}/columns.py",
        ("data/catalog/test_hf_columns.py",),
        hub_classes_are_sorted_as_text=(
            "whole numbers without names are classes in the order of their digits",
            "for value in of_split.tolist()})",
            "for value in of_split.tolist()}, key=str)",
        ),
    )
    + plant(
        "imgcls_jax/data/photos/parquet.py",
        ("data/photos/test_parquet.py",),
        parquet_orders_ignore_the_epoch=(
            "every epoch goes through the row groups in one order",
            "rng = np.random.default_rng((seed, epoch))",
            "rng = np.random.default_rng((seed, 0))",
        ),
        parquet_pictures_are_not_mixed=(
            "an epoch goes through one row group after the other",
            "window = max(1, _KEPT_BYTES // 2 // groups.largest)",
            "window = 1",
        ),
    )
    + plant(
        "imgcls_jax/data/photos/labelled.py",
        ("data/photos/test_labelled.py",),
        an_id_may_be_of_two_photos=(
            "an id that two photos have is that of either",
            "if len(photos) == 1}",
            "if photos}",
        ),
    )
    + plant(
        "imgcls_jax/data/raw/pixel_table.py",
        ("data/raw/test_pixel_table.py",),
        csv_pixels_are_one_to_the_right=(
            "the label is the first pixel",
            "for number, name in enumerate(expected[1:]):",
            "for number, name in enumerate(expected[:-1]):",
        ),
    )
)
