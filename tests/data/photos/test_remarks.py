"""What is said of a folder's splits and classes beside the run."""

import pytest
from data.photos.test_folders import put

from imgcls_jax.data.photos import audit, folders, load
from imgcls_jax.data.photos.options import PhotoOptions
from imgcls_jax.data.photos.remarks import remarks


def said(root, **options) -> str:
    found, options = folders.scan(root), PhotoOptions(image_size=8, **options)
    return "\n".join(remarks(found, load._divided(found, options), options))


def many(*places: str, each: int = 10) -> list[str]:
    return [f"{place}/{k:02}.jpg" for place in places for k in range(each)]


@pytest.mark.parametrize(
    ("places", "options", "sentence"),
    [
        (["cat", "dog"], {}, "No split folders: 20 % of the photos, drawn by `split_seed=42`, are"),
        (["cat", "dog"], {"folds": 5, "fold": 2}, "No split folders: part 2 of 5 is the test set"),
        (["train/cat", "train/dog"], {"test_fraction": 0.3}, "No test folder: 30 % of the train f"),
        (
            ["train/cat", "train/dog", "valid/cat", "valid/dog"],
            {},
            "No test folder: the valid folder is the test set, so choose no setting by it; with "
            "`hold_out=0.1` a part of train is there to choose by",
        ),
        (["a/cat", "a/dog"], {}, "The class folders are in a\n"),
        (["x_train/cat", "x_train/dog", "x_test/cat", "x_test/dog"], {}, "x_train is train, x_tes"),
    ],
)
def test_the_test_set_is_named(tmp_path, places, options, sentence):
    assert sentence in said(put(tmp_path, *many(*places)), **options)


def test_nothing_is_said_of_plain_splits(tmp_path):
    splits = ("Training Images", "valid", "test")
    places = [f"{split}/{name}" for split in splits for name in ("cat", "dog")]
    assert said(put(tmp_path, *many(*places))) == ""


def test_a_test_on_one_photo_is_said_and_class_weights_are_advised(tmp_path):
    put(tmp_path, *many("cat", each=300), *many("dog", each=5))
    text = said(tmp_path)
    assert "Few test photos: dog 1; their recall" in text
    assert "add some, or test on all in turn with `folds=5`" in text
    assert "60.0 times the images of the smallest, dog; `class_weights` lets all" in audit.report(
        folders.scan(tmp_path)
    )
    put(tmp_path, *many("dog", each=60))
    assert "Few test photos" not in said(tmp_path)
    assert "`class_weights`" not in audit.report(folders.scan(tmp_path))


def test_folds_are_not_advised_to_split_folders(tmp_path):
    put(tmp_path, *many("train/cat", "train/dog", "test/cat"), "test/dog/1.jpg")
    assert "hangs on single photos: add some" in said(tmp_path)
    assert "`folds" not in said(tmp_path)


def test_class_folders_that_are_one_or_nearly_one_are_named(tmp_path):
    put(tmp_path, *many("cat", "cat ", "Dog", "dog", "ape/2019", "ape/2020"))
    text = said(tmp_path)
    assert "One class: the folders 'cat', 'cat '" in text
    assert "Two classes by capital letters alone: Dog, dog" in text
    assert "Folders within class folders belong to the class: ape/2019, ape/2020" in text
