"""Photos with a table of labels as a data set: rows and photos, splits, streams, bad input."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from photo_helpers import COLOURS, write_label_file, write_labelled

from imgcls_jax import data
from imgcls_jax.errors import UserError
from imgcls_jax.train.streams import evaluation_batches


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """(folder, what is in each photo, name of the table)."""
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "photos"
    return root, write_labelled(root), tmp_path / "labels.csv"


def load(root, table, **options):
    options = {"image_size": 8, "label_file": str(table)} | options
    return data.load("folder", data_dir=root, **options)


def assert_seen(split):
    """Every image has the colours of its labels, blue, green and red."""
    bright = split.images.reshape(len(split), -1, 3).mean(axis=1) > 128
    np.testing.assert_array_equal(bright[:, ::-1], split.labels == 1)


def test_several_labels_per_photo_and_a_random_test_set(photos):
    root, inside, table = photos
    dataset = load(root, write_label_file(table, inside), hold_out=0.25)
    assert dataset.several_labels
    assert dataset.class_names == tuple(COLOURS)
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 28, "validation": 10, "test": 10}
    for split in dataset.splits.values():
        assert split.labels.shape == (len(split), 3)
        assert_seen(split)
    assert "No row is of a test split: 20 % of the training photos" in dataset.notes[0]
    again = load(root, table, hold_out=0.25)
    np.testing.assert_array_equal(again.test.labels, dataset.test.labels)


@pytest.mark.parametrize("feed", ["resident", "streamed"])
def test_splits_of_the_table_and_paths_from_its_own_folder(photos, feed):
    root, inside, table = photos
    moved = {f"photos/{path}": of for path, of in inside.items()}
    spelled = ("Train", "training", "eval", "test set")
    write_label_file(table, moved, split=lambda number: spelled[number // 8 % 4])
    dataset = load(root, table, feed=feed)
    expected = {"train": 32, "validation": 8, "test": 8}
    assert {name: len(split) for name, split in dataset.splits.items()} == expected
    batches = [batch for batch, _ in evaluation_batches(dataset.test, 8, "reading")]
    np.testing.assert_array_equal(batches[0]["label"], dataset.test.labels)
    bright = np.asarray(batches[0]["image"]).reshape(8, -1, 3).mean(axis=1) > 128
    np.testing.assert_array_equal(bright[:, ::-1], dataset.test.labels == 1)


def test_one_label_each_is_the_ordinary_case_unless_several_are_wished_for(photos):
    root, inside, table = photos
    single = {path: (of or ("dark",))[:1] for path, of in inside.items()}
    write_label_file(table, single)
    dataset = load(root, table)
    assert not dataset.several_labels
    assert dataset.class_names == ("blue", "dark", "green", "red")
    assert np.bincount(dataset.train.labels).min() >= 4  # stratified: 6 dark photos
    wished = load(root, table, several_labels=True)
    assert wished.train.labels.sum(axis=1).tolist() == [1] * len(wished.train)


def _without(inside, *paths):
    return {path: of for path, of in inside.items() if path not in paths}


def _rows(labels):
    return "".join(f"{path},{'|'.join(of)}\n" for path, of in labels.items())


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            lambda of: _rows({"no.png": ("red",), "n.png": ()} | of),
            r"2 rows of .*labels.csv name no photo in .*photos, the first is no.png in line 2;",
        ),
        (
            lambda of: _rows(_without(of, "03.png", "40.png")),
            "2 photos have no row in .*labels.csv, the first is 03.png;",
        ),
        (
            lambda of: _rows(of) + "./07.png,red\n08.png,\n",
            r"has 2 rows of photos that have one already, the first of ./07.png in lines 9 and 50;",
        ),
    ],
)
def test_rows_and_photos_that_do_not_go_together(photos, rows, sentence):
    root, inside, table = photos
    table.write_text("path,labels\n" + rows(inside))
    with pytest.raises(UserError, match=sentence):
        load(root, table)


@pytest.mark.parametrize("several", [False, True])
def test_a_label_that_no_training_photo_has(photos, several):
    root, inside, table = photos
    labels = dict.fromkeys(inside, ("red",)) | {"01.png": ("blue",), "00.png": ("green",)}
    write_label_file(table, labels, split=lambda number: "train" if number else "test")
    with pytest.raises(UserError, match=r"no training photo has the label green of .*labels.csv"):
        load(root, table, several_labels=several)


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        (lambda number: "later" if number == 5 else "train", "line 7 of .* has the split later;"),
        (lambda number: "" if number == 5 else "train", "line 7 of .* has the split nothing;"),
        (lambda number: "test", "no row of .*labels.csv is of the train split"),
    ],
)
def test_splits_that_are_not_understood(photos, split, sentence):
    root, inside, table = photos
    write_label_file(table, inside, split=split)
    with pytest.raises(UserError, match=sentence):
        load(root, table)


def test_one_label_is_expected_and_others_are_there(photos):
    root, inside, table = photos
    write_label_file(table, inside)
    sentence = "24 rows of .* have several labels where one is expected, the first is 03.png"
    with pytest.raises(UserError, match=sentence):
        load(root, table, several_labels=False)
    write_label_file(table, {path: of[:1] for path, of in inside.items()})
    with pytest.raises(UserError, match=r"6 rows of .* have no label, the first is 00.png"):
        load(root, table, several_labels=False)


def test_what_several_labels_leave_without_a_meaning(photos, tmp_path):
    root, inside, table = photos
    write_label_file(table, inside)
    with pytest.raises(UserError, match="`folds` give every class its share"):
        load(root, table, folds=3)
    with pytest.raises(UserError, match="`inspected` is for photos in class folders"):
        load(root, table, inspected="looked")
    with pytest.raises(UserError, match="there is no folder nowhere"):
        load("nowhere", table)


def test_names_with_accents_are_found_in_either_spelling(photos):
    root, inside, table = photos
    (root / "00.png").rename(root / "e\u0301.png")
    named = {path.replace("00", "\u00e9"): of for path, of in inside.items()}
    dataset = load(root, write_label_file(table, named))
    assert sum(map(len, dataset.splits.values())) == len(inside)


def test_photos_by_their_ids_as_kaggle_has_them(photos):
    """The names without their endings, in the root or in any folder below it."""
    root, inside, table = photos
    for number, path in enumerate(sorted(inside)):
        if number % 2:
            (root / "part_2").mkdir(exist_ok=True)
            (root / path).rename(root / "part_2" / path)
    rows = "".join(f"{path[:-4]},{(of or ('dark',))[0]},40\n" for path, of in inside.items())
    table.write_text("image_id,breed,age\n" + rows)
    dataset = load(root, table)
    assert sum(map(len, dataset.splits.values())) == len(inside)
    assert dataset.class_names == ("blue", "dark", "green", "red")
    split = dataset.train
    for path, label in zip(split.paths, split.labels.tolist(), strict=True):
        assert dataset.class_names[label] == (inside[path[-6:]] or ("dark",))[0]
    assert any("1 column of labels.csv (age)" in note for note in dataset.notes)
    (root / "part_2" / "00.png").write_bytes((root / "00.png").read_bytes())
    (root / "00.png").rename(root / "part_1.png")
    (root / "part_1").mkdir()
    (root / "part_1.png").rename(root / "part_1" / "00.png")
    with pytest.raises(UserError, match=r"1 row of .* name no photo in .*, the first is 00 in"):
        load(root, table)


def test_a_parquet_table_is_used_as_a_csv_file_is(photos):
    root, inside, table = photos
    columns = {"file": list(inside), "labels": [list(of) for of in inside.values()]}
    path = table.with_suffix(".parquet")
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    write_label_file(table, inside)
    one, other = load(root, path), load(root, table)
    np.testing.assert_array_equal(one.train.images, other.train.images)
    np.testing.assert_array_equal(one.train.labels, other.train.labels)
    (root / "labels.parquet").write_bytes(path.read_bytes())
    for place in (root, path):
        with pytest.raises(UserError, match="label_file"):
            data.load("folder", data_dir=place, image_size=8)
