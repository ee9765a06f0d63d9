"""Small archives in the layout of the published ones: data sets of arrays, and the table of all.

Only the files are small. The stock builder reads them, but for counts that some builders know by
heart (`constants` of its module, `counts` of its configuration), which are those of the archive.
"""

import contextlib
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from experiments.benchmarks.builders import drawn, more_archives, photo_archives

PER_SPLIT = 20
_CIFAR_CLASSES = [
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
]


@dataclasses.dataclass(frozen=True)
class Archive:
    """What a builder is given instead of downloads.

    Attributes:
      files: address -> content.
      names: address -> name of its file, where that is not the last part of the address.
      manual: name -> content, for the folder of manual downloads.
      constants: of the builder's module.
      counts: of the builder's configuration.
    """

    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    manual: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, int] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def digest(self) -> str:
        """Returns 16 digits of the SHA-256 of all files."""
        digest = hashlib.sha256()
        for name, content in sorted((self.files | self.manual).items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:16]

    @contextlib.contextmanager
    def at_hand(self, builder: Any, folder: Path) -> Iterator[Path]:
        """Puts the files into a folder, for downloads and by hand, and has the builder expect them.

        Yields the folder: the `download_dir` and the `manual_dir`.
        """
        from tensorflow_datasets.core.download.checksums import UrlInfo
        from tensorflow_datasets.core.utils import Size

        folder.mkdir(parents=True, exist_ok=True)
        pinned = {}
        for url, content in self.files.items():
            name = self.names.get(url) or url.rpartition("/")[2].split("?")[0]
            pinned[url] = UrlInfo(Size(len(content)), hashlib.sha256(content).hexdigest(), name)
            (folder / name).write_bytes(content)
        for name, content in self.manual.items():
            (folder / name).write_bytes(content)
        kind = type(builder)
        module = sys.modules[kind.__module__]
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(kind, "url_infos", pinned))
            for name, value in self.constants.items():
                stack.enter_context(mock.patch.object(module, name, value))
            for name, value in self.counts.items():
                stack.enter_context(mock.patch.object(builder.builder_config, name, value))
            yield folder


def make(name: str) -> Archive:
    """Draws the archive of a data set, such as "mnist" or "emnist/balanced"."""
    return Archive(**ARCHIVES[name](np.random.default_rng(sum(name.encode()))))


def _idx_files(rng: np.random.Generator, prefix: str, classes: int) -> dict[str, bytes]:
    files = {}
    for split in ("train", "test"):
        images = rng.integers(0, 256, (PER_SPLIT, 28, 28))
        files[f"{prefix}{split}-images-idx3-ubyte.gz"] = drawn.idx(images)
        labels = np.arange(PER_SPLIT) % classes
        files[f"{prefix}{split}-labels-idx1-ubyte.gz"] = drawn.idx(labels)
    return files


def _mnist(url: str) -> Callable[[np.random.Generator], dict]:
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


ARCHIVES: Mapping[str, Callable[[np.random.Generator], dict]] = {
    "mnist": _mnist("https://storage.googleapis.com/cvdf-datasets/mnist/"),
    "fashion_mnist": _mnist("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
    "kmnist": _mnist("http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
    "emnist/balanced": _emnist,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "svhn_cropped": _svhn,
    "stl10": _stl10,
    **photo_archives.ARCHIVES,
    **more_archives.ARCHIVES,
}
