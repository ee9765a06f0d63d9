"""Several trainings of one configuration in one program, by `vmap`: other seeds, other rates.

A small network leaves most of a GPU idle, and a batch of them fills it. On a CPU whose cores are
full already nothing is gained, and convolutions become slow grouped ones.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.data.batching import eval_batch_size
from imgcls_jax.data.dataset import Split
from imgcls_jax.errors import UserError
from imgcls_jax.train.trainer import Trainer

_TRIED_STEPS = 30  # that `gains` times
_TRIED_SEEDS = 8


def shares_program(config: Config) -> bool:
    """Says whether trainings of these settings can be one program: see `Many`."""
    apart = config.optim.ema or config.features_once or config.data.feed == "streamed"
    return not apart


class Many:
    """Trainings side by side: each has the state, the orders and the keys that it has alone.

    Args:
      trainer: of the configuration, without averaged weights or fixed features.
      train: its training split, see `build.training_splits`.
      seeds: one per training.
      scales: factors (n,) to the learning rate, one per training; ones if None.

    Raises:
      UserError: for a configuration that is not trained this way.
    """

    def __init__(
        self,
        trainer: Trainer,
        train: Split,
        *,
        seeds: Sequence[int],
        scales: Sequence[float] | None = None,
    ):
        config = trainer.config
        if not shares_program(config):
            raise UserError(
                "trainings with averaged weights, fixed features or a stream do not share a "
                "program; train them one by one."
            )
        self._setup, self._size = trainer.setup, len(train)
        self._batch_size = config.train.batch_size
        started = [trainer.start(seed) for seed in seeds]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(s.state for s in started))
        self.state: steps.TrainState = stacked
        self._zeros = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(s.sums for s in started))
        ones = np.ones(len(seeds), np.float32)
        self._scales = jnp.asarray(ones if scales is None else np.asarray(scales, np.float32))
        self._source = resident.put(train)
        self._orders = jax.jit(
            jax.vmap(partial(resident.epoch_order, size=self._size), (0, None), out_axes=1)
        )
        self._train: dict[int, Any] = {}
        evaluate = steps.make_evaluate(
            eval_step=steps.make_eval_step(apply_fn=self._setup.network.evaluate_fn),
            take_fn=resident.take,
            batch_size=eval_batch_size(train.images.shape[1:]),
        )
        self._evaluate = jax.jit(jax.vmap(evaluate, (0, None)))
        self._placed: dict[int, Any] = {}
        self.epochs = 0

    def train_epoch(self, steps_at_most: int | None = None) -> list[dict[str, Any]]:
        """Trains every member for an epoch; returns its record for each of them.

        Args:
          steps_at_most: fewer steps, to try how long they take.
        """
        started = time.perf_counter()
        order = self._orders(self.state.key, self.epochs)
        full, rest = divmod(self._size, self._batch_size)
        count = full if steps_at_most is None else min(full, steps_at_most)
        carry = (self.state, jax.tree.map(jnp.copy, self._zeros))
        carry = self._run(self._batch_size)(*carry, self._source, order, 0, count)
        if rest and count == full:
            last = order[full * self._batch_size :]
            carry = self._run(rest)(*carry, self._source, last, 0, 1)
        self.state, sums = jax.block_until_ready(carry)
        self.epochs += 1
        seconds = (time.perf_counter() - started) / len(self._scales)
        step = int(self.state.step[0])
        rates = self._setup.schedule(step - 1) * self._scales
        shared = {"epoch": self.epochs, "step": step, "train_seconds": seconds, "eval_seconds": 0.0}
        return [
            {
                **shared,
                **{f"train_{name}": value for name, value in steps.means(of).items()},
                "learning_rate": float(rate),
            }
            for of, rate in zip(self._each(sums), rates, strict=True)
        ]

    def _each(self, stacked: Any) -> list[Any]:
        """Returns the members' parts of a stacked tree."""
        members = range(len(self._scales))
        return [jax.tree.map(lambda leaf, k=k: leaf[k], stacked) for k in members]

    def _run(self, batch_size: int) -> Any:
        """Returns the program of many steps on batches of one size, made once."""
        if batch_size not in self._train:
            schedule, scales = self._setup.schedule, self._scales

            def one_step(state, batch, scale):
                return self._setup.step_with(lambda count: scale * schedule(count))(state, batch)

            def train_step(state, batch):
                return jax.vmap(one_step)(state, batch, scales)

            self._train[batch_size] = steps.make_train_many(
                train_step=train_step,
                take_fn=lambda source, each: jax.vmap(partial(resident.take, source))(each.T),
                batch_size=batch_size,
            )
        return self._train[batch_size]

    def evaluate(self, split: Split) -> tuple[list[steps.Metrics], np.ndarray]:
        """Returns each member's summed metrics, and the logits (members, N, C) of a split."""
        if id(split) not in self._placed:
            self._placed[id(split)] = (split, resident.put(split))
        found = self._evaluate(self.state, self._placed[id(split)][1])
        sums, logits = jax.device_get(found)
        return self._each(sums), logits

    def members(self) -> list[steps.TrainState]:
        """Returns the state of each training."""
        return self._each(self.state)


def gains(trainer: Trainer, train: Split) -> bool:
    """Tries a few steps alone and side by side, and returns whether these take less time each."""

    def seconds(members: int) -> float:
        tried = Many(trainer, train, seeds=range(members))
        tried.train_epoch(_TRIED_STEPS)  # compiles
        started = time.perf_counter()
        tried.train_epoch(_TRIED_STEPS)
        return (time.perf_counter() - started) / members

    return bool(seconds(_TRIED_SEEDS) < seconds(1))
