"""Small stand-ins for Fashion-MNIST and CIFAR-10, which the tests of the data share."""

import gzip
import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np

from imgcls_jax import data
from imgcls_jax.data.catalog import cifar10, fashion_mnist


class Calls:
    """Pickled as a call of `function` on `arguments`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


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
    nowhere = {"raw_dirs": (), "hub": None, "debian": None}
    return fashion_mnist.recipe(counts=counts, **{"md5": md5, **nowhere, **changes})


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


# CIFAR-10: each batch as (labels (N,), pixels (N, 3072)), written from the formats' descriptions

CIFAR_N = 6
CIFAR_BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
CIFAR_CLASSES = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
]


def cifar_batches(seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.integers(0, 10, CIFAR_N, np.uint8),
            rng.integers(0, 256, (CIFAR_N, 3072), np.uint8),
        )
        for name in CIFAR_BATCHES
    }


CIFAR = cifar_batches()


def cifar_binary(batches=CIFAR) -> dict[str, bytes]:
    """The files of the binary layout; the published names file ends in an empty line."""
    files = {
        f"{name}.bin": b"".join(
            bytes([label]) + image.tobytes() for label, image in zip(labels, pixels, strict=True)
        )
        for name, (labels, pixels) in batches.items()
    }
    return files | {"batches.meta.txt": "\n".join([*CIFAR_CLASSES, "", ""]).encode()}


def cifar_python(batches=CIFAR, dump=None) -> dict[str, bytes]:
    """The files of the pickled layout; `dump` pickles a dict, by default as Python 2 did."""
    dump = dump or python2_pickle
    files = {}
    for number, (name, (labels, pixels)) in enumerate(batches.items(), 1):
        of = "testing batch 1 of 1" if name == "test_batch" else f"training batch {number} of 5"
        files[name] = dump({"batch_label": of, "labels": labels.tolist(), "data": pixels})
    meta = {"num_cases_per_batch": CIFAR_N, "label_names": CIFAR_CLASSES, "num_vis": 3072}
    return files | {"batches.meta": dump(meta)}


def python2_pickle(value) -> bytes:
    """By protocol 2 as Python 2 and NumPy 1 wrote it: byte strings, old module names."""

    def encode(value) -> bytes:
        match value:
            case int():
                return b"J" + struct.pack("<i", value)
            case str() | bytes():
                content = value.encode() if isinstance(value, str) else value
                return b"T" + struct.pack("<i", len(content)) + content
            case list():
                return b"](" + b"".join(map(encode, value)) + b"e"
            case dict():
                return b"}(" + b"".join(encode(x) for item in value.items() for x in item) + b"u"
            case np.ndarray():
                new = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
                shape = b"(" + b"".join(map(encode, value.shape)) + b"t"
                dtype = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R"
                dtype += b"(K\x03U\x01|NNN" + encode(-1) + encode(-1) + b"K\0tb"
                return new + b"(K\x01" + shape + dtype + b"\x89" + encode(value.tobytes()) + b"tb"
        raise TypeError(type(value))

    return b"\x80\x02" + encode(value) + b"."


def write_tar(
    path: Path, members: dict[str, bytes], *, folder: str = "", mode: str = "w:gz"
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{folder}{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def cifar_recipe(batches=CIFAR, **changes):
    binary = cifar_binary(batches)
    digests = {
        "sha1": {name: hashlib.sha1(binary[f"{name}.bin"]).hexdigest() for name in batches},
        "labels_sha1": {
            n: hashlib.sha1(labels.tobytes()).hexdigest() for n, (labels, _) in batches.items()
        },
    }
    return cifar10.recipe(batch_size=CIFAR_N, **(digests | {"hub": None} | changes))


def assert_holds_cifar(dataset: data.Dataset, batches=CIFAR) -> None:
    """Each of the splits is its batches in turn; a pixel at row y and column x has three planes."""
    y, x, channel = np.meshgrid(*map(np.arange, (32, 32, 3)), indexing="ij")
    for split, names in (("train", CIFAR_BATCHES[:5]), ("test", CIFAR_BATCHES[5:])):
        got = getattr(dataset, split)
        labels, pixels = (np.concatenate([batches[n][i] for n in names]) for i in (0, 1))
        np.testing.assert_array_equal(got.images, pixels[:, 1024 * channel + 32 * y + x])
        np.testing.assert_array_equal(got.labels, labels)
    assert list(dataset.class_names) == CIFAR_CLASSES
