"""A whole training as one device call, and the clock that races it over many seeds.

    train_whole = make_train_whole(train_step=..., order_fn=..., take_fn=resident.take, ...)
    for race in measure(start=..., train_whole=train_whole, evaluate=..., train=..., ...):
        ...  # the race so far

After the rules of K. Jordan's airbench (2024, arXiv:2404.00498): compilation and a warm-up on
random labels come first, and every seed then starts from freshly drawn parameters. airbench's own
clock includes the evaluation with test-time augmentation, so both times are kept; it also includes
the whitening of the training images, which is not timed here.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.data.resident import Resident
from imgcls_jax.errors import UserError


def make_train_whole(
    *,
    train_step: Callable[[steps.TrainState, steps.Batch], tuple[steps.TrainState, steps.Metrics]],
    order_fn: Callable[[jax.Array, jax.Array], jax.Array],
    take_fn: Callable[[Any, jax.Array], steps.Batch],
    batch_size: int,
    epochs: int,
    steps_per_epoch: int,
) -> Callable[[steps.TrainState, Any], tuple[steps.TrainState, steps.Metrics]]:
    """Builds `train_whole(state, source) -> (state, sums)`: all epochs in one call.

    The state is donated. `sums` are metrics summed over each epoch, arrays of shape (epochs,). The
    steps are those of `steps.make_train_many` on the same orders; an epoch's examples
    after its last whole batch are dropped.

    Args:
      order_fn: (key, epoch) -> the order (N,) in which the epoch visits the examples.
      take_fn: (source, indices (B,)) -> batch.
      steps_per_epoch: at most N // batch_size.
    """

    @partial(jax.jit, donate_argnums=0)
    def train_whole(state, source):
        def run_epoch(state, epoch):
            order = order_fn(state.key, epoch)[: steps_per_epoch * batch_size]

            def run_step(carry, indices):
                state, sums = carry
                state, metrics = train_step(state, take_fn(source, indices))
                return (state, jax.tree.map(jnp.add, sums, metrics)), None

            batches = order.reshape(steps_per_epoch, batch_size)
            (state, sums), _ = jax.lax.scan(run_step, (state, steps.zero_metrics()), batches)
            return state, sums

        return jax.lax.scan(run_epoch, state, jnp.arange(epochs, dtype=jnp.int32))

    return train_whole


@dataclasses.dataclass(frozen=True)
class Race:
    """Holds the results of a race; times in seconds, accuracies as fractions, one per seed.

    Attributes:
      train_seconds: the one call that trains, until its results are there.
      total_seconds: that and the evaluation on the test set, as airbench counts.
      warmup_seconds: compilation and the run on random labels, before all seeds.
    """

    seeds: tuple[int, ...]
    train_seconds: tuple[float, ...]
    total_seconds: tuple[float, ...]
    accuracies: tuple[float, ...]
    warmup_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Returns the fields, and mean, sample deviation (None for one seed) and n of each."""
        values = dataclasses.asdict(self)
        for name in ("train_seconds", "total_seconds", "accuracies"):
            over = values[name]
            std = float(np.std(over, ddof=1)) if len(over) > 1 else None
            values[f"{name}_summary"] = {"mean": float(np.mean(over)), "std": std, "n": len(over)}
        return values


def measure(
    *,
    start: Callable[[int], steps.TrainState],
    train_whole: Callable[[steps.TrainState, Any], tuple[steps.TrainState, steps.Metrics]],
    evaluate: Callable[[steps.TrainState, Any], tuple[steps.Metrics, jax.Array]],
    train: Resident,
    test: Resident,
    num_classes: int,
    seeds: Sequence[int],
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Race]:
    """Trains and evaluates once per seed, after a warm-up that compiles.

    The warm-up trains on the images with random labels: whatever it leaves behind, in a cache or by
    mistake, could not help. Drawing a seed's first parameters is outside the clock.

    Args:
      start: seed -> the state before training.
      train_whole: see `make_train_whole`.
      evaluate: see `steps.make_evaluate`; it may augment the test images.
      seeds: at least one.
      clock: seconds; replaced in tests.

    Yields:
      The race so far, after each seed.

    Raises:
      UserError: if a loss is not finite.
    """
    began = clock()
    labels = jax.random.randint(jax.random.key(0), train.labels.shape, 0, num_classes, jnp.int32)
    state, _ = train_whole(start(seeds[0]), train.replace(labels=labels))
    jax.block_until_ready(evaluate(state, test))
    warmup_seconds = clock() - began
    train_seconds, total_seconds, accuracies = [], [], []
    for seed in seeds:
        state = jax.block_until_ready(start(seed))
        began = clock()
        state, epochs = jax.block_until_ready(train_whole(state, train))
        trained = clock()
        sums, _ = jax.block_until_ready(evaluate(state, test))
        total_seconds.append(clock() - began)
        train_seconds.append(trained - began)
        if not all(np.isfinite(sums).all() for sums in jax.tree.leaves(epochs)):
            raise UserError(
                f"training diverged with seed {seed}: the loss is not finite; use a smaller lr."
            )
        accuracies.append(steps.means(sums)["accuracy"])
        yield Race(
            seeds=tuple(seeds[: len(accuracies)]),
            train_seconds=tuple(train_seconds),
            total_seconds=tuple(total_seconds),
            accuracies=tuple(accuracies),
            warmup_seconds=warmup_seconds,
        )
