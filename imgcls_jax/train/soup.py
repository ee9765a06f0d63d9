"""A soup: one network whose parameters are the mean of several networks' parameters.

Fine-tuned from one start, networks often lie in one basin of the loss, and the mean of their
parameters is better than each of them at the cost of one (Wortsman et al. 2022, "Model soups").
From different starts there is a ridge between them: the mean of their parameters knows nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from imgcls_jax import steps
from imgcls_jax.config import Config
from imgcls_jax.train.recalibrate import make_recalibrate_streamed
from imgcls_jax.train.setup import Network

Variables = dict[str, Any]
_BATCH, _EXAMPLES = 250, 10_000  # training examples that batch-norm statistics are estimated on


class Greedy(NamedTuple):
    """The result of a greedy soup.

    Attributes:
      variables: of the soup.
      chosen: the numbers of the networks in it, in the order they were added.
      accuracy: on the examples it was chosen by.
    """

    variables: Variables
    chosen: list[int]
    accuracy: float


def apart(configs: Sequence[Config]) -> str | None:
    """Says why networks do not share a start, so that no soup is made of them; None if they do.

    A start is shared by networks of the same settings of the model that began from the same
    published weights or, without any, from the same seed.
    """
    first = configs[0]
    if any(config.model != first.model for config in configs):
        return "the members are different networks, or began from different weights"
    if first.model.weights == "none" and len({config.train.seed for config in configs}) > 1:
        return "the members were drawn at random by different seeds and share no start"
    return None


def mean(variables: Sequence[Variables]) -> Variables:
    """Returns the mean of parameters and statistics, array by array; all have equal weight."""
    return jax.tree.map(lambda *leaves: jnp.mean(jnp.stack(leaves), axis=0), *variables)


def make_soup(network: Network, images: Any) -> Callable[[Sequence[Variables]], Variables]:
    """Builds `soup(variables) -> variables`: the mean, with batch-norm statistics that fit it.

    The statistics of a norm that all the networks share were frozen, and stay.

    Args:
      network: the model and its evaluation chain.
      images: uint8 (N, H, W, C), those that were trained on, at hand or in their files.
    """
    batches = max(1, min(_EXAMPLES, len(images)) // _BATCH)
    recalibrate = make_recalibrate_streamed(
        apply_fn=network.apply_fn,
        image_fn=steps.to_unit_interval,
        batch_size=_BATCH,
        batches=batches,
    )

    def soup(variables: Sequence[Variables]) -> Variables:
        mixed = mean(variables)
        if len(variables) == 1 or not mixed["batch_stats"]:
            return mixed
        fresh = flatten_dict(recalibrate(mixed, images))
        held = [flatten_dict(one["batch_stats"]) for one in variables]
        moved = {
            path[:-1]
            for path in fresh
            if any(not np.array_equal(held[0][path], one[path]) for one in held[1:])
        }
        stats = {path: new if path[:-1] in moved else held[0][path] for path, new in fresh.items()}
        return {**mixed, "batch_stats": unflatten_dict(stats)}

    return soup


def greedy(
    variables: Sequence[Variables],
    *,
    soup: Callable[[Sequence[Variables]], Variables],
    accuracy_of: Callable[[Variables], float],
) -> Greedy:
    """Adds networks to a soup, best first, and keeps those that do not make it worse.

    Args:
      soup: networks' variables -> the soup's, see `make_soup`.
      accuracy_of: on examples that none of them trained on.
    """
    alone = [accuracy_of(one) for one in variables]
    order = sorted(range(len(variables)), key=lambda k: -alone[k])
    chosen, best = order[:1], alone[order[0]]
    mixed = variables[chosen[0]]
    for k in order[1:]:
        tried = soup([variables[i] for i in (*chosen, k)])
        if (accuracy := accuracy_of(tried)) >= best:
            chosen, best, mixed = [*chosen, k], accuracy, tried
    return Greedy(mixed, chosen, best)
