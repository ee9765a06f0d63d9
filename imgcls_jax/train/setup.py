"""What the settings of a run name, as objects: network, schedule, optimiser, training step."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from imgcls_jax import augment, models, optim, steps
from imgcls_jax.config import Config
from imgcls_jax.data import Split
from imgcls_jax.errors import UserError
from imgcls_jax.losses import cross_entropy
from imgcls_jax.models import freezing, normalisation
from imgcls_jax.optim import schedules


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Batches an epoch, the last one possibly smaller."""
    return -(-examples // batch_size)


class Parts(NamedTuple):
    """What the settings name, before anything is on the device.

    Attributes:
      apply_fn: the model's, behind the pixels' normalisation: takes images in [0, 1].
      image_shape: of what the model itself is given.
      head_fn: as `apply_fn`, but takes a frozen network's features; None unless those are fed.
      frozen: top-level names in the parameters that do not train.
      loss_fn: (logits (B, C), labels) -> losses (B,), smoothed and weighed as the settings say.
      train_step: on images, or on features where there is a `head_fn`.
      normalise: the constants of the normalisation, to keep.
    """

    model: Any
    image_shape: tuple[int, ...]
    apply_fn: Callable[..., Any]
    head_fn: Callable[..., Any] | None
    frozen: frozenset[str]
    schedule: optax.Schedule
    tx: optax.GradientTransformation
    loss_fn: Callable[..., Any]
    train_step: Callable[..., Any]
    normalise: dict[str, np.ndarray]


def make_model(config: Config, *, num_classes: int) -> Any:
    """The Linen module of a configuration, of one logit for a binary head."""
    outputs = 1 if config.head == "binary" else num_classes
    if config.head == "binary" and num_classes != 2:
        raise UserError(
            f"--head=binary is for two classes, and these are {num_classes}; leave it out."
        )
    return models.create(config.model, num_classes=outputs, **config.model_options())


def make_network(config: Config, *, num_classes: int, normalise: Mapping[str, Any]):
    """(model, normalised, apply_fn): the network, its pixels, its `apply` on images in [0, 1].

    Args:
      normalise: the constants of the normalisation, see `imgcls_jax.models.normalisation`.
    """
    model = make_model(config, num_classes=num_classes)
    normalised = normalisation.create(config.normalise, normalise)

    def apply_fn(variables, images, **keywords):
        return model.apply(variables, normalised(images), **keywords)

    if config.head == "binary":
        apply_fn = freezing.with_binary_head(apply_fn)
    return model, normalised, apply_fn


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
    model, normalised, apply_fn = make_network(config, num_classes=num_classes, normalise=normalise)
    unit = jax.ShapeDtypeStruct((1, *train.images.shape[1:]), jnp.float32)
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
    lr_scales, frozen = config.lr_scales(), frozenset()
    if config.model in models.TRANSFERABLE:
        stages = model.stages()
        lr_scales = lr_scales or freezing.rate_factors(
            stages, trainable=config.trainable, layer_decay=config.layer_decay
        )
        frozen = freezing.frozen_stages(stages, config.trainable)
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
        from imgcls_jax.losses import balanced_weights

        weights = jnp.asarray(balanced_weights(train.labels, num_classes))

    def loss_fn(logits, labels):
        if config.labels == "one_hot" and labels.ndim == 1:
            labels = jax.nn.one_hot(labels, num_classes)
        losses = cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
        if weights is not None:
            losses = losses * (weights[labels] if labels.ndim == 1 else labels @ weights)
        return losses

    head_fn = None
    if config.trainable == "head":
        head = freezing.head_of(model)
        train_fn = head if config.features_once else freezing.head_on_body(apply_fn, model)
        if config.head == "binary":
            head, train_fn = map(freezing.with_binary_head, (head, train_fn))
        head_fn = head if config.features_once else None
    else:
        train_fn = freezing.freeze(apply_fn, frozen)
        if config.frozen_norms:
            train_fn = freezing.with_fixed_norms(train_fn)
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
    return Parts(
        model,
        image_shape,
        apply_fn,
        head_fn,
        frozen,
        schedule,
        tx,
        loss_fn,
        train_step,
        normalise,
    )
