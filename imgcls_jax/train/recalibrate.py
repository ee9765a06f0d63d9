"""The batch-norm statistics that belong to averaged weights.

The average of a trajectory is often a better network than its end (Polyak and Juditsky 1992;
Izmailov et al. 2018). Its activations are not the average of the activations, so the running
statistics of batch norm do not fit it and are estimated anew (Izmailov et al., section 3.2).

The network runs in training mode, each batch normalised by its own statistics, over equal batches
of examples spread evenly over the training set, each batch over all of it (a set may be sorted by
class). The result is the mean and variance, in the convention of each layer (unbiased or not), that
one batch of all these examples would have in the first batch norm; behind it they differ as the
batches' own statistics do. Where the network has dropout it is active, as in
`torch.optim.swa_utils.update_bn`, with the same draws at every call.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.models.layers import BatchNorm

Moments = dict[tuple[str, ...], tuple[jax.Array, jax.Array]]  # of a batch, by path of the norm
Layers = dict[tuple[str, ...], tuple[bool, int]]  # whether unbiased, and values per channel


def evenly_spread(total: int, *, batch_size: int, batches: int) -> np.ndarray:
    """Returns which examples the batches hold, (count, size) int32.

    Args:
      total: the number of examples there are.
      batch_size: examples per batch; at most those there are.
      batches: their number; fewer of a split that has fewer examples.
    """
    size = min(batch_size, total)
    count = max(1, min(batches, total // size))
    # Example k of batch b is number k * count + b of those taken.
    order = np.arange(size * count) * total // (size * count)
    return order.reshape(size, count).T.astype(np.int32)


def make_recalibrate(
    *,
    apply_fn: Callable[..., Any],
    take_fn: Callable[[Any, jax.Array], dict[str, jax.Array]],
    image_fn: Callable[[jax.Array], jax.Array],
    batch_size: int,
    batches: int,
) -> Callable[[dict[str, Any], Any], Any]:
    """Builds `recalibrate(variables, source) -> batch_stats`, jitted, for a split on the device.

    Args:
      apply_fn: a Linen model's `apply`; its norms are `models.layers.BatchNorm` or Flax's.
      take_fn: (source, indices (B,)) -> batch with `image`.
      image_fn: stored images -> images as the model takes them.
      batch_size, batches: see `evenly_spread`.

    Raises:
      TypeError: when called, if statistics belong to a module of another kind.
    """

    @jax.jit
    def recalibrate(variables, source):
        if not variables["batch_stats"]:
            return {}
        order = evenly_spread(len(source), batch_size=batch_size, batches=batches)
        layers: Layers = {}

        def body(_, numbered):
            number, indices = numbered
            images = image_fn(take_fn(source, indices)["image"])
            return None, _moments(apply_fn, variables, images, number, layers)

        _, moments = jax.lax.scan(body, None, (np.arange(len(order)), order))
        return _pooled(moments, layers, len(order), variables["batch_stats"])

    return recalibrate


def make_recalibrate_streamed(
    *,
    apply_fn: Callable[..., Any],
    image_fn: Callable[[jax.Array], jax.Array],
    batch_size: int,
    batches: int,
) -> Callable[[dict[str, Any], Any], Any]:
    """Builds `recalibrate(variables, images) -> batch_stats` for images that are not at hand.

    The same as `make_recalibrate`, but that `images` (N, H, W, C) are indexed a batch at a time,
    from wherever they lie.
    """
    layers: Layers = {}

    @jax.jit
    def of_batch(variables, images, number):
        return _moments(apply_fn, variables, image_fn(images), number, layers)

    def recalibrate(variables, images):
        if not variables["batch_stats"]:
            return {}
        order = evenly_spread(len(images), batch_size=batch_size, batches=batches)
        found = [
            of_batch(variables, images[indices], np.int32(number))
            for number, indices in enumerate(order)
        ]
        moments = jax.tree.map(lambda *values: jnp.stack(values), *found)
        return _pooled(moments, layers, len(order), variables["batch_stats"])

    return recalibrate


def _moments(
    apply_fn: Callable[..., Any],
    variables: dict[str, Any],
    images: jax.Array,
    number: jax.Array | int,
    layers: Layers,
) -> Moments:
    """Returns the inputs' mean and variance (C,) in each batch norm, and notes the norms.

    Args:
      number: of the batch, which dropout draws by.
      layers: filled while this is traced.
    """
    moments = {}

    def record(next_fun, args, kwargs, context):
        module, called = context.module, context.method_name == "__call__"
        if called and isinstance(module, BatchNorm | nn.BatchNorm):
            x = args[0].astype(jnp.float32).reshape(-1, args[0].shape[-1])
            layers[module.path] = (getattr(module, "unbiased", False), len(x))
            moments[module.path] = (x.mean(0), x.var(0))
        return next_fun(*args, **kwargs)

    with nn.intercept_methods(record):
        apply_fn(
            variables,
            images,
            train=True,
            rngs={"dropout": jax.random.fold_in(jax.random.key(0), number)},
            mutable=["batch_stats"],
        )
    return moments


def _pooled(moments: Moments, layers: Layers, count: int, batch_stats: Any) -> Any:
    """Returns the statistics of all batches together, in the structure of `batch_stats`.

    Args:
      moments: those of `count` batches, stacked.
    """
    pooled = {}
    for path, (means, variances) in moments.items():
        unbiased, examples = layers[path]
        # The variance of all is the mean of the batches' and the variance of their means.
        var = variances.mean(0) + means.var(0)
        if unbiased:
            var = var * (count * examples / max(1, count * examples - 1))
        pooled[*path, "mean"], pooled[*path, "var"] = means.mean(0), var
    kept = set(flax.traverse_util.flatten_dict(batch_stats))
    if kept != set(pooled):
        raise TypeError(f"no batch norm keeps the statistics {kept ^ set(pooled)}")
    return flax.traverse_util.unflatten_dict(pooled)
