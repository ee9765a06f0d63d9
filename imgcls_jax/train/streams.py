"""Batches of images that lie in files, for training and for evaluation."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm.auto import tqdm

from imgcls_jax import sharding
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.photos import decode, streaming
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.data.sampling import Balanced
from imgcls_jax.errors import UnreadablePhoto
from imgcls_jax.train.waiting import told


def evaluation_batches(
    split: Split, batch_size: int, doing: str, mesh: Mesh | None = None
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yields a split's batches in order, all filled up to one size, and how many examples count.

    Args:
      split: images at hand or `LazyPhotos`.
      doing: what the progress bar says.
      mesh: the devices to put them on, of which this process reads what its devices hold; None
        leaves them in host memory.
    """
    rows = np.arange(batch_size) if mesh is None else sharding.rows_here(mesh, batch_size)
    starts, rest = range(0, len(split), batch_size), len(split) % batch_size
    with contextlib.ExitStack() as stack:
        if isinstance(split.images, LazyPhotos):
            stack.enter_context(explained())
            here = {batch_size: rows, rest: np.minimum(rows, rest - 1)}
            batches = stack.enter_context(open_stream(split, batch_size, here=here))
        else:
            batches = (_rows(split, np.minimum(start + rows, len(split) - 1)) for start in starts)
        stack.enter_context(told(doing))
        shown = tqdm(batches, doing, len(starts), unit=" batches", leave=False, disable=None)
        for start, batch in zip(starts, shown, strict=True):
            size = min(batch_size, len(split) - start)
            batch = {name: batch[name] for name in ("image", "label")} | {"mask": rows < size}
            yield batch if mesh is None else sharding.put_batch(batch, mesh, batch_size), size


def _rows(split: Split, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {"image": split.images[rows], "label": split.labels[rows]}


def open_stream(
    split: Split,
    batch_size: int,
    *,
    seed: int | None = None,
    sampler: str = "uniform",
    mesh: Mesh | None = None,
    here: Mapping[int, np.ndarray] | None = None,
) -> streaming.Stream:
    """Opens a stream: for ever, in another order each epoch, with a seed; once in order without.

    Args:
      sampler: how an epoch's examples are drawn with a seed, see `imgcls_jax.data.sampling`.
      mesh: the devices to put batches on, of which this process reads what its devices hold; None
        leaves them in host memory.
      here: which rows it reads then, see `streaming.Batches`.
    """
    images: LazyPhotos = split.images
    if mesh is not None:
        sizes = (batch_size, len(split) % batch_size)
        here = {size: sharding.rows_here(mesh, size) for size in sizes if size}
    training = {"seed": seed, "crop_scale": images.crop_scale}
    if sampler == "balanced":
        training["balance"] = Balanced(split.labels)
    return streaming.stream(
        images.source,
        batch_size=batch_size,
        size=images.size,
        how=images.how,
        workers=images.workers,
        place=mesh and (lambda batch: sharding.put_batch(batch, mesh, int(batch.pop("rows")))),
        here=here,
        ahead=jax.default_backend() != "cpu",
        **({"epochs": 1, "shuffle": False} if seed is None else training),
    )


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Explains an unreadable photo in the middle of a run, which is another run without it."""
    try:
        yield
    except decode.BadImage as error:
        raise UnreadablePhoto(
            f"{error.name} {error.reason}: replace it and run the same command again to go on, or "
            "begin anew with `corrupt=skip`, which tries every photo first."
        ) from error
