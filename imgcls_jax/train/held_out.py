"""What a network says of examples it was not trained on, to learn the limits of its predictions.

They are the validation split where there is one. Else, for a head on fixed features, heads are
trained anew on parts of the training examples, and each says something of the others.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from imgcls_jax import models, sharding, steps
from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.data.resident import Resident
from imgcls_jax.limits import kept, thresholds
from imgcls_jax.limits.unknown import Features
from imgcls_jax.train import features
from imgcls_jax.train.feeds import ResidentFeed, evaluation_batch_size
from imgcls_jax.train.setup import schedule_of
from imgcls_jax.train.streams import explained
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.train.waiting import stage, told
from imgcls_jax.workdir import Workdir

FOLDS = 5
_ENOUGH = 5_000  # held-out examples, after which no further head is trained
_MOST_FEATURES = 10_000  # training examples that statistics of features are taken of
_VALIDATION, _OUT_OF_FOLD = "validation examples", "training examples, by heads trained on others"
NOTHING = (
    "no example was held out from training; train with `hold_out=0.1`, say, or a frozen network on "
    "fixed features"
)
NO_VALIDATION = (
    "there are no validation examples to choose thresholds by; train with `hold_out=0.2`, say"
)
TOO_FEW = (
    "there are too few training examples to hold out parts of them; train on more, or with a "
    "smaller `batch_size`"
)


class HeldOut(NamedTuple):
    """Held-out examples as a network sees them.

    Attributes:
      of: what they are, in words.
      identity: tells them from any others.
      labels: (N,).
      logits: (N, C).
      features: of training and held-out examples; None where the network hands out none.
    """

    of: str
    identity: str
    labels: np.ndarray
    logits: np.ndarray
    features: Features | None


def learn_limits(
    trainer: Trainer,
    state: steps.TrainState,
    *,
    config: Config,
    dataset: Dataset,
    workdir: Workdir,
) -> dict[str, Any]:
    """Learns and keeps the limits of a run's predictions; returns what `calibration.json` says.

    Args:
      state: the one that is evaluated.
      config: the run's own; the trainer's may have another seed.
    """
    if dataset.several_labels:
        return _learn_thresholds(trainer, state, dataset=dataset, workdir=workdir)
    started = time.perf_counter()
    with told("learning the limits of predictions"):
        held = find(trainer, state, seed=config.train.seed, dataset=dataset)
    if held is None:
        kept.write(workdir, None, why_not=TOO_FEW if config.features_once else NOTHING)
    else:
        with stage("learning the limits of predictions"):
            limits = kept.learn(
                held.labels,
                held.logits,
                of=held.of,
                identity=held.identity,
                features=held.features,
            )
        limits.facts["seconds"] = round(time.perf_counter() - started, 3)
        kept.write(workdir, limits)
    return kept.facts(workdir.path)


def _learn_thresholds(
    trainer: Trainer, state: steps.TrainState, *, dataset: Dataset, workdir: Workdir
) -> dict[str, Any]:
    """Chooses and keeps the labels' thresholds; they stay 1/2 without a validation split."""
    split = _validation(trainer, dataset)
    if split is None:
        return thresholds.keep_plain(workdir, dataset.num_classes, why_not=NO_VALIDATION)
    _, logits = trainer.feed.evaluate(state, split)
    identity = split.digest.hex()[:16]
    labels, logits = np.asarray(split.labels), np.asarray(logits, np.float32)
    return thresholds.learn(workdir, labels, logits, of=_VALIDATION, identity=identity)


def find(
    trainer: Trainer, state: steps.TrainState, *, seed: int, dataset: Dataset
) -> HeldOut | None:
    """Returns what an evaluated state says of held-out examples; None where there are none.

    Args:
      seed: of the run, by which heads for parts of the examples begin.
      dataset: the run's; its test set is not looked at.
    """
    split = _validation(trainer, dataset)
    if split is not None:
        _, logits = trainer.feed.evaluate(state, split)
        return HeldOut(
            _VALIDATION,
            split.digest.hex()[:16],
            np.asarray(split.labels),
            np.asarray(logits, np.float32),
            _features(trainer, state, split),
        )
    if trainer.config.features_once and isinstance(trainer.feed, ResidentFeed):
        return _of_training_examples(trainer, seed)
    return None


def _validation(trainer: Trainer, dataset: Dataset) -> Split | None:
    """Returns the validation split, also where the test set is watched in its place."""
    if trainer.watched is not None and trainer.watched.name == "test":
        return dataset.validation
    return trainer.watched and trainer.watched.split


def _features(trainer: Trainer, state: steps.TrainState, split: Split) -> Features | None:
    """Returns the features of training examples and of a split."""
    if trainer.config.model.model not in models.TRANSFERABLE:
        return None
    if trainer.config.features_once and isinstance(trainer.feed, ResidentFeed):
        known, held = map(trainer.feed.on_device, (trainer.train, split))
        rows = _some(len(known))
        return Features(known.rows()[rows], trainer.train.labels[rows], held.rows())
    batch_size = evaluation_batch_size(trainer.config, split)
    extract = features.make_extract(
        apply_fn=trainer.setup.network.plain_fn, batch_size=batch_size, mesh=trainer.setup.mesh
    )
    rows, found = _some(len(trainer.train)), []
    # A few batches are in memory at a time.
    for chosen in np.split(rows, range(4 * batch_size, len(rows), 4 * batch_size)):
        with explained():
            part = Split(trainer.train.images[chosen], trainer.train.labels[chosen])
        found.append(extract(state.variables, part, f"features of {len(part):,} images").rows())
    held = extract(state.variables, split, f"features of {len(split):,} images").rows()
    return Features(np.concatenate(found), trainer.train.labels[rows], held)


def _some(count: int) -> np.ndarray:
    """Returns which of `count` examples are enough for statistics, spread evenly over them."""
    enough = min(_MOST_FEATURES, count)
    return np.arange(enough) * count // enough


def folds_of(labels: np.ndarray, *, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Returns the fold (N,) of each example: every class is spread evenly, in random order.

    Unlike scikit-learn's `StratifiedKFold` it takes classes of fewer examples than there are folds.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    found = np.empty(len(labels), np.int64)
    found[by_class] = np.arange(len(labels)) % folds
    return found


class OutOfFold(NamedTuple):
    """What heads trained on parts of some examples say of the others.

    Attributes:
      chosen: (N,) which of the M examples are meant, in the order of the logits.
      logits: (N, C).
      folds: (M,) of all of them.
    """

    chosen: np.ndarray
    logits: np.ndarray
    folds: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        """Returns the row of the logits for each of the M examples, -1 for none."""
        found = np.full(len(self.folds), -1)
        found[self.chosen] = np.arange(len(self.chosen))
        return found


def out_of_fold(heads: "Heads", source: Resident, rows: np.ndarray, *, seed: int) -> OutOfFold:
    """Trains heads on parts of some examples.

    Of many examples not every part is left out once: a few thousand are enough.

    Args:
      heads: trains them, of `size_of_part` examples each.
      source: features and labels.
      rows: (M,) which of these are trained on.
    """
    folds = folds_of(np.asarray(source.labels)[rows])
    used = min(FOLDS, math.ceil(_ENOUGH / (len(rows) / FOLDS)))
    pixels, logits = source.rows(), []
    with told(f"fitting {used} heads"):
        for k in tqdm(range(used), "heads", leave=False, disable=None):
            head = heads.train(rows[folds != k][: heads.size], seed=seed)
            logits.append(head(pixels[rows[folds == k]]))
    chosen = np.concatenate([np.flatnonzero(folds == k) for k in range(used)])
    return OutOfFold(chosen, np.concatenate(logits), folds)


def size_of_part(count: int) -> int:
    """Returns the examples that a head is trained on if one of the folds of `count` is left out."""
    return count - math.ceil(count / FOLDS)


class Heads:
    """Trains heads on rows of features as a run trains its own, but for a head fitted before.

    Args:
      trainer: the run's.
      source: features (N, F) and labels (N,) on the device.
      size: how many rows each head is trained on.
    """

    def __init__(self, trainer: Trainer, source: Resident, *, size: int):
        config, setup = trainer.config, trainer.setup
        self.size = size
        self._trainer, self._source = trainer, source
        schedule = schedule_of(config, -(-size // config.train.batch_size))
        train_step = setup.step_with(schedule)
        self._full, self._rest = divmod(size, config.train.batch_size)
        self._run = {
            examples: steps.make_train_many(
                train_step=train_step,
                take_fn=resident.take,
                batch_size=examples,
                shardings=sharding.replicated(setup.mesh),
            )
            for examples in (config.train.batch_size, self._rest)
        }
        draw = partial(resident.drawn_order, config.train.sampler)
        self._order = jax.jit(lambda key, epoch, rows, labels: rows[draw(key, epoch, labels[rows])])
        self._apply = jax.jit(lambda variables, rows: setup.head_fn(variables, rows, train=False))

    def train(self, rows: np.ndarray, *, seed: int) -> Callable[[np.ndarray], np.ndarray]:
        """Trains a head on rows (size,); returns features (B, F) -> logits (B, C)."""
        trainer, zero = self._trainer, np.int32(0)
        batch_size, rows = trainer.config.train.batch_size, jnp.asarray(rows, jnp.int32)
        state, sums = trainer.init(jax.random.key(seed))
        for epoch in range(trainer.config.train.epochs):
            order = self._order(state.key, np.int32(epoch), rows, self._source.labels)
            full = (self._source, order, zero, np.int32(self._full))
            state, sums = self._run[batch_size](state, sums, *full)
            if self._rest:
                last = (self._source, order[self._full * batch_size :], zero, np.int32(1))
                state, sums = self._run[self._rest](state, sums, *last)
        params = state.average if trainer.config.optim.ema else state.params
        variables = {"params": params, "batch_stats": state.batch_stats}
        return lambda features: np.asarray(self._apply(variables, jnp.asarray(features)))


def _of_training_examples(trainer: Trainer, seed: int) -> HeldOut | None:
    """Returns what heads for parts of the training examples say of the others."""
    source, labels = trainer.feed.on_device(trainer.train), np.asarray(trainer.train.labels)
    size = size_of_part(len(labels))
    if size < trainer.config.train.batch_size:
        return None
    print("limits of predictions: heads trained on parts of the training examples")
    heads = Heads(trainer, source, size=size)
    found = out_of_fold(heads, source, np.arange(len(labels)), seed=seed)
    some = _some(len(labels))
    return HeldOut(
        _OUT_OF_FOLD,
        f"{trainer.train.digest.hex()[:16]}-{FOLDS}",
        labels[found.chosen],
        found.logits,
        Features(
            source.rows()[some],
            labels[some],
            folds=found.folds[some],
            answers=found.answers[some],
        ),
    )
