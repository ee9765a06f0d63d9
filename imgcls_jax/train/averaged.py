"""The network of averaged weights: its parameters, and batch-norm statistics that fit them."""

from collections.abc import Callable
from typing import Any

from imgcls_jax import steps
from imgcls_jax.config import Config
from imgcls_jax.models import freezing
from imgcls_jax.train.setup import Setup

_RECALIBRATION = 10_000  # training examples that batch-norm statistics are estimated on


def make_average(
    config: Config, setup: Setup, recalibrate: Callable[..., Any]
) -> Callable[[steps.TrainState, Any], steps.TrainState]:
    """Builds (state, source) -> the state with averaged weights and their norms' statistics."""

    def average(state, source):
        variables = {"params": state.average, "batch_stats": state.batch_stats}
        if not config.train.frozen_norms:
            # Frozen layers keep the statistics they were trained against.
            fresh = recalibrate(variables, source)
            variables["batch_stats"] = {
                name: state.batch_stats[name] if name in setup.frozen else stats
                for name, stats in fresh.items()
            }
        return state.replace(**variables)

    return average


def as_trained(setup: Setup) -> Callable[..., Any]:
    """Returns the network whose frozen stages are in inference mode, to recalibrate what trains."""
    return freezing.freeze(setup.network.apply_fn, setup.frozen)


def recalibration_batches(size: int, batch_size: int) -> int:
    """Returns how many batches of `size` examples the statistics are estimated on."""
    return max(1, min(_RECALIBRATION, size) // batch_size)
