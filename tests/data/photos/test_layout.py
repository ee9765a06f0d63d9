"""Split folders as people call them, wrappers, junk, and layouts that are not understood."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from data.photos.test_folders import put, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax.data.photos import folders, kinds, split_names
from imgcls_jax.errors import UserError


def classes(*places: str) -> list[str]:
    """A cat and a dog in each of the folders."""
    return [f"{place}/{name}/{place[0]}.jpg" for place in places for name in ("cat", "dog")]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("Training Images", "Validation Images", "Test Images"),
        ("dataset_train", "dataset_val", "dataset_test"),
        ("train_images", "images-val", "testImages"),
        ("seg_train/seg_train", "seg_val", "seg_test/seg_test"),
        ("학습", "검증", "평가"),
        ("1. 훈련 데이터", "2. 검증 데이터", "3. 시험 데이터"),
        ("학습용데이터", "검증용_이미지", "테스트셋"),
        ("train2017", "eval", "holdout"),
        ("TrainSet", "dev-set", "hold-out set"),
        ("train/images/all", "valid/images", "test"),
    ],
)
def test_splits_are_known_by_many_names(tmp_path, train, validation, test):
    folder = folders.scan(put(tmp_path, *classes(train, validation, test)))
    assert folder.class_names == ("cat", "dog")
    places = {"train": train, "validation": validation, "test": test}
    assert folder.places == places
    for split, place in places.items():
        assert folder.splits[split].paths == tuple(classes(place))
        np.testing.assert_array_equal(folder.splits[split].labels, [0, 1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("evaluation", ("evaluation", ())),
        ("train_test_split", (None, ())),
        ("seg_pred", (None, ("seg", "pred"))),
        ("training", ("train", ())),
        ("trainer", (None, ("trainer",))),
        ("protest", (None, ("protest",))),
        ("crash test", ("test", ("crash",))),
        ("7", (None, ())),
    ],
)
def test_names_are_read_word_by_word(name, expected):
    assert split_names.read(name) == expected


@pytest.mark.parametrize(
    ("beside", "split"), [("train", "test"), ("train test", "validation"), ("train val", "test")]
)
def test_a_folder_for_evaluation_takes_the_free_place(tmp_path, beside, split):
    folder = folders.scan(put(tmp_path, *classes(*beside.split(), "eval")))
    assert folder.places[split] == "eval"


@pytest.mark.parametrize("top", ["archive", "archive/v2", "train_test_split/dataset"])
def test_lone_folders_are_looked_through(tmp_path, top):
    put(tmp_path, f"{top}/readme.txt", "@eaDir/cat/1.jpg")
    folder = folders.scan(put(tmp_path, *classes(f"{top}/train", f"{top}/test")))
    assert folder.places == {"train": f"{top}/train", "test": f"{top}/test"}
    assert folder.splits["test"].paths == tuple(classes(f"{top}/test"))
    assert folder.ignored["readme.txt, beside the split folders"] == 1
    assert folders.scan(put(tmp_path / "new", *classes(f"{top}/set"))).class_names == ("cat", "dog")


def test_a_lone_class_of_a_later_split_is_no_wrapper(tmp_path):
    put(tmp_path, *classes("train"), "test/dog/2019/1.jpg", "val/dog/1.jpg")
    folder = folders.scan(tmp_path)
    assert [folder.counts()[split].tolist() for split in ("test", "validation")] == [[0, 1]] * 2


def test_lone_links_back_are_not_followed_for_ever(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").symlink_to(tmp_path)
    assert "has no class folders" in refused(tmp_path)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("train station/1.jpg", "crash test/1.jpg", "car/1.jpg"), 3),
        (("train station/1.jpg", "test tube/1.jpg"), 2),
        (("train/1.jpg", "plane/1.jpg"), 2),
        (("n1/images/1.jpg", "n2/images/1.jpg"), 2),
        (("cat/a/1.jpg", "cat/b/1.jpg", "dog/a/1.jpg", "dog/c/1.jpg", "dog/d/1.jpg"), 2),
    ],
)
def test_classes_that_only_sound_like_splits_stay_classes(tmp_path, files, expected):
    folder = folders.scan(put(tmp_path, *files))
    assert len(folder.class_names) == expected
    assert list(folder.splits) == ["all"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            classes("first", "second"),
            "first, second in .* folders of the same names (cat, dog",
        ),
        (classes("train_old", "test_new"), "if the outer folders are splits, name them train"),
        (("cat/train/1.jpg", "cat/test/1.jpg", "dog/train/1.jpg", "dog/test/1.jpg"), "splits with"),
        (classes("cats_train", "cats_test", "dogs_train", "dogs_test"), "none named train"),
        (
            ("trainA/1.jpg", "trainB/1.jpg", "testA/1.jpg", "testB/1.jpg"),
            "(testA, trainA, testB, trainB)",
        ),
        (("train/1.jpg", "test/1.jpg", "sample/1.jpg"), "(test, train) but none named train"),
        (("train/images/1.jpg", "test/images/1.jpg"), "none named train that holds class folders"),
        (("train/1.jpg", "test/1.jpg", "labels.csv"), "and labels.csv is not read"),
        (
            classes("Training", "PublicTest", "PrivateTest"),
            "PrivateTest, PublicTest beside Training, with folders of the same names (cat, dog)",
        ),
        (classes("bus", "train"), "has bus beside train.* if they and train are classes"),
        (classes("train1", "train2", "test"), "two folders for the train split, train1 and train2"),
    ],
)
def test_what_looks_like_splits_and_is_not_understood_is_refused(tmp_path, files, message):
    sentence = refused(put(tmp_path, *files))
    for part in message.split(".*"):
        assert part in sentence


@pytest.mark.parametrize(
    "beside",
    [("test/1.jpg", "masks/1.png"), ("unlabelled/cat/1.jpg",), classes("test", "augmented")],
)
def test_other_folders_beside_train_are_passed_over(tmp_path, beside):
    folder = folders.scan(put(tmp_path, *classes("train"), *beside))
    assert folder.class_names == ("cat", "dog")
    assert sum(folder.ignored.values()) == (1 if len(folder.splits) == 2 else len(beside))


def test_unlabelled_photos_beside_the_splits_are_named(tmp_path):
    put(tmp_path, *classes("alphabet_train/alphabet_train"))
    put(tmp_path, "alphabet_test/alphabet_test/a.jpg", "alphabet_pred/b.jpg")
    folder = folders.scan(tmp_path)
    assert list(folder.splits) == ["train"]
    assert len(folder.ignored) == 2


@pytest.mark.parametrize(
    "junk", ["@eaDir", "$RECYCLE.BIN", "lost+found", "__MACOSX", ".ipynb_checkpoints", "#recycle"]
)
def test_junk_is_no_class_at_any_level(tmp_path, junk):
    put(tmp_path, *classes("train", "test"), f"{junk}/1.jpg", f"train/{junk}/1.jpg")
    folder = folders.scan(put(tmp_path, f"test/cat/{junk}/1.jpg", "test/cat/Thumbs.db"))
    assert folder.class_names == ("cat", "dog")
    assert sum(len(files) for files in folder.splits.values()) == 4
    assert sum(folder.ignored.values()) == 4


def test_spaces_at_the_ends_of_a_class_are_not_part_of_it(tmp_path):
    put(tmp_path, "train/cat /1.jpg", "train/dog/1.jpg", "test/cat/1.jpg", "test/ dog/1.jpg")
    folder = folders.scan(tmp_path)
    assert folder.class_names == ("cat", "dog")
    assert folder.splits["train"].paths == ("train/cat /1.jpg", "train/dog/1.jpg")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ("photos.zip",),
            "photos.zip is an archive: unpack it and give the folder that",
        ),
        (("labels.csv",), "labels.csv is a table: give it as `label_file`"),
        (("flat/1.jpg", "flat/2.jpg"), "but 2 photos, whose classes are not known: put those of"),
        (("flat/1.jpg", "flat/l.csv"), "classes are not known: give `label_file=l.csv`, or put"),
        (
            ("k/images/1.jpg", "k/l.csv"),
            "one class only, images, but at least two are needed, and l",
        ),
        (
            ("k/images/a/1.jpg", "k/images/b/1.jpg", "k/annotations/1.xml"),
            "annotations has no image: if the classes are the folders in",
        ),
        (("kaggle/archive.zip",), "but archive.zip: unpack that and give the folder it makes."),
    ],
)
def test_what_is_no_folder_of_classes_is_told_apart(tmp_path, files, message):
    put(tmp_path, *files)
    assert message in refused(tmp_path / files[0].split("/")[0])


def test_labels_moved_elsewhere_leave_a_wrapper(tmp_path):
    put(tmp_path, *classes("images"), "labels/1.txt")
    assert f"in {tmp_path}/images, move labels elsewhere." in refused(tmp_path)
    (tmp_path / "labels").rename(tmp_path / ".labels")
    assert folders.scan(tmp_path).class_names == ("cat", "dog")


def test_a_class_of_heic_photos_alone_names_what_reads_them(tmp_path, monkeypatch):
    put(tmp_path, "cat/1.HEIC", "cat/2.heif", "dog/1.jpg", "dog/2.heic")
    monkeypatch.setattr(kinds, "heic_is_read", lambda: False)
    assert "no image that can be read but 2 HEIC photos: pip install pillow-heif" in refused(
        tmp_path
    )
    monkeypatch.setattr(kinds, "heic_is_read", lambda: True)
    assert folders.scan(tmp_path).counts()["all"].tolist() == [2, 2]


NAMES = st.sampled_from(["train", "seg_test", "val", "cat", "dog ", "images", "@eaDir", "검증"])
PLACES = st.lists(NAMES, max_size=4).map(lambda names: "/".join([*names, "1.jpg"]))


@settings(deadline=None, max_examples=60)
@given(files=st.sets(PLACES, max_size=8))
def test_any_tree_is_read_by_its_folders_or_refused_in_a_sentence(files):
    with tempfile.TemporaryDirectory() as root:
        put(Path(root), *files)
        splits, refusal = {}, "."
        try:
            folder = folders.scan(root)
            splits = folder.splits
        except UserError as error:
            refusal = str(error)
        assert refusal.endswith(".")
        for split, found in splits.items():
            assert set(found.paths) <= files
            for path, label in zip(found.paths, found.labels.tolist(), strict=True):
                inner = Path(path).relative_to(folder.places[split])
                assert inner.parts[0].strip() == folder.class_names[label]
                assert "@eaDir" not in path
