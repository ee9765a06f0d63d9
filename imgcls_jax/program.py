"""A configuration made executable: data on the device, model, optimiser, compiled functions."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from imgcls_jax import (
    augment,
    averaging,
    models,
    normalisation,
    optim,
    schedules,
    steps,
    transfer,
    tta,
)
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split, hold_out, resident
from imgcls_jax.errors import UserError
from imgcls_jax.losses import cross_entropy

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


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Batches an epoch, the last one possibly smaller."""
    return -(-examples // batch_size)


class Parts(NamedTuple):
    """What the settings name, before anything is on the device.

    Attributes:
      apply_fn: the model's, behind the pixels' normalisation: takes images in [0, 1].
      image_shape: of what the model itself is given.
      head_fn: as `apply_fn`, but takes a frozen network's features; None unless those are fed.
      train_step: on images, or on features where there is a `head_fn`.
      normalise: the constants of the normalisation, to keep.
    """

    model: Any
    image_shape: tuple[int, ...]
    apply_fn: Callable[..., Any]
    head_fn: Callable[..., Any] | None
    schedule: optax.Schedule
    tx: optax.GradientTransformation
    train_step: Callable[..., Any]
    normalise: dict[str, np.ndarray]


def make_network(config: Config, *, num_classes: int, normalise: Mapping[str, Any]):
    """(model, apply_fn): the network of a configuration, and its `apply` on images in [0, 1].

    Args:
      normalise: the constants of the normalisation, see `imgcls_jax.normalisation`.
    """
    outputs = 1 if config.head == "binary" else num_classes
    if config.head == "binary" and num_classes != 2:
        raise UserError(
            f"--head=binary is for two classes, and these are {num_classes}; leave it out."
        )
    model = models.create(config.model, num_classes=outputs, **config.model_options())
    normalised = normalisation.create(config.normalise, normalise)

    def apply_fn(variables, images, **keywords):
        return model.apply(variables, normalised(images), **keywords)

    if config.head == "binary":
        apply_fn = transfer.with_binary_head(apply_fn)
    return model, apply_fn


def make_parts(config: Config, *, train: Split, num_classes: int) -> Parts:
    """Model, schedule, optimiser and training step of a configuration.

    Durations in epochs become steps here and nowhere else.

    Args:
      train: what the normalisation's constants are taken from, and how long an epoch is.

    Raises:
      UserError: for options that do not go together.
    """
    at_hand = train.images if config.feed == "resident" else None
    normalise = normalisation.constants(config.normalise, at_hand)
    model, apply_fn = make_network(config, num_classes=num_classes, normalise=normalise)
    unit = jax.ShapeDtypeStruct((1, *train.images.shape[1:]), jnp.float32)
    normalised = normalisation.create(config.normalise, normalise)
    image_shape = jax.eval_shape(normalised, unit).shape[1:]
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
    lr_scales, frozen = config.lr_scales(), ()
    if config.model in models.TRANSFERABLE:
        stages = model.stages()
        lr_scales = lr_scales or transfer.rate_factors(
            stages, trainable=config.trainable, layer_decay=config.layer_decay
        )
        frozen = transfer.frozen_stages(stages, config.trainable)
        frozen = frozenset(name for stage in frozen for name in stages[stage])
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
        lr_scales=lr_scales or None,
    )
    weights = None
    if config.class_weights:
        from imgcls_jax.data import folders

        weights = jnp.asarray(folders.balanced_weights(train.labels, num_classes))

    def loss_fn(logits, labels):
        if config.labels == "one_hot" and labels.ndim == 1:
            labels = jax.nn.one_hot(labels, num_classes)
        losses = cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
        if weights is not None:
            losses = losses * (weights[labels] if labels.ndim == 1 else labels @ weights)
        return losses

    head_fn, train_fn = None, transfer.freeze(apply_fn, frozen)
    if config.features_once:
        head_fn = train_fn = transfer.head_of(model)
        if config.head == "binary":
            head_fn = train_fn = transfer.with_binary_head(head_fn)
    elif config.frozen_norms or config.trainable == "head":
        train_fn = transfer.with_fixed_norms(train_fn)
    train_step = steps.make_train_step(
        apply_fn=train_fn,
        tx=tx,
        loss_fn=loss_fn,
        augment_fn=augment.create(config.augment, num_classes=num_classes),
        accumulate=config.accumulate,
        batch_size=config.batch_size,
        ema=config.ema,
        steps_per_epoch=length,
    )
    return Parts(model, image_shape, apply_fn, head_fn, schedule, tx, train_step, normalise)


def eval_batch_size(image_shape: tuple[int, ...]) -> int:
    """Examples an evaluation batch, for images of shape (H, W, C) on the default backend."""
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
    batch_size = eval_batch_size(train.images.shape[1:])
    prepare = pretrained and partial(transfer.overlay, pretrained=pretrained)
    if config.feed == "streamed":
        from imgcls_jax import streamed

        return streamed.build(
            config,
            parts,
            splits={"train": train, "validation": validation, "test": dataset.test},
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
        extract = transfer.make_extract(
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
            fit_head = transfer.make_fit_head(
                model=parts.model,
                binary=config.head == "binary",
                epochs=config.head_epochs,
                learning_rate=config.head_lr,
                batch_size=config.batch_size,
            )

            def prepare(state):
                return fit_head(transfer.overlay(state, pretrained), features["train"])

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
            apply_fn=parts.head_fn or tta.wrap(parts.apply_fn, config.tta)
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
        recalibrate = averaging.make_recalibrate(
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
                variables["batch_stats"] = recalibrate(variables, source)
            return state.replace(**variables)

        jobs["average"] = (average, state, on_device["train"])
    if on_device["validation"] is not None:
        jobs["validation"] = (evaluate, state, on_device["validation"])
    # One after the other: XLA already spreads a compilation over the cores.
    return {
        name: function.lower(*arguments).compile() for name, (function, *arguments) in jobs.items()
    }
