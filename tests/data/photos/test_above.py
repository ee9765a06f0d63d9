"""A folder given one or two levels too deep: it is said, and the right level is named."""

import pytest
from photo_helpers import write_photos

from imgcls_jax import data
from imgcls_jax.data.photos import above, folders
from imgcls_jax.errors import UserError


@pytest.fixture
def photos(tmp_path):
    """Photos of two classes in split folders, and of two more without."""
    for split in ("train", "test"):
        write_photos(tmp_path / "split" / split)
    write_photos(tmp_path / "plain")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "whole"),
    [("plain/red", "plain"), ("split/train/red", "split"), ("split/test/red", "split")],
)
def test_the_folder_of_a_class_is_refused_and_the_whole_is_named(photos, given, whole):
    with pytest.raises(UserError) as caught:
        folders.scan(photos / given)
    said = str(caught.value)
    assert f"whose classes are not known: if it is itself a class, give {photos / whole};" in said


def test_the_folder_of_a_split_is_taken_and_the_whole_is_named(photos, own_cache):
    loaded = data.load("folder", data_dir=photos / "split" / "train", image_size=8)
    told = [note for note in loaded.notes if "it is a split of" in note]
    assert told == [note for note in loaded.notes if note.startswith("No split folders")]
    assert told[0].endswith(f"; it is a split of {photos / 'split'}: give that to use the others")
    plain = data.load("folder", data_dir=photos / "plain", image_size=8)
    assert not any("it is a split of" in note for note in plain.notes)


def test_a_folder_that_stands_alone_is_no_class_of_another(photos):
    (photos / "alone" / "inner").mkdir(parents=True)
    (photos / "alone" / "notes").mkdir()
    assert above.of_class(photos / "alone" / "inner") is None
    assert above.of_split(photos / "split") is None
    with pytest.raises(UserError) as caught:
        folders.scan(write_photos(photos / "alone" / "one") / "red")
    (photos / "lonely" / "train").mkdir(parents=True)
    assert above.of_split(photos / "lonely" / "train") is None
    assert "if it is itself a class, give" in str(caught.value)
