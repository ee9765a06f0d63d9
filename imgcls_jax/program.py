"""A configuration made executable: data on the device, model, optimiser, compiled functions."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from imgcls_jax import augment, averaging, models, normalisation, optim, schedules, steps, tta
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split, hold_out, resident
from imgcls_jax.errors import UserError
from imgcls_jax.losses import cross_entropy

# Examples an evaluation batch. On a CPU what matters is that a batch stays in its caches.
_EVAL_BATCH = {"cpu": 250}
_EVAL_BATCH_ELSEWHERE = 1000
_RECALIBRATION = 10_000  # training examples that batch-norm statistics are estimated on


@dataclasses.dataclass(frozen=True)
class Program:
    """A configuration made executable for one data set; serves any number of seeds.

    The functions are compiled; `order(key, epoch)` gives an epoch's order of examples.
    """

    config: Config
    model: Any
    tx: optax.GradientTransformation
    schedule: optax.Schedule
    num_classes: int
    parameters: int
    train: resident.Resident
    validation: resident.Resident | None
    test: resident.Resident
    init: Callable[[jax.Array], tuple[steps.TrainState, steps.Metrics]]
    order: Callable[[jax.Array, Any], jax.Array]
    train_many: Callable[..., Any]
    train_rest: Callable[..., Any] | None
    average: Callable[..., Any] | None
    evaluate: dict[str, Callable[..., Any]]
    compile_seconds: float

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(len(self.train), self.config.batch_size)

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.config.epochs

    def start(self, seed: int) -> tuple[steps.TrainState, steps.Metrics]:
        """The state before training with this seed, and sums of nothing."""
        return self.init(jax.random.key(seed))

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


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Batches an epoch, the last one possibly smaller."""
    return -(-examples // batch_size)


class Parts(NamedTuple):
    """What the settings name, before anything is on the device."""

    model: Any
    image_shape: tuple[int, ...]
    apply_fn: Callable[..., Any]
    schedule: optax.Schedule
    tx: optax.GradientTransformation
    train_step: Callable[..., Any]


def make_parts(config: Config, *, train: Split, num_classes: int) -> Parts:
    """Model, schedule, optimiser and training step of a configuration.

    `apply_fn` is the model's behind the pixels' normalisation, and takes images in [0, 1];
    `image_shape` is of what the model itself is given. Durations in epochs become steps here and
    nowhere else.

    Args:
      train: what the normalisation's constants are taken from, and how long an epoch is.

    Raises:
      UserError: for options that do not go together.
    """
    model = models.create(config.model, num_classes=num_classes, **config.model_options())
    normalise = normalisation.create(config.normalise, train.images)

    def apply_fn(variables, images, **keywords):
        return model.apply(variables, normalise(images), **keywords)

    unit = jax.ShapeDtypeStruct((1, *train.images.shape[1:]), jnp.float32)
    length = steps_per_epoch(len(train), config.batch_size)
    schedule = schedules.schedule(
        config.schedule,
        base_lr=config.lr,
        total_steps=length * config.epochs,
        warmup_steps=round(config.warmup_epochs * length),
        every=config.step_epochs and max(round(config.step_epochs * length), 1),
        gamma=config.step_gamma,
        final_fraction=config.final_fraction,
    )
    tx = optim.create(
        config.optimizer,
        framework=config.framework,
        learning_rate=schedule,
        weight_decay=config.weight_decay,
        decay_mask=config.decay,
        momentum=config.momentum or None,
        nesterov=config.nesterov,
        batch_size=config.batch_size if config.optimizer == "airbench" else None,
        clip_norm=config.clip_norm,
        lr_scales=config.lr_scales() or None,
    )

    def loss_fn(logits, labels):
        if config.labels == "one_hot" and labels.ndim == 1:
            labels = jax.nn.one_hot(labels, num_classes)
        return cross_entropy(logits, labels, label_smoothing=config.label_smoothing)

    train_step = steps.make_train_step(
        apply_fn=apply_fn,
        tx=tx,
        loss_fn=loss_fn,
        augment_fn=augment.create(config.augment, num_classes=num_classes),
        accumulate=config.accumulate,
        batch_size=config.batch_size,
        ema=config.ema,
        steps_per_epoch=length,
    )
    image_shape = jax.eval_shape(normalise, unit).shape[1:]
    return Parts(model, image_shape, apply_fn, schedule, tx, train_step)


def build(config: Config, dataset: Dataset) -> Program:
    """Makes a configuration executable: splits the data, puts it on the device, compiles.

    Raises:
      UserError: if the settings do not fit each other or the data.
    """
    train, validation = dataset.train, None
    if config.hold_out:
        train, validation = hold_out(train, fraction=config.hold_out, seed=config.split_seed)
    if config.batch_size > len(train) and validation is not None:
        raise UserError(
            f"--hold_out={config.hold_out:g} leaves {len(train)} of {len(dataset.train)} examples "
            f"to train on, fewer than --batch_size={config.batch_size}; make one of them smaller."
        )
    if config.batch_size > len(train):
        raise UserError(
            f"--batch_size={config.batch_size} is larger than the training set of {len(train)} "
            f"examples; choose at most {len(train)}."
        )
    parts = make_parts(config, train=train, num_classes=dataset.num_classes)
    batch_size = _EVAL_BATCH.get(jax.default_backend(), _EVAL_BATCH_ELSEWHERE)
    evaluate = steps.make_evaluate(
        eval_step=steps.make_eval_step(apply_fn=tta.wrap(parts.apply_fn, config.tta)),
        take_fn=resident.take,
        batch_size=batch_size,
    )

    def init(key):
        state = steps.init_state(
            model=parts.model,
            tx=parts.tx,
            key=key,
            image_shape=parts.image_shape,
            averaged=bool(config.ema),
        )
        return state, steps.zero_metrics()

    def order(key, epoch):
        return resident.epoch_order(key, epoch, len(train))

    started = time.perf_counter()
    on_device = {
        name: None if split is None else resident.put(split)
        for name, split in (("train", train), ("validation", validation), ("test", dataset.test))
    }
    if config.watch_test:
        on_device["validation"] = on_device["test"]
    key, zero = jax.random.key(0), np.int32(0)
    state, sums = jax.eval_shape(init, key)

    def train_many(size, visited):
        function = steps.make_train_many(
            train_step=parts.train_step, take_fn=resident.take, batch_size=size
        )
        visits = jax.ShapeDtypeStruct((visited,), jnp.int32)
        return function, state, sums, on_device["train"], visits, zero, zero

    jobs = {
        "init": (jax.jit(init), key),
        "order": (jax.jit(order), key, zero),
        "train_many": train_many(config.batch_size, len(train)),
        "test": (evaluate, state, on_device["test"]),
    }
    if rest := len(train) % config.batch_size:
        jobs["train_rest"] = train_many(rest, rest)
    if config.ema:
        recalibrate = averaging.make_recalibrate(
            apply_fn=parts.apply_fn,
            take_fn=resident.take,
            image_fn=steps.to_unit_interval,
            batch_size=batch_size,
            batches=min(_RECALIBRATION, len(train)) // batch_size,
        )

        @jax.jit
        def average(state, source):
            variables = {"params": state.average, "batch_stats": state.batch_stats}
            return state.replace(params=state.average, batch_stats=recalibrate(variables, source))

        jobs["average"] = (average, state, on_device["train"])
    if on_device["validation"] is not None:
        jobs["validation"] = (evaluate, state, on_device["validation"])
    # One after the other: XLA already spreads a compilation over the cores.
    compiled = {
        name: function.lower(*arguments).compile() for name, (function, *arguments) in jobs.items()
    }
    return Program(
        config=config,
        model=parts.model,
        tx=parts.tx,
        schedule=parts.schedule,
        num_classes=dataset.num_classes,
        parameters=models.count_parameters(state.params),
        **on_device,
        init=compiled["init"],
        order=compiled["order"],
        train_many=compiled["train_many"],
        train_rest=compiled.get("train_rest"),
        average=compiled.get("average"),
        evaluate={name: compiled[name] for name in ("validation", "test") if name in compiled},
        compile_seconds=time.perf_counter() - started,
    )
