"""Small archives in the layout of the published ones: characters, drawings and rendered objects."""

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from experiments.benchmarks.builders import drawn

# Set of Omniglot -> its alphabets and its characters, numbered from 1 on.
_OMNIGLOT = {
    "background": (range(30), range(1, 965)),
    "evaluation": (range(30, 50), range(965, 1624)),
    "background_small1": (range(5), range(1, 147)),
    "background_small2": (range(5, 10), range(161, 321)),
}
_SOLIDS = ("tet", "cube", "sphereX")
Maker = Callable[[np.random.Generator], dict]


def _omniglot(rng: np.random.Generator) -> dict:
    """Draws each of the 1,623 characters once: the builder counts them and their alphabets."""
    url = "https://github.com/brendenlake/omniglot/raw/master/python"
    files = {}
    for part, (alphabets, numbers) in _OMNIGLOT.items():
        members = {}
        for number, (alphabet, character) in zip(numbers, _characters(alphabets), strict=False):
            name = f"Alphabet_{alphabet:02d}/character{character:02d}/{number:04d}_01.png"
            ink = rng.random((105, 105, 1)) < 0.9
            members[f"images_{part}/{name}"] = drawn.png(ink)
        files[f"{url}/images_{part}.zip"] = drawn.zipped(members)
    return {"files": files}


def _characters(alphabets: range) -> Iterator[tuple[int, int]]:
    """Yields alphabet and character, 32 to an alphabet and as many as it takes to the last."""
    yield from itertools.product(alphabets[:-1], range(1, 33))
    yield from zip(itertools.repeat(alphabets[-1]), itertools.count(1), strict=True)


def _quickdraw(rng: np.random.Generator) -> dict:
    """Draws one drawing of each of the 345 kinds: each kind is a file."""
    from tensorflow_datasets.core import tfds_path

    url = "https://storage.googleapis.com/quickdraw_dataset/full/numpy_bitmap"
    labels = tfds_path("datasets/quickdraw_bitmap/labels.txt").read_text().splitlines()
    images = rng.integers(0, 256, (len(labels), 1, 784)).astype(np.uint8)
    return {
        "files": {
            f"{url}/{label}.npy": drawn.npy(image)
            for label, image in zip(labels, images, strict=True)
        },
    }


def _siscore(rng: np.random.Generator) -> dict:
    labels = ("ambulance", "backpack", "banana")
    members = {
        f"rotation/{label}/{10 * index + n}.jpg": drawn.photo(rng)
        for index, label in enumerate(labels)
        for n in range(2)
    }
    url = "https://s3.us-east-1.amazonaws.com/si-score-dataset/rotation.zip"
    return {"files": {url: drawn.zipped(members)}}


def _solid_objects(rng: np.random.Generator) -> dict:
    """Draws two objects, whose files have the same names in two folders."""
    url = "https://storage.googleapis.com/dm_s3o4d"
    files, names = {}, {}
    for label, (split, first) in itertools.product(
        ("bunny", "dragon"), (("train", 0), ("test", 80000))
    ):
        photos = {f"{first + n:05d}.jpg": drawn.photo(rng, 256, 256) for n in range(3)}
        shapes = {"illumination": (3, 3), "pose_mat": (3, 3, 3), "pose_quat": (3, 4)}
        latents = {name: rng.random(shape) for name, shape in shapes.items()}
        for end, content in (
            ("images.zip", drawn.zipped(photos)),
            ("latents.npz", drawn.npz(**latents)),
        ):
            address = f"{url}/{label}/{split}_{end}"
            files[address], names[address] = content, f"{label}_{split}_{end}"
    return {"files": files, "names": names}


def _symmetric_solids(rng: np.random.Generator) -> dict:
    """Draws solids with 12, 24 and no equivalent rotations."""
    members = {}
    for split in ("train", "test"):
        for solid, n in itertools.product(_SOLIDS, range(2)):
            image = drawn.png(drawn.pixels(rng, 224, 224))
            members[f"{split}/images/{solid}_{n:05d}.png"] = image
        rotations = {
            solid: rng.random((2, count, 3, 3))
            for solid, count in zip(_SOLIDS, (12, 24, 1), strict=True)
        }
        members[f"{split}/rotations.npz"] = drawn.npz(**rotations)
    url = "https://storage.googleapis.com/gresearch/implicit-pdf/symsol_dataset.zip"
    return {"files": {url: drawn.zipped(members)}}


ARCHIVES: Mapping[str, Maker] = {
    "omniglot": _omniglot,
    "quickdraw_bitmap": _quickdraw,
    "siscore/rotation": _siscore,
    "s3o4d": _solid_objects,
    "symmetric_solids": _symmetric_solids,
}
