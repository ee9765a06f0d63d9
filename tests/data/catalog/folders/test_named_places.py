"""Where a data set is found, what is wrong with a folder, and what is prepared first."""

import json
import shutil
import sys
import types

import numpy as np
import pytest
import tensorflow_datasets as tfds
from prepared_helpers import as_tfrecords, assert_same, one_split, told

from experiments.benchmarks.builders import archives
from imgcls_jax import data
from imgcls_jax.errors import UserError

pytestmark = pytest.mark.usefixtures("own_cache")

# Where it is found


def test_the_newest_version_is_taken_or_the_one_asked_for(tmp_path):
    one_split(tmp_path, 12, version="1.9.0")
    one_split(tmp_path, 15, version="1.10.0")
    sizes = {"tiny": 15, "tiny:1.10.0": 15, "tiny:1.9.0": 12}
    for name, size in sizes.items():
        assert data.describe(name, data_dir=tmp_path).counts == {"train": size}
    with pytest.raises(
        UserError, match=r"Version 2\.0\.0 of tiny is not prepared: there is 1.10.0, 1"
    ):
        data.load("tiny:2.0.0", data_dir=tmp_path)


def test_the_default_configuration_is_taken_or_one_has_to_be_named(tmp_path):
    one_split(tmp_path, 12, config="first")
    one_split(tmp_path, 15, config="second")
    default = tmp_path / "tiny/.config/metadata.json"
    default.write_text('{"default_config_name": "second"}')
    assert data.describe("tiny", data_dir=tmp_path).name == "tiny/second"
    assert data.describe("tiny/first", data_dir=tmp_path).counts == {"train": 12}
    default.unlink()
    with pytest.raises(
        UserError, match=r"Several configurations.*choose one of tiny/first, tiny/sec"
    ):
        data.describe("tiny", data_dir=tmp_path)


def test_another_data_set_is_not_taken_for_it(tiny_made):
    with pytest.raises(UserError, match="holds tiny and not mnist: give the folder above it"):
        data.load("mnist", data_dir=tiny_made / "tiny/plain/1.0.0")
    assert data.describe("mnist", data_dir=tiny_made / "tiny").name == "mnist"


def test_a_folder_is_read_without_the_name_as_before(tiny_root, tmp_path):
    for level in (tiny_root / "tiny", tiny_root / "tiny/plain/1.0.0"):
        assert len(data.load("folder", data_dir=level, image_size=8).train) == 20
    one_split(tiny_root, name="train", config="other")
    with pytest.raises(
        UserError, match=r"holds several prepared data sets \(other/1\.0\.0, plain/1"
    ):
        data.load("folder", data_dir=tiny_root / "tiny", image_size=8)


# What is wrong with a folder


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda of: (of / "dataset_info.json").unlink(),
            r"is half prepared \(it has no dataset_in",
        ),
        (
            lambda of: (of / "dataset_info.json").write_text("{"),
            r"is half prepared \(its dataset_info.json is damaged\): delete",
        ),
        (lambda of: (of / "features.json").unlink(), "is no TFDS data set that can be read"),
        (lambda of: (of / "features.json").write_text("{"), "is no TFDS data set that can be read"),
        (
            lambda of: next(of.glob("*train*0-of*")).unlink(),
            "is half prepared .it has no tiny-trai",
        ),
        (
            lambda of: next(of.glob("*train*0-of*")).write_bytes(b"x"),
            "The split train of .* cannot b",
        ),
        (lambda of: told(of, fileFormat="riegeli"), "holds records in the format riegeli: prepare"),
        (lambda of: told(of, splits=[]), "is half prepared .it has no examples"),
    ],
)
def test_a_folder_that_is_not_whole_is_one_sentence(tiny_root, damage, sentence):
    damage(tiny_root / "tiny/plain/1.0.0")
    with pytest.raises(UserError, match=sentence) as raised:
        data.load("tiny/plain", data_dir=tiny_root)
    assert "\n" not in str(raised.value)


def test_cut_tfrecords_are_one_sentence(tiny_root):
    folder = as_tfrecords(tiny_root / "tiny/plain/1.0.0")
    file = next(folder.glob("*train*0-of*"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    with pytest.raises(UserError, match=r"train of .* cannot be read \(.* ends within record"):
        data.load("tiny", data_dir=tiny_root)
    file.write_bytes(whole + next(folder.glob("*train*1-of*")).read_bytes())
    with pytest.raises(UserError, match=r"30 records where 20 belong|records where 20 belong"):
        data.load("tiny", data_dir=tiny_root, image_size=8)
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(UserError, match=r"cannot be read \(.* is damaged: the length of record 0 "):
        data.load("tiny", data_dir=tiny_root)


def test_images_of_another_shape_are_one_sentence(tiny_root):
    file = tiny_root / "tiny/plain/1.0.0/features.json"
    file.write_text(file.read_text().replace('"6"', '"7"'))
    with pytest.raises(
        UserError, match=r"Record 0 of the split train of .* is no image of 8x7 pixels"
    ):
        data.load("tiny", data_dir=tiny_root)


def test_sets_without_one_image_and_one_label_say_what_they_have(tmp_path):
    second = tfds.features.ClassLabel(num_classes=2), lambda: 0
    one_split(tmp_path, 6, more={"kind": second}, keys=None)
    with pytest.raises(
        UserError, match=r"one label but .*kind \(ClassLabel\).*: choose a data set"
    ):
        data.load("tiny", data_dir=tmp_path)
    with pytest.raises(
        UserError, match=r"The data set celeb_a has not .* attributes \(FeaturesDict\)"
    ):
        data.load("celeb_a", data_dir=tmp_path)


def test_features_as_old_versions_of_tfds_wrote_them_are_read(tiny_root):
    kind = "tensorflow_datasets.core.features"
    image = {"shape": [8, 6, 3], "dtype": "uint8", "encoding_format": "png"}
    content = {
        "image": {"type": f"{kind}.image_feature.Image", "content": image},
        "label": {"type": f"{kind}.class_label_feature.ClassLabel", "content": {"num_classes": 3}},
    }
    old = {"type": f"{kind}.features_dict.FeaturesDict", "content": content}
    folder = tiny_root / "tiny/plain/1.0.0"
    (folder / "features.json").write_text(json.dumps(old))
    told(folder, supervisedKeys={"input": "image", "output": "label"})
    assert_same(data.load("tiny", data_dir=tiny_root).test, slice(24, 30))


# What is not there


def test_what_is_not_prepared_is_prepared_by_the_stock_builder(tmp_path, monkeypatch):
    asked = {}

    def stand_in(builder, **options):
        asked.update(options, name=builder.name, version=str(builder.version))
        folder = one_split(tmp_path, 12, name="train")
        target = tmp_path / "kmnist" / "3.0.1"
        shutil.copytree(folder, target)
        for file in target.glob("tiny-*"):
            file.rename(file.with_name(file.name.replace("tiny", "kmnist")))
        return told(target, name="kmnist", version="3.0.1")

    module = types.SimpleNamespace(prepare=stand_in)
    for name in ("preparing", "preparing.preparation"):
        monkeypatch.setitem(sys.modules, f"imgcls_jax.data.catalog.{name}", module)
    found = data.load("kmnist", data_dir=tmp_path, raw_dir="/by/hand", offline=True)
    assert asked == {
        "name": "kmnist", "version": "3.0.1", "manual_dir": "/by/hand", "offline": True
    }  # fmt: skip
    assert sum(map(len, found.splits.values())) == 12
    with pytest.raises(UserError, match=r"kmnist is prepared in .*; leave out `raw_dir`"):
        data.load("kmnist", data_dir=tmp_path, raw_dir="/by/hand")
    asked.clear()
    with pytest.raises(UserError, match="oxford_iiit_pet has photos of varying sizes"):
        data.load("oxford_iiit_pet", data_dir=tmp_path)
    assert not asked  # before hundreds of megabytes are fetched


def test_a_name_is_all_it_takes_where_the_files_are_at_hand(tmp_path):
    """From drawn archives among the downloads, with nothing prepared."""
    archive = archives.make("cifar100")
    builder = tfds.builder("cifar100", data_dir=tmp_path)
    with archive.at_hand(builder, tmp_path / "downloads"):
        first = data.load("cifar100", data_dir=tmp_path, offline=True)
    again = data.load("cifar100:3.0.2", data_dir=tmp_path, offline=True)
    assert first.image_shape == (32, 32, 3)
    for name, split in first.splits.items():
        examples = tfds.data_source("cifar100", split=name, data_dir=tmp_path)
        np.testing.assert_array_equal(split.images, [of["image"] for of in examples])
        np.testing.assert_array_equal(split.labels, [of["label"] for of in examples])
        np.testing.assert_array_equal(split.images, again.splits[name].images)
    assert first.class_names[:2] == ("fine_0", "fine_1")  # as the archive calls them


def test_what_is_nowhere_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="mnist") as raised:
        data.load("mnist", data_dir=tmp_path, offline=True)
    assert "\n" not in str(raised.value)
    assert "offline" in str(raised.value)


def test_a_set_with_a_recipe_becomes_photos_from_its_prepared_folder(prepared_dir):
    found = data.load("fashion_mnist", data_dir=prepared_dir, image_size=8, feed="streamed")
    assert (found.name, found.image_shape) == ("fashion_mnist", (8, 8, 3))
    assert {name: len(split) for name, split in found.splits.items()} == {"train": 50, "test": 20}
    with pytest.raises(UserError, match="`raw_dir` is for images in their own size; leave out"):
        data.load("fashion_mnist", data_dir=prepared_dir, raw_dir="raw", image_size=8)


def test_a_recipe_is_meant_with_its_version_too(fashion_version):
    assert fashion_version("fashion_mnist:3.0.1") == fashion_version("fashion_mnist")


@pytest.fixture
def fashion_version(monkeypatch):
    monkeypatch.setattr(data, "load_published", lambda recipe, **_: recipe.version)
    return data.load
