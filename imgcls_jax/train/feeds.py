"""A program whose images never all lie in memory: they stream from files while it runs.

The other way to feed: `trainer.build` makes this where `Config.feed` is "streamed".
Where the stream stands is part of every checkpoint, so that a resumed run meets exactly the
examples that are left.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from imgcls_jax import models, steps
from imgcls_jax.config import Config
from imgcls_jax.data import Split
from imgcls_jax.data.photos import decode, streaming
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.errors import UserError
from imgcls_jax.models import tta
from imgcls_jax.train.setup import Parts
from imgcls_jax.train.trainer import Program, initial

_STATE_BYTES = 1024  # of a stream's state in a checkpoint, whose arrays have fixed shapes


@dataclasses.dataclass(frozen=True)
class StreamedProgram(Program):
    """A `Program` whose splits are `Split`s over `LazyPhotos`.

    Attributes:
      train_step: one step, for batches of either size that an epoch has.
      streams: the training stream once `open` was called, in a list since programs are frozen.
    """

    train_step: Callable[..., Any]
    streams: list[streaming.Stream] = dataclasses.field(default_factory=list)

    def open(self, seed: int, feed: Any = None) -> None:
        """Makes ready the training examples of a seed, from where `feed` stood if it is given."""
        while self.streams:
            self.streams.pop().close()
        stream = _stream(self.train, self.config.batch_size, seed=seed)
        if feed is not None:
            stream.set_state(np.asarray(feed).tobytes().rstrip(b"\0"))
        self.streams.append(stream)

    def feed(self) -> np.ndarray:
        """Where the training stream stands, (1024,) uint8: JSON filled up with zeros."""
        state = self.streams[0].get_state() if self.streams else b""
        if len(state) > _STATE_BYTES:
            raise UserError("the state of the stream is too long to be saved; shorten --data_dir.")
        return np.frombuffer(state.ljust(_STATE_BYTES, b"\0"), np.uint8)

    def run(self, state, sums, order, first, count):
        """Trains on the next `count` batches of the stream; see `Program.run`."""
        del order, first  # the stream knows where it is
        for _ in range(count):
            with _explained():
                batch = next(self.streams[0])
            state, sums = self.train_step(state, sums, batch)
        return state, sums


def build(
    config: Config,
    parts: Parts,
    *,
    splits: Mapping[str, Split | None],
    num_classes: int,
    batch_size: int,
    prepare: Callable[[steps.TrainState], steps.TrainState] | None,
) -> StreamedProgram:
    """Compiles; see `imgcls_jax.train.trainer.build`.

    Raises:
      UserError: for settings that need all images at once.
    """
    whole = {"ema": config.ema and not config.frozen_norms, "head_epochs": config.head_epochs}
    for flag, used in whole.items():
        if used:
            raise UserError(f"--{flag} needs the images at hand; use --feed=resident.")
    started = time.perf_counter()
    init = jax.jit(lambda key: initial(parts, key, averaged=bool(config.ema)))
    state, sums = jax.eval_shape(init, jax.random.key(0))

    @jax.jit
    def average(state, source):
        del source
        return state.replace(params=state.average)

    def train_step(state, sums, batch):
        state, metrics = parts.train_step(state, batch)
        return state, jax.tree.map(jnp.add, sums, metrics)

    train_step = jax.jit(train_step, donate_argnums=(0, 1))
    shape = splits["train"].images.shape[1:]
    full, rest = config.batch_size, len(splits["train"]) % config.batch_size
    compiled = {
        size: train_step.lower(state, sums, _shapes(size, shape)).compile()
        for size in (full, rest)
        if size
    }
    evaluate = _make_evaluate(parts, config, batch_size)
    return StreamedProgram(
        config=config,
        model=parts.model,
        tx=parts.tx,
        schedule=parts.schedule,
        normalise=parts.normalise,
        num_classes=num_classes,
        parameters=models.count_parameters(state.params),
        **splits,
        init=init.lower(jax.random.key(0)).compile(),
        prepare=prepare,
        order=lambda key, epoch: None,
        train_many=None,
        train_rest=None,
        average=average if config.ema else None,
        evaluate=dict.fromkeys(("validation", "test"), evaluate),
        compile_seconds=time.perf_counter() - started,
        feature_seconds=0.0,
        train_step=lambda state, sums, batch: compiled[len(batch["label"])](state, sums, batch),
    )


def _make_evaluate(parts: Parts, config: Config, batch_size: int) -> Callable[..., Any]:
    """Builds `evaluate(state, split) -> (metrics, logits (N, C))`, the last batch padded."""
    eval_step = steps.make_eval_step(
        apply_fn=tta.wrap(parts.apply_fn, config.tta, size=config.eval_size)
    )

    def evaluate(state, split):
        total, logits = steps.zero_metrics(), []
        with _explained(), _stream(split, batch_size) as batches:
            for batch in tqdm(
                batches, "evaluation", -(-len(split) // batch_size), leave=False, disable=None
            ):
                size = len(batch["label"])
                rows = np.minimum(np.arange(batch_size), size - 1)
                padded = {name: batch[name][rows] for name in ("image", "label")}
                padded["mask"] = np.arange(batch_size) < size
                metrics, of_batch = eval_step(state, padded)
                total = jax.tree.map(jnp.add, total, metrics)
                logits.append(np.asarray(of_batch)[:size])
        return total, np.concatenate(logits)

    return evaluate


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """A photo that cannot be read, met in the middle of a run: without it the run is another."""
    try:
        yield
    except decode.BadImage as error:
        raise UserError(
            f"{error.name} {error.reason}: replace it and run the same command again to go on, or "
            "begin anew with --corrupt=skip, which tries every photo first."
        ) from error


def _stream(split: Split, batch_size: int, *, seed: int | None = None) -> streaming.Stream:
    """For ever, in another order each epoch, with a seed; once and in order without."""
    images: LazyPhotos = split.images
    device = None if jax.default_backend() == "cpu" else jax.devices()[0]
    training = {"seed": seed, "crop_scale": images.crop_scale, "device": device}
    return streaming.stream(
        images.source,
        batch_size=batch_size,
        size=images.size,
        how=images.how,
        workers=images.workers,
        **({"epochs": 1, "shuffle": False} if seed is None else training),
    )


def _shapes(size: int, image_shape: tuple[int, ...]) -> dict[str, jax.ShapeDtypeStruct]:
    """Of a batch."""
    numbers = jax.ShapeDtypeStruct((size,), jnp.int32)
    image = jax.ShapeDtypeStruct((size, *image_shape), jnp.uint8)
    return {"image": image, "label": numbers, "index": numbers}
