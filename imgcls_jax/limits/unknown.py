"""How far a picture is from those of the classes that a network knows.

The distance is the sum of two angles and a doubt. The angles are those of its features to the
nearest class's mean: one between features as they are, scaled to one length (Sun et al. 2022,
"Out-of-Distribution Detection with Deep Nearest Neighbors"), which tells pictures of another kind;
one after centring and whitening by the covariance within the classes, one for all (Lee et al. 2018,
"A Simple Unified Framework for Detecting Out-of-Distribution Samples"; Hatch et al. 2006,
"Within-class covariance normalization for SVM-based speaker recognition"), which tells pictures of
the same kind but another class. Each class is granted half of what its own examples fall short by.
The doubt is by how little the largest logit exceeds the second: a strange picture is a little like
several classes.

The angles were chosen on training photos: of 100 sports with 10 of them left out, of 5 sports, and
eggs against sports. Mahalanobis' distance itself, the one relative to all classes together (Ren et
al. 2021) and the nearest neighbours tell a class that was left out less well, and the whitened
angle alone fails where classes are few. The doubt was chosen likewise, of 2, 5, 20 and 90 sports:
it gains where they are many and costs a little where they are two. The largest logit, the largest
probability and the energy (Liu et al. 2020) in its place gain less over all of these.
"""

from typing import Any, NamedTuple

import numpy as np

_GRANTED = 0.5  # share of a class's own mean cosine that is taken from the cosine to it


class Statistics(NamedTuple):
    """What the features of known examples are like.

    Attributes:
      centre: (F,) float32, their mean.
      whiten: (F, F) float32: centred features times it have unit covariance within each class.
      plain_means, means: (C, F) float32, unit vectors to the classes' means, before and after
        whitening, of classes with examples.
      plain_offsets, offsets: (C,) float32, what is taken from the cosine to each.
      scales: (3,) float32, by which the two angles and the doubt of held-out examples vary; of
        older runs (2,), whose distance is of the angles alone.
    """

    centre: np.ndarray
    whiten: np.ndarray
    plain_means: np.ndarray
    plain_offsets: np.ndarray
    means: np.ndarray
    offsets: np.ndarray
    scales: np.ndarray


class Features(NamedTuple):
    """Features of training and of held-out examples.

    Attributes:
      known: (M, F) of examples that statistics may be taken of.
      labels: (M,) of those.
      held: (N, F) of others; None where every fold is held out in turn.
      folds: (M,) the fold of each known example, where there are no others.
      answers: (M,) which row of the held-out logits is of each known example, -1 for none; None
        where others are held out, in the order of the logits.
    """

    known: np.ndarray
    labels: np.ndarray
    held: np.ndarray | None = None
    folds: np.ndarray | None = None
    answers: np.ndarray | None = None


def learn(features: Features, logits: np.ndarray) -> tuple[Statistics, np.ndarray]:
    """Returns the statistics of all known examples, and the distances of held-out ones.

    Held out from a fold's statistics are its examples; the statistics that predictions go by know a
    few more, so that they refuse rather fewer pictures than asked.

    Args:
      logits: (N, C) of held-out examples, by a network that was not trained on them.

    Returns:
      The statistics, and distances (N,), or of those of the M that have logits.
    """
    statistics = fit(features.known, features.labels)
    if features.folds is None:
        found = np.asarray(angles(statistics, features.held))
    else:
        found = np.empty((len(features.known), 2))
        for fold in np.unique(features.folds):
            out = features.folds == fold
            of_others = fit(features.known[~out], features.labels[~out])
            found[out] = angles(of_others, features.known[out])
    doubt = doubts(np.asarray(logits, np.float64))
    if features.answers is not None:
        found, doubt = found[features.answers >= 0], doubt[features.answers[features.answers >= 0]]
    found = np.column_stack([found, doubt])
    scales = np.maximum(found.std(0), 1e-6).astype(np.float32)
    return statistics._replace(scales=scales), (found / scales).sum(1)


def fit(features: Any, labels: Any) -> Statistics:
    """Returns the statistics of known examples; the covariance is shrunk as `shrinkage` says.

    Args:
      features: (M, F).
      labels: (M,).
    """
    features = scaled(np.asarray(features, np.float64))
    _, which = np.unique(labels, return_inverse=True)
    centre = features.mean(0)
    centred = features - centre
    residuals = centred - _class_means(centred, which)[which]
    covariance = residuals.T @ residuals / len(residuals)
    share, size = shrinkage(residuals, covariance), len(covariance)
    # A floor, lest features that never vary have no covariance at all.
    floor = share * np.trace(covariance) / size + 1e-12
    values, vectors = np.linalg.eigh((1 - share) * covariance + floor * np.eye(size))
    whiten = vectors / np.sqrt(values)
    both = (*_directions(features, which), *_directions(centred @ whiten, which))
    arrays = (centre, whiten, *both, np.ones(3))
    return Statistics(*(np.asarray(array, np.float32) for array in arrays))


def _class_means(features: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Returns the means (C, F) of classes of numbers `which` (M,)."""
    sums = np.zeros((which.max() + 1, features.shape[1]))
    np.add.at(sums, which, features)
    return sums / np.bincount(which)[:, None]


def _directions(features: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns unit vectors to the classes' means, and their offsets.

    An offset is half of the mean cosine of a class's examples, each to the others' mean, less that
    of all classes: only differences between the classes count.
    """
    means, counts = _class_means(features, which), np.bincount(which)
    others = (counts[:, None] * means)[which] - features  # a multiple of the others' mean
    cosines = (_unit(features) * _unit(others)).sum(1)
    own, several = np.bincount(which, cosines) / counts, counts > 1
    if not several.any():
        return _unit(means), np.zeros(len(means))
    own[~several] = own[several].mean()
    return _unit(means), _GRANTED * (own - own.mean())


def distances(statistics: Statistics, features: Any, logits: Any) -> Any:
    """Returns the distance (B,) of features (B, F) and logits (B, C) to the known classes.

    It computes with NumPy or JAX, whichever the features and logits are of.
    """
    far = (angles(statistics, features) / statistics.scales[:2]).sum(1)
    if len(statistics.scales) == 2:
        return far
    return far + doubts(logits) / statistics.scales[2]


def doubts(logits: Any) -> Any:
    """Returns the second largest less the largest of the logits (B, C), (B,); at most 0."""
    first = logits.argmax(1)[:, None] == np.arange(logits.shape[1])
    return (logits - 1e30 * first).max(1) - logits.max(1)


def angles(statistics: Statistics, features: Any) -> Any:
    """Returns 1 less the cosine to the nearest mean, before and after whitening, (B, 2)."""
    features = scaled(features)
    white = _unit((features - statistics.centre) @ statistics.whiten)
    plain = (_unit(features) @ statistics.plain_means.T - statistics.plain_offsets).max(1)
    whitened = (white @ statistics.means.T - statistics.offsets).max(1)
    return 1 - (plain[:, None] * np.float32([1, 0]) + whitened[:, None] * np.float32([0, 1]))


def shrinkage(residuals: np.ndarray, covariance: np.ndarray) -> float:
    """Returns how far a covariance is to be shrunk to a multiple of the identity, within [0, 1].

    Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices".

    Args:
      residuals: (M, F), of mean 0.
      covariance: (F, F), their mean outer product.
    """
    count, size = residuals.shape
    squares = float((covariance**2).sum())
    apart = squares - np.trace(covariance) ** 2 / size
    noise = (float(((residuals**2).sum(1) ** 2).sum()) / count - squares) / count
    return float(np.clip(noise / apart, 0, 1)) if apart > 0 else 1.0


def scaled(features: Any) -> Any:
    """Returns features (B, F) of mean square 1: how bright or sharp a photo is tells less."""
    return features / ((features**2).mean(1)[:, None] + 1e-12) ** 0.5


def _unit(rows: Any) -> Any:
    """Returns vectors (B, F) of length 1."""
    return rows / ((rows**2).sum(1)[:, None] + 1e-12) ** 0.5
