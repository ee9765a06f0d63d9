"""Small archives in the layout of the published ones: class folders."""

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


def _cycle_gan(rng: np.random.Generator) -> dict:
    parts = ("trainA", "trainB", "testA", "testB")
    members = _folders(rng, "facades/{label}/{label}_{n}.jpg", parts)
    url = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/facades.zip"
    return {"files": {url: drawn.zipped(members)}}


def _caltech(rng: np.random.Generator) -> dict:
    """Draws 31 photos per class, of which the builder takes 30 to train on."""
    photos = {
        f"101_ObjectCategories/{label}/image_{n:04d}.jpg": drawn.photo(rng, 20, 16)
        for label in ("accordion", "airplanes")
        for n in range(1, 32)
    }
    members = {"caltech-101/101_ObjectCategories.tar.gz": drawn.tgz(photos)}
    url = "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip?download=1"
    return {"files": {url: drawn.zipped(members)}}


def _places(rng: np.random.Generator) -> dict:
    url = "http://data.csail.mit.edu/places/places365"
    train = _folders(rng, "data_256/{label}/{n:08d}.jpg", ("a/abbey", "b/bakery/shop"))
    val = _folders(rng, "val_256/Places365_val_{label}{n}.jpg", ("0",))
    test = _folders(rng, "test_256/Places365_test_{label}{n}.jpg", ("0",))
    lists = {
        "train_standard": [f"{name[len('data_256') :]} {i}" for i, name in enumerate(train)],
        "val": [f"{name[len('val_256/') :]} {i}" for i, name in enumerate(val)],
        "test": [name[len("test_256/") :] for name in test],
    }
    notes = {f"places365_{n}.txt": "\n".join([*of, ""]).encode() for n, of in lists.items()}
    return {
        "files": {
            f"{url}/train_256_places365standard.tar": drawn.tar(train),
            f"{url}/val_256.tar": drawn.tar(val),
            f"{url}/test_256.tar": drawn.tar(test),
            f"{url}/filelist_places365-standard.tar": drawn.tar(notes),
        }
    }


def _resisc(rng: np.random.Generator) -> dict:
    return {"manual": _folders(rng, "NWPU-RESISC45/{label}/{label}_{n}.jpg", ("airplane", "lake"))}


def _dogs(rng: np.random.Generator) -> dict:
    """Draws dogs of 120 breeds, which the builder counts."""
    breeds = [f"n{number:08d}-breed_{number}/n{number:08d}" for number in range(120)]
    photos = _folders(rng, "Images/{label}_{n}.jpg", breeds, lambda rng: drawn.photo(rng, 16, 16))
    box = "<a><size><width>41</width><height>30</height></size>" + 2 * (
        "<b><xmin>3</xmin><ymin>4</ymin><xmax>30</xmax><ymax>29</ymax></b>"
    )
    notes = {n.replace("Images", "Annotation")[:-4]: f"{box}</a>".encode() for n in photos}
    names = [name.removeprefix("Images/") for name in photos]
    lists = {
        f"{split}_list.mat": drawn.mat(file_list=np.array(names[first::2], object)[:, None])
        for first, split in enumerate(("train", "test"))
    }
    url = "http://vision.stanford.edu/aditya86/ImageNetDogs"
    return {
        "files": {
            f"{url}/images.tar": drawn.tar(photos),
            f"{url}/lists.tar": drawn.tar(lists),
            f"{url}/annotation.tar": drawn.tar(notes),
        }
    }


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
    "coil100": _of_folders(
        "http://www.cs.columbia.edu/CAVE/databases/SLAM_coil-20_coil-100/coil-100/coil-100.zip",
        drawn.zipped,
        "coil-100/{label}__1{n}0.png",
        ("obj1", "obj100"),
        draw=_png,
    ),
    "caltech101": _caltech,
    "cycle_gan/facades": _cycle_gan,
    "imagenet_sketch": _of_folders(
        "https://drive.google.com/u/0/uc?id=1Mj0i5HBthqH1p_yeXzsg22gZduvgoNeA&export=download",
        drawn.zipped,
        "sketch/{label}/sketch_{n}.JPEG",
        _SYNSETS,
        name="ImageNet-Sketch.zip",
    ),
    "places365_small": _places,
    "resisc45": _resisc,
    "stanford_dogs": _dogs,
}
