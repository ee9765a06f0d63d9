"""Raw files under the names and in the folders in which programs leave them."""

import pytest
from data_helpers import (
    CONTENTS,
    RECIPE,
    assert_holds,
    assert_holds_cifar,
    cifar_python,
    cifar_recipe,
    write_raw,
)

from imgcls_jax.data.catalog.load import load
from imgcls_jax.errors import UserError

DOTTED = {name.replace("-idx", ".idx"): content for name, content in CONTENTS.items()}


def in_own_folders(root, names):
    """As Kaggle's archive unpacks: each file in a folder of its name, and some beside it."""
    for name, content in names.items():
        write_raw(root / name, {name: content}, gzipped=False)
    return root


PLACES = {
    "official": lambda root: write_raw(root, CONTENTS, gzipped=False),
    "of 7-Zip": lambda root: write_raw(root, DOTTED, gzipped=False),
    "of 7-Zip, gzipped": lambda root: write_raw(root, DOTTED),
    "Kaggle's folders": lambda root: in_own_folders(root, CONTENTS),
    "Kaggle's folders with dots": lambda root: in_own_folders(root, DOTTED),
    "torchvision's root": lambda root: write_raw(root / "FashionMNIST/raw", CONTENTS) and root,
    "torchvision's own": lambda root: (
        write_raw(root / "FashionMNIST/raw", CONTENTS) and root / "FashionMNIST"
    ),
    "Keras' datasets": lambda root: write_raw(root / "fashion-mnist", CONTENTS) and root,
    "a clone": lambda root: write_raw(root / "data/fashion", CONTENTS) and root,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_fashion_mnist_wherever_programs_put_it(tmp_path, place):
    loaded = load(RECIPE, data_dir=tmp_path / "data", raw_dir=place(tmp_path / "raw"))
    assert_holds(loaded, CONTENTS)
    assert loaded.verified


@pytest.mark.parametrize(
    "folder",
    [
        "cifar-10-batches-py",
        "cifar-10-batches-py/cifar-10-batches-py",
        "cifar-10-batches-py-target/cifar-10-batches-py",
        "cifar-10-python/cifar-10-batches-py",
    ],
)
def test_cifar10_below_a_root(tmp_path, folder):
    write_raw(tmp_path / "raw" / folder, cifar_python(), gzipped=False)
    loaded = load(cifar_recipe(), data_dir=tmp_path / "data", raw_dir=tmp_path / "raw")
    assert_holds_cifar(loaded)
    assert loaded.verified


def test_what_is_refused_says_what_is_accepted(tmp_path):
    write_raw(tmp_path, dict(list(CONTENTS.items())[:3]), gzipped=False)
    with pytest.raises(UserError) as raised:
        load(RECIPE, raw_dir=tmp_path)
    assert (
        "lacks t10k-labels-idx1-ubyte (with or without .gz): give a folder that has all of them; "
        "accepted are the four IDX files or Kaggle's fashion-mnist_train.csv with "
        "fashion-mnist_test.csv."
    ) in str(raised.value)
    with pytest.raises(UserError, match=r"accepted are the six binary batches .* or the six pick"):
        load(cifar_recipe(), raw_dir=tmp_path)


@pytest.mark.parametrize("recipe", [RECIPE, cifar_recipe()], ids=["fashion_mnist", "cifar10"])
def test_a_zip_archive_has_to_be_unpacked(tmp_path, recipe):
    (tmp_path / "archive.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"archive.zip` is a zip archive: unpack it and .*; accep"):
        load(recipe, raw_dir=tmp_path / "archive.zip")


def test_a_folder_in_the_place_of_a_file(tmp_path):
    write_raw(tmp_path, dict(list(CONTENTS.items())[:3]), gzipped=False)
    (tmp_path / "t10k-labels-idx1-ubyte").mkdir()
    with pytest.raises(UserError, match="t10k-labels-idx1-ubyte cannot be read"):
        load(RECIPE, raw_dir=tmp_path)
