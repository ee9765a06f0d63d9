"""Faults of data sets by name: prepared folders, parts of splits, and what is kept beside them."""

from .fault import plant

_CATALOG = "imgcls_jax/data/catalog"
FAULTS = (
    plant(
        f"{_CATALOG}/folders/split_syntax.py",
        ("data/catalog/folders/test_split_syntax.py",),
        percentages_are_cut_off=(
            "a percentage of examples is cut off, not rounded",
            "round(b * total / 100)",
            "int(b * total / 100)",
        ),
        parts_that_touch_overlap=(
            "parts that only touch are taken to share an example",
            "if a.split == b.split and start < stop:",
            "if a.split == b.split and start <= stop:",
        ),
    )
    + plant(
        f"{_CATALOG}/folders/splitting.py",
        ("data/catalog/test_named.py",),
        tested_on_what_was_trained_on=(
            "examples may be in the training and in the test part",
            "if test and (shared := split_syntax.overlap(train, test)):",
            "if test and (shared := split_syntax.overlap(test[:0], test)):",
        ),
        unlabelled_examples_are_tested_on=(
            "a test split without labels is tested on",
            'if labelled("test"):',
            'if "test" in own:',
        ),
        validation_stays_beside_its_use=(
            "a validation split that is trained or tested on is chosen by too",
            "any(split_syntax.overlap(validation, of) for of in (train, test or ()))",
            "any(split_syntax.overlap(validation, of) for of in ())",
        ),
    )
    + plant(
        f"{_CATALOG}/folders/small.py",
        ("data/catalog/test_named.py",),
        runs_begin_at_the_split=(
            "a part is cut from a run of examples as if that began the split",
            "slice(part.start - first, part.stop - first)",
            "slice(part.start, part.stop)",
        ),
    )
    + plant(
        f"{_CATALOG}/folders/kept.py",
        ("data/catalog/test_named.py",),
        stale_arrays_are_read=(
            "arrays kept of another state of the folder are taken",
            'if str(files.arrays(path, ["of"])["of"]) != _LAYOUT + of:',
            'if not str(files.arrays(path, ["of"])["of"]):',
        ),
    )
    + plant(
        f"{_CATALOG}/folders/folder_info.py",
        ("data/catalog/test_named.py", "data/catalog/folders/test_named_places.py"),
        files_may_change_unseen=(
            "a record file that was written anew is not seen",
            "of.append([path.name, status.st_size, status.st_mtime_ns])",
            "of.append([path.name, status.st_size])",
        ),
        any_label_will_do=(
            "the supervised keys decide nothing among several labels",
            "if keys and len(keys) == 2 and keys[position] in names:",
            "if not keys and names:",
        ),
    )
    + plant(
        f"{_CATALOG}/folders/places.py",
        ("data/catalog/folders/test_named_places.py",),
        versions_are_compared_as_text=(
            "version 1.9.0 is taken for newer than 1.10.0",
            'key=lambda version: tuple(map(int, version.split("."))))]',
            "key=str)]",
        ),
    )
    + plant(
        f"{_CATALOG}/folders/tfrecords.py",
        ("data/catalog/folders/test_tfrecords.py",),
        records_of_a_cut_file_are_read=(
            "a file that ends within a record is taken for whole",
            "if position > size:",
            "if position > 2 * size:",
        ),
        records_end_late=(
            "a record holds its checksum too",
            "int(starts[place + 1]) - _AROUND",
            "int(starts[place + 1]) - _HEADER",
        ),
    )
    + plant(
        "imgcls_jax/data/photos/sources.py",
        ("data/catalog/test_named.py",),
        drawn_rows_are_not_followed=(
            "a stream reads the first examples in place of those drawn",
            "index if self.rows is None else int(self.rows[index])",
            "index",
        ),
    )
)
