"""The definition of a run: one frozen record in sections, checked once, written to `config.json`.

    config = Config.of(dataset="digits", model="mlp", hidden=(32,), lr=0.01)
    config.optim.lr                                   # 0.01
    config.replace(seed=1)

Two runs with equal configurations on the same device type compute the same numbers. Where things
are stored or shown (folders, progress, figures) is not part of it. Names are unique across the
sections, so that flags, presets and files are flat. A rule within a section stands there, a rule
across sections here.
"""

import dataclasses
import functools
from typing import Any

from imgcls_jax import models
from imgcls_jax.config.data import DataConfig
from imgcls_jax.config.evaluation import EvaluationConfig
from imgcls_jax.config.model import ModelConfig
from imgcls_jax.config.optim import OptimConfig
from imgcls_jax.config.train import TrainConfig
from imgcls_jax.data.catalog import PUBLISHED
from imgcls_jax.errors import UserError
from imgcls_jax.files.fit import misfit

# Shown of every run, whether they are the defaults or not.
_ALWAYS = ("dataset", "model", "optimizer", "lr", "batch_size", "epochs", "seed")


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one training run."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    optim: OptimConfig = dataclasses.field(default_factory=OptimConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)

    def __post_init__(self):
        self._check_durations()
        self._check_transfer()
        self._check_labels()
        self._check_evaluation()

    @classmethod
    def of(cls, **settings: Any) -> "Config":
        """Builds a configuration from settings of any section; the others have their defaults.

        Raises:
          UserError: for a setting that does not exist, or cannot be used, alone or beside others.
        """
        return cls().replace(**settings)

    def replace(self, **settings: Any) -> "Config":
        """Returns this configuration with other values for some settings; raises as `of`."""
        fields = settings_by_name()
        if unknown := set(settings) - set(fields):
            raise UserError(
                f"there is no setting {', '.join(sorted(unknown))}; see imgcls_jax.config."
            )
        changed = {}
        for section in dataclasses.fields(self):
            mine = {n: v for n, v in settings.items() if fields[n][0] == section.name}
            changed[section.name] = dataclasses.replace(getattr(self, section.name), **mine)
        return Config(**changed)

    def seeds(self, count: int) -> list["Config"]:
        """Returns this configuration with `count` seeds, its own and those that follow.

        Raises:
          UserError: they go beyond the largest seed.
        """
        first = self.train.seed
        if first + count > 2**31:
            raise UserError(
                f"`seeds={count}` from `seed={first}` on cannot be used; the last one must be "
                f"below {2**31}."
            )
        return [self.replace(seed=first + number) for number in range(count)]

    @property
    def features_once(self) -> bool:
        """True where a frozen network's features are computed once and stand in for the images."""
        plain = self.evaluation.tta == "none" and self.evaluation.eval_size is None
        fixed = not self.train.augment and self.data.random_crop is None and plain
        return self.train.trainable == "head" and self.train.cache_features and fixed

    def flat(self) -> dict[str, Any]:
        """Returns every setting by its name, in the order of the sections."""
        return {
            name: value
            for section in dataclasses.fields(self)
            for name, value in dataclasses.asdict(getattr(self, section.name)).items()
        }

    def to_json(self) -> dict[str, Any]:
        """Returns a flat dict that JSON can hold; tuples become lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.flat().items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Config":
        """Builds a configuration from a dict of `to_json`.

        A field that is missing, since it is younger than the file, has its default: the library did
        the same before there was the field.

        Raises:
          UserError: for an unknown field, or a value that cannot be used.
        """
        if unknown := set(values) - set(settings_by_name()):
            raise UserError(
                f"the configuration has fields that this version does not know "
                f"({', '.join(sorted(unknown))}); use the version that wrote it or a new "
                "`workdir`."
            )
        for name, value in values.items():
            if said := misfit(value, settings_by_name()[name][1].type, name):
                raise UserError(f"{said}; undo the edit or use a new `workdir`.")
        return cls.of(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def differences(self, other: "Config") -> dict[str, tuple[Any, Any]]:
        """Returns the settings that make it another run, as {name: (own value, other's value)}."""
        mine, theirs, fields = self.flat(), other.flat(), settings_by_name()
        differing = (name for name in mine if mine[name] != theirs[name])
        return {
            name: (mine[name], theirs[name])
            for name in differing
            if fields[name][1].metadata["binding"]
        }

    def shown(self, *, everything: bool = False) -> dict[str, Any]:
        """Returns the settings to show: a few that always matter, and those not at their defaults.

        Args:
          everything: whether to show all others too; without photos, not the settings of photos.
        """
        fields, of_photos = settings_by_name(), self.data.of_photos

        def is_shown(name: str, value: Any) -> bool:
            _, field = fields[name]
            if name in _ALWAYS or value != field.default:
                return True
            return everything and (of_photos or not field.metadata["of"])

        shown = {name for name, value in self.flat().items() if is_shown(name, value)}
        return {name: value for name, value in self.to_json().items() if name in shown}

    def _check_durations(self) -> None:
        """Raises UserError for a warm-up that is no part of the training."""
        warmup, epochs = self.optim.warmup_epochs, self.train.epochs
        if warmup and warmup >= epochs > 0:
            raise UserError(f"`warmup_epochs={warmup:g}` must be less than `epochs={epochs}`.")

    def _check_transfer(self) -> None:
        """Raises UserError for settings of transfer learning that do not go together."""
        name, weights, train = self.model.model, self.model.weights, self.train
        staged = name in models.TRANSFERABLE
        staging = {
            "trainable": train.trainable != "all",
            "head_epochs": train.head_epochs > 0,
            "layer_decay": train.layer_decay < 1,
            "weights": weights != "none",
        }
        for setting in (setting for setting, used in staging.items() if used and not staged):
            raise UserError(
                f"`{setting}` is not for `model={name}`, which has no published stages; choose "
                f"one of: {', '.join(models.TRANSFERABLE)}."
            )
        if train.head_epochs and weights == "none":
            raise UserError("`head_epochs` is for networks with `weights`; give both or neither.")
        if train.trainable == "head" and weights == "none":
            raise UserError(
                "`trainable=head` needs `weights`: a frozen network without any has nothing to "
                "give."
            )
        if self.optim.lr_scale and (train.trainable != "all" or train.layer_decay < 1):
            raise UserError(
                "`lr_scale` takes the place of `trainable` and `layer_decay`; give one."
            )
        if train.trainable == "head" and self.optim.ema:
            raise UserError("`ema` is for networks that train; leave it out with `trainable=head`.")

    def _check_labels(self) -> None:
        """Raises UserError for settings that mean nothing where examples have several labels."""
        if self.model.head != "multi_label":
            return
        if not self.data.label_file:
            raise UserError(
                "`head=multi_label` is for photos with a table of labels; add `label_file`, the "
                "table."
            )
        for setting, used in (
            ("class_weights", self.train.class_weights),
            ("sampler=balanced", self.train.sampler == "balanced"),
            ("labels=one_hot", self.train.labels == "one_hot"),
            ("folds", self.data.folds > 0),
        ):
            if used:
                raise UserError(
                    f"`{setting}` is for examples of one class each; leave it out with "
                    "`head=multi_label`."
                )

    def _check_evaluation(self) -> None:
        """Raises UserError for choices without anything to choose by, and sizes that do not fit."""
        evaluation, hold_out, patience = self.evaluation, self.data.hold_out, self.train.patience
        larger, size = evaluation.eval_size, self.data.image_size
        if larger is not None and not self.data.of_photos:
            raise UserError("`eval_size` is for photos; give `image_size` too, or leave it out.")
        if larger is not None and self.model.model not in models.TRANSFERABLE:
            raise UserError(
                "`eval_size` is for networks that take photos of any size, such as mobilenet_v2, "
                f"and not for `model={self.model.model}`; leave it out."
            )
        if larger is not None and not size < larger <= 2 * size:
            raise UserError(
                f"`eval_size={larger}` cannot be used; it must be above `image_size={size}` and at "
                "most twice that."
            )
        if evaluation.watch_test and (hold_out or patience or evaluation.evaluate == "best"):
            raise UserError(
                "`watch_test` is for runs that choose nothing; leave it out, or `hold_out`, "
                "`patience` and `evaluate=best`."
            )
        if patience and evaluation.evaluate != "best":
            raise UserError("`patience` waits past the best epoch; add `evaluate=best`.")
        # Photos and data sets of TFDS may bring a split to choose by.
        if evaluation.evaluate == "best" and not hold_out and self.data.dataset in PUBLISHED:
            raise UserError(
                "`evaluate=best` needs a validation split to choose by: add `hold_out=0.1`, say."
            )


@functools.cache
def settings_by_name() -> dict[str, tuple[str, dataclasses.Field]]:
    """Returns section and field (with help, type and default) of every setting, by its name."""
    return {
        field.name: (section.name, field)
        for section in dataclasses.fields(Config)
        for field in dataclasses.fields(section.type)
    }
