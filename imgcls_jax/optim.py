"""Optimisers by name, with the update rules and defaults of PyTorch or Keras 3.

    tx = optim.create("adam", framework="torch", learning_rate=8e-4)

The two frameworks differ in more than their defaults:

* Adam's epsilon is added to the bias-corrected sqrt(v) in PyTorch, to the uncorrected one in Keras
  ("epsilon hat", Kingma and Ba 2015, end of section 2).
* RMSprop's epsilon stands outside the square root in PyTorch, inside it in Keras.
* Momentum accumulates gradients in PyTorch and is then scaled by the current learning rate; in
  Keras it accumulates steps already scaled. The two part ways when the rate changes.
* Weight decay is added to the gradient by PyTorch's sgd, adam and rmsprop. In AdamW and in every
  Keras optimiser it is decoupled: the weights shrink by learning_rate x weight_decay a step.

Learning-rate schedules are in `imgcls_jax.schedules`.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from imgcls_jax.errors import UserError

# `rho` is PyTorch's alpha; `b1`, `b2`, `eps` are beta_1, beta_2, epsilon in Keras.
DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "torch": {
        "sgd": dict(learning_rate=1e-3, momentum=0.0, nesterov=False, weight_decay=0.0),
        "adam": dict(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0),
        "adamw": dict(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-2),
        "rmsprop": dict(learning_rate=1e-2, rho=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0),
    },
    "keras": {
        "sgd": dict(learning_rate=1e-2, momentum=0.0, nesterov=False, weight_decay=0.0),
        "adam": dict(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-7, weight_decay=0.0),
        "adamw": dict(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-7, weight_decay=4e-3),
        "rmsprop": dict(learning_rate=1e-3, rho=0.9, eps=1e-7, momentum=0.0, weight_decay=0.0),
    },
}
FRAMEWORKS = tuple(DEFAULTS)
NAMES = tuple(DEFAULTS["torch"])


def create(
    name: str,
    *,
    framework: str = "torch",
    learning_rate: float | optax.Schedule | None = None,
    weight_decay: float | None = None,
    momentum: float | None = None,
    nesterov: bool = False,
    b1: float | None = None,
    b2: float | None = None,
    rho: float | None = None,
    eps: float | None = None,
    decay_mask: str = "all",
) -> optax.GradientTransformation:
    """Builds the optimiser called `name` as `framework` defines it.

    Args:
      name: one of `NAMES`.
      framework: "torch" or "keras": whose update rule, and whose defaults for what is None.
      learning_rate: a constant, or a schedule from optimiser steps (from 0) to the rate.
      weight_decay: its strength; coupled or decoupled as the framework does it.
      momentum, nesterov: for sgd; rmsprop takes momentum only.
      b1, b2: for adam and adamw, decay of the first and second moment.
      rho: for rmsprop, decay of the second moment.
      eps: for adam, adamw and rmsprop.
      decay_mask: which parameters decay, see `path_mask`. Both frameworks decay "all", biases and
        normalisation scales included.

    Raises:
      UserError: for an unknown name or framework, an option the optimiser does not take, a value
        out of its range; from `init`, if `decay_mask` matches no parameter.
    """
    if framework not in DEFAULTS:
        raise UserError(
            f"unknown framework {framework!r} for an optimiser; choose one of: "
            f"{', '.join(FRAMEWORKS)}."
        )
    if name not in DEFAULTS[framework]:
        raise UserError(f"unknown optimiser {name!r}; choose one of: {', '.join(NAMES)}.")
    given = dict(
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        momentum=momentum,
        nesterov=nesterov or None,
        b1=b1,
        b2=b2,
        rho=rho,
        eps=eps,
    )
    given = {option: value for option, value in given.items() if value is not None}
    defaults = DEFAULTS[framework][name]
    if unknown := sorted(set(given) - set(defaults)):
        raise UserError(
            f"optimiser {name!r} takes no option {', '.join(unknown)}; "
            f"it takes: {', '.join(defaults)}."
        )
    options = defaults | given
    _check(options)
    _compile(decay_mask)
    return _compose(name, framework, options, decay_mask)


def _check(options: dict[str, Any]) -> None:
    """Raises UserError for the first option out of its range."""
    for option, value in options.items():
        if option == "nesterov" or callable(value):
            continue
        if option == "learning_rate":
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
    torch = framework == "torch"
    rate, strength = options["learning_rate"], options["weight_decay"]
    rule = []
    if name == "rmsprop":
        rule = [optax.scale_by_rms(decay=options["rho"], eps=options["eps"], eps_in_sqrt=not torch)]
    elif name in ("adam", "adamw"):
        rule = [
            scale_by_adam(
                b1=options["b1"], b2=options["b2"], eps=options["eps"], eps_is_hat=not torch
            )
        ]

    momentum = []
    if options.get("momentum"):
        momentum = [optax.trace(options["momentum"], nesterov=options.get("nesterov", False))]
    scale = [optax.scale_by_learning_rate(rate)]
    steps = momentum + scale if torch else scale + momentum

    if not strength:
        return optax.chain(*rule, *steps)
    if torch and name != "adamw":
        return optax.chain(_decay(strength, decay_mask), *rule, *steps)
    # Decoupled: last in the chain, so that the decay enters no momentum buffer.
    shrink = (lambda step: -strength * rate(step)) if callable(rate) else -strength * rate
    return optax.chain(*rule, *steps, _decay(shrink, decay_mask))


def _decay(strength: float | optax.Schedule, decay_mask: str) -> optax.GradientTransformation:
    mask = None if decay_mask == "all" else lambda params: path_mask(params, decay_mask)
    return optax.add_decayed_weights(strength, mask)


def scale_by_adam(
    *, b1: float, b2: float, eps: float, eps_is_hat: bool
) -> optax.GradientTransformation:
    """Adam's direction, sqrt(1 - b2^t) / (1 - b1^t) x m / (sqrt(v) + eps_hat).

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
    """1 - decay^count, without the cancellation that leaves float32 five digits of 1 - 0.999."""
    return -jnp.expm1(count * (math.log(decay) if decay else -math.inf))


def param_paths(params: Any) -> list[str]:
    """The path of every parameter, such as "Dense_0/kernel", in the order of `jax.tree.leaves`."""
    return [_path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]


def path_mask(params: Any, pattern: str) -> Any:
    """A tree like `params` of Python bools: True where the parameter's path matches `pattern`.

    Args:
      params: a parameter tree.
      pattern: "all"; "kernels", the parameters named kernel, which leaves out biases and the
        scales of normalisation; or a regular expression searched for in each path.

    Raises:
      UserError: if the pattern is no regular expression or matches no parameter.
    """
    matches = _compile(pattern)
    mask = jax.tree_util.tree_map_with_path(lambda path, _: matches(_path_name(path)), params)
    if not any(jax.tree.leaves(mask)):
        raise UserError(
            f"the parameter pattern {pattern!r} matches none of: {', '.join(param_paths(params))}."
        )
    return mask


def _path_name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _compile(pattern: str) -> Callable[[str], bool]:
    expression = {"all": "", "kernels": "(^|/)kernel$"}.get(pattern, pattern)
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise UserError(
            f"the parameter pattern {pattern!r} is not a regular expression ({error}); "
            "give 'all', 'kernels' or a regular expression."
        ) from None
    return lambda path: compiled.search(path) is not None
