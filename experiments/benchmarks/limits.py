"""What predictions of a frozen network know of their limits, on photos it was not trained on.

The limits are learned from the training photos alone, as a run learns them. *As split*: the data
set's own test photos; the seeds are the heads'. *Split anew*: every seed draws as many test photos
of its own, since a promised rate holds over the choice of photos.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np

from experiments.cli import flags as cli
from experiments.presets import choose
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset
from imgcls_jax.data.resident import Resident
from imgcls_jax.errors import UserError
from imgcls_jax.limits import conformal, kept, temperature, unknown
from imgcls_jax.report import console
from imgcls_jax.train import held_out
from imgcls_jax.train.run import make_trainer
from imgcls_jax.train.trainer import Trainer

UNKNOWN, COVERAGE = 0.05, 0.9
_LEFT_OUT = 10  # classes that nothing is known of, where there are twice as many
HeadsOf: TypeAlias = Callable[[int], held_out.Heads]  # of so many training photos


class Photos(NamedTuple):
    """Photos as a frozen network sees them.

    Attributes:
      features: (N, F).
      labels: (N,).
      test: (N,) bool, those that nothing is learned from.
    """

    features: np.ndarray
    labels: np.ndarray
    test: np.ndarray


def asked() -> tuple[Config, Dataset]:
    """Returns the settings of a frozen network as given, and the photos.

    Raises:
      UserError: without photos or weights, or for settings of another kind of network.
    """
    given = cli.given_settings()
    if not cli.photos_dir() or "weights" not in given:
        raise UserError("limits need photos and weights; add --data_dir=PHOTOS --weights=FILE.")
    config = Config.of(**(dict(choose.transfer(None, "frozen", given).settings) | given))
    if not config.features_once or config.data.hold_out:
        raise UserError(
            "limits are measured of a frozen network on fixed features, without validation photos; "
            "leave out what changes that."
        )
    dataset = cli.load_dataset(config)
    if dataset.validation is not None:
        raise UserError(
            f"{dataset.name} has a validation folder, which this benchmark makes no use of; move "
            "it elsewhere."
        )
    return config, dataset


def measure(of: tuple[Config, Dataset], *, rounds: int) -> dict[str, Any]:
    """Measures the limits over seeds.

    Args:
      of: settings and photos, see `asked`.
      rounds: how many seeds.

    Returns:
      What `of_features` returns, and which network and photos.
    """
    config, dataset = of
    trainer = make_trainer(config, dataset)
    placed = [trainer.feed.on_device(split) for split in (dataset.train, dataset.test)]
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    features = np.concatenate([np.asarray(one.pixels) for one in placed])
    photos = Photos(features, labels, np.arange(len(labels)) >= len(dataset.train))
    facts = {"dataset": dataset.name, "model": config.model.model, "verified": dataset.verified}
    return of_features(trainer, photos, seeds=rounds) | facts


def of_features(trainer: Trainer, photos: Photos, *, seeds: int) -> dict[str, Any]:
    """Measures the limits of heads on features.

    Returns:
      `as_split` and `split_anew`: each figure's values by seed; `photos`: how many were trained on
      and tested; `asked`: the share of unknown and the coverage.
    """
    source = Resident(
        jnp.asarray(photos.features), jnp.asarray(photos.labels), photos.features.shape[1:]
    )
    count = int((~photos.test).sum())
    heads_of = functools.cache(lambda size: held_out.Heads(trainer, source, size=size))
    found: dict[str, Any] = {"as_split": [], "split_anew": []}
    for seed in range(seeds):
        own = _of_seed(heads_of, source, photos, seed)
        own |= _of_strangers(heads_of, source, photos, seed)
        found["as_split"].append(own)
        anew = photos._replace(test=_drawn(photos, seed))
        found["split_anew"].append(_of_seed(heads_of, source, anew, seed))
    by_figure = {
        way: {name: [one[name] for one in values] for name in values[0]}
        for way, values in found.items()
    }
    return {
        "benchmark": "limits of predictions, learned from training photos",
        "seeds": list(range(seeds)),
        "photos": {"train": count, "test": int(photos.test.sum())},
        "asked": {"unknown": UNKNOWN, "coverage": COVERAGE},
        **by_figure,
    }


def _drawn(photos: Photos, seed: int) -> np.ndarray:
    """Draws as many test photos as there are, (N,) bool, spread evenly over the classes."""
    order = np.random.default_rng(seed).permutation(len(photos.labels))
    by_class = order[np.argsort(photos.labels[order], kind="stable")]
    chosen = np.linspace(0, len(order) - 1, int(photos.test.sum())).round().astype(int)
    return np.isin(np.arange(len(order)), by_class[chosen])


class _Known(NamedTuple):
    """What a head and statistics come to that learn from some photos.

    Attributes:
      limits: learned from heads that were trained on parts of the photos.
      answers: features (B, F) -> logits (B, C), of a head trained on all of them.
    """

    limits: kept.Limits
    answers: Callable[[np.ndarray], np.ndarray]


def _learned(heads_of: HeadsOf, source: Resident, rows: np.ndarray, *, seed: int) -> _Known:
    """Trains heads on rows of the photos and learns their limits."""
    labels = np.asarray(source.labels)[rows]
    folded = held_out.out_of_fold(
        heads_of(held_out.size_of_part(len(rows))), source, rows, seed=seed
    )
    features = np.asarray(source.pixels)[rows]
    limits = kept.learn(
        labels[folded.chosen],
        folded.logits,
        of="training photos",
        identity="",
        features=unknown.Features(features, labels, folds=folded.folds, answers=folded.answers),
    )
    return _Known(limits, heads_of(len(rows)).train(rows, seed=seed))


def _of_seed(heads_of: HeadsOf, source: Resident, photos: Photos, seed: int) -> dict[str, float]:
    """Trains a head, learns its limits, and returns what they come to on the test photos."""
    limits, answers = _learned(heads_of, source, np.flatnonzero(~photos.test), seed=seed)
    strange, labels = photos.features[photos.test], photos.labels[photos.test]
    logits = answers(strange)
    far = unknown.distances(limits.statistics, strange, logits)
    changed = kept.changes(logits, labels, limits.temperature)
    level = conformal.quantile(limits.scores(), COVERAGE)
    sets = conformal.sets(temperature.probabilities(logits, limits.temperature), level)
    farthest = conformal.quantile(limits.distances, 1 - UNKNOWN, name="unknown")
    return {
        "accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "temperature": limits.temperature,
        **{f"{name}_{when}": v for name, of in changed.items() for when, v in of.items()},
        "covered": float(sets[np.arange(len(labels)), labels].mean()),
        "classes_in_set": float(sets.sum(axis=1).mean()),
        "refused": float((far > farthest).mean()),
    }


def _of_strangers(
    heads_of: HeadsOf, source: Resident, photos: Photos, seed: int
) -> dict[str, float]:
    """Leaves classes out and returns how well distances tell their test photos from the others'.

    The classes are left out of the statistics and of the heads.

    Returns:
      `unknown_auroc`; nothing where there are too few classes.
    """
    from sklearn.metrics import roc_auc_score

    classes = np.unique(photos.labels)
    if len(classes) < 2 * _LEFT_OUT:
        return {}
    left_out = np.random.default_rng(seed).choice(classes, _LEFT_OUT, replace=False)
    strange = np.isin(photos.labels, left_out)
    rows = np.flatnonzero(~strange & ~photos.test)
    limits, answers = _learned(heads_of, source, rows, seed=seed)
    shown = photos.features[photos.test]
    far = unknown.distances(limits.statistics, shown, answers(shown))
    return {"unknown_auroc": float(roc_auc_score(strange[photos.test], far))}


def show(result: dict[str, Any]) -> None:
    """Prints each figure's mean and range over the seeds."""
    for way in ("as_split", "split_anew"):
        console.heading(f"{way.replace('_', ' ').capitalize()}, {len(result['seeds'])} seeds")
        console.table(
            ("figure", "mean", "lowest", "highest"),
            [
                (name.replace("_", " "), *(f"{f(values):.4f}" for f in (np.mean, min, max)))
                for name, values in result[way].items()
            ],
        )
