"""The images of a Hub data set, decoded once: as squares of one size, or as they are."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from imgcls_jax.data import memory
from imgcls_jax.data.catalog.description import SMALL
from imgcls_jax.data.catalog.folders import kept
from imgcls_jax.data.photos import cache, decode
from imgcls_jax.data.photos.parquet import ParquetPhotos
from imgcls_jax.errors import UserError

_GREY = ("1", "L", "I", "F")  # modes of Pillow, and all that begin with I;
_SAMPLE = 64  # images whose size is looked at before all are decoded


def squares(photos: ParquetPhotos, *, size: int, how: str, verify: bool = False) -> np.ndarray:
    """Returns all images as uint8 (N, size, size, 3), memory-mapped; see `photos.cache`.

    Raises:
      UserError: there is too little memory, an image cannot be read, or the cache not be written.
    """
    memory.require_photos(len(photos), size)
    images, _, _ = cache.load_pictures(_Pictures(photos), size=size, how=how, verify=verify)
    return images


def as_they_are(photos: ParquetPhotos, folder: Path) -> np.ndarray:
    """Returns all images as uint8 (N, H, W, C); C is 1 where all are grey.

    Args:
      folder: where they are kept for the next time.

    Raises:
      BadImage: an image cannot be read.
      UserError: they are too large for that or of several sizes.
    """
    of = _state(photos)
    path = folder / f"{_title(photos)}.npz"
    if found := kept.read(path, of=of, names=["images"]):
        return found["images"]
    chosen = np.unique(np.linspace(0, len(photos) - 1, _SAMPLE).astype(int))
    shapes = {_pixels(photos, index).shape[:2] for index in chosen.tolist()}
    if len(shapes) > 1 or max(max(shape) for shape in shapes) > SMALL:
        listed = ", ".join(f"{width}x{height}" for height, width in sorted(shapes)[:3])
        raise UserError(
            f"the images have sizes such as {listed}, and only those of one size of at most "
            f"{SMALL} pixels are kept as they are; give `image_size`, such as 224, the side of the "
            "squares that they become."
        )
    images = _decoded(photos)
    folder.mkdir(parents=True, exist_ok=True)
    kept.write(path, {"images": images}, of=of)
    return images


def _decoded(photos: ParquetPhotos) -> np.ndarray:
    images = []
    shown = tqdm(range(len(photos)), "decoding", unit=" images", leave=False, disable=None)
    for index in shown:
        image = _pixels(photos, index)
        if images and image.shape[:2] != images[0].shape[:2]:
            height, width, _ = image.shape
            other = "x".join(map(str, images[0].shape[1::-1]))
            raise UserError(
                f"{photos.name(index)} is an image of {width}x{height} pixels and the first of "
                f"{other}; give `image_size`, the side of the squares that all become."
            )
        images.append(image)
    channels = max(image.shape[-1] for image in images)
    stacked = np.empty((len(images), *images[0].shape[:2], channels), np.uint8)
    for row, image in zip(stacked, images, strict=True):
        row[...] = image  # a grey one among coloured ones three times
    return stacked


def _pixels(photos: ParquetPhotos, index: int) -> np.ndarray:
    """Decodes an image to uint8 (H, W, C), C being 1 for a grey one."""
    content = photos[index][0]
    try:
        image = decode.decode(content)
    except decode.BadImage as error:
        raise decode.BadImage(photos.name(index), error.reason) from error
    with Image.open(io.BytesIO(content)) as opened:
        mode = opened.mode
    return image[..., :1] if mode in _GREY or mode.startswith("I;") else image


def _title(photos: ParquetPhotos) -> str:
    return photos.of.partition("@")[0].removeprefix("hf:").replace("/", "-")


def _state(photos: ParquetPhotos) -> str:
    """Returns what tells these files from others, and from what they were before a change."""
    times = [f"{path} {Path(path).stat().st_mtime_ns}" for path in photos.files]
    return "\n".join([photos.fingerprint(), *times])


class _Pictures:
    """The pictures of Parquet files as `photos.cache` decodes them."""

    advice = "choose parts without them by `train_split` and `test_split`"

    def __init__(self, photos: ParquetPhotos):
        self._photos, self.title, self.where = photos, _title(photos), photos.of

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> bytes:
        return self._photos[index][0]

    def told(self, index: int) -> str:
        return self._photos.name(index)

    def key(self) -> Iterator[bytes]:
        yield _state(self._photos).encode(errors="surrogateescape")
