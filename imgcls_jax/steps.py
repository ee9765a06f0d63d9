"""Training and evaluation steps as pure functions: what a notebook imports.

A batch is a dict with `image` (B, H, W, C), uint8 as stored or float, and `label` (B,) int32 or
(B, num_classes). Metrics are sums over examples (`loss`, `correct`, `count`), so that adding the
metrics of any batches and dividing once gives the exact mean over all their examples.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from imgcls_jax.losses import cross_entropy
from imgcls_jax.metrics import batch_metrics
from imgcls_jax.optim.ema import ema_init, ema_update

# Steps draw from fold_in(fold_in(key, _STEP_STREAM), step): epochs use fold_in(key, epoch).
_STEP_STREAM = np.uint32(2**32 - 1)

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


@flax.struct.dataclass
class TrainState:
    """Everything a step changes, and the key it derives its randomness from.

    Attributes:
      step: () int32, the number of updates made so far.
      params: trainable parameters.
      batch_stats: running statistics of batch norm; {} for models without.
      opt_state: the optimiser's state.
      key: never consumed: step and epoch numbers are folded into it.
      average: the moving average of `params`, see `imgcls_jax.optim.ema`; {} where none is kept.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState
    key: jax.Array
    average: Any = flax.struct.field(default_factory=dict)

    @property
    def variables(self) -> dict[str, Any]:
        """The variables that the model's `apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def to_unit_interval(images: jax.Array) -> jax.Array:
    """Brings uint8 pixels to float32 in [0, 1], as x / 255; floats pass unchanged."""
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255.0
    return images


def init_state(
    *,
    model: Any,
    tx: optax.GradientTransformation,
    key: jax.Array,
    image_shape: tuple[int, ...],
    averaged: bool = False,
    known: Callable[[tuple[str, ...]], bool] | None = None,
) -> TrainState:
    """Builds the state before the first step, for a model that takes images of shape (H, W, C).

    Args:
      averaged: whether the state has room for the average that `make_train_step(ema=...)` keeps.
      known: whether other values will take the place of a variable, by its path, the collection
        first. Zeros stand for it here: inside jit nothing is computed to draw it, and what is drawn
        has the bits that it has without.
    """
    init_key, train_key = jax.random.split(key)
    variables = model.init(init_key, jnp.zeros((1, *image_shape)))
    if known is not None:
        variables = jax.tree_util.tree_map_with_path(
            lambda path, leaf: (
                jnp.zeros(leaf.shape, leaf.dtype) if known(tuple(k.key for k in path)) else leaf
            ),
            variables,
        )
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=tx.init(params),
        average=ema_init(params) if averaged else {},
        key=train_key,
    )


def make_train_step(
    *,
    apply_fn: Callable[..., Any],
    tx: optax.GradientTransformation,
    loss_fn: Callable[[jax.Array, jax.Array], jax.Array] = cross_entropy,
    metrics_fn: Callable[..., Metrics] = batch_metrics,
    image_fn: Callable[[jax.Array], jax.Array] = to_unit_interval,
    augment_fn: Callable[[jax.Array, Batch], Batch] | None = None,
    accumulate: int = 1,
    batch_size: int | None = None,
    ema: float = 0.0,
    steps_per_epoch: int | None = None,
    shard_fn: Callable[[Batch], Batch] = lambda batch: batch,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Builds `step(state, batch) -> (state, metrics)`, jitted, with the state donated.

    Args:
      apply_fn: a Linen model's `apply`.
      tx: the optimiser, see `imgcls_jax.optim`.
      loss_fn: (logits (B, C), labels) -> per-example losses (B,); their mean is minimised.
      metrics_fn: (losses, logits, labels, mask) -> sums, `batch_metrics` or one of its kind.
      image_fn: stored images -> images as the augmentation and the model take them.
      augment_fn: (key, batch) -> batch, see `imgcls_jax.augment`.
      accumulate: micro-batches per step, for batches larger than the memory. The gradient is that
        of the whole batch; batch norm sees a micro-batch at a time.
      batch_size: of a full batch, for `accumulate`: a smaller one, at the end of an epoch, is cut
        into micro-batches of the same size and a rest.
      ema: decay of the moving average of the parameters; 0 keeps none.
      steps_per_epoch: gives the augmentation the number of the epoch; None leaves it out.
      shard_fn: cuts a batch, or a micro-batch, over devices, see `imgcls_jax.sharding.over_batch`.
    """

    def objective(params, batch_stats, batch, key):
        logits, updated = apply_fn(
            {"params": params, "batch_stats": batch_stats},
            batch["image"],
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        losses = loss_fn(logits, batch["label"])
        metrics = metrics_fn(losses, logits, batch["label"])
        return losses.mean(), (metrics, updated.get("batch_stats", {}))

    differentiate = jax.grad(objective, has_aux=True)

    def whole_gradient(state, batch, key):
        """Computes gradients of the mean loss, summed metrics, and statistics, by micro-batches."""
        total = len(batch["label"])
        size = min(total, -(-(batch_size or total) // accumulate))
        parts, rest = divmod(total, size)
        if total == size:
            gradients, (metrics, batch_stats) = differentiate(
                state.params, state.batch_stats, batch, key
            )
            return gradients, metrics, batch_stats

        def add(carry, number, part):
            gradients, metrics, batch_stats = carry
            part, share = shard_fn(part), len(part["label"]) / total
            more, (more_metrics, batch_stats) = differentiate(
                state.params, batch_stats, part, jax.random.fold_in(key, number)
            )
            gradients = jax.tree.map(lambda g, m: g + share * m, gradients, more)
            return gradients, jax.tree.map(jnp.add, metrics, more_metrics), batch_stats

        carry = (jax.tree.map(jnp.zeros_like, state.params), zero_metrics(), state.batch_stats)
        split = jax.tree.map(lambda x: x[: parts * size].reshape(parts, size, *x.shape[1:]), batch)
        carry, _ = jax.lax.scan(
            lambda carry, numbered: (add(carry, *numbered), None),
            carry,
            (jnp.arange(parts), split),
        )
        if rest:
            carry = add(carry, parts, jax.tree.map(lambda x: x[parts * size :], batch))
        return carry

    @partial(jax.jit, donate_argnums=0)
    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        stream = jax.random.fold_in(state.key, _STEP_STREAM)
        augment_key, dropout_key = jax.random.split(jax.random.fold_in(stream, state.step))
        batch = shard_fn(batch)
        batch = {**batch, "image": image_fn(batch["image"])}
        if steps_per_epoch is not None:
            batch["epoch"] = state.step // steps_per_epoch
        if augment_fn is not None:
            batch = augment_fn(augment_key, batch)
        batch = shard_fn({name: batch[name] for name in ("image", "label")})
        gradients, metrics, batch_stats = whole_gradient(state, batch, dropout_key)
        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if ema:
            average = ema_update(average, params, decay=ema, step=state.step)
        state = state.replace(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
            average=average,
        )
        return state, metrics

    return train_step


def make_train_many(
    *,
    train_step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    take_fn: Callable[[Any, jax.Array], Batch],
    batch_size: int,
    shardings: Any = None,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """Builds `run(state, sums, source, order, first, count)`: many training steps in one call.

    Batch k of the epoch is `take_fn(source, order[k * batch_size : (k + 1) * batch_size])`; the
    call runs batches first .. first + count - 1 and adds their metrics to `sums`. `first` and
    `count` are traced, so one compilation serves calls of any length. `state` and `sums` are
    donated.

    Args:
      shardings: those of the state and the sums that it returns; None leaves them to the compiler.
    """

    @partial(jax.jit, donate_argnums=(0, 1), out_shardings=shardings)
    def run(state, sums, source, order, first, count):
        def body(k, carry):
            state, sums = carry
            indices = jax.lax.dynamic_slice_in_dim(order, k * batch_size, batch_size)
            state, metrics = train_step(state, take_fn(source, indices))
            return state, jax.tree.map(jnp.add, sums, metrics)

        return jax.lax.fori_loop(first, first + count, body, (state, sums))

    return run


def make_eval_step(
    *,
    apply_fn: Callable[..., Any],
    loss_fn: Callable[[jax.Array, jax.Array], jax.Array] = cross_entropy,
    metrics_fn: Callable[..., Metrics] = batch_metrics,
    image_fn: Callable[[jax.Array], jax.Array] = to_unit_interval,
    shard_fn: Callable[[Batch], Batch] = lambda batch: batch,
) -> Callable[[TrainState, Batch], tuple[Metrics, jax.Array]]:
    """Builds `step(state, batch) -> (metrics, logits)`, jitted, the model in inference mode.

    A batch may carry `mask` (B,) bool; examples where it is False contribute nothing.

    Args:
      shard_fn: cuts a batch over devices, see `imgcls_jax.sharding.over_batch`.
    """

    @jax.jit
    def eval_step(state: TrainState, batch: Batch) -> tuple[Metrics, jax.Array]:
        batch = shard_fn(batch)
        logits = apply_fn(state.variables, image_fn(batch["image"]), train=False)
        losses = loss_fn(logits, batch["label"])
        return metrics_fn(losses, logits, batch["label"], batch.get("mask")), logits

    return eval_step


def make_evaluate(
    *,
    eval_step: Callable[[TrainState, Batch], tuple[Metrics, jax.Array]],
    take_fn: Callable[[Any, jax.Array], Batch],
    batch_size: int,
    sharding: Any = None,
) -> Callable[[TrainState, Any], tuple[Metrics, jax.Array]]:
    """Builds `evaluate(state, source) -> (metrics, logits (N, C))` over a whole resident split.

    The last batch is padded with repeats of the last example and masked, so every example counts
    once whatever the batch size, and only one batch shape is compiled.

    Args:
      sharding: that of what it returns; None leaves it to the compiler.
    """

    @partial(jax.jit, out_shardings=sharding)
    def evaluate(state, source):
        total = len(source)
        size = min(batch_size, total)
        batches = -(-total // size)

        def body(sums, indices):
            batch = take_fn(source, jnp.minimum(indices, total - 1))
            metrics, logits = eval_step(state, {**batch, "mask": indices < total})
            return jax.tree.map(jnp.add, sums, metrics), logits

        order = jnp.arange(batches * size).reshape(batches, size)
        sums, logits = jax.lax.scan(body, zero_metrics(), order)
        return sums, logits.reshape(batches * size, -1)[:total]

    return evaluate


def zero_metrics() -> Metrics:
    """Returns the neutral element for adding metrics."""
    return {
        "loss": jnp.zeros(()),
        "correct": jnp.zeros((), jnp.int32),
        "count": jnp.zeros((), jnp.int32),
    }


def means(sums: Metrics) -> dict[str, float]:
    """Turns sums over examples into `loss` (nats per example) and `accuracy` (a fraction)."""
    count = float(sums["count"])
    return {"loss": float(sums["loss"]) / count, "accuracy": float(sums["correct"]) / count}
