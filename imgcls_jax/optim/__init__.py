"""Optimisers by name, with the update rules and defaults of PyTorch or Keras 3.

    tx = optim.create("adam", framework="torch", learning_rate=8e-4)

The two frameworks differ in more than their defaults:

* Adam's epsilon is added to the bias-corrected sqrt(v) in PyTorch, to the uncorrected one in Keras
  ("epsilon hat", Kingma and Ba 2015, end of section 2).
* RMSprop's epsilon stands outside the square root in PyTorch, inside it in Keras.
* Momentum accumulates gradients in PyTorch and is then scaled by the current learning rate; in
  Keras it accumulates steps already scaled. The two part ways when the rate changes.
* Weight decay is added to the gradient by PyTorch's sgd, adam and rmsprop. In AdamW and in every
  Keras optimiser it is decoupled: the weights shrink by learning_rate x weight_decay per step.

Muon (Jordan et al. 2024) is in PyTorch only: `torch.optim.Muon` takes matrices and leaves all other
parameters to another optimiser. Here "muon" trains those by AdamW, as its authors do, at the same
rate: AdamW's steps, unlike SGD's, do not depend on the gradient's scale either, and Muon's are
brought to their size. Keras' Muon hands convolutions to AdamW and is not offered.

Learning-rate schedules are in `imgcls_jax.optim.schedules`; `imgcls_jax.optim.params.partition`
gives each group of parameters an optimiser of its own.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from imgcls_jax.errors import UserError
from imgcls_jax.optim import airbench, muon
from imgcls_jax.optim.frameworks import DEFAULTS, FRAMEWORKS, NAMES, defaults
from imgcls_jax.optim.params import first_match, matcher, path_mask, path_name

__all__ = [
    "DEFAULTS",
    "FRAMEWORKS",
    "NAMES",
    "clip_by_global_norm",
    "create",
    "defaults",
    "scale_by_adam",
]


def create(
    name: str,
    *,
    framework: str = "torch",
    decay_mask: str = "all",
    clip_norm: float | None = None,
    lr_scales: Mapping[str, float] | None = None,
    **options: Any,
) -> optax.GradientTransformation:
    """Builds the optimiser called `name` as `framework` defines it.

    Args:
      name: one of `NAMES`.
      framework: "torch" or "keras": gives the update rule, and the defaults of the options.
      decay_mask: which parameters decay, see `path_mask`. Both frameworks decay "all", biases and
        normalisation scales included.
      clip_norm: the largest norm of all gradients together, before anything else is done to them.
      lr_scales: factors on the learning rate, and so on decoupled decay too, of the parameters a
        pattern matches, see `path_mask`; the first match counts. 0 freezes: such parameters have
        no optimiser state and their gradients do not count for `clip_norm`.
      **options: the optimiser's own, those that `defaults(name, framework)` lists; None takes the
        default. Among them:
        learning_rate: a constant, or a schedule from optimiser steps (from 0) to the rate.
        weight_decay: its strength; coupled or decoupled as the framework does it.
        momentum: for sgd, rmsprop, muon and airbench; the last two's is always Nesterov's.
        nesterov: for sgd; False is accepted by all.
        b1, b2: for adam and adamw, and muon's AdamW: decay of the first and second moment.
        rho: for rmsprop, decay of the second moment.
        eps: for adam, adamw and rmsprop, and muon's AdamW.
        matrices: for muon, which kernels are orthogonalised, see `muon.labels`; by default
          "hidden", all but the output layer's.
        batch_size: for airbench, whose rates are those of the loss summed over a batch.

    Raises:
      UserError: for an unknown name or framework, an option the optimiser does not take, a value
        out of its range; from `init`, if a pattern matches no parameter.
    """
    known = defaults(name, framework)
    options = known | _given(name, options, known)
    if name == "airbench" and (options["batch_size"] is None or decay_mask != "all"):
        raise UserError("optimiser 'airbench' needs batch_size, and its weight decay has no mask.")
    _check(options | ({} if clip_norm is None else {"clip_norm": clip_norm}))
    matcher(decay_mask)
    tx = _compose(name, framework, options, decay_mask)
    if clip_norm is not None:
        # PyTorch's and Keras' functions differ in this constant.
        constant = 1e-6 if framework == "torch" else 0.0
        tx = optax.chain(clip_by_global_norm(clip_norm, eps=constant), tx)
    return _scale_rates(tx, lr_scales) if lr_scales else tx


def _given(name: str, options: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that are neither None nor `nesterov=False`, which say nothing.

    Raises:
      UserError: for one that the optimiser does not take.
    """
    given = {
        option: value
        for option, value in options.items()
        if value is not None and (option, value) != ("nesterov", False)
    }
    if unknown := sorted(set(given) - set(known)):
        raise UserError(
            f"optimiser {name!r} takes no option {', '.join(unknown)}; "
            f"it takes: {', '.join(known)}."
        )
    return given


def _check(options: dict[str, Any]) -> None:
    """Raises UserError for the first option out of its range."""
    for option, value in options.items():
        if option in ("nesterov", "batch_size") or callable(value):
            continue
        if option == "matrices":
            matcher(value)
            continue
        if option in ("learning_rate", "clip_norm"):
            valid, expected = value > 0, "a positive number"
        elif option in ("weight_decay", "eps"):
            valid, expected = value >= 0, "a number of at least 0"
        else:
            valid, expected = 0 <= value < 1, "at least 0 and less than 1"
        if not (valid and math.isfinite(value)):
            raise UserError(f"{option} is {value}; it must be {expected}.")
    if options.get("nesterov") and not options["momentum"]:
        raise UserError("nesterov is set with a momentum of 0; give a momentum, such as 0.9.")


def _compose(
    name: str, framework: str, options: dict[str, Any], decay_mask: str
) -> optax.GradientTransformation:
    """Chains the parts of one rule: [coupled decay] [rule] {momentum, rate} [decoupled decay]."""
    if name == "airbench":
        return airbench.airbench(**options)
    torch = framework == "torch"
    rate, strength = options["learning_rate"], options["weight_decay"]
    rule = []
    if name == "rmsprop":
        rule = [optax.scale_by_rms(decay=options["rho"], eps=options["eps"], eps_in_sqrt=not torch)]
    elif name in ("adam", "adamw", "muon"):
        adam = scale_by_adam(
            b1=options["b1"], b2=options["b2"], eps=options["eps"], eps_is_hat=not torch
        )
        rule = [adam]
    if name == "muon":
        rules = {"muon": muon.scale_by_muon(momentum=options["momentum"]), "companion": adam}
        rule = [optax.partition(rules, lambda tree: muon.labels(tree, options["matrices"]))]

    momentum = []
    if options.get("momentum") and name != "muon":
        momentum = [optax.trace(options["momentum"], nesterov=options.get("nesterov", False))]
    scale = [optax.scale_by_learning_rate(rate)]
    steps = momentum + scale if torch else scale + momentum

    if not strength:
        return optax.chain(*rule, *steps)
    if torch and name not in ("adamw", "muon"):
        return optax.chain(_decay(strength, decay_mask), *rule, *steps)
    # Decoupled: last in the chain, so that the decay enters no momentum buffer.
    shrink = (lambda step: -strength * rate(step)) if callable(rate) else -strength * rate
    return optax.chain(*rule, *steps, _decay(shrink, decay_mask))


def _decay(strength: float | optax.Schedule, decay_mask: str) -> optax.GradientTransformation:
    mask = None if decay_mask == "all" else lambda params: path_mask(params, decay_mask)
    return optax.add_decayed_weights(strength, mask)


def clip_by_global_norm(max_norm: float, *, eps: float) -> optax.GradientTransformation:
    """Multiplies all gradients by min(1, max_norm / (norm + eps)), norm being that of all together.

    `torch.nn.utils.clip_grad_norm_` with an eps of 1e-6, Keras' `global_clipnorm` with 0.
    """

    def clip(gradients, params):
        del params
        factor = jnp.minimum(1.0, max_norm / (optax.tree.norm(gradients) + eps))
        return jax.tree.map(lambda g: g * factor, gradients)

    return optax.stateless(clip)


def _scale_rates(
    tx: optax.GradientTransformation, scales: Mapping[str, float]
) -> optax.GradientTransformation:
    """Multiplies the updates of parameters that patterns match by factors; 0 leaves them out."""
    matchers = {pattern: matcher(pattern) for pattern in scales}
    for pattern, factor in scales.items():
        if not 0 <= factor < math.inf:
            raise UserError(
                f"the learning-rate factor of {pattern!r} is {factor}; it must be a finite number "
                "of at least 0 (0 freezes)."
            )

    def scale(path, update):
        found = (f for p, f in scales.items() if matchers[p](path_name(path)))
        return update * next(found, 1.0)

    def labels(params):
        return jax.tree.map(
            lambda factor: "trained" if factor else "frozen", first_match(params, scales, 1.0)
        )

    scaled = optax.stateless(
        lambda updates, params: jax.tree_util.tree_map_with_path(scale, updates)
    )
    groups = {"trained": optax.chain(tx, scaled), "frozen": optax.set_to_zero()}
    return optax.partition(groups, labels)


def scale_by_adam(
    *, b1: float, b2: float, eps: float, eps_is_hat: bool
) -> optax.GradientTransformation:
    """Gives Adam's direction, sqrt(1 - b2^t) / (1 - b1^t) x m / (sqrt(v) + eps_hat).

    eps_hat is `eps` itself if `eps_is_hat` (Keras) and eps x sqrt(1 - b2^t) if not (PyTorch, and
    Algorithm 1 of Kingma and Ba 2015). `optax.scale_by_adam` has only the second form, is
    off by 1e-5 of a step in float32 (see `_one_minus_power`), and divides every element of both
    moments by a correction where this multiplies by one scalar.
    """

    def init(params):
        # Two calls: buffers shared by mu and nu could not be donated.
        mu, nu = optax.tree.zeros_like(params), optax.tree.zeros_like(params)
        return optax.ScaleByAdamState(count=jnp.zeros((), jnp.int32), mu=mu, nu=nu)

    def update(gradients, state, params=None):
        del params
        count = optax.safe_increment(state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, gradients)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, gradients)
        root = jnp.sqrt(_one_minus_power(b2, count))
        alpha = root / _one_minus_power(b1, count)
        eps_hat = eps if eps_is_hat else eps * root
        updates = jax.tree.map(lambda m, v: alpha * m / (jnp.sqrt(v) + eps_hat), mu, nu)
        return updates, optax.ScaleByAdamState(count=count, mu=mu, nu=nu)

    return optax.GradientTransformation(init, update)


def _one_minus_power(decay: float, count: jax.Array) -> jax.Array:
    """Computes 1 - decay^count, without cancellation (float32 has five digits of 1 - 0.999)."""
    return -jnp.expm1(count * (math.log(decay) if decay else -math.inf))
