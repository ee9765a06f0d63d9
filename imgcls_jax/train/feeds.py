"""Two ways to feed: from the device, where a split lies whole, or as a stream from files.

Both train on an epoch's batches, say where they stand for a checkpoint, and evaluate any split so
that every example counts once. `make_feed` chooses one; nothing else asks which it is.
"""

import functools
import itertools
import time
from collections.abc import Callable, Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import sharding, steps
from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.data.batching import eval_batch_size
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.photos.streaming import Stream
from imgcls_jax.data.resident import Resident
from imgcls_jax.errors import UserError
from imgcls_jax.train.averaged import as_trained, make_average, recalibration_batches
from imgcls_jax.train.evaluation import InBatches
from imgcls_jax.train.recalibrate import make_recalibrate, make_recalibrate_streamed
from imgcls_jax.train.setup import Setup
from imgcls_jax.train.streams import explained, open_stream
from imgcls_jax.train.trainer import Carry, Feed
from imgcls_jax.train.waiting import stage

_STATE_BYTES = 1024  # of a stream's state in a checkpoint, whose arrays have fixed shapes


def evaluation_batch_size(config: Config, split: Split) -> int:
    """Returns the examples per evaluation batch of a device, as enlarged as they are evaluated."""
    side = config.evaluation.eval_size
    return eval_batch_size((side, side) if side else split.images.shape[1:])


class ResidentFeed:
    """Feeds from the device: batches are gathered inside jit, many steps are one call.

    A split is evaluated in one call, compiled for its size, but photos batch by batch.

    Args:
      train: the training split.
      carry: shapes and shardings of the state and of the sums, to compile for.
      place: puts a split on the devices, or features in place of its images.
    """

    def __init__(
        self,
        config: Config,
        setup: Setup,
        train: Split,
        *,
        carry: Carry,
        place: Callable[[Split], Resident] | None = None,
    ):
        self._config, self._setup = config, setup
        self._place = place or functools.partial(resident.put, mesh=setup.mesh)
        self._whole = sharding.replicated(setup.mesh)
        self._placed: dict[int, tuple[Split, Resident]] = {}
        self._evaluate: dict[int, Callable[..., Any]] = {}
        self._batch_size = evaluation_batch_size(config, train) * setup.mesh.size
        self._order: tuple[int, jax.Array] | None = None
        self._train = self.on_device(train)
        self.size = len(train)
        self._batches = None
        if config.data.of_photos and setup.head_fn is None:
            size = min(self._batch_size, -(-len(train) // setup.mesh.size) * setup.mesh.size)
            self._batches = InBatches(setup, carry[0], train, batch_size=size)
        started = time.perf_counter()
        self._carry = carry
        with stage("compiling the training"):
            self._compile(train)
        self.compile_seconds = time.perf_counter() - started

    def _compile(self, split: Split) -> None:
        """Compiles the calls of training, one after the other: XLA spreads each over the cores."""
        zero, size = np.int32(0), self._config.train.batch_size
        key, shardings = self._carry[0].key, jax.tree.map(lambda leaf: leaf.sharding, self._carry)

        def order(key, epoch, labels):
            return resident.drawn_order(self._config.train.sampler, key, epoch, labels)

        def train_many(examples, visited):
            function = steps.make_train_many(
                train_step=self._setup.train_step,
                take_fn=resident.take,
                batch_size=examples,
                shardings=shardings,
            )
            visits = jax.ShapeDtypeStruct((visited,), jnp.int32, sharding=self._whole)
            arguments = (*self._carry, self._train, visits, zero, zero)
            return function.lower(*arguments).compile()

        order = jax.jit(order, out_shardings=self._whole)
        self._make_order = order.lower(key, zero, self._train.labels).compile()
        self._train_many = train_many(size, self.size)
        self._setup.check()
        rest = self.size % size
        self._train_rest = train_many(rest, rest) if rest else None
        self._setup.check()
        self._average = None
        if self._config.optim.ema:
            recalibrate = make_recalibrate(
                take_fn=resident.take, **_recalibration(self._config, self._setup, split)
            )
            average = make_average(self._config, self._setup, recalibrate)
            average = jax.jit(average, out_shardings=shardings[0])
            self._average = average.lower(self._carry[0], self._train).compile()

    def on_device(self, split: Split) -> Resident:
        """Returns the split, or the features in its place, on the device; put there once."""
        if id(split) not in self._placed:
            self._placed[id(split)] = (split, self._place(split))
        return self._placed[id(split)][1]

    def open(self, seed: int, position: Any = None) -> None:
        del seed, position  # every epoch's order follows from its key
        self._order = None

    def position(self) -> Any:
        return {}

    def train(self, carry: Carry, epoch: int, first: int, count: int) -> Carry:
        if self._order is None or self._order[0] != epoch:
            drawn = self._make_order(carry[0].key, np.int32(epoch), self._train.labels)
            self._order = (epoch, drawn)
        order, size = self._order[1], self._config.train.batch_size
        full = self.size // size
        many = min(count, full - first)
        if many > 0:
            carry = self._train_many(*carry, self._train, order, np.int32(first), np.int32(many))
        if first + count > full:
            rest = order[full * size :]
            carry = self._train_rest(*carry, self._train, rest, np.int32(0), np.int32(1))
        return carry

    def batches(self, seed: int, key: jax.Array) -> Generator[steps.Batch]:
        del seed
        size = self._config.train.batch_size
        for epoch in itertools.count():
            order = self._make_order(key, np.int32(epoch), self._train.labels)
            for first in range(0, self.size - size + 1, size):
                yield resident.take(self._train, order[first : first + size])

    def averaged(self, state: steps.TrainState) -> steps.TrainState:
        if self._average is None:
            return state
        with stage("averaging the weights"):
            return jax.block_until_ready(self._average(state, self._train))

    def prepare(self, split: Split) -> None:
        source = self.on_device(split)
        if self._batches is not None:
            self.compile_seconds += self._batches.compile()
            return
        if id(split) in self._evaluate:
            return
        started = time.perf_counter()
        evaluate = steps.make_evaluate(
            eval_step=self._setup.eval_step(self._setup.head_fn),
            take_fn=resident.take,
            batch_size=self._batch_size,
            sharding=self._whole,
        )
        with stage("compiling the evaluation"):
            self._evaluate[id(split)] = evaluate.lower(self._carry[0], source).compile()
        self.compile_seconds += time.perf_counter() - started

    def evaluate(self, state: steps.TrainState, split: Split) -> tuple[steps.Metrics, jax.Array]:
        self.prepare(split)
        source = self.on_device(split)
        if self._batches is not None:
            return self._batches.of_resident(state, source)
        return self._evaluate[id(split)](state, source)


class StreamFeed:
    """Feeds from files: images never all lie in memory, and come in the stream's own order.

    Where the stream stands is part of every checkpoint, so that a resumed run meets exactly the
    examples that are left.

    Args:
      train: the training split, over `LazyPhotos`.
      carry: shapes and shardings of the state and of the sums, to compile for.
    """

    def __init__(self, config: Config, setup: Setup, train: Split, *, carry: Carry):
        self._config, self._setup, self._train = config, setup, train
        shardings = jax.tree.map(lambda leaf: leaf.sharding, carry)
        self._stream: Stream | None = None
        self.size = len(train)
        started = time.perf_counter()

        def train_step(state, sums, batch):
            state, metrics = setup.train_step(state, batch)
            return state, jax.tree.map(jnp.add, sums, metrics)

        train_step = jax.jit(train_step, donate_argnums=(0, 1), out_shardings=shardings)
        full, rest = config.train.batch_size, len(train) % config.train.batch_size
        with stage("compiling the training"):
            self._step = {}
            for size in filter(None, (full, rest)):
                self._step[size] = train_step.lower(*carry, self._shapes(size)).compile()
                setup.check()
        batch_size = evaluation_batch_size(config, train) * setup.mesh.size
        self._batches = InBatches(setup, carry[0], train, batch_size=batch_size)
        recalibrate = make_recalibrate_streamed(**_recalibration(config, setup, train))
        average = make_average(config, setup, recalibrate)
        self._average = lambda state, images: jax.device_put(average(state, images), shardings[0])
        self.compile_seconds = time.perf_counter() - started

    def open(self, seed: int, position: Any = None) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = self._opened(seed)
        if position is not None:
            self._stream.set_state(np.asarray(position).tobytes().rstrip(b"\0"))

    def _opened(self, seed: int) -> Stream:
        of = self._config.train
        at = {"seed": seed, "sampler": of.sampler, "mesh": self._setup.mesh}
        return open_stream(self._train, of.batch_size, **at)

    def _shapes(self, size: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns the shapes of a training batch."""
        images, labels = self._train.images, self._train.labels
        shapes = {
            "image": jax.ShapeDtypeStruct((size, *images.shape[1:]), jnp.uint8),
            "label": jax.ShapeDtypeStruct((size, *labels.shape[1:]), jnp.int32),
            "index": jax.ShapeDtypeStruct((size,), jnp.int32),
        }
        return sharding.shaped(shapes, sharding.of_batch(self._setup.mesh, size))

    def position(self) -> np.ndarray:
        """Returns where the training stream stands, (1024,) uint8: JSON filled up with zeros."""
        state = b"" if self._stream is None else self._stream.get_state()
        if len(state) > _STATE_BYTES:
            raise UserError("the state of the stream is too long to be saved; shorten `data_dir`.")
        return np.frombuffer(state.ljust(_STATE_BYTES, b"\0"), np.uint8)

    def train(self, carry: Carry, epoch: int, first: int, count: int) -> Carry:
        del epoch, first  # the stream knows where it is
        for _ in range(count):
            with explained():
                batch = next(self._stream)
            carry = self._step[len(batch["label"])](*carry, batch)
        return carry

    def batches(self, seed: int, key: jax.Array) -> Generator[steps.Batch]:
        del key
        of = self._config.train
        with explained(), self._opened(seed) as stream:
            yield from (batch for batch in stream if len(batch["label"]) == of.batch_size)

    def averaged(self, state: steps.TrainState) -> steps.TrainState:
        if not self._config.optim.ema:
            return state
        with explained(), stage("averaging the weights"):
            return jax.block_until_ready(self._average(state, self._train.images))

    def prepare(self, split: Split) -> None:
        """Compiles for all splits, whose batches have one shape, the first time."""
        del split
        self.compile_seconds += self._batches.compile()

    def evaluate(self, state: steps.TrainState, split: Split) -> tuple[steps.Metrics, np.ndarray]:
        self.prepare(split)
        return self._batches.of_split(state, split)


def make_feed(
    config: Config,
    setup: Setup,
    train: Split,
    *,
    carry: Carry,
    place: Callable[[Split], Resident] | None,
) -> Feed:
    """Returns the way to feed that the settings ask for, compiled.

    Args:
      place: puts a frozen network's features on the device, see `ResidentFeed`, whatever feeds the
        images they are computed of; None to feed images.
    """
    if place is None and config.data.feed == "streamed":
        return StreamFeed(config, setup, train, carry=carry)
    return ResidentFeed(config, setup, train, carry=carry, place=place)


def _recalibration(config: Config, setup: Setup, train: Split) -> dict[str, Any]:
    """Returns how batch-norm statistics are estimated anew, by the same batches on any devices."""
    size, cut = evaluation_batch_size(config, train), sharding.over_batch(setup.mesh)
    return {
        "apply_fn": as_trained(setup),
        "image_fn": lambda images: steps.to_unit_interval(cut(images)),
        "batch_size": size,
        "batches": recalibration_batches(len(train), size),
    }
