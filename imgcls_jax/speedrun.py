"""A whole training as one device call, and the clock that races it over many seeds.

    train_whole = make_train_whole(train_step=..., order_fn=..., take_fn=resident.take, ...)
    race = measure(start=..., train_whole=train_whole, evaluate=..., train=..., test=..., ...)

The rules are those of K. Jordan's airbench (2024, arXiv:2404.00498): compilation and a warm-up on
random labels come first, and every seed then starts from freshly drawn parameters. airbench's own
clock includes the evaluation with test-time augmentation, so both times are kept.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from imgcls_jax import muon, steps
from imgcls_jax.data.resident import Resident
from imgcls_jax.param_paths import partition


def make_tx(
    *,
    batch_size: int,
    total_steps: int,
    bias_steps: int | None = None,
    muon_rate: float = 0.24,
    muon_momentum: float = 0.6,
    head_rate: float = 8.3e-4,
    bias_rate: float = 0.053,
    momentum: float = 0.85,
    decay: float = 2e-6,
) -> optax.GradientTransformation:
    """The optimiser of airbench94_muon for `models.speednet`: Muon for kernels, SGD for the rest.

    All rates fall along a straight line to 0 at `total_steps`. The kernels' norms are fixed, so
    that Muon's rate is an angle. For a loss that is the mean over the batch; airbench's is the sum,
    hence rates an example, multiplied by the batch size here. Its head divides by 256 where ours
    divides by 9, hence 0.67 x 81 / 256**2 for `head_rate`.

    Args:
      bias_steps: after which the bias of the whitened channels is trained no longer; None trains it
        to the end.
      decay: weight decay of head and biases an example, as a fraction of the weights at full rate.
    """

    def falling(rate, steps):
        return optax.linear_schedule(rate, 0.0, steps)

    def sgd(rate, steps):
        rate = rate * batch_size
        return optax.chain(
            optax.add_decayed_weights(decay * batch_size / rate),
            optax.trace(momentum, nesterov=True),
            optax.scale_by_learning_rate(falling(rate, steps)),
        )

    kernels = optax.chain(
        muon.scale_by_muon(momentum=muon_momentum, steps=3, adjust="original"),
        optax.scale_by_learning_rate(falling(muon_rate, total_steps)),
        muon.normalize_kernels(),
    )
    return partition(
        {
            "^head/": sgd(head_rate, total_steps),
            "^whitened_bias$": sgd(bias_rate, bias_steps or total_steps),
            "bias$": sgd(bias_rate, total_steps),
            "kernels": kernels,
        }
    )


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
    steps are those of `steps.make_train_many` on the same orders; what is left of an epoch after
    its last whole batch is dropped.

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
    """What a race measured; times in seconds, accuracies as fractions, one a seed.

    Attributes:
      train_seconds: the one call that trains, until its results are there.
      total_seconds: that and the evaluation on the test set, what airbench counts.
      warmup_seconds: compilation and the run on random labels, before all seeds.
    """

    seeds: tuple[int, ...]
    train_seconds: tuple[float, ...]
    total_seconds: tuple[float, ...]
    accuracies: tuple[float, ...]
    warmup_seconds: float

    def to_json(self) -> dict[str, Any]:
        """The fields, and mean, sample standard deviation (None for one seed) and n of each."""
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
) -> Race:
    """Trains and evaluates once a seed, after a warm-up that compiles.

    The warm-up trains on the images with random labels: whatever it leaves behind, in a cache or by
    mistake, could not help. Drawing a seed's first parameters is outside the clock.

    Args:
      start: seed -> the state before training.
      train_whole: see `make_train_whole`.
      evaluate: see `steps.make_evaluate`; test-time augmentation is its own affair.
      seeds: at least one.
      clock: seconds; replaced in tests.
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
        state, _ = jax.block_until_ready(train_whole(state, train))
        trained = clock()
        sums, _ = jax.block_until_ready(evaluate(state, test))
        total_seconds.append(clock() - began)
        train_seconds.append(trained - began)
        accuracies.append(steps.means(sums)["accuracy"])
    return Race(
        seeds=tuple(seeds),
        train_seconds=tuple(train_seconds),
        total_seconds=tuple(total_seconds),
        accuracies=tuple(accuracies),
        warmup_seconds=warmup_seconds,
    )
