"""Transfer learning as pure functions: frozen parameters, rates by depth, and the head alone.

A network for transfer (`imgcls_jax.models.TRANSFERABLE`) says by `stages()` which parameters belong
to its stem, its stages and its head, and hands out the head's inputs, its features. All functions
here take and return functions with the signature of a Linen module's `apply`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.errors import UserError
from imgcls_jax.models.layers import BatchNorm

ApplyFn = Callable[..., Any]


def frozen_stages(stages: Mapping[str, tuple[str, ...]], trainable: str) -> tuple[str, ...]:
    """Returns the stages below the one that training begins with, none for "all".

    Raises:
      UserError: if the network has no stage of that name.
    """
    names = tuple(stages)
    if trainable == "all":
        return ()
    if trainable not in names:
        raise UserError(f"unknown `trainable={trainable}`; choose one of: all, {', '.join(names)}.")
    return names[: names.index(trainable)]


def rate_factors(
    stages: Mapping[str, tuple[str, ...]], *, trainable: str, layer_decay: float
) -> dict[str, float]:
    """Returns factors on the learning rate by pattern, for `optim.create(lr_scales=...)`.

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
    """Freezes the top-level modules of these names: they take no part in training.

    There are no gradients by their parameters, and they are in inference mode, as a frozen layer is
    in Keras (`trainable = False`) and a module after `.eval()` in PyTorch: their batch norms use
    and keep their running statistics, and neither dropout nor stochastic depth drops anything.
    Nothing is differentiated below the lowest module that trains, which is where frozen layers save
    their time.
    """
    if not modules:
        return apply_fn

    def infer(next_fun, args, kwargs, context):
        if modules.isdisjoint(context.module.path[:1]):
            return next_fun(*args, **kwargs)
        if isinstance(context.module, BatchNorm):
            return next_fun(args[0], False)
        if isinstance(context.module, nn.Dropout):  # of which stochastic depth is one
            return args[0]
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
    """Makes batch norms use their running statistics in training, and keep them.

    This is Keras' `base_model(x, training=False)`, but that dropout goes by `train`.
    """

    def fixed(variables, images, *, mutable=False, **keywords):
        kept = [name for name in mutable or () if name != "batch_stats"]
        result = apply_fn(variables, images, mutable=kept, **keywords)
        if not mutable:
            return result[0]
        return result[0], {**result[1], "batch_stats": variables.get("batch_stats", {})}

    return fixed


def with_binary_head(apply_fn: ApplyFn) -> ApplyFn:
    """Turns a network of one logit z into one of the two logits (0, z).

    Their softmax is (1 - sigmoid(z), sigmoid(z)) and their cross-entropy the binary one of z.
    """

    def binary(variables, images, **keywords):
        result = apply_fn(variables, images, **keywords)
        logits, *rest = result if isinstance(result, tuple) else (result,)
        both = jnp.concatenate([jnp.zeros_like(logits), logits], axis=-1)
        return (both, *rest) if rest else both

    return binary


def features_of(apply_fn: ApplyFn) -> ApplyFn:
    """Builds (variables, images (B, H, W, C)) -> the head's inputs (B, F), in inference mode."""

    def features(variables, images):
        _, found = apply_fn(variables, images, train=False, mutable=["intermediates"])
        return found["intermediates"]["features"][0]

    return features


def head_of(model: Any) -> ApplyFn:
    """Builds the head alone: `model.apply` that takes features (B, F) for images."""
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
    """Builds the whole network, whose body is in inference mode and without gradients.

    For images that change, it is the counterpart of the head alone on features computed once.
    """
    features, head = features_of(apply_fn), head_of(model)

    def network(variables, images, **keywords):
        return head(variables, jax.lax.stop_gradient(features(variables, images)), **keywords)

    return network
