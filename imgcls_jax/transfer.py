"""Transfer learning as pure functions: what is frozen, what the head alone sees, and at which rate.

A network for transfer (`imgcls_jax.models.TRANSFERABLE`) says by `stages()` which parameters belong
to its stem, its stages and its head, and hands out the head's inputs, its features.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from imgcls_jax import averaging, optim, steps
from imgcls_jax.data import resident
from imgcls_jax.data.resident import Resident
from imgcls_jax.errors import UserError
from imgcls_jax.models.layers import BatchNorm

ApplyFn = Callable[..., Any]


def frozen_stages(stages: Mapping[str, tuple[str, ...]], trainable: str) -> tuple[str, ...]:
    """The stages below the one that training begins with, none for "all".

    Raises:
      UserError: if the network has no stage of that name.
    """
    names = tuple(stages)
    if trainable == "all":
        return ()
    if trainable not in names:
        raise UserError(f"unknown --trainable={trainable}; choose one of: all, {', '.join(names)}.")
    return names[: names.index(trainable)]


def rate_factors(
    stages: Mapping[str, tuple[str, ...]], *, trainable: str, layer_decay: float
) -> dict[str, float]:
    """Factors on the learning rate by pattern, for `optim.create(lr_scales=...)`.

    The head has 1, the stage below it `layer_decay`, the next its square and so on (Howard and
    Ruder 2018, "discriminative fine-tuning"); stages below `trainable` have 0, which leaves them
    no optimiser state.
    """
    frozen = frozen_stages(stages, trainable)
    factors = {}
    for depth, (stage, modules) in enumerate(reversed(stages.items())):
        factor = 0.0 if stage in frozen else layer_decay**depth
        if factor != 1:
            factors[f"^({'|'.join(modules)})/"] = factor
    return factors


def freeze(apply_fn: ApplyFn, modules: frozenset[str]) -> ApplyFn:
    """`apply_fn` whose top-level modules of these names take no part in training.

    There are no gradients by their parameters, and their batch norms use and keep their running
    statistics. Nothing is differentiated below the lowest module that trains, which is where frozen
    layers save their time.
    """
    if not modules:
        return apply_fn

    def infer(next_fun, args, kwargs, context):
        if isinstance(context.module, BatchNorm) and context.module.path[0] in modules:
            return next_fun(args[0], False)
        return next_fun(*args, **kwargs)

    def frozen(variables, images, **keywords):
        params = {
            name: jax.lax.stop_gradient(value) if name in modules else value
            for name, value in variables["params"].items()
        }
        with nn.intercept_methods(infer):
            return apply_fn({**variables, "params": params}, images, **keywords)

    return frozen


def with_fixed_norms(apply_fn: ApplyFn) -> ApplyFn:
    """`apply_fn` whose batch norms use their running statistics in training and keep them.

    As Keras' `base_model(x, training=False)`, but that dropout stays what `train` says.
    """

    def fixed(variables, images, *, mutable=False, **keywords):
        kept = [name for name in mutable or () if name != "batch_stats"]
        result = apply_fn(variables, images, mutable=kept, **keywords)
        if not mutable:
            return result[0]
        return result[0], {**result[1], "batch_stats": variables.get("batch_stats", {})}

    return fixed


def with_binary_head(apply_fn: ApplyFn) -> ApplyFn:
    """A network of one logit z as one of the two logits (0, z).

    Their softmax is (1 - sigmoid(z), sigmoid(z)) and their cross-entropy the binary one of z.
    """

    def binary(variables, images, **keywords):
        result = apply_fn(variables, images, **keywords)
        logits, *rest = result if isinstance(result, tuple) else (result,)
        both = jnp.concatenate([jnp.zeros_like(logits), logits], axis=-1)
        return (both, *rest) if rest else both

    return binary


def features_of(apply_fn: ApplyFn) -> ApplyFn:
    """(variables, images (B, H, W, C)) -> the head's inputs (B, F), in inference mode."""

    def features(variables, images):
        _, found = apply_fn(variables, images, train=False, mutable=["intermediates"])
        return found["intermediates"]["features"][0]

    return features


def head_of(model: Any) -> ApplyFn:
    """The head alone, with the signature of `model.apply` but features (B, F) for images."""
    (name,) = model.stages()["head"]
    # Before the head, which `dropout` is but for networks that say otherwise.
    rate = getattr(model, "head_dropout", model.dropout)

    def head(variables, features, *, train=False, rngs=None, mutable=False):
        if train and rate:
            kept = jax.random.bernoulli(rngs["dropout"], 1 - rate, features.shape)
            features = jnp.where(kept, features / (1 - rate), 0.0)
        parameters = variables["params"][name]
        logits = features @ parameters["kernel"] + parameters["bias"]
        if not mutable:
            return logits
        return logits, {"batch_stats": variables.get("batch_stats", {})}

    return head


def head_on_body(apply_fn: ApplyFn, model: Any) -> ApplyFn:
    """The whole network, of which all but the head is in inference mode and without gradients.

    What the head alone does on features that were computed once, for images that change.
    """
    features, head = features_of(apply_fn), head_of(model)

    def network(variables, images, **keywords):
        return head(variables, jax.lax.stop_gradient(features(variables, images)), **keywords)

    return network


def merge(params: Any, loaded: Mapping[str, Any]) -> Any:
    """`params` with the arrays of `loaded` in place of those at the same paths.

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
            result[name] = jnp.array(value, result[name].dtype)
    return result


def overlay(state: steps.TrainState, pretrained: Mapping[str, Any]) -> steps.TrainState:
    """The state with pretrained variables in place of its own, as far as they go."""
    params = merge(state.params, pretrained["params"])
    batch_stats = merge(state.batch_stats, pretrained.get("batch_stats", {}))
    average = averaging.ema_init(params) if state.average else {}
    return state.replace(params=params, batch_stats=batch_stats, average=average)


def make_extract(
    *, apply_fn: ApplyFn, take_fn: Callable[..., Any], batch_size: int
) -> Callable[[Any, Resident, str], Resident]:
    """Builds `extract(variables, source, name)`: the features of a split, resident as it is.

    The features (N, F) float32 take the place of the images. A progress bar is shown by `name`.
    """
    features = features_of(apply_fn)

    @jax.jit
    def of_batch(variables, source, indices):
        return features(variables, steps.to_unit_interval(take_fn(source, indices)["image"]))

    def extract(variables, source, name):
        total, found = len(source), []
        starts = range(0, total, batch_size)
        for start in tqdm(starts, desc=f"features of {name}", unit="batch", disable=None):
            # The last batch is filled up with its last example: one shape to compile.
            indices = np.minimum(np.arange(start, start + batch_size), total - 1)
            batch = of_batch(variables, source, indices.astype(np.int32))
            found.append(np.asarray(batch)[: total - start])
        rows = np.concatenate(found)
        return Resident(jnp.asarray(rows), source.labels, rows.shape[1:])

    return extract


def make_fit_head(
    *,
    model: Any,
    binary: bool,
    loss_fn: Callable[[jax.Array, jax.Array], jax.Array],
    epochs: int,
    learning_rate: float,
    batch_size: int,
) -> Callable[[steps.TrainState, Resident], steps.TrainState]:
    """Builds `fit_head(state, features) -> state`, whose head alone was trained by Adam.

    Compiled at its first call.

    What comes before a fine-tuning: a random head's first gradients would spoil what the layers
    below it have learned (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features").
    """
    apply_fn = with_binary_head(head_of(model)) if binary else head_of(model)
    tx = optim.create("adam", learning_rate=learning_rate)
    train_step = steps.make_train_step(apply_fn=apply_fn, tx=tx, loss_fn=loss_fn)
    (name,) = model.stages()["head"]

    run = steps.make_train_many(train_step=train_step, take_fn=resident.take, batch_size=batch_size)

    def fit_head(state, features):
        # Copies, since steps donate their state.
        params = {name: jax.tree.map(jnp.copy, state.params[name])}
        key = jax.random.clone(state.key)
        head = steps.TrainState(jnp.zeros((), jnp.int32), params, {}, tx.init(params), key)
        batches = len(features) // batch_size
        for epoch in range(epochs):
            order = resident.epoch_order(state.key, epoch, len(features))
            head, _ = run(
                head, steps.zero_metrics(), features, order, np.int32(0), np.int32(batches)
            )
        return overlay(state, {"params": head.params})

    return fit_head
