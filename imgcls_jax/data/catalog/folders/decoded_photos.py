"""Photos of a prepared TFDS data set, decoded once into the cache that photos in folders have."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from imgcls_jax.data.catalog.folders.folder_info import FolderInfo
from imgcls_jax.data.catalog.folders.shards import Examples
from imgcls_jax.data.catalog.folders.split_syntax import Part
from imgcls_jax.data.photos import cache
from imgcls_jax.data.photos.options import PhotoOptions
from imgcls_jax.errors import printable


class Decoded(NamedTuple):
    """Pixels (N, size, size, 3) uint8 of examples that follow each other, from number `first`."""

    first: int
    images: np.ndarray


def load(info: FolderInfo, part: Part, options: PhotoOptions) -> Decoded:
    """Decodes a part of a published split, or finds it in the cache.

    Raises:
      UserError: pictures that cannot be read, or a cache that cannot be written.
    """
    size, how = options.image_size, options.square
    pictures = _Records(info, part)
    images, _, _ = cache.load_pictures(pictures, size=size, how=how, verify=options.verify)
    return Decoded(part.start, images)


class _Records:
    """The pictures of a part; see `pictures.Pictures`."""

    advice = "delete the folder and prepare it again"

    def __init__(self, info: FolderInfo, part: Part):
        self._info, self._part = info, part
        self._examples = Examples(info, (part,))
        self.title = f"{info.title.replace('/', '-')}-{part.split}"
        self.where = f"the split {part.split} of {printable(info.path)}"

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> bytes:
        return self._examples[index][0]

    def told(self, index: int) -> str:
        return f"record {self._part.start + index}"

    def key(self) -> Iterator[bytes]:
        yield repr((self._info.state(self._part.split), tuple(self._part))).encode()
