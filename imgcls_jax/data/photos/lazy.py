"""Pictures that stand in a `Split` for their pixels and are decoded only where they are indexed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from imgcls_jax.data.photos import decode
from imgcls_jax.data.photos.cache import cores
from imgcls_jax.data.photos.source import Source


class LazyPhotos:
    """An image array (N, size, size, 3) uint8 as far as its shape and indexing go.

    Args:
      source: the pictures, see `source.Source`.
      size, how: as `decode.resize` has them.
      crop_scale: of the random crops of a training stream, see `streaming.stream`.
      workers: processes that decode for a stream.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        source: Source,
        *,
        size: int,
        how: str,
        crop_scale: tuple[float, float] | None = None,
        workers: int = 0,
    ):
        self.source, self.size, self.how = source, size, how
        self.crop_scale, self.workers = crop_scale, workers

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.source), self.size, self.size, 3

    def __len__(self) -> int:
        return len(self.source)

    def fingerprint(self) -> str:
        """Returns what tells these pictures from others without reading them."""
        return self.source.fingerprint()

    def __getitem__(self, chosen: Any) -> np.ndarray:
        """Returns the pixels at a number, a slice or an array of numbers; threads decode several.

        Raises:
          BadImage: a picture cannot be read.
        """
        if np.ndim(chosen) == 0 and not isinstance(chosen, slice):
            return self._one(int(chosen))
        indices = np.arange(len(self))[chosen].tolist()
        images = np.empty((len(indices), *self.shape[1:]), np.uint8)
        with ThreadPoolExecutor(cores()) as pool:
            for row, image in enumerate(pool.map(self._one, indices)):
                images[row] = image
        return images

    def _one(self, index: int) -> np.ndarray:
        try:
            return decode.load(self.source[index][0], self.size, self.how)
        except decode.BadImage as error:
            raise decode.BadImage(self.source.name(index), error.reason) from error
