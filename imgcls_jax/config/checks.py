"""What makes a configuration valid: every mistake is one sentence that names the flag."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from imgcls_jax import augment, models, optim
from imgcls_jax.data import NAMES as DATASETS
from imgcls_jax.errors import UserError
from imgcls_jax.models import inits, normalisation, tta
from imgcls_jax.models.layers import STEMS
from imgcls_jax.optim import schedules

if TYPE_CHECKING:
    from imgcls_jax.config import Config

LABELS = ("integer", "one_hot")
PRECISIONS = ("float32", "bfloat16")
EVALUATED = ("last", "best")
RESIZES = ("crop", "stretch", "pad")
CORRUPT = ("refuse", "skip")
DUPLICATES = ("report", "drop")
FEEDS = ("resident", "streamed")
HEADS = ("multinomial", "binary")
_OF_PHOTOS = (
    "image_size",
    "eval_size",
    "resize",
    "corrupt",
    "duplicates",
    "test_fraction",
    "folds",
    "fold",
    "feed",
)


def check(config: "Config") -> None:
    """Raises UserError for the first setting that is wrong by itself or beside another."""
    _one_of("dataset", config.dataset, DATASETS)
    _one_of("model", config.model, models.NAMES)
    if config.init is not None:
        _one_of("init", config.init, inits.NAMES)
    if config.stem is not None:
        _one_of("stem", config.stem, STEMS)
    _one_of("precision", config.precision, PRECISIONS)
    _one_of("normalise", config.normalise, normalisation.NAMES)
    _one_of("tta", config.tta, tta.NAMES)
    _one_of("optimizer", config.optimizer, optim.NAMES)
    _one_of("framework", config.framework, optim.FRAMEWORKS)
    _one_of("schedule", config.schedule, schedules.NAMES)
    _one_of("labels", config.labels, LABELS)
    _one_of("evaluate", config.evaluate, EVALUATED)
    augment.check(config.augment)
    _check("lr", config.lr, "a finite number above 0", 0 < config.lr < math.inf)
    _check("batch_size", config.batch_size, "at least 1", config.batch_size >= 1)
    _check("epochs", config.epochs, "at least 0 (0 evaluates only)", config.epochs >= 0)
    _check("seed", config.seed, "at least 0", 0 <= config.seed < 2**31)
    _check("split_seed", config.split_seed, "at least 0", 0 <= config.split_seed < 2**31)
    _check("hold_out", config.hold_out, "at least 0 and below 1", 0 <= config.hold_out < 1)
    _check("hidden", config.hidden, "sizes of at least 1", all(n >= 1 for n in config.hidden))
    _check("momentum", config.momentum, "at least 0 and below 1", 0 <= config.momentum < 1)
    smoothing = config.label_smoothing
    _check("label_smoothing", smoothing, "at least 0 and below 1", 0 <= smoothing < 1)
    _check(
        "warmup_epochs", config.warmup_epochs, "at least 0", 0 <= config.warmup_epochs < math.inf
    )
    every, gamma, decay = config.step_epochs, config.step_gamma, config.weight_decay
    last = config.final_fraction
    _check("final_fraction", last, "in [0, 1]", last is None or 0 <= last <= 1)
    if last is not None and config.schedule not in ("linear", "cosine"):
        raise UserError(
            "--final_fraction is for --schedule=linear and cosine; leave it out with "
            f"--schedule={config.schedule}."
        )
    _check("step_epochs", every, "above 0", every is None or 0 < every < math.inf)
    _check("step_gamma", gamma, "above 0, at most 1", gamma is None or 0 < gamma <= 1)
    _check("weight_decay", decay, "at least 0", decay is None or 0 <= decay < math.inf)
    clip = config.clip_norm
    _check("clip_norm", clip, "above 0", clip is None or 0 < clip < math.inf)
    _check("widths", config.widths, "sizes of at least 1", all(n >= 1 for n in config.widths))
    for flag in ("dropout", "stochastic_depth"):
        value = getattr(config, flag)
        _check(flag, value, "at least 0 and below 1", value is None or 0 <= value < 1)
    _check("depth", config.depth, "at least 1", config.depth is None or config.depth >= 1)
    _check("ema", config.ema, "at least 0 and below 1", 0 <= config.ema < 1)
    _check("accumulate", config.accumulate, "at least 1", config.accumulate >= 1)
    if config.batch_size % config.accumulate:
        raise UserError(
            f"--accumulate={config.accumulate} must divide --batch_size={config.batch_size}."
        )
    config.lr_scales()
    config.model_options()
    if config.schedule == "step" and every is None:
        raise UserError("--schedule=step needs --step_epochs, the epochs between two drops.")
    if config.schedule != "step" and (every or gamma):
        raise UserError(
            "--step_epochs and --step_gamma are for --schedule=step; leave them out with "
            f"--schedule={config.schedule}."
        )
    if config.warmup_epochs and config.warmup_epochs >= config.epochs > 0:
        raise UserError(
            f"--warmup_epochs={config.warmup_epochs:g} must be less than --epochs={config.epochs}."
        )
    if config.schedule == "one_cycle" and config.warmup_epochs:
        raise UserError("--schedule=one_cycle warms up by itself; give --warmup_epochs=0.")
    _check_optimizer(config)
    _check_photos(config)
    _check_transfer(config)
    if config.watch_test and (config.hold_out or config.patience or config.evaluate == "best"):
        raise UserError(
            "--watch_test is for runs that choose nothing; leave it out, or --hold_out, --patience "
            "and --evaluate=best."
        )
    if config.patience and config.evaluate != "best":
        raise UserError("--patience waits past the best epoch; add --evaluate=best.")
    # A folder may bring a split to choose by.
    if config.evaluate == "best" and not config.hold_out and config.dataset != "folder":
        raise UserError(
            "--evaluate=best needs a validation split to choose by: add --hold_out=0.1, say."
        )


def _check_optimizer(config: "Config") -> None:
    """Raises UserError for options the optimiser does not take, by the flags' names."""
    known = optim.defaults(config.optimizer, config.framework)
    for flag, value in (("momentum", config.momentum), ("nesterov", config.nesterov)):
        if value and flag not in known:
            raise UserError(f"--{flag} is not for --optimizer={config.optimizer}; leave it out.")
    if config.nesterov and not config.momentum:
        raise UserError("--nesterov needs a --momentum above 0, such as 0.9.")
    decay = known["weight_decay"] if config.weight_decay is None else config.weight_decay
    if config.decay != "all" and config.optimizer == "airbench":
        raise UserError("--decay is not for --optimizer=airbench; leave it out.")
    if config.decay != "all" and not decay:
        raise UserError(f"--decay={config.decay} needs a --weight_decay above 0.")


def _check_photos(config: "Config") -> None:
    """Raises UserError for settings of photo folders, by themselves or for other data."""
    _one_of("resize", config.resize, RESIZES)
    _one_of("corrupt", config.corrupt, CORRUPT)
    _one_of("duplicates", config.duplicates, DUPLICATES)
    _one_of("feed", config.feed, FEEDS)
    size, fraction = config.image_size, config.test_fraction
    _check("image_size", size, "at least 8", size is None or size >= 8)
    _check("test_fraction", fraction, "above 0 and below 1", 0 < fraction < 1)
    _check("folds", config.folds, "0 or at least 2", config.folds == 0 or config.folds >= 2)
    _check("fold", config.fold, "from 0 to --folds - 1", 0 <= config.fold < max(1, config.folds))
    crop = config.random_crop
    _check("random_crop", crop, "above 0, at most 1", crop is None or 0 < crop <= 1)
    if crop is not None and config.feed != "streamed":
        raise UserError("--random_crop is for --feed=streamed; give both, or --augment=crop.")
    if config.dataset == "folder":
        if size is None:
            raise UserError("--dataset=folder needs --image_size, such as 224.")
        larger = config.eval_size
        fits = larger is None or size < larger <= 2 * size
        wanted = f"above --image_size={size} and at most twice that"
        _check("eval_size", larger, wanted, fits)
        return
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for flag in _OF_PHOTOS:
        if getattr(config, flag) != defaults[flag]:
            raise UserError(f"--{flag} is for --dataset=folder; leave it out.")


def _check_transfer(config: "Config") -> None:
    """Raises UserError for settings of transfer learning that do not go together."""
    _one_of("head", config.head, HEADS)
    _check("head_epochs", config.head_epochs, "at least 0", config.head_epochs >= 0)
    _check("head_lr", config.head_lr, "a finite number above 0", 0 < config.head_lr < math.inf)
    _check("layer_decay", config.layer_decay, "above 0, at most 1", 0 < config.layer_decay <= 1)
    _check("patience", config.patience, "at least 0", config.patience >= 0)
    staged = config.model in models.TRANSFERABLE
    staging = {
        "trainable": config.trainable != "all",
        "head_epochs": config.head_epochs > 0,
        "layer_decay": config.layer_decay < 1,
        "weights": config.weights != "none",
    }
    for flag in (flag for flag, used in staging.items() if used and not staged):
        raise UserError(
            f"--{flag} is not for --model={config.model}, which has no published stages; choose "
            f"one of: {', '.join(models.TRANSFERABLE)}."
        )
    if config.eval_size is not None and not staged:
        raise UserError(
            f"--eval_size is for networks that take photos of any size, such as mobilenet_v2, and "
            f"not for --model={config.model}; leave it out."
        )
    if config.head_epochs and config.weights == "none":
        raise UserError("--head_epochs is for networks with --weights; give both or neither.")
    if config.trainable == "head" and config.weights == "none":
        raise UserError(
            "--trainable=head needs --weights: a frozen network without any has nothing to give."
        )
    if config.trainable == "head" and (config.head_epochs or config.layer_decay < 1):
        raise UserError(
            "--head_epochs and --layer_decay are for training more than the head; leave them out "
            "with --trainable=head."
        )
    if config.lr_scale and (config.trainable != "all" or config.layer_decay < 1):
        raise UserError("--lr_scale takes the place of --trainable and --layer_decay; give one.")
    if config.trainable == "head" and config.ema:
        raise UserError("--ema is for networks that train; leave it out with --trainable=head.")


def _one_of(flag: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"unknown --{flag}={value}; choose one of: {', '.join(known)}.")


def _check(flag: str, value: Any, wanted: str, holds: bool) -> None:
    if not holds:
        raise UserError(f"--{flag}={value} cannot be used; it must be {wanted}.")
