"""What a network says of examples it was not trained on, to learn the limits of its predictions.

They are the validation split where there is one. Else, for a head on fixed features, heads are
trained anew on parts of the training examples, and each says something of the others.
"""

import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import models, steps
from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.data.resident import Resident
from imgcls_jax.limits import kept
from imgcls_jax.limits.unknown import Features
from imgcls_jax.train import features
from imgcls_jax.train.build import training_splits
from imgcls_jax.train.feeds import ResidentFeed, evaluation_batch_size
from imgcls_jax.train.setup import schedule_of
from imgcls_jax.train.streams import explained
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.workdir import Workdir

FOLDS = 5
_ENOUGH = 5_000  # held-out examples, after which no further head is trained
_MOST_FEATURES = 10_000  # training examples that statistics of features are taken of
_VALIDATION, _OUT_OF_FOLD = "validation examples", "training examples, by heads trained on others"
NOTHING = (
    "no example was held out from training; train with `hold_out=0.1`, say, or a frozen network on "
    "fixed features"
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
    started = time.perf_counter()
    held = find(trainer, state, seed=config.train.seed, dataset=dataset)
    if held is None:
        kept.write(workdir, None, why_not=NOTHING)
    else:
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
        return _out_of_fold(trainer, seed)
    return None


def _validation(trainer: Trainer, dataset: Dataset) -> Split | None:
    """Returns the validation split, also where the test set is watched in its place."""
    if trainer.watched is not None and trainer.watched.name == "test":
        _, watched = training_splits(trainer.config.replace(watch_test=False), dataset)
        return watched and watched.split
    return trainer.watched and trainer.watched.split


def _features(trainer: Trainer, state: steps.TrainState, split: Split) -> Features | None:
    """Returns the features of training examples and of a split."""
    if trainer.config.model.model not in models.TRANSFERABLE:
        return None
    if trainer.config.features_once and isinstance(trainer.feed, ResidentFeed):
        known, held = map(trainer.feed.on_device, (trainer.train, split))
        return Features(np.asarray(known.pixels), trainer.train.labels, np.asarray(held.pixels))
    batch_size = evaluation_batch_size(trainer.config, split)
    extract = features.make_extract(apply_fn=trainer.setup.network.plain_fn, batch_size=batch_size)
    count, found = min(_MOST_FEATURES, len(trainer.train)), []
    # Spread evenly, since photos are sorted by class; a few batches are in memory at a time.
    rows = np.arange(count) * len(trainer.train) // count
    for chosen in np.split(rows, range(4 * batch_size, count, 4 * batch_size)):
        with explained():
            part = Split(trainer.train.images[chosen], trainer.train.labels[chosen])
        found.append(np.asarray(extract(state.variables, part, "features").pixels))
    held = np.asarray(extract(state.variables, split, "features").pixels)
    return Features(np.concatenate(found), trainer.train.labels[rows], held)


def folds_of(labels: np.ndarray, *, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Returns the fold (N,) of each example: every class is spread evenly, in random order.

    Unlike scikit-learn's `StratifiedKFold` it takes classes of fewer examples than there are folds.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    found = np.empty(len(labels), np.int64)
    found[by_class] = np.arange(len(labels)) % folds
    return found


def _out_of_fold(trainer: Trainer, seed: int) -> HeldOut | None:
    """Trains heads as the run's was on parts of the training examples; each says what is left.

    Of many examples not every part is left out once: a few thousand are enough.
    """
    source, labels = trainer.feed.on_device(trainer.train), np.asarray(trainer.train.labels)
    fold = folds_of(labels)
    used = min(FOLDS, math.ceil(_ENOUGH / (len(labels) / FOLDS)))
    size = min(int((fold != k).sum()) for k in range(FOLDS))
    if size < trainer.config.train.batch_size:
        return None
    fit = _make_fit(trainer, source, size=size, seed=seed)
    found, logits = np.asarray(source.pixels), []
    for k, head in enumerate(fit(np.flatnonzero(fold != k)[:size] for k in range(used))):
        logits.append(np.asarray(head(found[fold == k]), np.float32))
    return HeldOut(
        _OUT_OF_FOLD,
        f"{trainer.train.digest.hex()[:16]}-{FOLDS}",
        np.concatenate([labels[fold == k] for k in range(used)]),
        np.concatenate(logits),
        Features(found, labels, folds=fold),
    )


def _make_fit(trainer: Trainer, source: Resident, *, size: int, seed: int) -> Any:
    """Builds (rows (size,) of each part) -> a head for each: features (B, F) -> logits (B, C)."""
    config, setup = trainer.config, trainer.setup
    schedule = schedule_of(config, -(-size // config.train.batch_size))
    train_step = setup.step_with(schedule)
    full, rest = divmod(size, config.train.batch_size)
    run_full, run_rest = (
        steps.make_train_many(train_step=train_step, take_fn=resident.take, batch_size=examples)
        for examples in (config.train.batch_size, rest)
    )
    make_order = jax.jit(lambda key, epoch, rows: rows[resident.epoch_order(key, epoch, size)])
    apply_head = jax.jit(lambda variables, rows: setup.head_fn(variables, rows, train=False))
    zero = np.int32(0)

    def train(rows: jax.Array) -> steps.TrainState:
        state, sums = trainer.init(jax.random.key(seed))
        for epoch in range(config.train.epochs):
            order = make_order(state.key, np.int32(epoch), rows)
            state, sums = run_full(state, sums, source, order, zero, np.int32(full))
            if rest:
                last = order[full * config.train.batch_size :]
                state, sums = run_rest(state, sums, source, last, zero, np.int32(1))
        return state.replace(params=state.average) if config.optim.ema else state

    def fit(parts: Any) -> Iterator[Any]:
        for rows in parts:
            variables = train(jnp.asarray(rows, jnp.int32)).variables
            yield lambda held, variables=variables: apply_head(variables, jnp.asarray(held))

    return fit
