"""What is prepared equals what TensorFlow prepared of the same archives, example by example.

golden/prepared.json holds TensorFlow's digests; golden/make_prepared.py made them.
"""

import itertools
import json
from pathlib import Path

import pytest
from golden import jpeg_files

from experiments.benchmarks.builders import archives, digests
from imgcls_jax.data.catalog import preparing
from imgcls_jax.data.catalog.preparing import encoding

TESTS = Path(__file__).parents[2]
_GOLDEN = json.loads((TESTS / "golden" / "prepared.json").read_text())
GOLDEN = _GOLDEN["prepared"]
# TensorFlow encodes these arrays as PNG files itself: the same pixels in other bytes.
PNG_BY_TENSORFLOW = {
    *("mnist", "fashion_mnist", "kmnist", "emnist/balanced"),
    *("cifar10", "cifar100", "svhn_cropped", "stl10"),
    *("cifar10_1/v6", "cifar10_corrupted/brightness_2", "mnist_corrupted/identity"),
    *("cmaterdb/bangla", "binary_alpha_digits", "patch_camelyon"),
    *("uc_merced", "colorectal_histology", "smallnorb", "pneumonia_mnist", "imagenet_resized/8x8"),
    *("so2sat/rgb", "quickdraw_bitmap", "caltech_birds2010"),
}
# Which photos are for training depends on the order in which the file system lists them.
BY_LISTING = ("caltech101",)
QUICK = ("mnist", "cifar100", "cats_vs_dogs", "imagenet2012")


def prepare(name: str, tmp_path: Path) -> dict:
    import tensorflow_datasets as tfds

    archive = archives.make(name)
    builder = tfds.builder(name, data_dir=tmp_path / "data")
    with archive.at_hand(builder, tmp_path / "files") as files:
        folder = preparing.prepare(builder, download_dir=files, manual_dir=files, offline=True)
    assert folder == Path(builder.data_path)
    return {"archive": archive.digest(), **digests.of_folder(folder)}


def assert_as_tensorflow(name: str, tmp_path: Path) -> None:
    made, golden = prepare(name, tmp_path), GOLDEN[name]
    drawn = "the same" if made["archive"] == golden["archive"] else "drawn in other bytes"
    assert made["description"] == golden["description"]
    if name in PNG_BY_TENSORFLOW:
        for which in (made, golden):
            which["examples"] = {
                split: [example.split()[0] for example in examples]
                for split, examples in which["examples"].items()
            }
    if name in BY_LISTING:
        for which in (made, golden):
            which["examples"] = sorted(itertools.chain(*which["examples"].values()))
    assert made["examples"] == golden["examples"], f"the archive is {drawn}"


@pytest.mark.parametrize("name", QUICK)
def test_is_what_tensorflow_prepares(name, tmp_path):
    assert_as_tensorflow(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(GOLDEN) - set(QUICK)))
def test_is_what_tensorflow_prepares_too(name, tmp_path):
    assert_as_tensorflow(name, tmp_path)


def test_every_archive_has_its_golden_digests():
    assert set(GOLDEN) == set(archives.ARCHIVES)


def test_jpeg_files_are_decoded_to_the_last_bit():
    decoded = {
        name: jpeg_files.digest(encoding.decode_image(content).numpy())
        for name, content in jpeg_files.files().items()
    }
    assert decoded == _GOLDEN["decoded"]
