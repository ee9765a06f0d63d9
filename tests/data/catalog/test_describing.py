"""What a data set is, told without TensorFlow, network or a single example."""

import importlib.util
import subprocess
import sys

import pytest

from imgcls_jax import data
from imgcls_jax.data import Description
from imgcls_jax.data.catalog import naming
from imgcls_jax.errors import UserError


def test_the_stock_builders_are_asked_without_tensorflow(tmp_path):
    code = (
        "import sys; from imgcls_jax import data;"
        f"found = data.describe('oxford_iiit_pet', data_dir={str(tmp_path / 'none')!r});"
        "print(found.name, found.version, len(found.class_names), found.image_shape, found.photos,"
        "found.counts, found.download_bytes, found.homepage, 'parkhi12a' in found.citation,"
        "'tensorflow' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[0] == (
        "oxford_iiit_pet 4.0.0 37 (None, None, 3) True {} 811092049 "
        "http://www.robots.ox.ac.uk/~vgg/data/pets/ True False"
    )
    assert not run.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "full", "classes", "shape"),
    [
        ("mnist", "mnist", 10, (28, 28, 1)),
        ("emnist/letters", "emnist/letters", 37, (28, 28, 1)),
        ("emnist", "emnist/byclass", 62, (28, 28, 1)),
        ("cifar100:3.0.2", "cifar100", 100, (32, 32, 3)),
        ("smallnorb", "smallnorb", 5, (96, 96, 1)),
        ("stl10", "stl10", 10, (96, 96, 3)),
    ],
)
def test_small_images_are_known_as_such(tmp_path, name, full, classes, shape):
    found = data.describe(name, data_dir=tmp_path)
    assert (found.name, len(found.class_names), found.image_shape) == (full, classes, shape)
    assert not found.photos
    assert found.remarks == ("What splits it has is known once it is prepared",)


@pytest.mark.parametrize("name", ["food101", "beans", "imagenet2012:5.0.0"])
def test_photos_are_known_as_such(tmp_path, name):
    assert data.describe(name, data_dir=tmp_path).photos


def test_sets_with_a_recipe_are_described_with_their_splits(tmp_path):
    found = data.describe("fashion_mnist:3.0.1", data_dir=tmp_path)
    assert found.counts == {"train": 60_000, "test": 10_000}
    assert found.class_names[9] == "Ankle boot"
    digits, loaded = data.describe("digits"), data.load("digits")
    assert digits.counts == {name: len(split) for name, split in loaded.splits.items()}
    assert (digits.class_names, digits.image_shape) == (loaded.class_names, loaded.image_shape)


def test_a_prepared_folder_tells_more(tiny_made):
    found = data.describe("tiny", data_dir=tiny_made)
    assert found == Description(
        name="tiny/plain",
        version="1.0.0",
        class_names=("ant", "bee", "cow"),
        counts={"train": 20, "validation": 4, "test": 6},
        image_shape=(8, 6, 3),
        licence="MIT",
        homepage="https://tiny.example/",
        citation="Tiny (2020)",
        remarks=(f"It is prepared in {tiny_made / 'tiny/plain/1.0.0'}",),
    )
    assert data.describe("folder", data_dir=tiny_made) == found


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("emnist/leters", r"emnist has no configuration 'leters': choose one of letters, "),
        ("mnist:1.0.0", r"mnist has no version 1\.0\.0 here: choose one of 3\.0\.1, or leave"),
        ("glue", r"one image and one label but .*label \(ClassLabel\)"),
        ("imagenet", r"TFDS knows no data set 'imagenet'; the nearest are imagenette, "),
        ("svhn", r"the nearest are svhn_cropped"),
        ("MNIST", r"no data set 'MNIST'; the nearest are mnist, .*: give NAME, NAME/CONFIG or NA"),
        ("CIFAR-100", r"no data set 'CIFAR-100'; the nearest are cifar100, "),
        ("Oxford Flowers 102", r"no data set '.*'; the nearest are oxford_flowers102"),
        ("folder", r"There is no prepared data set in "),
    ],
)
def test_what_is_not_there_is_one_sentence(tmp_path, name, sentence):
    with pytest.raises(UserError, match=sentence):
        data.describe(name, data_dir=tmp_path)


def test_loading_by_no_name_has_the_nearest_too():
    with pytest.raises(UserError, match=r"no data set 'Food-101'; the nearest are food101"):
        data.load("Food-101")


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is here")
def test_a_builder_that_needs_tensorflow_is_said_to(tmp_path):
    with pytest.raises(UserError, match=r"builder of coco needs tensorflow, which cannot be impor"):
        data.describe("coco", data_dir=tmp_path)


def test_a_configuration_that_is_not_prepared_is_one_sentence(tiny_made):
    with pytest.raises(UserError, match=r"tiny is prepared in .*, but not its configuration 'x':"):
        data.describe("tiny/x", data_dir=tiny_made)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("mnist", ("mnist", None, None)),
        ("imagenette/full-size-v2", ("imagenette", "full-size-v2", None)),
        ("cifar10_1/v4:1.1.0", ("cifar10_1", "v4", "1.1.0")),
        *((wrong, None) for wrong in ("", "Mnist", "mnist:", "mnist:3", "a/b/c", "../x", "a\nb")),
    ],
)
def test_names_have_parts(name, parts):
    assert naming.parse(name) == parts
