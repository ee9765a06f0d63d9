"""Small stand-ins for Fashion-MNIST, which the tests of the data share."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

from imgcls_jax import data
from imgcls_jax.data import fashion_mnist

COUNTS = {"train": 50, "test": 20}


def images_bytes(images: np.ndarray) -> bytes:
    """An IDX file of uint8 (N, H, W), written from the format's description."""
    return struct.pack(">IIII", 2051, *images.shape) + images.tobytes()


def labels_bytes(labels: np.ndarray) -> bytes:
    return struct.pack(">II", 2049, len(labels)) + labels.astype(np.uint8).tobytes()


def raw_contents(seed: int = 0, counts=COUNTS) -> dict[str, bytes]:
    """The four raw files, uncompressed, by official name."""
    rng, contents = np.random.default_rng(seed), {}
    for split, (images, labels) in fashion_mnist.FILES.items():
        contents[images] = images_bytes(rng.integers(0, 256, (counts[split], 28, 28), np.uint8))
        contents[labels] = labels_bytes(rng.integers(0, 10, counts[split]))
    return contents


def write_raw(folder: Path, contents: dict[str, bytes], *, gzipped: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)
    return folder


def small_recipe(contents: dict[str, bytes], counts=COUNTS, **changes):
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    return fashion_mnist.recipe(counts=counts, **{"md5": md5, "raw_dirs": (), **changes})


def assert_holds(dataset: data.Dataset, contents: dict[str, bytes]) -> None:
    for split, (images, labels) in fashion_mnist.FILES.items():
        got = getattr(dataset, split)
        pixels = np.frombuffer(contents[images], np.uint8, offset=16)
        np.testing.assert_array_equal(got.images, pixels.reshape(-1, 28, 28, 1))
        np.testing.assert_array_equal(
            got.labels, np.frombuffer(contents[labels], np.uint8, offset=8)
        )


CONTENTS = raw_contents()
RECIPE = small_recipe(CONTENTS)


def version_folder(data_dir: Path) -> Path:
    return data_dir / "fashion_mnist" / "3.0.1"


def decoded_copy(data_dir: Path) -> Path:
    return data_dir / "fashion_mnist" / "decoded-3.0.1.npz"
