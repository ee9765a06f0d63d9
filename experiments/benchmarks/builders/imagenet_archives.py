"""Small archives in the layout of the published ones: ImageNet, and labels by others."""

import json
from collections.abc import Callable, Mapping

import numpy as np

from experiments.benchmarks.builders import drawn

_ANNOTATORS = 16  # of ImageNet-PI
# Class -> numbers of its training photos.
_NUMBERS = {
    "n01440764": (0, 1, 2),
    "n01739381": (1309, 2),
    "n02105855": (2933,),
    "n02077923": (14822,),
}
_VAL = "ILSVRC2012_val_{:08d}.JPEG"
_TRAIN_TAR, _VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
Maker = Callable[[np.random.Generator], dict]


def _imagenet(rng: np.random.Generator) -> dict:
    """Draws ImageNet's three tar files."""
    train = {f"{synset}.tar": drawn.tar(photos) for synset, photos in _train(rng).items()}
    val = {_VAL.format(n): drawn.photo(rng) for n in (3, 1, 2)}
    test = {f"test/ILSVRC2012_test_{n:08d}.JPEG": drawn.photo(rng) for n in (1, 2)}
    parts = {_TRAIN_TAR: train, _VAL_TAR: val, "ILSVRC2012_img_test.tar": test}
    return {"manual": {name: drawn.tar(members) for name, members in parts.items()}}


def _train(rng: np.random.Generator) -> dict[str, dict[str, bytes]]:
    """Draws photos by class and name; two of ink and a PNG file are those that are mended."""
    ink = drawn.jpeg(drawn.pixels(rng, 44, 55), "CMYK")
    # The second is stored as YCCK, which the marker of Adobe's programs says.
    at = ink.index(b"Adobe") + 11
    inks = {"n01739381_1309.JPEG": ink, "n02077923_14822.JPEG": ink[:at] + b"\2" + ink[at + 1 :]}

    def draw(name: str) -> bytes:
        if name == "n02105855_2933.JPEG":
            return drawn.png(drawn.pixels(rng, 41, 50))
        return inks.get(name) or drawn.photo(rng)

    return {synset: {name: draw(name) for name in _names(synset)} for synset in _NUMBERS}


def _names(*synsets: str) -> list[str]:
    """Returns the names of the training photos of some classes."""
    return [f"{synset}_{n}.JPEG" for synset in synsets for n in _NUMBERS[synset]]


def _without_test(rng: np.random.Generator) -> dict[str, bytes]:
    return {name: tar for name, tar in _imagenet(rng)["manual"].items() if "test" not in name}


def _subset(rng: np.random.Generator) -> dict:
    url = "https://raw.githubusercontent.com/google-research/simclr/master/imagenet_subsets"
    names = _names(*_NUMBERS)[1::2]
    return {"files": {f"{url}/1percent.txt": drawn.lines(names)}, "manual": _without_test(rng)}


def _long_tail(rng: np.random.Generator) -> dict:
    url = "https://drive.google.com/uc?export=download&id="
    paths = [f"train/{name.split('_')[0]}/{name} {i}" for i, name in enumerate(_names(*_NUMBERS))]
    lists = {
        "1Sl1cwy6Dei1I1BMS1YKjI35fkaR1UA_7": ("ImageNet_LT_train.txt", paths[:5]),
        "1AjYczW4khrQrwPIygXUkHF-Qv4QGEsCF": ("ImageNet_LT_val.txt", paths[5:]),
    }
    return {
        "files": {f"{url}{key}": drawn.lines(lines) for key, (_, lines) in lists.items()},
        "names": {f"{url}{key}": name for key, (name, _) in lists.items()},
        "manual": _without_test(rng),
    }


def _annotated(rng: np.random.Generator) -> dict:
    """Draws labels and confidences of 16 annotators for each photo."""
    names = {"train": _names(*_NUMBERS), "validation": [_VAL.format(n) for n in (1, 2, 3)]}
    notes = {}
    for split, of in names.items():
        labels = rng.integers(0, 1000, (len(of), _ANNOTATORS))
        confidences = rng.random((len(of), _ANNOTATORS)).round(6)
        for kind, rows in (("labels", labels), ("confidences", confidences)):
            notes[f"{kind}/{split}.csv"] = drawn.lines(
                ",".join([name, *map(str, row)])
                for name, row in zip(of, rows.tolist(), strict=True)
            )
    return {"manual": _without_test(rng) | notes}


def _real(rng: np.random.Generator) -> dict:
    """Draws labels in the order of the names of photos; one photo has none."""
    url = "https://raw.githubusercontent.com/google-research/reassessed-imagenet/master/real.json"
    return {
        "files": {url: json.dumps([[970, 795], [], [230]]).encode()},
        "manual": {_VAL_TAR: _imagenet(rng)["manual"][_VAL_TAR]},
    }


def _many_labels(rng: np.random.Generator) -> dict:
    """Draws labels that are right, wrong and unclear, of two of the three photos."""
    first, third = _VAL.format(1), _VAL.format(3)
    notes = {
        first: {"correct": ["n01440764"], "wrong": ["n01443537", "n02077923"], "unclear": []},
        third: {"correct": ["n01739381", "n02105855"], "unclear": ["n01440764"]},
        "imagenetv2-matched-frequency-format-val/0/1.jpeg": {"correct": ["n01440764"]},
    }
    told = {"initial_annots": notes, "problematic_images": {third: ""}, "imagenet_m": [first]}
    url = "https://storage.googleapis.com/brain-car-datasets/imagenet-mistakes"
    return {
        "files": {f"{url}/human_accuracy_v3.0.0.json": json.dumps(told).encode()},
        "manual": {_VAL_TAR: _imagenet(rng)["manual"][_VAL_TAR]},
    }


ARCHIVES: Mapping[str, Maker] = {
    "imagenet2012": _imagenet,
    "imagenet2012_subset/1pct": _subset,
    "imagenet_lt": _long_tail,
    "imagenet_pi": _annotated,
    "imagenet2012_real": _real,
    "imagenet2012_multilabel": _many_labels,
}
