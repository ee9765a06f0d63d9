"""Batches of images that lie in files, for training and for evaluation."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
from jax.sharding import Mesh
from tqdm.auto import tqdm

from imgcls_jax import sharding
from imgcls_jax.data.batching import padded
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.photos import decode, streaming
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.data.sampling import Balanced
from imgcls_jax.errors import UnreadablePhoto


def evaluation_batches(
    split: Split, batch_size: int, doing: str, mesh: Mesh | None = None
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yields a split's batches in order, all filled up to one size, and how many examples count.

    Args:
      split: images at hand or `LazyPhotos`.
      doing: what the progress bar says.
      mesh: the devices to put them on; None leaves them in host memory.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(split.images, LazyPhotos):
            stack.enter_context(explained())
            batches = stack.enter_context(open_stream(split, batch_size))
        else:
            starts = range(0, len(split), batch_size)
            batches = (_slice(split, start, start + batch_size) for start in starts)
        total = -(-len(split) // batch_size)
        for batch in tqdm(batches, doing, total, unit=" batches", leave=False, disable=None):
            filled = padded(batch, batch_size)
            if mesh is not None:
                filled = sharding.put_batch(filled, mesh, batch_size)
            yield filled, len(batch["label"])


def _slice(split: Split, start: int, stop: int) -> dict[str, Any]:
    return {"image": split.images[start:stop], "label": split.labels[start:stop]}


def open_stream(
    split: Split,
    batch_size: int,
    *,
    seed: int | None = None,
    sampler: str = "uniform",
    mesh: Mesh | None = None,
) -> streaming.Stream:
    """Opens a stream: for ever, in another order each epoch, with a seed; once in order without.

    Args:
      mesh: the devices to put batches on; None leaves them in host memory.
      sampler: how an epoch's examples are drawn with a seed, see `imgcls_jax.data.sampling`.
    """
    images: LazyPhotos = split.images
    training = {"seed": seed, "crop_scale": images.crop_scale}
    if sampler == "balanced":
        training["balance"] = Balanced(split.labels)
    return streaming.stream(
        images.source,
        batch_size=batch_size,
        size=images.size,
        how=images.how,
        workers=images.workers,
        place=mesh and (lambda batch: sharding.put_batch(batch, mesh, len(batch["label"]))),
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
