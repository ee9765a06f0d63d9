"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, https://arxiv.org/abs/1708.07747)."""

import functools
from collections.abc import Mapping
from pathlib import Path

from imgcls_jax.data.catalog.recipe import DebianPackage, HubCopy, Recipe, Splits
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.raw.idx import content_md5, read_idx_images, read_idx_labels
from imgcls_jax.data.raw.layouts import Layout
from imgcls_jax.data.raw.pixel_table import read_pixels

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
COUNTS = {"train": 60_000, "test": 10_000}
FILES = {  # split: images, labels
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
MD5 = {  # of the uncompressed content: gzip's output depends on who compressed
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
CSV = {"train": "fashion-mnist_train.csv", "test": "fashion-mnist_test.csv"}  # Kaggle's
CSV_REMARK = (
    "Kaggle's CSV files divide the images into train and test otherwise than the published files "
    "(of 16 rows of each, 4 of train are published test images, and 13 of test training images), "
    "and in another order: accuracies are not comparable"
)
ELSEWHERE = ("FashionMNIST/raw", "raw", "fashion-mnist", "data/fashion")  # torchvision, Keras, git
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
HUB = HubCopy(
    repository="zalando-datasets/fashion_mnist",
    revision="531be5e2ccc9dba0c201ad3ae567a4f3d16ecdd2",
    files={split: f"fashion_mnist/{split}-00000-of-00001.parquet" for split in COUNTS},
    image="image",
    label="label",
    shape=(28, 28, 1),
)
DEBIAN = DebianPackage(name="dataset-fashion-mnist", folder="usr/share/datasets/fashion-mnist")
RAW_DIRS = (Path("/", DEBIAN.folder),)


def recipe(
    *,
    counts: Mapping[str, int] = COUNTS,
    md5: Mapping[str, str] = MD5,
    url: str = URL,
    raw_dirs: tuple[Path, ...] = RAW_DIRS,
    hub: HubCopy | None = HUB,
    debian: DebianPackage | None = DEBIAN,
) -> Recipe:
    """Builds the recipe of Fashion-MNIST; the arguments make small stand-ins of the same layout."""
    names = tuple(name for pair in FILES.values() for name in pair)
    return Recipe(
        name="fashion_mnist",
        version="3.0.1",
        description=(
            "Fashion-MNIST: 70,000 grey 28x28 images of Zalando's articles in ten classes, "
            "60,000 to train on and 10,000 to test on."
        ),
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        citation=(
            "@article{xiao2017fashion, title={Fashion-MNIST: a Novel Image Dataset for "
            "Benchmarking Machine Learning Algorithms}, author={Xiao, Han and Rasul, Kashif and "
            "Vollgraf, Roland}, journal={arXiv:1708.07747}, year={2017}}"
        ),
        class_names=CLASS_NAMES,
        counts=counts,
        layouts=(
            Layout(files=names, called="the four IDX files", elsewhere=ELSEWHERE),
            Layout(
                files=tuple(CSV.values()),
                called=f"Kaggle's {' with '.join(CSV.values())}",
                remark=CSV_REMARK,
            ),
        ),
        downloads={name: f"{url}{name}.gz" for name in names},
        raw_dirs=raw_dirs,
        hub=hub,
        debian=debian,
        ways_out=(
            "(a) run 'apt-get install dataset-fashion-mnist' or give a folder with the four IDX "
            "files as `raw_dir`, (b) give a TFDS folder prepared elsewhere as `data_dir` or "
            "TFDS_DATA_DIR"
        ),
        read_raw=functools.partial(_read_raw, counts=counts),
        differing=functools.partial(_differing, md5=md5),
        stock_key=lambda split, index: str(index),
    )


def _read_raw(paths: Mapping[str, Path], *, counts: Mapping[str, int]) -> Splits:
    if paths.keys() == set(CSV.values()):
        return {
            split: Split(*read_pixels(paths[name], num_classes=10, count=counts[split]))
            for split, name in CSV.items()
        }
    return {
        split: Split(
            read_idx_images(paths[images], shape=(28, 28), count=counts[split]),
            read_idx_labels(paths[labels], num_classes=10, count=counts[split]),
        )
        for split, (images, labels) in FILES.items()
    }


def _differing(splits: Splits, *, md5: Mapping[str, str]) -> tuple[str, ...]:
    contents = {
        name: array
        for split, names in FILES.items()
        for name, array in zip(names, (splits[split].images, splits[split].labels), strict=True)
    }
    return tuple(name for name, array in contents.items() if content_md5(array) != md5[name])
