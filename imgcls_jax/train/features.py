"""Published weights put into a state, features computed once, and a head trained on them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from imgcls_jax import optim, sharding, steps
from imgcls_jax.data import resident
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.resident import Resident
from imgcls_jax.models.freezing import ApplyFn, features_of, head_of, with_binary_head
from imgcls_jax.optim.ema import ema_init
from imgcls_jax.train.streams import evaluation_batches
from imgcls_jax.train.waiting import stage


def merge(params: Any, loaded: Mapping[str, Any]) -> Any:
    """Returns `params` with the arrays of `loaded` in place of those at the same paths.

    Raises:
      ValueError: if a shape differs or `loaded` has a path that `params` has not.
    """
    result = dict(params)
    for name, value in loaded.items():
        if name not in result:
            raise ValueError(f"there is no {name!r} to replace")
        if isinstance(value, Mapping):
            result[name] = merge(result[name], value)
        elif np.shape(value) != np.shape(result[name]):
            raise ValueError(f"{name}: {np.shape(value)} for {np.shape(result[name])}")
        else:
            # A copy: training donates its state, and the file's arrays serve the next seed.
            of = result[name]
            result[name] = sharding.put(np.array(value, of.dtype), of.sharding)
    return result


def overlay(state: steps.TrainState, pretrained: Mapping[str, Any]) -> steps.TrainState:
    """Returns the state with pretrained variables in place of its own, as far as they go."""
    params = merge(state.params, pretrained["params"])
    batch_stats = merge(state.batch_stats, pretrained.get("batch_stats", {}))
    average = ema_init(params) if state.average else {}
    return state.replace(params=params, batch_stats=batch_stats, average=average)


def make_extract(
    *,
    apply_fn: ApplyFn,
    batch_size: int,
    mesh: Mesh | None = None,
    check: Callable[[], None] = lambda: None,
) -> Callable[[Any, Split, str], Resident]:
    """Builds `extract(variables, split, doing)`: the features of a split, on the devices.

    The features (N, F) float32 take the place of the images, which may be at hand or in their
    files. A progress bar says what is being done. The network is compiled once for all splits,
    whose last batches are filled up.

    Args:
      mesh: the devices that share every batch, which hold the variables; the first if None.
      check: is called after every batch, and may raise to stop.
    """
    mesh = sharding.make_mesh(1) if mesh is None else mesh
    cut, features, compiled = sharding.over_batch(mesh), features_of(apply_fn), {}

    @partial(jax.jit, out_shardings=sharding.replicated(mesh))
    def of_batch(variables, images):
        return features(variables, steps.to_unit_interval(cut(images)))

    def run_of(variables, images):
        shape = (batch_size, *images.shape[1:])
        if shape not in compiled:
            with stage("compiling the network"):
                batch = jax.ShapeDtypeStruct(
                    shape, images.dtype, sharding=sharding.of_batch(mesh, batch_size)
                )
                compiled[shape] = of_batch.lower(variables, batch).compile()
        return compiled[shape]

    def extract(variables, split, doing):
        run = run_of(variables, split.images)
        found = []
        for batch, size in evaluation_batches(split, batch_size, doing, mesh):
            found.append(np.asarray(run(variables, batch["image"]))[:size])
            check()
        rows = np.concatenate(found)
        return resident.placed(rows, split.labels, rows.shape[1:], mesh)

    return extract


class HeadFit(NamedTuple):
    """The length and the rate of a fit of a head, and its batches.

    Attributes:
      batch_size: at most the number of examples.
      sampler: one of `sampling.SAMPLERS`.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    sampler: str = "uniform"


def make_fit_head(
    *,
    model: Any,
    binary: bool,
    loss_fn: Callable[[jax.Array, jax.Array], jax.Array],
    of: HeadFit,
    found: Resident,
    state: steps.TrainState,
    mesh: Mesh | None = None,
    check: Callable[[], None] = lambda: None,
) -> Callable[..., steps.TrainState]:
    """Builds `fit_head(state, found) -> state`, its head alone trained by Adam; compiled here.

    It comes before a fine-tuning: a random head's first gradients would spoil what the layers
    below it have learned (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features"). Every
    epoch trains on as many examples as there are; its last batch may be smaller than the others.

    Args:
      model: the network, whose head is trained.
      binary: whether its one logit is taken for two, see `freezing.with_binary_head`.
      found: the features of the training split; `fit_head` takes others of the same shapes too.
      state: shapes of the states that will come.
      mesh: the devices that share every batch; the first if None.
      check: is called after every epoch, and may raise to stop.
    """
    mesh = sharding.make_mesh(1) if mesh is None else mesh
    apply_fn = with_binary_head(head_of(model)) if binary else head_of(model)
    tx = optim.create("adam", learning_rate=of.learning_rate)
    train_step = steps.make_train_step(
        apply_fn=apply_fn, tx=tx, loss_fn=loss_fn, shard_fn=sharding.over_batch(mesh)
    )
    whole = sharding.replicated(mesh)
    (name,) = model.stages()["head"]
    begin = partial(_head_alone, name=name, tx=tx)
    carry, zero = sharding.shaped(jax.eval_shape(begin, state), whole), np.int32(0)

    def train_many(examples, visited):
        run = steps.make_train_many(
            train_step=train_step, take_fn=resident.take, batch_size=examples, shardings=whole
        )
        order = jax.ShapeDtypeStruct((visited,), jnp.int32, sharding=whole)
        return run.lower(*carry, found, order, zero, zero).compile()

    full, rest = divmod(len(found), of.batch_size)
    train_full = train_many(of.batch_size, len(found))
    train_rest = train_many(rest, rest) if rest else None

    def fit_head(state, found=found):
        head = jax.device_put(begin(state), whole)
        for epoch in range(of.epochs):
            order = resident.drawn_order(of.sampler, state.key, epoch, found.labels)
            head = train_full(*head, found, order, zero, np.int32(full))
            if rest:
                last = order[full * of.batch_size :]
                head = train_rest(*head, found, last, zero, np.int32(1))
            jax.block_until_ready(head)
            check()
        return overlay(state, {"params": head[0].params})

    return fit_head


def _head_alone(
    state: steps.TrainState, *, name: str, tx: optax.GradientTransformation
) -> tuple[steps.TrainState, steps.Metrics]:
    """Returns a state of the head alone and sums of nothing; copies, since steps donate them."""
    params = {name: jax.tree.map(jnp.copy, state.params[name])}
    key = jax.random.clone(state.key)
    head = steps.TrainState(jnp.zeros((), jnp.int32), params, {}, tx.init(params), key)
    return head, steps.zero_metrics()
