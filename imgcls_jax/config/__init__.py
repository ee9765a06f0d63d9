"""What defines a run: one frozen record, checked once, written to `config.json`.

Two runs with equal configurations on the same device type compute the same numbers. Where things
are stored or shown (folders, progress, figures) is not part of it.
"""

import dataclasses
import math
from functools import partial
from typing import Any

from imgcls_jax import models, optim
from imgcls_jax.config import checks
from imgcls_jax.config.checks import (
    CORRUPT,
    DUPLICATES,
    EVALUATED,
    FEEDS,
    HEADS,
    LABELS,
    PRECISIONS,
    RESIZES,
)
from imgcls_jax.data import NAMES as DATASETS
from imgcls_jax.errors import UserError
from imgcls_jax.models import inits, tta
from imgcls_jax.models.layers import CONVENTIONS, STEMS
from imgcls_jax.optim import schedules

_MODEL_OPTIONS = ("widths", "depth", "stem", "convention", "dropout", "stochastic_depth")


def _field(default: Any, description: str, *, photos: bool = False) -> Any:
    """A setting; `photos`: of photo folders and transfer, to be shown of other runs where set."""
    return dataclasses.field(default=default, metadata={"help": description, "photos": photos})


_photo_field = partial(_field, photos=True)


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one training run. Each field's help is the help of the flag it is set by."""

    dataset: str = _field("fashion_mnist", f"data set: {', '.join(DATASETS)}")
    model: str = _field("mlp", f"network: {', '.join(models.NAMES)}")
    hidden: tuple[int, ...] = _field((), "sizes of the MLP's hidden layers, such as 256,128")
    widths: tuple[int, ...] = _field((), "channels of the stages of cnn and speednet")
    depth: int | None = _field(None, "convolutions a group of speednet")
    stem: str | None = _field(None, f"first layers of an ImageNet network: {', '.join(STEMS)}")
    convention: str | None = _field(
        None, f"whose padding and norms a published network has: {', '.join(CONVENTIONS)}"
    )
    dropout: float | None = _field(None, "probability of dropout where the network has it")
    stochastic_depth: float | None = _field(None, "probability of dropping the last block")
    init: str | None = _field(
        None, f"initialisation, by default the model's own: {', '.join(inits.NAMES)}"
    )
    precision: str = _field(
        "float32",
        f"type of the computation, parameters and norms being float32: {', '.join(PRECISIONS)}",
    )
    normalise: str = _field(
        "unit",
        "pixels the network sees: unit (x / 255), standard (mean 0, deviation 1 a channel of the "
        "training set), whiten (patches of it, decorrelated), or as published weights expect them: "
        "imagenet, symmetric, caffe",
    )
    optimizer: str = _field("adam", f"optimiser: {', '.join(optim.NAMES)}")
    framework: str = _field(
        "torch", f"whose optimiser rule and defaults: {', '.join(optim.FRAMEWORKS)}"
    )
    lr: float = _field(0.001, "learning rate, the highest of the schedule")
    momentum: float = _field(0.0, "momentum of sgd, rmsprop, muon, airbench; 0: the default")
    nesterov: bool = _field(False, "Nesterov momentum, for sgd; muon always has it")
    lr_scale: tuple[str, ...] = _field(
        (), "PATTERN=FACTOR on the rate of the parameters whose path the pattern matches"
    )
    clip_norm: float | None = _field(None, "largest norm of all gradients together")
    weight_decay: float | None = _field(None, "weight decay; by default the optimiser's own")
    decay: str = _field("all", "what decays: all, kernels, or a regular expression on the path")
    schedule: str = _field("constant", f"learning-rate schedule: {', '.join(schedules.NAMES)}")
    warmup_epochs: float = _field(0.0, "epochs of linear warm-up before the schedule")
    step_epochs: float | None = _field(None, "epochs between two drops of the step schedule")
    step_gamma: float | None = _field(None, "factor of each drop of the step schedule")
    final_fraction: float | None = _field(
        None, "last rate of the linear and cosine schedules as a fraction of --lr"
    )
    ema: float = _field(0.0, "decay of an average of the weights, which is then evaluated; 0: none")
    labels: str = _field("integer", f"what the cross-entropy is given: {', '.join(LABELS)}")
    label_smoothing: float = _field(0.0, "label smoothing, at least 0 and below 1")
    augment: tuple[str, ...] = _field((), "augmentations in order, as name or name:strength")
    batch_size: int = _field(64, "examples a step")
    accumulate: int = _field(1, "micro-batches a step, for batches larger than the memory")
    epochs: int = _field(15, "passes over the training set; 0 evaluates only")
    hold_out: float = _field(0.0, "fraction of the training set kept for validation")
    split_seed: int = _field(42, "seed of that split, as scikit-learn's random_state")
    watch_test: bool = _field(
        False, "evaluate the test set after every epoch too, as Keras' validation_data=test does"
    )
    tta: str = _field("none", f"views averaged in evaluation: {', '.join(tta.NAMES)}")
    evaluate: str = _field("last", f"checkpoint that meets the test set: {', '.join(EVALUATED)}")
    # Photos in folders
    image_size: int | None = _photo_field(None, "pixels a side of what a network sees of a photo")
    eval_size: int | None = _photo_field(
        None, "pixels a side that evaluation enlarges photos to, for training on random crops"
    )
    resize: str = _photo_field("crop", f"how a photo is made square: {', '.join(RESIZES)}")
    corrupt: str = _photo_field(
        "refuse", f"what to do about unreadable photos: {', '.join(CORRUPT)}"
    )
    duplicates: str = _photo_field(
        "report",
        f"what to do about photos that evaluation shares with training: {', '.join(DUPLICATES)}",
    )
    test_fraction: float = _photo_field(0.2, "of photos without split folders, to evaluate on")
    folds: int = _photo_field(0, "parts for cross-validation; 0: the test split")
    fold: int = _photo_field(0, "which of them is evaluated on")
    feed: str = _photo_field("resident", f"where training images wait: {', '.join(FEEDS)}")
    random_crop: float | None = _photo_field(
        None, "smallest share of a photo that a random crop keeps, for streamed training images"
    )
    # Transfer
    weights: str = _photo_field(
        "none", "weights to start from: none, imagenet, or a .safetensors or .h5 file"
    )
    head: str = _photo_field("multinomial", f"the classifier: {', '.join(HEADS)}")
    trainable: str = _photo_field(
        "all", "what is trained: all, a stage such as stage3 and on, or head"
    )
    cache_features: bool = _photo_field(
        True, "compute a frozen network's features once, where nothing changes the images"
    )
    frozen_norms: bool = _photo_field(
        False, "batch norms keep and use the statistics they came with"
    )
    head_epochs: int = _photo_field(
        0, "epochs of the head alone, on fixed features, before the others"
    )
    head_lr: float = _photo_field(0.001, "learning rate of those epochs, which are Adam's")
    layer_decay: float = _photo_field(
        1.0, "factor on the learning rate from a stage to the one below"
    )
    class_weights: bool = _photo_field(False, "weigh losses so that all classes count the same")
    patience: int = _photo_field(
        0, "epochs without better validation accuracy to stop after; 0: never"
    )
    seed: int = _field(0, "seed of initialisation, order, augmentation and dropout")

    def __post_init__(self):
        checks.check(self)

    def model_options(self) -> dict[str, Any]:
        """The options of `models.create` that are set; what the model does not take is an error."""
        given = {name: getattr(self, name) for name in _MODEL_OPTIONS}
        given["widths"] = self.widths or None
        given["initialisation"] = self.init
        if self.precision != "float32":
            given["dtype"] = self.precision
        if self.hidden or self.model == "mlp":
            given["hidden"] = self.hidden
        given = {name: value for name, value in given.items() if value is not None}
        flags = {"initialisation": "init", "dtype": "precision"}
        for name in set(given) - set(models.options_of(self.model)):
            flag = flags.get(name, name)
            raise UserError(f"--{flag} is not for --model={self.model}; leave it out.")
        return given

    @property
    def features_once(self) -> bool:
        """Whether the frozen network's features are computed once and stand in for the images."""
        plain = self.tta == "none" and self.eval_size is None
        fixed = not self.augment and plain and self.feed == "resident"
        return self.trainable == "head" and self.cache_features and fixed

    def lr_scales(self) -> dict[str, float]:
        """`lr_scale` as {pattern: factor}."""
        scales = {}
        for item in self.lr_scale:
            pattern, _, factor = item.rpartition("=")
            try:
                scales[pattern] = float(factor)
            except ValueError:
                scales[pattern] = -1.0
            if not (pattern and 0 <= scales[pattern] < math.inf):
                raise UserError(
                    f"--lr_scale={item} cannot be used; it must be PATTERN=FACTOR with a factor of "
                    "at least 0, such as bias=0.5."
                )
        return scales

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON can hold; tuples become lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    def shown(self) -> dict[str, Any]:
        """Like `to_json`, without settings of photos that have no meaning for other data."""
        return {
            field.name: value
            for field, value in zip(dataclasses.fields(self), self.to_json().values(), strict=True)
            if self.dataset == "folder"
            or not field.metadata["photos"]
            or getattr(self, field.name) != field.default
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Config":
        """The inverse of `to_json`; an unknown field is a UserError.

        A field that is missing, since it is younger than the file, has its default, which is what
        the library did before there was the field.
        """
        if not isinstance(values, dict):
            raise UserError("the configuration is not a JSON object; use a new --workdir.")
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := set(values) - names:
            raise UserError(
                f"the configuration has fields that this version does not know "
                f"({', '.join(sorted(unknown))}); use the version that wrote it or a new --workdir."
            )
        try:
            return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
        except (TypeError, AttributeError) as error:
            raise UserError(
                f"the configuration holds a value of the wrong type ({error}); undo the edit or "
                "use a new --workdir."
            ) from error

    def differences(self, other: "Config") -> dict[str, tuple[Any, Any]]:
        """Fields that differ, as {name: (own value, other's value)}."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}
