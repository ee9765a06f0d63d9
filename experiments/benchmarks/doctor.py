"""How much the doctor for photos finds of what was spoilt on purpose.

Labels: 5 % of the training labels become another class at random. Near copies: photos encoded anew,
made smaller, cropped or mirrored are mixed with all others. Blurred and dark ones likewise.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from experiments.presets import choose
from imgcls_jax.data.photos import decode, folders
from imgcls_jax.doctor import album, copies, labels, quality
from imgcls_jax.doctor.album import Album
from imgcls_jax.doctor.features import make_embed
from imgcls_jax.errors import UserError
from imgcls_jax.report import console

_FLIPPED = 0.05
_PLANTED = 400  # copies, a quarter of each kind
Change = Callable[[Image.Image, np.random.Generator], tuple[Image.Image, int]]


def _re_encoded(photo: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, int]:
    return photo, int(rng.integers(30, 71))


def _resized(photo: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, int]:
    share = rng.uniform(0.4, 0.8)
    size = [max(1, round(side * share)) for side in photo.size]
    return photo.resize(size, Image.Resampling.BICUBIC), 90


def _cropped(photo: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, int]:
    width, height = (round(0.9 * side) for side in photo.size)
    left = int(rng.integers(photo.size[0] - width + 1))
    top = int(rng.integers(photo.size[1] - height + 1))
    return photo.crop((left, top, left + width, top + height)), 90


def _mirrored(photo: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, int]:
    del rng
    return photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 90


# Each returns the photo and the quality of the JPEG that it is written as.
CHANGES: dict[str, Change] = {
    "encoded anew, quality 30 to 70": _re_encoded,
    "made smaller, to 40 to 80 %": _resized,
    "cropped, 10 % of each side": _cropped,
    "mirrored": _mirrored,
}


def measure(of: tuple[str, dict[str, Any]], *, rounds: int) -> dict[str, Any]:
    """Spoils photos and counts what is found.

    Args:
      of: the folder of photos, and the settings given for their network.
      rounds: seeds of flipped labels.

    Raises:
      UserError: no photos are given, or they or the weights cannot be used.
    """
    data_dir, given = of
    if not data_dir:
        raise UserError("no photos are given to spoil; add --data_dir=PHOTOS.")
    config = choose.features(given)
    size, how = config.data.image_size, config.data.square
    looked = album.load(folders.scan(data_dir), size=size, how=how)
    embed, network = make_embed(config, looked.images, num_classes=len(looked.class_names))
    features = embed(looked.images, f"features of {len(looked):,} photos")
    trained = np.isin(looked.splits, ("train", "all"))
    return {
        "benchmark": "the doctor for photos: what is found of what was spoilt on purpose",
        "photos": len(looked),
        "classes": len(looked.class_names),
        "data": Path(data_dir).resolve().name,
        "network": {"model": config.model.model, "weights": Path(config.model.weights).name},
        "labels": [
            flipped(network.model, features[trained], looked.labels[trained], looked, seed)
            for seed in range(rounds)
        ],
        "copies": planted(looked, features, embed, size, how),
        "quality": spoilt(looked),
    }


def flipped(
    model: Any, features: np.ndarray, truth: np.ndarray, looked: Album, seed: int
) -> dict[str, Any]:
    """Flips labels and counts how many of them are suspected."""
    rng = np.random.default_rng(seed)
    count, classes = round(_FLIPPED * len(truth)), len(looked.class_names)
    wrong = rng.choice(len(truth), count, replace=False)
    given = truth.copy()
    given[wrong] = (truth[wrong] + rng.integers(1, classes, count)) % classes
    suspects, _ = labels.doubt(model, features, given, num_classes=classes)
    hits = np.isin(suspects.indices, wrong)
    first, found = hits[:count], suspects.indices[hits]
    right = suspects.likely[hits] == truth[found]
    return {
        "seed": seed,
        "flipped": count,
        "suspects": len(hits),
        "found_among_first": int(first.sum()),
        "recall_of_first": float(first.sum() / count),
        "precision_of_all": float(hits.mean()) if len(hits) else None,
        "recall_of_all": float(hits.sum() / count),
        "likely_class_right": float(right.mean()) if len(right) else None,
    }


def planted(looked: Album, features: np.ndarray, embed: Any, size: int, how: str) -> dict[str, Any]:
    """Mixes copies of photos with all photos and counts how many are found.

    A pair of a planted copy and another photo than its original counts as wrong, also where that
    photo is a near copy in truth.
    """
    rng = np.random.default_rng(0)
    originals = rng.choice(len(looked), min(_PLANTED, len(looked)), replace=False)
    kinds = np.arange(len(originals)) % len(CHANGES)
    changes = list(CHANGES.values())
    made = np.stack(
        [
            decode.load(_changed(looked.root / looked.paths[i], changes[kind], rng), size, how)
            for i, kind in zip(originals, kinds, strict=True)
        ]
    )
    every = np.concatenate([features, embed(made, f"features of {len(made)} copies")])
    found = copies.compare(every, np.concatenate([looked.images, made])).copies()
    of_planted = found.second >= len(looked)  # planted ones come last, and first < second
    which = found.second[of_planted] - len(looked)
    right = found.first[of_planted] == originals[which]
    hit = np.isin(np.arange(len(originals)), which[right])
    return {
        "planted": len(originals),
        "threshold": copies.COPY,
        "found": int(hit.sum()),
        "recall": float(hit.mean()),
        "precision": float(right.mean()) if len(right) else None,
        "wrong_pairs": int((~right).sum()),
        "recall_by_kind": {
            name: float(hit[kinds == kind].mean()) for kind, name in enumerate(CHANGES)
        },
        "pairs_without_planted": int((~of_planted).sum()),
    }


def spoilt(looked: Album) -> dict[str, Any]:
    """Blurs and darkens photos, and counts how many are found, and how many as they are."""
    rng = np.random.default_rng(1)
    chosen = np.sort(rng.choice(len(looked), min(_PLANTED, len(looked)), replace=False))
    photos = [Image.fromarray(image) for image in looked.images[chosen]]
    blurred = [photo.filter(ImageFilter.GaussianBlur(3)) for photo in photos]
    dark = [photo.point(lambda value: value // 6) for photo in photos]

    def measured(some: list[Image.Image]) -> quality.Quality:
        return quality.measure(np.stack([np.asarray(photo) for photo in some]), [])

    whole = quality.measure(looked.images, [])
    return {
        "photos": len(chosen),
        "blurred, radius 3": float((measured(blurred).sharpness < quality.BLURRED).mean()),
        "darkened to a sixth": float((measured(dark).brightness < quality.DARK).mean()),
        "as they are, called blurred": float((whole.sharpness < quality.BLURRED).mean()),
        "as they are, called dark": float((whole.brightness < quality.DARK).mean()),
    }


def _changed(path: Path, change: Change, rng: np.random.Generator) -> bytes:
    """Returns the changed photo as a JPEG file."""
    with Image.open(path) as photo:
        made, how_good = change(photo.convert("RGB"), rng)
    written = io.BytesIO()
    made.save(written, "JPEG", quality=how_good)
    return written.getvalue()


def show(result: dict[str, Any]) -> None:
    """Prints what was found."""
    console.heading(f"{result['benchmark']} ({result['data']}, {result['photos']:,} photos)")
    console.table(
        ("labels flipped", "flipped", "among the first", "suspects", "precision", "recall"),
        [
            (
                f"seed {of['seed']}",
                f"{of['flipped']}",
                f"{of['recall_of_first']:.3f}",
                f"{of['suspects']}",
                f"{of['precision_of_all']:.3f}",
                f"{of['recall_of_all']:.3f}",
            )
            for of in result["labels"]
        ],
    )
    of = result["copies"]
    lines = {name: f"{recall:.3f} found" for name, recall in of["recall_by_kind"].items()}
    lines["all near copies"] = f"{of['recall']:.3f} found, precision {of['precision']:.3f}"
    console.pairs(lines | {k: f"{v:.3f}" for k, v in result["quality"].items() if k != "photos"})
