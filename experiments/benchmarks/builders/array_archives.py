"""Small archives in the layout of the published ones: data sets of arrays."""

import struct
from collections.abc import Callable, Mapping

import numpy as np

from experiments.benchmarks.builders import drawn

PER_SPLIT = 20
_CIFAR_CLASSES = [
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
]
Maker = Callable[[np.random.Generator], dict]


def _idx_files(rng: np.random.Generator, prefix: str, classes: int) -> dict[str, bytes]:
    files = {}
    for split in ("train", "test"):
        images = rng.integers(0, 256, (PER_SPLIT, 28, 28))
        files[f"{prefix}{split}-images-idx3-ubyte.gz"] = drawn.idx(images)
        labels = np.arange(PER_SPLIT) % classes
        files[f"{prefix}{split}-labels-idx1-ubyte.gz"] = drawn.idx(labels)
    return files


def _mnist(url: str) -> Maker:
    def make(rng: np.random.Generator) -> dict:
        files = _idx_files(rng, "", 10)
        return {
            "files": {f"{url}{n.replace('test-', 't10k-')}": c for n, c in files.items()},
            "constants": {"_TRAIN_EXAMPLES": PER_SPLIT, "_TEST_EXAMPLES": PER_SPLIT},
        }

    return make


def _emnist(rng: np.random.Generator) -> dict:
    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    return {
        "files": {url: drawn.zipped(_idx_files(rng, "gzip/emnist-balanced-", 47))},
        "counts": {"train_examples": PER_SPLIT, "test_examples": PER_SPLIT},
    }


def _cifar10(rng: np.random.Generator) -> dict:
    batches = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    members = {f"{name}.bin": _records(rng, 10, labels=1) for name in batches}
    members["batches.meta.txt"] = "\n".join([*_CIFAR_CLASSES, "", ""]).encode()
    packed = drawn.tgz({f"cifar-10-batches-bin/{n}": c for n, c in members.items()})
    return {"files": {"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz": packed}}


def _cifar100(rng: np.random.Generator) -> dict:
    members = {f"{split}.bin": _records(rng, PER_SPLIT, labels=2) for split in ("train", "test")}
    for kind, count in (("coarse", 20), ("fine", 100)):
        names = [f"{kind}_{number}" for number in range(count)]
        members[f"{kind}_label_names.txt"] = "\n".join([*names, ""]).encode()
    packed = drawn.tgz({f"cifar-100-binary/{n}": c for n, c in members.items()})
    return {"files": {"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz": packed}}


def _records(rng: np.random.Generator, count: int, *, labels: int) -> bytes:
    """Draws records of CIFAR's binary layout: labels below 10, then the planes of an image."""
    return (
        np.hstack([rng.integers(0, 10, (count, labels)), rng.integers(0, 256, (count, 3072))])
        .astype(np.uint8)
        .tobytes()
    )


def _svhn(rng: np.random.Generator) -> dict:
    files = {}
    for split in ("train", "test", "extra"):
        labels = np.arange(PER_SPLIT, dtype=np.uint8)[:, None] % 10 + 1
        images = rng.integers(0, 256, (32, 32, 3, PER_SPLIT)).astype(np.uint8)
        url = f"http://ufldl.stanford.edu/housenumbers/{split}_32x32.mat"
        files[url] = drawn.mat(X=images, y=labels)
    return {"files": files}


def _stl10(rng: np.random.Generator) -> dict:
    members = {"class_names.txt": "\n".join([*_CIFAR_CLASSES, ""]).encode()}
    for split in ("train", "test", "unlabeled"):
        members[f"{split}_X.bin"] = rng.bytes(10 * 3 * 96 * 96)
        if split != "unlabeled":
            members[f"{split}_y.bin"] = bytes(range(1, 11))
    packed = drawn.tgz({f"stl10_binary/{n}": c for n, c in members.items()})
    return {"files": {"http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz": packed}}


def _camelyon(rng: np.random.Generator) -> dict:
    files = {}
    for split in ("train", "valid", "test"):
        images = np.stack([drawn.pixels(rng, 96, 96) for _ in range(3)])
        labels = np.array([0, 1, 1], np.uint8).reshape(-1, 1, 1, 1)
        for kind, array in (("x", images), ("y", labels)):
            name = f"camelyonpatch_level_2_split_{split}_{kind}.h5.gz"
            url = f"https://zenodo.org/record/2546921/files/{name}"
            files[url] = drawn.gzipped(drawn.hdf5(**{kind: array}))
    return {"files": files}


def _binary_digits(rng: np.random.Generator) -> dict:
    dat, labels = np.empty((36, 3), object), np.empty((1, 36), object)
    for index, name in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        labels[0, index] = name
        for column in range(3):
            dat[index, column] = rng.integers(0, 2, (20, 16)).astype(np.uint8)
    mat = drawn.mat(dat=dat, classlabels=labels)
    return {"files": {"https://cs.nyu.edu/~roweis/data/binaryalphadigs.mat": mat}}


def _cifar10_1(rng: np.random.Generator) -> dict:
    url = "https://github.com/modestyachts/CIFAR-10.1/blob/master/datasets/cifar10.1_v6_"
    images = rng.integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)
    return {
        "files": {
            f"{url}data.npy?raw=true": drawn.npy(images),
            f"{url}labels.npy?raw=true": drawn.npy(np.arange(12) % 10),
        }
    }


def _cifar10_corrupted(rng: np.random.Generator) -> dict:
    images = rng.integers(0, 256, (5 * 4, 32, 32, 3)).astype(np.uint8)
    members = {
        "CIFAR-10-C/brightness.npy": drawn.npy(images),
        "CIFAR-10-C/labels.npy": drawn.npy(np.arange(20) % 4),
    }
    return {"files": {"https://zenodo.org/record/2535967/files/CIFAR-10-C.tar": drawn.tar(members)}}


def _mnist_corrupted(rng: np.random.Generator) -> dict:
    members = {}
    for split in ("train", "test"):
        images = rng.integers(0, 256, (6, 28, 28, 1)).astype(np.uint8)
        members[f"mnist_c/identity/{split}_images.npy"] = drawn.npy(images)
        members[f"mnist_c/identity/{split}_labels.npy"] = drawn.npy(np.arange(6))
    return {"files": {"https://zenodo.org/record/3239543/files/mnist_c.zip": drawn.zipped(members)}}


def _cmaterdb(rng: np.random.Generator) -> dict:
    url = "https://raw.githubusercontent.com/prabhuomkar/CMATERdb/master/datasets/bangla-numerals"
    files = {}
    for part in ("training", "testing"):
        images = rng.integers(0, 256, (10, 32, 32, 3)).astype(np.uint8)
        files[f"{url}/{part}-images.npz"] = drawn.npz(images=images, labels=np.arange(10))
    return {"files": files}


def _norb(array: np.ndarray) -> bytes:
    """Returns uint8 or int32 in the format of small NORB, gzipped."""
    magic = {"uint8": 507333717, "int32": 507333716}[array.dtype.name]
    shape = (*array.shape, 1, 1)[: max(3, array.ndim)]
    head = struct.pack(f"<2i{len(shape)}i", magic, array.ndim, *shape)
    return drawn.gzipped(head + array.tobytes())


def _smallnorb(rng: np.random.Generator) -> dict:
    url = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/smallnorb-5x"
    files = {}
    for part in ("46789x9x18x6x2x96x96-training", "01235x9x18x6x2x96x96-testing"):
        kinds = {
            "dat": rng.integers(0, 256, (5, 2, 96, 96)).astype(np.uint8),
            "cat": np.arange(5, dtype=np.int32),
            "info": np.tile(np.array([3, 4, 8, 2], np.int32), (5, 1)),
        }
        for kind, array in kinds.items():
            files[f"{url}{part}-{kind}.mat.gz"] = _norb(array)
    return {"files": files}


def _pneumonia(rng: np.random.Generator) -> dict:
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 256, (6, 28, 28)).astype(np.uint8)
        arrays[f"{split}_labels"] = np.arange(6, dtype=np.uint8)[:, None] % 2
    url = "https://zenodo.org/records/10519652/files/pneumoniamnist.npz"
    return {"files": {url: drawn.npz(**arrays)}}


def _imagenet_resized(rng: np.random.Generator) -> dict:
    files = {}
    for split in ("train", "val"):
        images = rng.integers(0, 256, (6, 3 * 8 * 8)).astype(np.uint8)
        inner = drawn.npz(data=images, labels=np.arange(1, 7) * 150)
        url = f"http://www.image-net.org/data/downsample//Imagenet8_{split}_npz.zip"
        files[url] = drawn.zipped({f"{split}_data.npz": inner})
    return {"files": files}


def _so2sat(rng: np.random.Generator) -> dict:
    """Draws reflectances of the two satellites, of which some are too bright for a byte."""
    files = {}
    for split in ("training", "validation"):
        labels = np.eye(17)[rng.integers(0, 17, 6)]
        sentinel = {f"sen{n}": rng.random((6, 32, 32, 6 + 2 * n)) * 0.4 for n in (1, 2)}
        files[f"ftp://m1454690:m1454690@dataserv.ub.tum.de/{split}.h5"] = drawn.hdf5(
            label=labels, **sentinel
        )
    return {"files": files}


ARCHIVES: Mapping[str, Maker] = {
    "mnist": _mnist("https://storage.googleapis.com/cvdf-datasets/mnist/"),
    "fashion_mnist": _mnist("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
    "kmnist": _mnist("http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
    "emnist/balanced": _emnist,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "svhn_cropped": _svhn,
    "stl10": _stl10,
    "patch_camelyon": _camelyon,
    "binary_alpha_digits": _binary_digits,
    "cifar10_1/v6": _cifar10_1,
    "cifar10_corrupted/brightness_2": _cifar10_corrupted,
    "mnist_corrupted/identity": _mnist_corrupted,
    "cmaterdb/bangla": _cmaterdb,
    "smallnorb": _smallnorb,
    "pneumonia_mnist": _pneumonia,
    "imagenet_resized/8x8": _imagenet_resized,
    "so2sat/rgb": _so2sat,
}
