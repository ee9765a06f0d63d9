"""Small archives in the layout of the published ones: data sets of photos."""

import json
from collections.abc import Callable, Mapping

import numpy as np

from experiments.benchmarks.builders import drawn

_PER_CLASS = 3
_XML = """<annotation><size><width>{w}</width><height>{h}</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{w}</xmax><ymax>{h}</ymax>
</bndbox></object></annotation>"""


def _flowers(rng: np.random.Generator) -> dict:
    count = 18
    photos = {f"jpg/image_{n:05d}.jpg": drawn.photo(rng) for n in range(1, count + 1)}
    splits = np.split(rng.permutation(np.arange(1, count + 1)), 3)
    names = ("trnid", "valid", "tstid")
    sets = {name: part[None].astype(np.uint16) for name, part in zip(names, splits, strict=True)}
    labels = rng.integers(1, 103, (1, count)).astype(np.uint8)
    url = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
    return {
        "files": {
            f"{url}/102flowers.tgz": drawn.tgz(photos),
            f"{url}/imagelabels.mat": drawn.mat(labels=labels),
            f"{url}/setid.mat": drawn.mat(**sets),
        }
    }


def _pets(rng: np.random.Generator) -> dict:
    """Draws pets, two of them among those that the builder decodes and encodes again."""
    photos, notes, lists = {}, {"annotations/._trimaps": b"\0"}, {"trainval": [], "test": []}
    names = ["Abyssinian_100", "Abyssinian_34", "beagle_116", "beagle_1", "pug_7", "Sphynx_12"]
    for index, name in enumerate(names):
        image = drawn.pixels(rng, 50 + index, 61)
        content = drawn.jpeg(image)
        if name == "Abyssinian_34":  # a PNG file with an alpha channel under the name of a photo
            content = drawn.png(np.dstack([image, image[..., 0]]))
        photos[f"images/{name}.jpg"] = content
        mask = rng.integers(1, 4, (*image.shape[:2], 1)).astype(np.uint8)
        notes[f"annotations/trimaps/{name}.png"] = drawn.png(mask)
        notes[f"annotations/trimaps/._{name}.png"] = b"\0"
        split = "trainval" if index % 2 else "test"
        if split == "trainval":
            box = _XML.format(w=61, h=50 + index, x=index, y=2 * index)
            notes[f"annotations/xmls/{name}.xml"] = box.encode()
        lists[split].append(f"{name} {index + 1} {index % 2 + 1} 1\n")
    notes |= {f"annotations/{split}.txt": "".join(of).encode() for split, of in lists.items()}
    url = "https://thor.robots.ox.ac.uk/~vgg/data/pets"
    return {
        "files": {
            f"{url}/images.tar.gz": drawn.tgz(photos),
            f"{url}/annotations.tar.gz": drawn.tgz(notes),
        }
    }


def _imagenette(rng: np.random.Generator) -> dict:
    members = {
        f"imagenette2-160/{split}/{synset}/{synset}_{split}_{n}.JPEG": drawn.photo(rng)
        for split in ("train", "val")
        for synset in ("n01440764", "n02102040", "n03888257")
        for n in range(_PER_CLASS)
    }
    url = "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz"
    return {"files": {url: drawn.tgz(members)}}


def _beans(rng: np.random.Generator) -> dict:
    files = {}
    for split in ("train", "validation", "test"):
        members = {f"{split}/": b""}
        for label in ("angular_leaf_spot", "bean_rust", "healthy"):
            for n in range(2):
                members[f"{split}/{label}/{label}_{split}.{n}.jpg"] = drawn.photo(rng, 500, 500)
        files[f"https://storage.googleapis.com/ibeans/{split}.zip"] = drawn.zipped(members)
    return {"files": files}


def _food(rng: np.random.Generator) -> dict:
    members, lists = {}, {"train": {}, "test": {}}
    for label in ("apple_pie", "sushi", "waffles"):
        for split, of in lists.items():
            of[label] = [f"{label}/{rng.integers(10**6, 10**7)}" for _ in range(_PER_CLASS)]
            for name in of[label]:
                members[f"food-101/images/{name}.jpg"] = drawn.photo(rng)
            members[f"food-101/meta/{split}.json"] = json.dumps(of).encode()
    url = "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"
    return {"files": {url: drawn.tgz(members)}}


def _cats(rng: np.random.Generator) -> dict:
    """Draws cats and dogs, grey and of any sampling of colours, two that are no JFIF files."""
    members = {"readme[1].txt": b"A readme."}
    for label in ("Cat", "Dog"):
        for n, sampling in enumerate(("4:2:0", "4:2:2", "4:4:4")):
            image = drawn.pixels(rng, 45 + n, 70 - n)
            members[f"PetImages/{label}/{n}.jpg"] = drawn.jpeg(image, subsampling=sampling)
        members[f"PetImages/{label}/3.jpg"] = drawn.jpeg(drawn.pixels(rng, 33, 47), "L")
        members[f"PetImages/{label}/666.jpg"] = b"BM no photo at all"
    url = (
        "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/"
        "kagglecatsanddogs_5340.zip"
    )
    return {"files": {url: drawn.zipped(members)}, "constants": {"_NUM_CORRUPT_IMAGES": 2}}


def _eurosat(rng: np.random.Generator) -> dict:
    members = {
        f"2750/{label}/{label}_{n}.jpg": drawn.photo(rng, 64, 64)
        for label in ("AnnualCrop", "Forest", "River", "SeaLake")
        for n in range(1, 1 + _PER_CLASS)
    }
    return {"files": {"http://madm.dfki.de/files/sentinel/EuroSAT.zip": drawn.zipped(members)}}


def _rock_paper_scissors(rng: np.random.Generator) -> dict:
    url = "https://storage.googleapis.com/download.tensorflow.org/data"
    files = {}
    for top in ("rps", "rps-test-set"):
        members = {
            f"{top}/{label}/{label}0{n}.png": drawn.png(drawn.pixels(rng, 300, 300))
            for label in ("rock", "paper", "scissors")
            for n in range(2)
        }
        files[f"{url}/{top}.zip"] = drawn.zipped(members)
    return {"files": files}


ARCHIVES: Mapping[str, Callable[[np.random.Generator], dict]] = {
    "oxford_flowers102": _flowers,
    "oxford_iiit_pet": _pets,
    "imagenette/160px-v2": _imagenette,
    "beans": _beans,
    "food101": _food,
    "cats_vs_dogs": _cats,
    "eurosat/rgb": _eurosat,
    "rock_paper_scissors": _rock_paper_scissors,
}
