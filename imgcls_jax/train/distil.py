"""Distillation: a network learns what a teacher says of each image, beside the label it has.

The teacher's probabilities say how alike the classes are in an image, which a label does not
(Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"). Where training
shows the images as they are, the teacher is asked once for each. Where it changes them, the teacher
is asked within the step, for the very images that the student sees (Beyer et al. 2022, "Knowledge
distillation: A good teacher is patient and consistent").

The training step stays the house's own: the labels (B, C) get the teacher's log-probabilities
behind them, (B, 2 C) in all. Those are at most 0, so that the largest entry still is the class.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.augment import Augment
from imgcls_jax.augment.mix import label_weights
from imgcls_jax.config import Config
from imgcls_jax.data.batching import eval_batch_size
from imgcls_jax.data.dataset import Split
from imgcls_jax.errors import UserError
from imgcls_jax.losses import cross_entropy
from imgcls_jax.train.streams import evaluation_batches

LossFn = Callable[[jax.Array, jax.Array], jax.Array]
_LEAST = float(np.log(np.finfo(np.float32).tiny))  # below it is -inf, which has no softmax


def require(*, temperature: float, share: float) -> None:
    """Raises UserError for a temperature or a share of a teacher that cannot be used."""
    if not 0 < temperature < math.inf:
        raise UserError(
            f"`temperature={temperature:g}` cannot be used; it must be a finite number above 0."
        )
    if not 0 <= share <= 1:
        raise UserError(f"`soft_share={share:g}` cannot be used; it must be from 0 to 1.")


@dataclasses.dataclass(frozen=True)
class Teacher:
    """The network or ensemble that is learned from, and how.

    Attributes:
      log_probabilities: images in [0, 1] (B, H, W, C) -> log-probabilities (B, number of classes),
        traceable by JAX.
      name: what tells this teacher from another, such as a digest; kept with the student.
      temperature: the softness of what is learned; 1 leaves the probabilities as they are.
      share: the teacher's part of the loss, in [0, 1]; the labels have the rest.

    Raises:
      UserError: for a temperature or a share that cannot be used.
    """

    log_probabilities: Callable[[jax.Array], jax.Array]
    name: str
    temperature: float = 1.0
    share: float = 1.0

    def __post_init__(self):
        require(temperature=self.temperature, share=self.share)

    def facts(self) -> dict[str, Any]:
        """Returns what a student's folder keeps of its teacher."""
        return {"name": self.name, "temperature": self.temperature, "soft_share": self.share}


def with_teacher(
    teacher: Teacher,
    loss_fn: LossFn,
    augment_fn: Augment | None,
    *,
    config: Config,
    train: Split,
    num_classes: int,
    check: Callable[[], None] = lambda: None,
) -> tuple[LossFn, Augment]:
    """Returns the loss and the augmentation of a training step that learns from a teacher.

    Args:
      loss_fn, augment_fn: those without a teacher.
      config: the student's settings; they say whether training changes the images.
      train: the split that is trained on, for the teacher to be asked once per image.
      check: is called after every batch of those, and may raise to stop.
    """
    if config.model.head == "multi_label":
        raise UserError(
            "a network of several labels per photo cannot learn from a teacher, whose word is of "
            "one class; leave out `head=multi_label`."
        )
    changed = bool(config.train.augment) or config.data.random_crop is not None
    known = None if changed else _asked_once(teacher, train, config.evaluation.eval_size, check)

    def augment(key: jax.Array, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        index = batch["index"]
        if augment_fn is not None:
            batch = augment_fn(key, batch)
        said = teacher.log_probabilities(batch["image"]) if known is None else known[index]
        hard = label_weights(batch["label"], num_classes=num_classes)
        soft = jnp.maximum(jax.lax.stop_gradient(said), _LEAST)
        return {**batch, "label": jnp.concatenate([hard, soft], axis=1)}

    return distillation_loss(loss_fn, temperature=teacher.temperature, share=teacher.share), augment


def distillation_loss(loss_fn: LossFn, *, temperature: float, share: float) -> LossFn:
    """Builds (logits (B, C), labels (B, 2 C)) -> losses (B,), of labels and teacher together.

    They are (1 - share) loss_fn(logits, labels) + share T² H(teacher at T, student at T), where the
    probabilities at a temperature T are the softmax of log-probabilities or logits divided by T,
    and H is the cross-entropy. T² keeps the teacher's gradients as large as they are at T = 1
    (Hinton et al. 2015, section 2).
    """

    def loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        hard, soft = jnp.split(labels, 2, axis=-1)
        targets = jax.nn.softmax(soft / temperature)
        learned = temperature**2 * cross_entropy(logits / temperature, targets)
        return (1 - share) * loss_fn(logits, hard) + share * learned

    return loss


def _asked_once(
    teacher: Teacher, split: Split, side: int | None, check: Callable[[], None]
) -> jax.Array:
    """Returns what the teacher says of a split's images as they are, (N, C)."""
    size = eval_batch_size((side, side) if side else split.images.shape[1:])
    ask = jax.jit(lambda images: teacher.log_probabilities(steps.to_unit_interval(images)))
    rows = []
    for batch, count in evaluation_batches(split, size, "asking the teacher"):
        rows.append(np.asarray(ask(batch["image"]))[:count])
        check()
    return jnp.asarray(np.concatenate(rows))
