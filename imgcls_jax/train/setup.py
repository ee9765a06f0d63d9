"""The objects that the settings of a run name: network, schedule, optimiser, training step."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from imgcls_jax import augment, models, optim, sharding, steps
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Split
from imgcls_jax.errors import UserError
from imgcls_jax.losses import balanced_weights, binary_cross_entropy, cross_entropy
from imgcls_jax.metrics import batch_metrics, label_metrics
from imgcls_jax.models import freezing, normalisation, tta
from imgcls_jax.optim import schedules


class Network(NamedTuple):
    """A model with everything between stored pixels and logits: the one evaluation chain.

    Attributes:
      model: the Linen module.
      image_shape: (H, W, C) of the images that the model itself is given in training.
      apply_fn: its `apply` on images in [0, 1], with the signature of `model.apply`; two logits
        where a binary head has one.
      evaluate_fn: (variables, images, train=False) -> logits (B, num_classes), averaged over views
        of images that are enlarged first, where the settings say so.
      plain_fn: as `apply_fn`, of images that are enlarged first, where the settings say so.
      seen_fn: images in [0, 1] -> images as the model is given them in evaluation.
    """

    model: Any
    image_shape: tuple[int, ...]
    apply_fn: Callable[..., Any]
    evaluate_fn: Callable[..., Any]
    plain_fn: Callable[..., Any]
    seen_fn: Callable[[jax.Array], jax.Array]


class Judged(NamedTuple):
    """The plain loss of examples and the sums made of them, as `steps.make_eval_step` takes them.

    Attributes:
      loss_fn: (logits (B, C), labels) -> losses (B,), not smoothed.
      metrics_fn: (losses, logits, labels, mask) -> sums.
    """

    loss_fn: Callable[..., Any]
    metrics_fn: Callable[..., Any]


# By the head: "binary" has two logits by then.
_ONE_CLASS = Judged(cross_entropy, batch_metrics)
_JUDGED = {"multi_label": Judged(binary_cross_entropy, label_metrics)}


class Setup(NamedTuple):
    """The objects that the settings name, before anything is on the device.

    Attributes:
      mesh: the devices that share every batch.
      network: the model and its evaluation chain.
      constants: those of the pixels' normalisation, to keep.
      head_fn: as `network.apply_fn`, but on a frozen network's features; None unless those are fed.
      frozen: top-level names in the parameters that do not train.
      schedule, tx: the learning rate by step, and the optimiser.
      loss_fn: (logits (B, C), labels) -> losses (B,), smoothed and weighed as the settings say.
      judged: the plain loss and the metrics of evaluation.
      train_step: on images, or on features where there is a `head_fn`.
      step_with: schedule -> the training step by another learning rate than the settings'.
      steps_per_epoch: batches per epoch, the last one possibly smaller.
      check: is called between compilations, batches of features or of a teacher's answers, and
        epochs of a head alone; it may raise to stop.
    """

    mesh: Mesh
    network: Network
    constants: dict[str, np.ndarray]
    head_fn: Callable[..., Any] | None
    frozen: frozenset[str]
    schedule: optax.Schedule
    tx: optax.GradientTransformation
    loss_fn: Callable[..., Any]
    judged: Judged
    train_step: Callable[..., Any]
    step_with: Callable[[optax.Schedule], Callable[..., Any]]
    steps_per_epoch: int
    check: Callable[[], None] = lambda: None

    def eval_step(self, apply_fn: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """Builds the evaluation step, by the evaluation chain or by what is given in its place."""
        return steps.make_eval_step(
            apply_fn=apply_fn or self.network.evaluate_fn,
            shard_fn=sharding.over_batch(self.mesh),
            **self.judged._asdict(),
        )


def make_model(config: Config, *, num_classes: int) -> Any:
    """Builds the Linen module of a configuration, of one logit for a binary head."""
    binary = config.model.head == "binary"
    if binary and num_classes != 2:
        raise UserError(
            f"`head=binary` is for two classes, and these are {num_classes}; leave it out."
        )
    outputs = 1 if binary else num_classes
    return models.create(config.model.model, num_classes=outputs, **config.model.options())


def make_network(
    config: Config,
    *,
    num_classes: int,
    image_shape: tuple[int, ...],
    constants: Mapping[str, Any],
) -> Network:
    """Builds the network of a configuration, for training and for every kind of evaluation.

    Args:
      image_shape: (H, W, C) of the data set's images.
      constants: those of the normalisation, see `imgcls_jax.models.normalisation`.
    """
    model = make_model(config, num_classes=num_classes)
    normalise = normalisation.create(config.model.normalise, constants)

    def apply_fn(variables, images, **keywords):
        return model.apply(variables, normalise(images), **keywords)

    if config.model.head == "binary":
        apply_fn = freezing.with_binary_head(apply_fn)
    unit = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    size = config.evaluation.eval_size
    return Network(
        model=model,
        image_shape=jax.eval_shape(normalise, unit).shape[1:],
        apply_fn=apply_fn,
        evaluate_fn=tta.wrap(apply_fn, config.evaluation.tta, size=size),
        plain_fn=tta.wrap(apply_fn, "none", size=size),
        seen_fn=lambda images: normalise(tta.enlarge(images, size)),
    )


def make_setup(
    config: Config,
    *,
    train: Split,
    num_classes: int,
    teach: Callable[..., tuple[Callable[..., Any], Callable[..., Any]]] | None = None,
) -> Setup:
    """Builds network, schedule, optimiser and training step of a configuration.

    Durations in epochs become steps here and nowhere else.

    Args:
      train: the split that the normalisation's constants and the length of an epoch are taken from.
      teach: (loss, augmentation) -> those that learn from a teacher too, see `train.distil`.

    Raises:
      UserError: for options that do not go together, or more devices than there are.
    """
    mesh = sharding.make_mesh(config.train.devices)
    constants = normalisation.constants(config.model.normalise, train.images)
    of = {"num_classes": num_classes, "image_shape": train.images.shape[1:]}
    network = make_network(config, **of, constants=constants)
    length = -(-len(train) // config.train.batch_size)
    schedule = schedule_of(config, length)
    tx, frozen = _optimizer(config, network.model, schedule)
    judged = _judged(config, train)
    step_loss = loss_fn = _loss(config, train.labels, num_classes, judged.loss_fn)
    augment_fn = augment.create(config.train.augment, num_classes=num_classes)
    if teach is not None:
        step_loss, augment_fn = teach(loss_fn, augment_fn)
    train_fn, head_fn = _trained(config, network, frozen)

    def step_by(tx):
        return steps.make_train_step(
            apply_fn=train_fn,
            tx=tx,
            loss_fn=step_loss,
            metrics_fn=judged.metrics_fn,
            augment_fn=augment_fn,
            accumulate=config.train.accumulate,
            batch_size=config.train.batch_size,
            ema=config.optim.ema,
            steps_per_epoch=length,
            shard_fn=sharding.over_batch(mesh),
        )

    return Setup(
        mesh=mesh,
        network=network,
        constants=constants,
        head_fn=head_fn,
        frozen=frozen,
        schedule=schedule,
        tx=tx,
        loss_fn=loss_fn,
        judged=judged,
        train_step=step_by(tx),
        step_with=lambda other: step_by(_optimizer(config, network.model, other)[0]),
        steps_per_epoch=length,
    )


def schedule_of(config: Config, steps_per_epoch: int) -> optax.Schedule:
    """Builds the learning rate by step, from durations in epochs."""
    of = config.optim
    return schedules.schedule(
        of.schedule,
        base_lr=of.lr,
        total_steps=steps_per_epoch * config.train.epochs,
        warmup_steps=round(of.warmup_epochs * steps_per_epoch),
        every=of.step_epochs and max(round(of.step_epochs * steps_per_epoch), 1),
        gamma=of.step_gamma,
        final_fraction=of.final_fraction,
    )


def _optimizer(
    config: Config, model: Any, schedule: optax.Schedule
) -> tuple[optax.GradientTransformation, frozenset[str]]:
    """Builds the optimiser; also returns the top-level names in the parameters that are frozen."""
    of, frozen = config.optim, frozenset()
    lr_scales = of.lr_scales()
    if config.model.model in models.TRANSFERABLE:
        stages, trainable = model.stages(), config.train.trainable
        lr_scales = lr_scales or freezing.rate_factors(
            stages, trainable=trainable, layer_decay=config.train.layer_decay
        )
        below = freezing.frozen_stages(stages, trainable)
        frozen = frozenset(name for stage in below for name in stages[stage])
    tx = optim.create(
        of.optimizer,
        framework=of.framework,
        learning_rate=schedule,
        weight_decay=of.weight_decay,
        decay_mask=of.decay,
        momentum=of.momentum or None,
        nesterov=of.nesterov,
        batch_size=config.train.batch_size if of.optimizer == "airbench" else None,
        clip_norm=of.clip_norm,
        lr_scales=lr_scales or None,
    )
    return tx, frozen


def _judged(config: Config, train: Split) -> Judged:
    """Returns the loss and the metrics of the head, whose kind the labels must be of."""
    several = config.model.head == "multi_label"
    if several != (train.labels.ndim == 2):
        have = "one label" if several else "several labels"
        raise UserError(
            f"`head={config.model.head}` is not for examples that have {have} each; give a "
            "`head` that is."
        )
    return _JUDGED.get(config.model.head, _ONE_CLASS)


def _loss(
    config: Config, train_labels: np.ndarray, num_classes: int, plain: Callable[..., Any]
) -> Callable[..., Any]:
    """Builds (logits (B, C), labels) -> losses (B,) of a plain loss."""
    weights = None
    if config.train.class_weights:
        weights = jnp.asarray(balanced_weights(train_labels, num_classes))

    def loss_fn(logits, labels):
        if config.train.labels == "one_hot" and labels.ndim == 1:
            labels = jax.nn.one_hot(labels, num_classes)
        losses = plain(logits, labels, label_smoothing=config.train.label_smoothing)
        if weights is not None:
            losses = losses * (weights[labels] if labels.ndim == 1 else labels @ weights)
        return losses

    return loss_fn


def _trained(
    config: Config, network: Network, frozen: frozenset[str]
) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """Builds the function of the training step, and the head alone where it is fed features."""
    if config.train.trainable != "head":
        train_fn = freezing.freeze(network.apply_fn, frozen)
        return (
            freezing.with_fixed_norms(train_fn) if config.train.frozen_norms else train_fn
        ), None
    once = config.features_once
    head = freezing.head_of(network.model)
    train_fn = head if once else freezing.head_on_body(network.apply_fn, network.model)
    if config.model.head == "binary":
        head, train_fn = map(freezing.with_binary_head, (head, train_fn))
    return train_fn, head if once else None
