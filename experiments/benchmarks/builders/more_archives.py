"""Small archives in the layout of the published ones: class folders, and arrays of other kinds."""

import io
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from PIL import Image

from experiments.benchmarks.builders import drawn

_PER_CLASS = 2
_SYNSETS = ("n01440764", "n02102040", "n03888257")
_WEEDS = (
    *("Chinee apple", "Lantana", "Parkinsonia", "Parthenium", "Prickly acacia"),
    *("Rubber vine", "Siam weed", "Snake weed", "Negative"),
)
_TISSUES = ("tumor", "stroma", "complex", "lympho", "debris", "mucosa", "adipose", "empty")
Maker = Callable[[np.random.Generator], dict]


def _folders(
    rng: np.random.Generator,
    pattern: str,
    labels: Iterable[str],
    draw: Callable[[np.random.Generator], bytes] = lambda rng: drawn.photo(rng, 30, 41),
) -> dict[str, bytes]:
    """Draws photos of each class by path; the pattern names `{label}` and the number `{n}`."""
    return {
        pattern.format(label=label, n=n): draw(rng) for label in labels for n in range(_PER_CLASS)
    }


def _png(rng: np.random.Generator) -> bytes:
    return drawn.png(drawn.pixels(rng, 30, 41))


def _tif(side: int) -> Callable[[np.random.Generator], bytes]:
    def draw(rng: np.random.Generator) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(drawn.pixels(rng, side, side)).save(buffer, "TIFF")
        return buffer.getvalue()

    return draw


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _of_folders(
    url: str,
    pack: Callable[[dict], bytes],
    pattern: str,
    labels: Iterable[str],
    name: str | None = None,
    **draw: Callable[[np.random.Generator], bytes],
) -> Maker:
    """Returns a maker of one archive of class folders, in several splits where `{split}` is."""
    splits = ("train", "val") if "{split}" in pattern else (None,)

    def make(rng: np.random.Generator) -> dict:
        members = {}
        for split in splits:
            of_split = pattern.replace("{split}", split) if split else pattern
            members |= _folders(rng, of_split, labels, **draw)
        return {"files": {url: pack(members)}, "names": {url: name} if name else {}}

    return make


def _horses(rng: np.random.Generator) -> dict:
    url = "https://storage.googleapis.com/download.tensorflow.org/data"
    parts = ("horse-or-human.zip", "validation-horse-or-human.zip")
    kinds = ("horses", "humans")
    return {
        "files": {
            f"{url}/{part}": drawn.zipped(_folders(rng, "{label}/{label}-{n}.png", kinds, _png))
            for part in parts
        }
    }


def _cassava(rng: np.random.Generator) -> dict:
    labels = ("cbb", "cbsd", "cgm", "cmd", "healthy")
    members = {}
    for split in ("train", "validation", "test"):
        members |= _folders(
            rng, f"cassavaleafdata/{split}/{{label}}/{split}-{{label}}-{{n}}.jpg", labels
        )
    url = "https://storage.googleapis.com/emcassavadata/cassavaleafdata.zip"
    return {"files": {url: drawn.zipped(members)}}


def _dtd(rng: np.random.Generator) -> dict:
    members = {}
    for split in ("train1", "val1", "test1"):
        photos = _folders(rng, f"{{label}}/{{label}}_{split}_{{n}}.jpg", ("banded", "woven"))
        members |= {f"dtd/images/{name}": photo for name, photo in photos.items()}
        members[f"dtd/labels/{split}.txt"] = "".join(f"{name}\n" for name in photos).encode()
    url = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
    return {"files": {url: drawn.tgz(members)}}


def _deep_weeds(rng: np.random.Generator) -> dict:
    photos = _folders(rng, "{label}-{n}.jpg", "abcdefghi")
    rows = [f"{name},{i // 2},{_WEEDS[i // 2]}\n" for i, name in enumerate(photos)]
    photos_url = "https://drive.google.com/uc?export=download&id=1xnK3B6K6KekDI55vwJ0vnc2IGoDga9cj"
    labels_url = "https://raw.githubusercontent.com/AlexOlsen/DeepWeeds/master/labels/labels.csv"
    labels = "".join(["Filename,Label,Species\n", *rows]).encode()
    return {
        "files": {photos_url: drawn.zipped(photos), labels_url: labels},
        "names": {photos_url: "images.zip"},
    }


def _histology(rng: np.random.Generator) -> dict:
    folders = [f"{number:02d}_{name.upper()}" for number, name in enumerate(_TISSUES, 1)]
    pattern = "Kather_texture_2016_image_tiles_5000/{label}/{n}.tif"
    url = "https://zenodo.org/record/53169/files/Kather_texture_2016_image_tiles_5000.zip"
    return {"files": {url: drawn.zipped(_folders(rng, pattern, folders, _tif(150)))}}


def _camelyon(rng: np.random.Generator) -> dict:
    import h5py

    files = {}
    for split in ("train", "valid", "test"):
        images = np.stack([drawn.pixels(rng, 96, 96) for _ in range(3)])
        labels = np.array([0, 1, 1], np.uint8).reshape(-1, 1, 1, 1)
        for kind, array in (("x", images), ("y", labels)):
            buffer = io.BytesIO()
            with h5py.File(buffer, "w") as file:
                file.create_dataset(kind, data=array, track_times=False)
            name = f"camelyonpatch_level_2_split_{split}_{kind}.h5.gz"
            url = f"https://zenodo.org/record/2546921/files/{name}"
            files[url] = drawn.gzipped(buffer.getvalue())
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
            f"{url}data.npy?raw=true": _npy(images),
            f"{url}labels.npy?raw=true": _npy(np.arange(12) % 10),
        }
    }


def _cifar10_corrupted(rng: np.random.Generator) -> dict:
    images = rng.integers(0, 256, (5 * 4, 32, 32, 3)).astype(np.uint8)
    members = {
        "CIFAR-10-C/brightness.npy": _npy(images),
        "CIFAR-10-C/labels.npy": _npy(np.arange(20) % 4),
    }
    return {"files": {"https://zenodo.org/record/2535967/files/CIFAR-10-C.tar": drawn.tar(members)}}


def _mnist_corrupted(rng: np.random.Generator) -> dict:
    members = {}
    for split in ("train", "test"):
        images = rng.integers(0, 256, (6, 28, 28, 1)).astype(np.uint8)
        members[f"mnist_c/identity/{split}_images.npy"] = _npy(images)
        members[f"mnist_c/identity/{split}_labels.npy"] = _npy(np.arange(6))
    return {"files": {"https://zenodo.org/record/3239543/files/mnist_c.zip": drawn.zipped(members)}}


def _cmaterdb(rng: np.random.Generator) -> dict:
    url = "https://raw.githubusercontent.com/prabhuomkar/CMATERdb/master/datasets/bangla-numerals"
    files = {}
    for part in ("training", "testing"):
        images = rng.integers(0, 256, (10, 32, 32, 3)).astype(np.uint8)
        members = {"images.npy": _npy(images), "labels.npy": _npy(np.arange(10))}
        files[f"{url}/{part}-images.npz"] = drawn.zipped(members)
    return {"files": files}


_MENDELEY = "https://data.mendeley.com/public-files/datasets"
_BERKELEY = "https://people.eecs.berkeley.edu/~hendrycks"
ARCHIVES: Mapping[str, Maker] = {
    "tf_flowers": _of_folders(
        "http://download.tensorflow.org/example_images/flower_photos.tgz",
        drawn.tgz,
        "flower_photos/{label}/{n}_x.jpg",
        ("daisy", "dandelion", "roses", "sunflowers", "tulips"),
    ),
    "malaria": _of_folders(
        "https://data.lhncbc.nlm.nih.gov/public/Malaria/cell_images.zip",
        drawn.zipped,
        "cell_images/{label}/C{n}.png",
        ("Parasitized", "Uninfected"),
        draw=_png,
    ),
    "imagenet_v2/matched-frequency": _of_folders(
        "https://huggingface.co/datasets/vaishaal/ImageNetV2/resolve/main/"
        "imagenetv2-matched-frequency.tar.gz",
        drawn.tgz,
        "imagenetv2-matched-frequency-format-val/{label}/{n}.jpeg",
        ("0", "17", "999"),
    ),
    "imagenet_a": _of_folders(
        f"{_BERKELEY}/imagenet-a.tar", drawn.tar, "imagenet-a/{label}/{label}_{n}.jpg", _SYNSETS
    ),
    "imagenet_r": _of_folders(
        f"{_BERKELEY}/imagenet-r.tar", drawn.tar, "imagenet-r/{label}/art_{n}.jpg", _SYNSETS
    ),
    "imagewang/160px": _of_folders(
        "https://s3.amazonaws.com/fast-ai-imageclas/imagewang-160.tgz",
        drawn.tgz,
        "imagewang-160/{split}/{label}/{label}_{split}_{n}.JPEG",
        ("n02086240", "n02087394"),
    ),
    "citrus_leaves": _of_folders(
        f"{_MENDELEY}/3f83gxmv57/files/53398b67-6f0e-4a67-8384-e2b574b2ebf4/file_downloaded",
        drawn.zipped,
        "Citrus/Leaves/{label}/{n}.png",
        ("Black spot", "canker", "greening", "healthy"),
        name="Citrus.zip",
        draw=_png,
    ),
    "plant_village": _of_folders(
        f"{_MENDELEY}/tywbtsjrjv/files/d5652a28-c1d8-4b76-97f3-72fb80f94efc/file_downloaded",
        drawn.zipped,
        "Plant_leave_diseases_dataset_without_augmentation/{label}/image ({n}).JPG",
        ("Apple___Apple_scab", "Apple___Black_rot", "Apple___healthy"),
        name="Plant_leaf_diseases_dataset_without_augmentation.zip",
    ),
    "plant_leaves": _of_folders(
        "https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com/hb74ynkjcn-1.zip",
        drawn.zipped,
        "hb74ynkjcn-1/Lemon (P10)/{label}/{label}_{n}.JPG",
        ("diseased", "healthy"),
    ),
    "uc_merced": _of_folders(
        "http://weegee.vision.ucmerced.edu/datasets/UCMerced_LandUse.zip",
        drawn.zipped,
        "UCMerced_LandUse/Images/{label}/{label}{n:02d}.tif",
        ("agricultural", "airplane", "beach"),
        draw=_tif(256),
    ),
    "horses_or_humans": _horses,
    "cassava": _cassava,
    "dtd": _dtd,
    "deep_weeds": _deep_weeds,
    "colorectal_histology": _histology,
    "patch_camelyon": _camelyon,
    "binary_alpha_digits": _binary_digits,
    "cifar10_1/v6": _cifar10_1,
    "cifar10_corrupted/brightness_2": _cifar10_corrupted,
    "mnist_corrupted/identity": _mnist_corrupted,
    "cmaterdb/bangla": _cmaterdb,
}
