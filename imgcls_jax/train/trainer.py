"""A configuration made executable: data on the device, model, optimiser, compiled functions."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from imgcls_jax import models, steps
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split, hold_out, resident
from imgcls_jax.errors import UserError
from imgcls_jax.models import tta
from imgcls_jax.train.features import make_extract, make_fit_head, overlay
from imgcls_jax.train.recalibrate import make_recalibrate
from imgcls_jax.train.setup import Parts, make_parts, steps_per_epoch

# Most examples of an evaluation batch, and pixels. On a CPU a batch is to stay in its caches.
_EVAL_BATCH = {"cpu": (250, 32 * 224**2)}
_EVAL_BATCH_ELSEWHERE = (1000, 256 * 224**2)
_RECALIBRATION = 10_000  # training examples that batch-norm statistics are estimated on


@dataclasses.dataclass(frozen=True)
class Program:
    """A configuration made executable for one data set; serves any number of seeds.

    The functions are compiled; `order(key, epoch)` gives an epoch's order of examples. Where a
    frozen network's features stand in for images, the three splits hold those.

    Attributes:
      normalise: constants of the pixels' normalisation.
      init: key -> the random state before training, and sums of nothing.
      prepare: that state -> the same with pretrained weights and a fitted head; None without.
      compile_seconds, feature_seconds: what compiling took, and computing fixed features.
    """

    config: Config
    model: Any
    tx: optax.GradientTransformation
    schedule: optax.Schedule
    normalise: dict[str, np.ndarray]
    num_classes: int
    parameters: int
    train: resident.Resident
    validation: resident.Resident | None
    test: resident.Resident
    init: Callable[[jax.Array], tuple[steps.TrainState, steps.Metrics]]
    prepare: Callable[[steps.TrainState], steps.TrainState] | None
    order: Callable[[jax.Array, Any], jax.Array]
    train_many: Callable[..., Any]
    train_rest: Callable[..., Any] | None
    average: Callable[..., Any] | None
    evaluate: dict[str, Callable[..., Any]]
    compile_seconds: float
    feature_seconds: float

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(len(self.train), self.config.batch_size)

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.config.epochs

    def start(self, seed: int) -> tuple[steps.TrainState, steps.Metrics]:
        """The state before training with this seed, and sums of nothing."""
        state, sums = self.init(jax.random.key(seed))
        return (state if self.prepare is None else self.prepare(state)), sums

    def open(self, seed: int, feed: Any = None) -> None:
        """Before a training by this seed; `feed` is what a checkpoint kept of `feed()`."""

    def feed(self) -> Any:
        """Where the training examples stand, for a checkpoint: nothing, they are at hand."""
        return {}

    def run(
        self, state: steps.TrainState, sums: steps.Metrics, order: jax.Array, first: int, count: int
    ) -> tuple[steps.TrainState, steps.Metrics]:
        """Trains on batches `first` to `first + count - 1` of the epoch that `order` describes.

        `state` and `sums` are donated. The epoch's last batch may be smaller than the others, as
        PyTorch's DataLoader and Keras have it.
        """
        size = self.config.batch_size
        full = len(self.train) // size
        many = min(count, full - first)
        if many > 0:
            state, sums = self.train_many(
                state, sums, self.train, order, np.int32(first), np.int32(many)
            )
        if first + count > full:
            rest = order[full * size :]
            state, sums = self.train_rest(state, sums, self.train, rest, np.int32(0), np.int32(1))
        return state, sums

    def evaluated(self, state: steps.TrainState) -> steps.TrainState:
        """The state that meets validation and test sets: with the averaged weights, if any."""
        return state if self.average is None else self.average(state, self.train)


def eval_batch_size(image_shape: tuple[int, ...]) -> int:
    """Examples an evaluation batch, for images of shape (H, W, ...) on the default backend."""
    examples, pixels = _EVAL_BATCH.get(jax.default_backend(), _EVAL_BATCH_ELSEWHERE)
    return max(1, min(examples, pixels // (image_shape[0] * image_shape[1])))


def build(
    config: Config, dataset: Dataset, *, pretrained: Mapping[str, Any] | None = None
) -> Program:
    """Makes a configuration executable: splits the data, puts it on the device, compiles.

    Args:
      pretrained: variables to start from, see `imgcls_jax.pretrained`; what they leave out is
        drawn at random.

    Raises:
      UserError: if the settings do not fit each other or the data.
    """
    train, validation = _train_and_validation(config, dataset)
    parts = make_parts(config, train=train, num_classes=dataset.num_classes)
    side = config.eval_size
    batch_size = eval_batch_size((side, side) if side else train.images.shape[1:])
    prepare = pretrained and partial(overlay, pretrained=pretrained)
    if config.feed == "streamed":
        from imgcls_jax.train import feeds

        return feeds.build(
            config,
            parts,
            splits={
                "train": train,
                "validation": dataset.test if config.watch_test else validation,
                "test": dataset.test,
            },
            num_classes=dataset.num_classes,
            batch_size=batch_size,
            prepare=prepare,
        )
    init = jax.jit(partial(initial, parts, averaged=bool(config.ema)))
    splits = {"train": train, "validation": validation, "test": dataset.test}
    on_device = {
        name: None if split is None else resident.put(split) for name, split in splits.items()
    }
    if config.watch_test:
        on_device["validation"] = on_device["test"]
    started = time.perf_counter()
    feature_seconds = 0.0
    if pretrained is not None and (config.features_once or config.head_epochs):
        variables = prepare(init(jax.random.key(0))[0]).variables
        extract = make_extract(
            apply_fn=parts.apply_fn, take_fn=resident.take, batch_size=batch_size
        )
        wanted = on_device if config.features_once else {"train": on_device["train"]}
        features = {
            name: source and extract(variables, source, name) for name, source in wanted.items()
        }
        feature_seconds = time.perf_counter() - started
        if config.features_once:
            on_device = features
        else:
            fit_head = make_fit_head(
                model=parts.model,
                binary=config.head == "binary",
                loss_fn=parts.loss_fn,
                epochs=config.head_epochs,
                learning_rate=config.head_lr,
                batch_size=config.batch_size,
            )

            def prepare(state):
                return fit_head(overlay(state, pretrained), features["train"])

    started = time.perf_counter()
    compiled = _compile(config, parts, init, on_device, batch_size)
    shapes = jax.eval_shape(init, jax.random.key(0))[0]
    return Program(
        config=config,
        model=parts.model,
        tx=parts.tx,
        schedule=parts.schedule,
        normalise=parts.normalise,
        num_classes=dataset.num_classes,
        parameters=models.count_parameters(shapes.params),
        **on_device,
        init=compiled["init"],
        prepare=prepare,
        order=compiled["order"],
        train_many=compiled["train_many"],
        train_rest=compiled.get("train_rest"),
        average=compiled.get("average"),
        evaluate={name: compiled[name] for name in ("validation", "test") if name in compiled},
        compile_seconds=time.perf_counter() - started,
        feature_seconds=feature_seconds,
    )


def initial(parts: Parts, key: jax.Array, *, averaged: bool):
    """The random state before training, and sums of nothing."""
    state = steps.init_state(
        model=parts.model, tx=parts.tx, key=key, image_shape=parts.image_shape, averaged=averaged
    )
    return state, steps.zero_metrics()


def _train_and_validation(config: Config, dataset: Dataset) -> tuple[Split, Split | None]:
    """The splits to train and to choose by; a data set may bring the latter with it."""
    train, validation = dataset.train, dataset.validation
    if validation is None and config.hold_out:
        train, validation = hold_out(train, fraction=config.hold_out, seed=config.split_seed)
    if validation is None and (config.evaluate == "best" or config.patience):
        raise UserError(
            f"{dataset.name} has no validation split to choose by; add --hold_out=0.1, say."
        )
    if config.batch_size > len(train) and len(train) < len(dataset.train):
        raise UserError(
            f"--hold_out={config.hold_out:g} leaves {len(train)} of {len(dataset.train)} examples "
            f"to train on, fewer than --batch_size={config.batch_size}; make one of them smaller."
        )
    if config.batch_size > len(train):
        raise UserError(
            f"--batch_size={config.batch_size} is larger than the training set of {len(train)} "
            f"examples; choose at most {len(train)}."
        )
    return train, validation


def _compile(
    config: Config,
    parts: Parts,
    init: Callable[..., Any],
    on_device: Mapping[str, resident.Resident | None],
    batch_size: int,
) -> dict[str, Callable[..., Any]]:
    """What a program calls, compiled, by name."""
    size = len(on_device["train"])

    def order(key, epoch):
        return resident.epoch_order(key, epoch, size)

    evaluate = steps.make_evaluate(
        eval_step=steps.make_eval_step(
            apply_fn=parts.head_fn or tta.wrap(parts.apply_fn, config.tta, size=config.eval_size)
        ),
        take_fn=resident.take,
        batch_size=batch_size,
    )
    key, zero = jax.random.key(0), np.int32(0)
    state, sums = jax.eval_shape(init, key)

    def train_many(examples, visited):
        function = steps.make_train_many(
            train_step=parts.train_step, take_fn=resident.take, batch_size=examples
        )
        visits = jax.ShapeDtypeStruct((visited,), jnp.int32)
        return function, state, sums, on_device["train"], visits, zero, zero

    jobs = {
        "init": (init, key),
        "order": (jax.jit(order), key, zero),
        "train_many": train_many(config.batch_size, size),
        "test": (evaluate, state, on_device["test"]),
    }
    if rest := size % config.batch_size:
        jobs["train_rest"] = train_many(rest, rest)
    if config.ema:
        recalibrate = make_recalibrate(
            apply_fn=parts.apply_fn,
            take_fn=resident.take,
            image_fn=steps.to_unit_interval,
            batch_size=batch_size,
            batches=max(1, min(_RECALIBRATION, size) // batch_size),
        )

        @jax.jit
        def average(state, source):
            variables = {"params": state.average, "batch_stats": state.batch_stats}
            if not config.frozen_norms:
                # What is frozen keeps the statistics it was trained against.
                fresh = recalibrate(variables, source)
                variables["batch_stats"] = {
                    name: state.batch_stats[name] if name in parts.frozen else stats
                    for name, stats in fresh.items()
                }
            return state.replace(**variables)

        jobs["average"] = (average, state, on_device["train"])
    if on_device["validation"] is not None:
        jobs["validation"] = (evaluate, state, on_device["validation"])
    # One after the other: XLA already spreads a compilation over the cores.
    return {
        name: function.lower(*arguments).compile() for name, (function, *arguments) in jobs.items()
    }
