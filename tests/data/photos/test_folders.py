"""Image folders: what is found where, what is passed over, and how it is split."""

import os
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.class_weight import compute_class_weight

from imgcls_jax.data.dataset import k_fold
from imgcls_jax.data.photos import folders, kinds
from imgcls_jax.errors import UserError
from imgcls_jax.losses import balanced_weights


def put(root: Path, *paths: str) -> Path:
    """Empty files: a scan opens none."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def refused(root) -> str:
    with pytest.raises(UserError) as error:
        folders.scan(root)
    message = str(error.value)
    message.encode()
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_classes_without_splits(tmp_path):
    folder = folders.scan(put(tmp_path, "dog/b.JPG", "dog/a.png", "cat/c.webp", "Ape/d.jpeg"))
    assert folder.class_names == ("Ape", "cat", "dog")
    assert list(folder.splits) == ["all"]
    assert folder.splits["all"].paths == ("Ape/d.jpeg", "cat/c.webp", "dog/a.png", "dog/b.JPG")
    np.testing.assert_array_equal(folder.splits["all"].labels, [0, 1, 2, 2])
    assert folder.splits["all"].labels.dtype == np.int32
    assert folder.ignored == {}
    np.testing.assert_array_equal(folder.counts()["all"], [1, 1, 2])


def test_labels_are_right_where_a_name_begins_another(tmp_path):
    """A blank, a hyphen and a dot come before the slash, letters after it."""
    names = ("cat", "cat big", "cat-big", "cat.big", "cat_big", "catbig")
    folder = folders.scan(put(tmp_path, *(f"{name}/{i}.jpg" for name in names for i in range(2))))
    assert folder.class_names == tuple(sorted(names))
    files = folder.splits["all"]
    of = [folder.class_names[label] for label in files.labels]
    assert of == [path.rpartition("/")[0] for path in files.paths]
    assert Counter(of) == dict.fromkeys(names, 2)
    part = files.take(np.array([11, 0, 4]))
    assert [folder.class_names[label] for label in part.labels] == [
        path.rpartition("/")[0] for path in part.paths
    ]


def test_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    put(tmp_path, "photos/cat/1.jpg", "photos/dog/1.jpg")
    assert folders.scan("~/photos").path == tmp_path / "photos"


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "valid", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "val", "TEST"),
        ("training_set", "dev", "test_set"),
        ("train-data", "valset", "test images"),
    ],
)
def test_split_folders_in_usual_spellings(tmp_path, train, validation, test):
    put(tmp_path, f"{train}/cat/1.jpg", f"{train}/dog/2.jpg", f"{validation}/dog/3.jpg")
    folder = folders.scan(put(tmp_path, f"{test}/cat/4.jpg", f"{test}/dog/5.jpg"))
    assert folder.class_names == ("cat", "dog")
    assert list(folder.splits) == ["train", "validation", "test"]
    assert folder.splits["train"].paths == (f"{train}/cat/1.jpg", f"{train}/dog/2.jpg")
    # By the train split's classes, though the split has no cat.
    np.testing.assert_array_equal(folder.splits["validation"].labels, [1])
    np.testing.assert_array_equal(folder.counts()["test"], [1, 1])


def test_a_class_may_be_called_train(tmp_path):
    folder = folders.scan(put(tmp_path, "train/1.jpg", "plane/1.jpg"))
    assert folder.class_names == ("plane", "train")
    assert list(folder.splits) == ["all"]


def test_folders_within_a_class_belong_to_it(tmp_path):
    folder = folders.scan(put(tmp_path, "cat/old/deep/1.jpg", "cat/2.jpg", "dog/3.jpg"))
    assert folder.splits["all"].paths == ("cat/2.jpg", "cat/old/deep/1.jpg", "dog/3.jpg")


def test_other_files_are_passed_over_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "heic_is_read", lambda: False)
    put(tmp_path, "cat/1.jpg", "dog/1.jpg", ".git/1.jpg", "__MACOSX/cat/._1.jpg", "labels.csv")
    put(tmp_path, "cat/.hidden.jpg", "cat/._1.jpg", "cat/Thumbs.db", "cat/notes.TXT", "dog/LICENSE")
    put(tmp_path, "cat/phone.heic", "cat/b.txt", "stray.jpg")
    (tmp_path / "dog/nowhere.jpg").symlink_to("missing.jpg")
    os.mkfifo(tmp_path / "dog/pipe.jpg")  # opening it would wait for ever
    folder = folders.scan(tmp_path)
    assert folder.splits["all"].paths == ("cat/1.jpg", "dog/1.jpg")
    assert folder.ignored == {
        "HEIC (pip install pillow-heif to read them)": 1,
        "hidden": 3,
        "image outside the class folders": 1,
        "link that leads nowhere": 1,
        "neither file nor folder": 1,
        "not an image (.csv)": 1,
        "not an image (.txt)": 2,
        "not an image (no suffix)": 1,
        "of the system (Thumbs.db)": 1,
        "of the system (__MACOSX)": 1,
    }


def test_what_lies_beside_the_splits_is_named(tmp_path):
    put(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/unlabelled.jpg", "model.h5")
    folder = folders.scan(tmp_path)
    assert list(folder.splits) == ["train"]
    assert set(folder.ignored) == {f"{n}, beside the split folders" for n in ("test", "model.h5")}


def test_links_are_followed_but_not_in_circles(tmp_path):
    root = put(tmp_path / "data", "cat/1.jpg", "dog/in/1.jpg")
    put(tmp_path, "elsewhere/2.jpg", "3.jpg")
    (root / "emu").symlink_to(tmp_path / "elsewhere")
    (root / "cat/3.jpg").symlink_to(tmp_path / "3.jpg")
    for link, target in {
        "all": root, "above": tmp_path, "dog/itself": root / "dog", "dog/in/root": root,
        "cat/self": root / "cat/self",
    }.items():  # fmt: skip
        (root / link).symlink_to(target)
    folder = folders.scan(root)
    assert folder.class_names == ("cat", "dog", "emu")
    assert folder.splits["all"].paths == ("cat/1.jpg", "cat/3.jpg", "dog/in/1.jpg", "emu/2.jpg")
    assert folder.ignored == {
        "link that leads back to where it lies": 4,
        "link that leads nowhere": 1,
    }


def test_one_spelling_of_accents(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    put(tmp_path, f"train/{composed}/1.jpg", "train/tea/1.jpg", f"val/{decomposed}/2.jpg")
    folder = folders.scan(tmp_path)
    assert folder.class_names == (composed, "tea")
    assert folder.splits["validation"].paths == (f"val/{decomposed}/2.jpg",)


def test_names_of_any_bytes(tmp_path):
    folder = folders.scan(put(tmp_path, "a\nb/1.jpg", "c\udcff/2\udcfe.jpg"))
    assert folder.class_names == (r"a\nb", r"c\udcff")
    assert all((folder.path / path).exists() for path in folder.splits["all"].paths)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "has no class folders"),
        (("1.jpg", "2.jpg"), "has no class folders"),
        (("cat/1.jpg",), "has one class only, cat"),
        (("archive/train/cat/1.jpg",), "has one class only, cat"),
        (("train/cat/1.jpg", "test/cat/1.jpg"), "has one class only, cat"),
        (("cat/1.jpg", "dog/readme.txt"), "dog has no image"),
        (("train/cat/1.jpg", "train/dog/1.jpg", "test/dog/x.txt"), "test/dog has no image"),
        (("train/cat/1.jpg", "train/dog/1.jpg", "val/Cat/1.jpg"), "train has not, Cat"),
        (("val/cat/1.jpg", "test/dog/1.jpg"), "none named train"),
        (("train/1.jpg", "test/1.jpg"), "none named train that holds class folders"),
        (("train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"), "two folders for the validation split"),
    ],
)
def test_bad_folders_are_refused(tmp_path, files, message):
    assert message in refused(put(tmp_path, *files))


def test_other_classes_are_named_but_not_all(tmp_path):
    put(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", *(f"test/{n}/1.jpg" for n in range(9)))
    message = refused(tmp_path)
    assert "The test split" in message
    assert "0, 1, 2 and 6 more" in message


def test_missing_and_unreadable_folders(tmp_path, monkeypatch):
    assert "none cannot be read (No such file or directory)" in refused(tmp_path / "none")
    put(tmp_path, "cat/1.jpg", "dog/1.jpg")
    assert "1.jpg is a file: give a folder that holds one folder" in refused(tmp_path / "cat/1.jpg")
    scandir = os.scandir

    def denied(path):
        if os.path.basename(path) == "dog":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert "dog cannot be read (Permission denied)" in refused(tmp_path)


FRACTIONS = st.sampled_from(
    [{"test": 0.2, "validation": 0.1}, {"test": 0.5}, {"validation": 0.01}, {"a": 0.45, "b": 0.45}]
)


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(3, 40), min_size=2, max_size=8),
    fractions=FRACTIONS,
    seed=st.integers(0, 9),
)
def test_stratified(sizes, fractions, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = folders.stratified(labels, fractions, seed)
    assert list(parts) == ["train", *fractions]
    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), range(len(labels)))
    for split, chosen in parts.items():
        assert (np.diff(chosen) > 0).all()
        counts = Counter(labels[chosen].tolist())
        for label, size in enumerate(sizes):
            assert counts[label] >= 1
            if split in fractions and size * fractions[split] >= 1 and size > 10:
                assert abs(counts[label] - size * fractions[split]) < 1.01
    again = folders.stratified(labels, fractions, seed)
    for split, chosen in parts.items():
        np.testing.assert_array_equal(again[split], chosen)


def test_stratified_has_the_shares_as_a_whole():
    labels = np.repeat(np.arange(100), 25)  # a tenth of 25 is no whole number
    parts = folders.stratified(labels, {"test": 0.2, "validation": 0.1}, seed=3)
    assert {split: len(chosen) for split, chosen in parts.items()} == {
        "train": 1750,
        "test": 500,
        "validation": 250,
    }


def test_stratified_depends_on_the_seed():
    labels = np.repeat([0, 1], 50)
    first, second = (folders.stratified(labels, {"test": 0.2}, seed)["test"] for seed in (0, 1))
    assert len(first) == len(second) == 20
    assert set(first) != set(second)


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_too_small_to_split_is_named(count):
    labels = np.array([0] * 9 + [1] * count)
    with pytest.raises(UserError, match=f"Class dog has {count} image.* the 3 splits train, test"):
        folders.stratified(labels, {"test": 0.2, "validation": 0.1}, 0, class_names=("cat", "dog"))


@pytest.mark.parametrize("fractions", [{"test": 0}, {"test": -0.1}, {"a": 0.5, "b": 0.5}])
def test_impossible_fractions(fractions):
    with pytest.raises(UserError, match="sum to less than 1"):
        folders.stratified(np.repeat([0, 1], 9), fractions, 0)


def test_divide(tmp_path):
    put(tmp_path, *(f"{name}/{i}.jpg" for name in ("cat", "dog") for i in range(10)))
    whole = folders.scan(tmp_path)
    labels = whole.splits["all"].labels
    folder = whole.divide("all", folders.stratified(labels, {"test": 0.3}, 0))
    assert {split: len(files) for split, files in folder.splits.items()} == {"train": 14, "test": 6}
    paths = [path for files in folder.splits.values() for path in files.paths]
    assert sorted(paths) == sorted(whole.splits["all"].paths)
    for files in folder.splits.values():
        assert [folder.class_names[i] for i in files.labels] == [p[:3] for p in files.paths]


def test_shuffled_folds_are_those_of_scikit_learn():
    labels = np.array([0] * 12 + [1] * 7)
    expected = StratifiedKFold(3, shuffle=True, random_state=5).split(labels, labels)
    for (train, test), (their_train, their_test) in zip(
        k_fold(labels, folds=3, seed=5), expected, strict=True
    ):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)


def test_balanced_weights():
    labels = np.array([0] * 12 + [1] * 3 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    weights = balanced_weights(labels, 3)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights[labels].mean(), 1, rtol=1e-6)
