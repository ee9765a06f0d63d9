"""Several trainings of one configuration in one program, by `vmap`: other seeds, other rates.

A small network leaves most of a GPU idle, and a batch of them fills it. On a CPU whose cores are
full already nothing is gained, and convolutions become slow grouped ones.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import sharding, steps
from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.data.batching import eval_batch_size
from imgcls_jax.data.dataset import Split
from imgcls_jax.errors import UserError
from imgcls_jax.machines import group
from imgcls_jax.train.trainer import Trainer, Watched

VECTORIZE = ("auto", "on", "off")  # see `considered`
_TRIED_STEPS = 30  # that `gains` times


def considered(vectorize: str, config: Config) -> bool:
    """Returns whether trainings of a configuration may share a program.

    Args:
      vectorize: "on", "off", or "auto" where `gains` finds it faster: never on a CPU, where a
        benchmark found no gain, and not by settings that do not allow it.

    Raises:
      UserError: for "on" and settings that do not allow it.
    """
    if vectorize == "off" or (vectorize == "auto" and jax.default_backend() == "cpu"):
        return False
    hindrance = _hindrance(config)
    if hindrance and vectorize == "on":
        raise UserError(f"{hindrance}; leave out `vectorize=on`.")
    return hindrance is None


def _hindrance(config: Config) -> str | None:
    """Returns why trainings of a configuration cannot share a program; None if they can."""
    if config.optim.ema:
        what = "averaged weights (`ema`)"
    elif config.features_once:
        what = "a frozen network's features computed once (`cache_features`)"
    elif config.data.feed == "streamed":
        what = "photos in a stream (`feed=streamed`)"
    elif config.train.shard_params is not None:
        what = "parameters cut over devices (`shard_params`)"
    elif group.count() > 1:
        what = "several processes"
    else:
        return None
    return f"trainings with {what} do not share a program"


class Many:
    """Trainings side by side: each has the state, the orders and the keys that it has alone.

    Several devices share each training's batch, as they do where it is alone.

    Attributes:
      size: how many members there are.
      state: their states, stacked.
      epochs: how many are trained.
      compile_seconds: the time that compiling took so far.

    Args:
      trainer: of the configuration.
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
        if hindrance := _hindrance(config):
            raise UserError(f"{hindrance}; train them one by one.")
        self.size, self.compile_seconds = len(seeds), 0.0
        self._setup, self._examples = trainer.setup, len(train)
        self._whole = sharding.replicated(self._setup.mesh)
        self._batch_size, self._sampler = config.train.batch_size, config.train.sampler
        self.state: steps.TrainState
        with _fitting(self.size):
            begun = [trainer.start(seed) for seed in seeds]
            self.state = jax.tree.map(
                lambda *leaves: jnp.stack(leaves), *(one.state for one in begun)
            )
            self._source = resident.put(train, self._setup.mesh)
        ones = np.ones(self.size, np.float32)
        self._scales = jnp.asarray(ones if scales is None else np.asarray(scales, np.float32))
        # On the host: what a call is given there is copied, and not donated.
        self._zeros = jax.tree.map(
            lambda leaf: np.zeros((self.size, *leaf.shape), leaf.dtype), begun[0].sums
        )
        self._orders = self._compiled(
            jax.jit(self._drawn, out_shardings=self._whole),
            self.state.key,
            np.int32(0),
            self._source.labels,
        )
        self._train: dict[int, Any] = {}
        side = config.evaluation.eval_size
        evaluate = steps.make_evaluate(
            eval_step=self._setup.eval_step(),
            take_fn=resident.take,
            batch_size=eval_batch_size((side, side) if side else train.images.shape[1:]),
        )
        self._evaluate = jax.jit(jax.vmap(evaluate, (0, None)), out_shardings=self._whole)
        self._placed: dict[int, tuple[Split, resident.Resident, Callable[..., Any]]] = {}
        self.epochs = 0

    def train_epoch(
        self, watched: Watched | None = None, *, steps_at_most: int | None = None
    ) -> list[dict[str, Any]]:
        """Trains every member for an epoch; returns its record for each of them, as `fit` has it.

        The seconds in it are the member's share.

        Args:
          watched: the split that is evaluated after the epoch, if any.
          steps_at_most: fewer steps, to try how long they take.

        Raises:
          UserError: if the members do not fit into the device's memory.
        """
        with _fitting(self.size):
            sums, seconds = self._trained(steps_at_most)
            step = int(self.state.step[0])
            rates = self._setup.schedule(step - 1) * self._scales
            records = [
                {
                    "epoch": self.epochs,
                    "step": step,
                    **{f"train_{name}": value for name, value in steps.means(of).items()},
                    "learning_rate": float(rate),
                }
                for of, rate in zip(self._each(sums), rates, strict=True)
            ]
            evaluating = 0.0
            if watched is not None:
                name, split = watched
                self._prepare(split)
                started = time.perf_counter()
                found = self.evaluate(split)[0]
                evaluating = (time.perf_counter() - started) / len(records)
                for record, of in zip(records, found, strict=True):
                    record |= {f"{name}_{what}": value for what, value in steps.means(of).items()}
        shared = {
            "train_seconds": seconds,
            "eval_seconds": evaluating,
            "examples_per_second": int(sums["count"][0]) / seconds,
        }
        return [record | shared for record in records]

    def _drawn(
        self, keys: jax.Array, epoch: jax.Array, labels: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Draws the members' orders (N, members) of an epoch, and the part for its last batch."""
        draw = partial(resident.drawn_order, self._sampler)
        order = jax.vmap(draw, (0, None, None), out_axes=1)(keys, epoch, labels)
        return order, order[self._examples // self._batch_size * self._batch_size :]

    def _trained(self, steps_at_most: int | None) -> tuple[steps.Metrics, float]:
        """Trains for an epoch; returns the members' summed metrics and each one's seconds."""
        started, compiled = time.perf_counter(), self.compile_seconds
        order, last = self._orders(self.state.key, np.int32(self.epochs), self._source.labels)
        full, rest = divmod(self._examples, self._batch_size)
        count = full if steps_at_most is None else min(full, steps_at_most)
        carry = (self.state, self._zeros)
        carry = self._run(self._batch_size, carry, order, count)
        if rest and count == full:
            carry = self._run(rest, carry, last, 1)
        self.state, sums = jax.block_until_ready(carry)
        self.epochs += 1
        compiled = self.compile_seconds - compiled
        return sums, (time.perf_counter() - started - compiled) / self.size

    def _each(self, stacked: Any) -> list[Any]:
        """Returns the members' parts of a stacked tree."""
        members = range(self.size)
        return [jax.tree.map(lambda leaf, k=k: leaf[k], stacked) for k in members]

    def _run(self, batch_size: int, carry: Any, order: jax.Array, count: int) -> Any:
        """Runs the program of many steps on batches of one size, made once."""
        arguments = (*carry, self._source, order, np.int32(0), np.int32(count))
        if batch_size not in self._train:
            schedule, scales = self._setup.schedule, self._scales

            def one_step(state, batch, scale):
                return self._setup.step_with(lambda count: scale * schedule(count))(state, batch)

            def train_step(state, batch):
                return jax.vmap(one_step)(state, batch, scales)

            train_many = steps.make_train_many(
                train_step=train_step,
                take_fn=lambda source, each: jax.vmap(partial(resident.take, source))(each.T),
                batch_size=batch_size,
                shardings=self._whole,
            )
            self._train[batch_size] = self._compiled(train_many, *arguments)
        return self._train[batch_size](*arguments)

    def _compiled(self, function: Any, *arguments: Any) -> Callable[..., Any]:
        started = time.perf_counter()
        compiled = function.lower(*arguments).compile()
        self.compile_seconds += time.perf_counter() - started
        return compiled

    def evaluate(self, split: Split) -> tuple[list[steps.Metrics], np.ndarray]:
        """Returns each member's summed metrics, and the logits (members, N, C) of a split."""
        self._prepare(split)
        _, source, evaluate = self._placed[id(split)]
        sums, logits = jax.device_get(evaluate(self.state, source))
        return self._each(sums), logits

    def _prepare(self, split: Split) -> None:
        """Puts a split on the device and compiles its evaluation, once."""
        if id(split) not in self._placed:
            source = resident.put(split, self._setup.mesh)
            evaluate = self._compiled(self._evaluate, self.state, source)
            self._placed[id(split)] = (split, source, evaluate)

    def member(self, number: int) -> steps.TrainState:
        """Returns the state of a training."""
        return jax.tree.map(lambda leaf: leaf[number], self.state)

    def members(self) -> list[steps.TrainState]:
        """Returns the state of each training."""
        return self._each(self.state)


@contextlib.contextmanager
def _fitting(members: int) -> Iterator[None]:
    """Turns the device's refusal of memory into a sentence."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"{members} trainings side by side do not fit into the device's memory; give fewer "
            "`seeds`, or `vectorize=off`."
        ) from error


def gains(trainer: Trainer, train: Split, *, members: int) -> bool:
    """Tries a few steps alone and side by side, and returns whether these take less time each.

    Members that do not fit into the device's memory gain nothing.
    """

    def seconds(members: int) -> float:
        tried = Many(trainer, train, seeds=range(members))
        tried.train_epoch(steps_at_most=_TRIED_STEPS)  # compiles
        started = time.perf_counter()
        tried.train_epoch(steps_at_most=_TRIED_STEPS)
        return (time.perf_counter() - started) / members

    with contextlib.suppress(UserError):
        return bool(seconds(members) < seconds(1))
    return False
