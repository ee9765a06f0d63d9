"""Feeding from the device itself: the whole split lives there, batches are gathered inside jit.

Fits whatever fits in device memory (all of Fashion-MNIST is 47 MB) and needs no host work at all
between the first step and the last.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from imgcls_jax import sharding
from imgcls_jax.data.dataset import Split
from imgcls_jax.machines import group


@flax.struct.dataclass
class Resident:
    """A split on the device.

    Attributes:
      pixels: (N, H*W*C) uint8. Rows are flat because gathering them is then a plain row copy.
        Where they are cut over devices, rows of zeros behind them make the cut even.
      labels: (N,) int32.
      image_shape: (H, W, C).
    """

    pixels: jax.Array
    labels: jax.Array
    image_shape: tuple[int, ...] = flax.struct.field(pytree_node=False)

    def __len__(self) -> int:
        return self.labels.shape[0]

    def rows(self) -> np.ndarray:
        """Returns the rows of pixels (N, F) in host memory."""
        return sharding.fetched(self.pixels)[: len(self)]


def put(split: Split, mesh: Mesh | None = None) -> Resident:
    """Copies a split to the devices of a mesh, or to the first device."""
    return placed(split.images.reshape(len(split), -1), split.labels, split.images.shape[1:], mesh)


def placed(
    rows: np.ndarray, labels: np.ndarray, image_shape: tuple[int, ...], mesh: Mesh | None = None
) -> Resident:
    """Copies rows (N, F), in the place of pixels, and labels to devices, see `put`.

    Every device holds all rows, for the fastest gathering, unless they would take too much of its
    memory; then each holds a part of them.
    """
    mesh = sharding.make_mesh(1) if mesh is None else mesh
    whole = sharding.replicated(mesh)
    cut = whole
    if group.any_of(not sharding.fits_whole(mesh, rows.nbytes)):
        rows, cut = np.pad(rows, ((0, -len(rows) % mesh.size), (0, 0))), sharding.by_rows(mesh)
    return Resident(sharding.put(rows, cut), sharding.put(labels, whole), image_shape)


def take(source: Resident, indices: jax.Array) -> dict[str, jax.Array]:
    """Gathers the batch at `indices` (B,): image (B, H, W, C) uint8, label, index (B,) int32."""
    return {
        "index": indices,
        "image": source.pixels[indices].reshape(-1, *source.image_shape),
        "label": source.labels[indices],
    }


def epoch_order(key: jax.Array, epoch: jax.Array | int, size: int) -> jax.Array:
    """Draws the order (size,) int32 in which epoch number `epoch` visits the examples.

    Sorting by one random word each takes half the time of `jax.random.permutation`, which sorts
    twice; equal words (about one pair in 2 * 2**32 / size**2 epochs) merely keep their order.
    """
    words = jax.random.bits(jax.random.fold_in(key, epoch), (size,))
    return jnp.argsort(words)


def balanced_order(key: jax.Array, epoch: jax.Array | int, labels: jax.Array) -> jax.Array:
    """Draws the examples (size,) int32 of epoch number `epoch`, see `imgcls_jax.data.sampling`.

    Args:
      labels: (size,) of the examples; it may be traced.
    """
    by_class = jnp.argsort(labels, stable=True)
    ordered = labels[by_class]
    # The number of the class among those that occur, of each example in their order.
    rank = jnp.cumsum(jnp.concatenate([jnp.zeros(1, bool), ordered[1:] != ordered[:-1]]))
    class_key, example_key = jax.random.split(jax.random.fold_in(key, epoch))
    drawn = jax.random.randint(class_key, labels.shape, 0, rank[-1] + 1)
    first, end = (jnp.searchsorted(rank, drawn, side=side) for side in ("left", "right"))
    return by_class[first + jax.random.randint(example_key, labels.shape, 0, end - first)]


def drawn_order(
    sampler: str, key: jax.Array, epoch: jax.Array | int, labels: jax.Array
) -> jax.Array:
    """Draws the examples (size,) int32 of an epoch by one of `sampling.SAMPLERS`."""
    if sampler == "balanced":
        return balanced_order(key, epoch, labels)
    return epoch_order(key, epoch, labels.shape[0])
