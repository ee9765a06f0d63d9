"""Learning-rate schedules by name: functions from optimiser steps, counted from 0, to the rate."""

import math
from typing import Any

import jax.numpy as jnp
import optax

from imgcls_jax.errors import UserError

# Each schedule's own options and their defaults; None has to be given.
_OPTIONS: dict[str, dict[str, Any]] = {
    "constant": {},
    "cosine": {"final_fraction": 0.0},
    "linear": {"final_fraction": 0.0},
    "one_cycle": {},
    "step": {"every": None, "gamma": 0.1},
}
NAMES = tuple(_OPTIONS)


def schedule(
    name: str,
    *,
    base_lr: float,
    total_steps: int,
    warmup_steps: int = 0,
    final_fraction: float | None = None,
    every: int | None = None,
    gamma: float | None = None,
) -> optax.Schedule:
    """Builds the schedule called `name`, with a linear warm-up in front if one is wanted.

    constant: `base_lr` throughout.
    cosine: half a cosine from `base_lr` at the end of the warm-up to `base_lr` x `final_fraction`
      at `total_steps` (Loshchilov and Hutter 2017, without restarts).
    linear: a straight line between the same two.
    one_cycle: half a cosine up from `base_lr` / 25 at step 0 to `base_lr` after 30 % of the steps,
      half a cosine down to `base_lr` / 250,000 at the last (Smith and Topin 2018 as PyTorch's
      `OneCycleLR` has it by default, but that the momentum stays as it is). Takes no warm-up.
    step: `base_lr` x `gamma` ** (step // `every`), counted from the start of training even if
      there is a warm-up, as Goyal et al. 2017 count their epochs.

    With W warm-up steps the rate at step k < W is `base_lr` x (k + 1) / (W + 1) (Goyal et al.
    2017): never 0, which would waste the first update, and `base_lr` at step W.

    Args:
      name: one of `NAMES`.
      base_lr: the highest rate.
      total_steps: optimiser steps of the whole training; 0 to evaluate only.
      warmup_steps: optimiser steps of the warm-up, part of `total_steps`.
      final_fraction: for cosine and linear, in [0, 1], by default 0.
      every: for step, the optimiser steps between two drops; has no default.
      gamma: for step, in (0, 1], by default 0.1.

    Raises:
      UserError: for an unknown name, an option the schedule does not take, a value out of range,
        a warm-up before one_cycle.
    """
    given = dict(final_fraction=final_fraction, every=every, gamma=gamma)
    options = _options(name, {key: value for key, value in given.items() if value is not None})
    _check(base_lr=base_lr, total_steps=total_steps, warmup_steps=warmup_steps, **options)
    if name == "one_cycle" and warmup_steps:
        raise UserError(
            f"schedule 'one_cycle' warms up by itself; leave out warmup_steps, {warmup_steps} here."
        )
    length = max(1, total_steps - warmup_steps)
    main = _main(name, base_lr=base_lr, length=length, warmup_steps=warmup_steps, options=options)
    if not warmup_steps:
        return main
    slope = base_lr / (warmup_steps + 1)
    return lambda step: jnp.where(step < warmup_steps, slope * (step + 1), main(step))


def _options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Returns the schedule's own options, those given and the defaults of the others.

    Raises:
      UserError: for an unknown schedule, an option that it does not take, or one that it lacks.
    """
    if name not in _OPTIONS:
        raise UserError(f"unknown schedule {name!r}; choose one of: {', '.join(NAMES)}.")
    if unknown := sorted(set(given) - set(_OPTIONS[name])):
        raise UserError(
            f"schedule {name!r} takes no option {', '.join(unknown)}; "
            f"it takes: {', '.join(_OPTIONS[name]) or 'none'}."
        )
    options = _OPTIONS[name] | given
    if None in options.values():
        raise UserError("schedule 'step' needs every, the optimiser steps between two drops.")
    return options


def _main(
    name: str, *, base_lr: float, length: int, warmup_steps: int, options: dict[str, Any]
) -> optax.Schedule:
    """Builds the schedule behind the warm-up, of `length` steps; it counts steps from the start."""
    if name == "constant":
        return optax.constant_schedule(base_lr)
    if name == "one_cycle":
        return _one_cycle(base_lr, length)
    if name == "step":
        # Integer division: in float32 a product with 1 / every can round below a whole number.
        return lambda step: base_lr * options["gamma"] ** (step // options["every"])
    final = options["final_fraction"]
    if name == "cosine":
        decay = optax.cosine_decay_schedule(base_lr, length, alpha=final)
    else:
        decay = optax.linear_schedule(base_lr, base_lr * final, length)
    return lambda step: decay(step - warmup_steps)


def _one_cycle(highest: float, total_steps: int) -> optax.Schedule:
    """Builds PyTorch's `OneCycleLR`; `optax.cosine_onecycle_schedule` has other corners."""
    first, last = highest / 25, highest / 25 / 1e4
    top, end = 0.3 * total_steps - 1, total_steps - 1

    def main(step):
        rising = (1 - jnp.cos(jnp.pi * step / (top or 1.0))) / 2
        falling = (1 + jnp.cos(jnp.pi * jnp.minimum(1.0, (step - top) / (end - top)))) / 2
        return jnp.where(
            step <= top, first + (highest - first) * rising, last + (highest - last) * falling
        )

    return main


def _check(*, base_lr: float, total_steps: int, warmup_steps: int, **options: float) -> None:
    """Raises UserError for the first value out of its range."""
    for what, value, valid, expected in (
        ("base_lr", base_lr, math.isfinite(base_lr) and base_lr > 0, "a positive number"),
        ("total_steps", total_steps, total_steps >= 0, "at least 0"),
        (
            "warmup_steps",
            warmup_steps,
            0 <= warmup_steps < (total_steps or math.inf),
            f"at least 0 and less than the {total_steps} steps of training",
        ),
    ):
        if not valid:
            raise UserError(f"{what} is {value}; it must be {expected}.")
    if "final_fraction" in options and not 0 <= options["final_fraction"] <= 1:
        raise UserError(f"final_fraction is {options['final_fraction']}; it must be in [0, 1].")
    if "every" in options and options["every"] < 1:
        raise UserError(f"every is {options['every']}; it must be at least 1 step.")
    if "gamma" in options and not 0 < options["gamma"] <= 1:
        raise UserError(f"gamma is {options['gamma']}; it must be in (0, 1].")
