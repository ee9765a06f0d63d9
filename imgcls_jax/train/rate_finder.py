"""Looks for a learning rate: some hundred training steps at a rate that grows at every step.

The range test of Smith (2017, "Cyclical Learning Rates for Training Neural Networks",
arXiv:1506.01186, section 3.3) with an exponential ramp. It trains a copy that is thrown away, on
training batches of its own, and evaluates nothing.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from imgcls_jax.errors import UserError
from imgcls_jax.losses import is_absurd
from imgcls_jax.steps import Batch, Metrics, TrainState
from imgcls_jax.train.trainer import Trainer

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 300
_DIVERGED = 4  # times the lowest mean loss
_MEAN_OF = 0.9  # decay of the mean loss that tells a divergence
_SMOOTH = 0.15  # decades: standard deviation of the weights that smooth the curve


class Found(NamedTuple):
    """What losses at growing learning rates tell.

    Attributes:
      rates: (N,) of the steps made.
      losses: (N,) mean losses of their batches, before the step.
      smoothed: (N,) the same, smoothed over neighbouring rates.
      steepest: the rate at which the smoothed loss falls fastest.
      tenth: a tenth of the rate with the lowest smoothed loss.
      diverged: whether the loss grew so far that the ramp was broken off.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    steepest: float
    tenth: float
    diverged: bool


def ramp(lowest: float, highest: float, steps: int) -> Callable[[Any], Any]:
    """Returns the rate by step: `lowest` at step 0, `highest` at the last, by equal factors."""
    factor = math.log(highest / lowest) / (steps - 1)
    return lambda step: lowest * jnp.exp(factor * step)


def sweep(
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    state: TrainState,
    batches: Iterable[Batch],
    *,
    num_classes: int,
) -> tuple[list[float], bool]:
    """Makes training steps until the batches or the patience with a growing loss are at an end.

    Args:
      step: the training step, whose rate grows; it may donate the state.
      num_classes: by which a loss is found absurd, see `losses.is_absurd`.

    Returns:
      The batches' mean losses, all finite, and whether the loss diverged: its running mean grew
      above that at the start and four times the lowest, or the loss was absurd.
    """
    losses: list[float] = []
    mean, first, lowest = 0.0, math.inf, math.inf
    for number, batch in enumerate(batches, start=1):
        state, metrics = step(state, batch)
        loss = float(metrics["loss"]) / float(metrics["count"])
        if is_absurd(loss, num_classes):
            return losses, True
        losses.append(loss)
        mean = _MEAN_OF * mean + (1 - _MEAN_OF) * loss
        running = mean / (1 - _MEAN_OF**number)
        first, lowest = running if number == 1 else first, min(lowest, running)
        if running > max(first, _DIVERGED * lowest):
            return losses, True
    return losses, False


def judge(rates: np.ndarray, losses: np.ndarray, *, diverged: bool) -> Found:
    """Smooths losses (N,) at rates (N,) and finds where they fall fastest.

    Raises:
      UserError: if they fall by less than they vary from batch to batch, or are too few to say.
    """
    rates, losses = np.asarray(rates, np.float64), np.asarray(losses, np.float64)
    if len(losses) > 2:
        smoothed = _smoothed(np.log10(rates), losses)
        lowest = int(smoothed.argmin())
        steepest = int(np.gradient(smoothed, np.log10(rates))[: lowest + 1].argmin())
        if smoothed[0] - smoothed[lowest] > (losses - smoothed)[: lowest + 1].std():
            suggested = float(rates[steepest]), float(rates[lowest]) / 10
            return Found(rates, losses, smoothed, *suggested, diverged)
    raise UserError(
        f"the loss fell at no learning rate from {rates[0]:.2g} to {rates[-1]:.2g} by more than it "
        "varies from batch to batch, so none can be suggested; give a larger `batch_size`."
    )


def _smoothed(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns means (N,) with normal weights around each place, so that nothing is moved aside."""
    weights = np.exp(-0.5 * ((places[:, None] - places) / _SMOOTH) ** 2)
    return weights @ values / weights.sum(axis=1)


def find(trainer: Trainer, *, seed: int) -> Found:
    """Finds a learning rate for a trainer's settings.

    Neither the trainer nor its feed is changed: a training after it is the one without it.

    Args:
      seed: of the initialisation and of the batches.

    Raises:
      UserError: as `judge`.
    """
    state, _ = trainer.init(jax.random.key(seed))
    state = state if trainer.begin is None else trainer.begin(state)
    schedule = ramp(LOWEST, HIGHEST, STEPS)
    step = trainer.setup.step_with(schedule)
    batches = trainer.feed.batches(seed, jax.random.clone(state.key))
    with contextlib.closing(batches):
        some = tqdm(itertools.islice(batches, STEPS), "rates", STEPS, leave=False, disable=None)
        losses, diverged = sweep(step, state, some, num_classes=trainer.num_classes)
    rates = np.array([float(schedule(k)) for k in range(max(1, len(losses)))])
    return judge(rates, np.array(losses), diverged=diverged)
