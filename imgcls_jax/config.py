"""What defines a run: one frozen record, checked once, written to `config.json`.

Two runs with equal configurations on the same device type compute the same numbers. Where things
are stored or shown (folders, progress, figures) is not part of it.
"""

import dataclasses
import math
from typing import Any

from imgcls_jax import augment, models, normalisation, optim, schedules, tta
from imgcls_jax.data import NAMES as DATASETS
from imgcls_jax.errors import UserError
from imgcls_jax.models import inits
from imgcls_jax.models.layers import STEMS

LABELS = ("integer", "one_hot")
PRECISIONS = ("float32", "bfloat16")

_MODEL_OPTIONS = ("widths", "depth", "stem", "dropout", "stochastic_depth")
EVALUATED = ("last", "best")


def _field(default: Any, description: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": description})


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one training run. Each field's help is the help of the flag it is set by."""

    dataset: str = _field("fashion_mnist", f"data set: {', '.join(DATASETS)}")
    model: str = _field("mlp", f"network: {', '.join(models.NAMES)}")
    hidden: tuple[int, ...] = _field((), "sizes of the MLP's hidden layers, such as 256,128")
    widths: tuple[int, ...] = _field((), "channels of the stages of cnn and speednet")
    depth: int | None = _field(None, "convolutions a group of speednet")
    stem: str | None = _field(None, f"first layers of an ImageNet network: {', '.join(STEMS)}")
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
        "training set) or whiten (patches of it, decorrelated)",
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
    seed: int = _field(0, "seed of initialisation, order, augmentation and dropout")

    def __post_init__(self):
        _one_of("dataset", self.dataset, DATASETS)
        _one_of("model", self.model, models.NAMES)
        if self.init is not None:
            _one_of("init", self.init, inits.NAMES)
        if self.stem is not None:
            _one_of("stem", self.stem, STEMS)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("normalise", self.normalise, normalisation.NAMES)
        _one_of("tta", self.tta, tta.NAMES)
        _one_of("optimizer", self.optimizer, optim.NAMES)
        _one_of("framework", self.framework, optim.FRAMEWORKS)
        _one_of("schedule", self.schedule, schedules.NAMES)
        _one_of("labels", self.labels, LABELS)
        _one_of("evaluate", self.evaluate, EVALUATED)
        augment.check(self.augment)
        _check("lr", self.lr, "a finite number above 0", 0 < self.lr < math.inf)
        _check("batch_size", self.batch_size, "at least 1", self.batch_size >= 1)
        _check("epochs", self.epochs, "at least 0 (0 evaluates only)", self.epochs >= 0)
        _check("seed", self.seed, "at least 0", 0 <= self.seed < 2**31)
        _check("split_seed", self.split_seed, "at least 0", 0 <= self.split_seed < 2**31)
        _check("hold_out", self.hold_out, "at least 0 and below 1", 0 <= self.hold_out < 1)
        _check("hidden", self.hidden, "sizes of at least 1", all(n >= 1 for n in self.hidden))
        _check("momentum", self.momentum, "at least 0 and below 1", 0 <= self.momentum < 1)
        smoothing = self.label_smoothing
        _check("label_smoothing", smoothing, "at least 0 and below 1", 0 <= smoothing < 1)
        _check(
            "warmup_epochs", self.warmup_epochs, "at least 0", 0 <= self.warmup_epochs < math.inf
        )
        every, gamma, decay = self.step_epochs, self.step_gamma, self.weight_decay
        last = self.final_fraction
        _check("final_fraction", last, "in [0, 1]", last is None or 0 <= last <= 1)
        if last is not None and self.schedule not in ("linear", "cosine"):
            raise UserError(
                "--final_fraction is for --schedule=linear and cosine; leave it out with "
                f"--schedule={self.schedule}."
            )
        _check("step_epochs", every, "above 0", every is None or 0 < every < math.inf)
        _check("step_gamma", gamma, "above 0, at most 1", gamma is None or 0 < gamma <= 1)
        _check("weight_decay", decay, "at least 0", decay is None or 0 <= decay < math.inf)
        clip = self.clip_norm
        _check("clip_norm", clip, "above 0", clip is None or 0 < clip < math.inf)
        _check("widths", self.widths, "sizes of at least 1", all(n >= 1 for n in self.widths))
        for flag in ("dropout", "stochastic_depth"):
            value = getattr(self, flag)
            _check(flag, value, "at least 0 and below 1", value is None or 0 <= value < 1)
        _check("depth", self.depth, "at least 1", self.depth is None or self.depth >= 1)
        _check("ema", self.ema, "at least 0 and below 1", 0 <= self.ema < 1)
        _check("accumulate", self.accumulate, "at least 1", self.accumulate >= 1)
        if self.batch_size % self.accumulate:
            raise UserError(
                f"--accumulate={self.accumulate} must divide --batch_size={self.batch_size}."
            )
        self.lr_scales()
        self.model_options()
        if self.schedule == "step" and every is None:
            raise UserError("--schedule=step needs --step_epochs, the epochs between two drops.")
        if self.schedule != "step" and (every or gamma):
            raise UserError(
                "--step_epochs and --step_gamma are for --schedule=step; leave them out with "
                f"--schedule={self.schedule}."
            )
        if self.warmup_epochs and self.warmup_epochs >= self.epochs > 0:
            raise UserError(
                f"--warmup_epochs={self.warmup_epochs:g} must be less than --epochs={self.epochs}."
            )
        if self.schedule == "one_cycle" and self.warmup_epochs:
            raise UserError("--schedule=one_cycle warms up by itself; give --warmup_epochs=0.")
        self._check_optimizer()
        if self.watch_test and self.hold_out:
            raise UserError("--watch_test is for runs without --hold_out; leave one of them out.")
        if self.evaluate == "best" and not self.hold_out:
            raise UserError(
                "--evaluate=best needs a validation split to choose by: add --hold_out=0.1, say."
            )

    def _check_optimizer(self) -> None:
        """Raises UserError for options the optimiser does not take, by the flags' names."""
        known = optim.defaults(self.optimizer, self.framework)
        for flag, value in (("momentum", self.momentum), ("nesterov", self.nesterov)):
            if value and flag not in known:
                raise UserError(f"--{flag} is not for --optimizer={self.optimizer}; leave it out.")
        if self.nesterov and not self.momentum:
            raise UserError("--nesterov needs a --momentum above 0, such as 0.9.")
        decay = known["weight_decay"] if self.weight_decay is None else self.weight_decay
        if self.decay != "all" and self.optimizer == "airbench":
            raise UserError("--decay is not for --optimizer=airbench; leave it out.")
        if self.decay != "all" and not decay:
            raise UserError(f"--decay={self.decay} needs a --weight_decay above 0.")

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

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Config":
        """The inverse of `to_json`; a field that is missing or unknown is a UserError."""
        if not isinstance(values, dict):
            raise UserError("the configuration is not a JSON object; use a new --workdir.")
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            odd = ", ".join(sorted(set(values) ^ names))
            raise UserError(
                f"the configuration's fields are not this version's (differing: {odd}); use the "
                "version that wrote it, or a new --workdir."
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


def _one_of(flag: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"unknown --{flag}={value}; choose one of: {', '.join(known)}.")


def _check(flag: str, value: Any, wanted: str, holds: bool) -> None:
    if not holds:
        raise UserError(f"--{flag}={value} cannot be used; it must be {wanted}.")
