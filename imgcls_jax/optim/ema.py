"""A moving average of the parameters, kept beside those that train.

The average of a trajectory is often a better network than its end (Polyak and Juditsky 1992;
Izmailov et al. 2018). Batch-norm statistics that belong to it are estimated anew by
`imgcls_jax.train.recalibrate`.
"""

from typing import Any

import jax
import jax.numpy as jnp


def ema_init(params: Any) -> Any:
    """Returns the average before the first update: the parameters, in buffers of their own."""
    return jax.tree.map(jnp.copy, params)


def ema_update(average: Any, params: Any, decay: float, step: jax.Array | int) -> Any:
    """Returns d x average + (1 - d) x params, where d = min(decay, (1 + t) / (10 + t)).

    The lower decay of the early steps forgets the initial parameters, as TensorFlow's
    `ExponentialMovingAverage(num_updates=...)` does. Unlike a correction of the bias of a start at
    0, it leaves the average a network at every step.

    Args:
      average, params: trees of one structure; the params are those after the update.
      decay: in [0, 1), such as 0.999.
      step: t, the number of updates before this one.
    """
    rate = jnp.maximum(1 - decay, 9.0 / (10.0 + step))  # 1 - d, without cancellation
    return jax.tree.map(lambda a, p: a + rate * (p - a), average, params)
