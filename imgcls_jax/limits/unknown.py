"""How far a picture's features are from those of the classes that a network knows.

The distance is the sum of two angles to the nearest class's mean: one between features as they are,
scaled to one length (Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors"),
which tells pictures of another kind; one after centring and whitening by the covariance within the
classes, one for all (Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution
Samples"; Hatch et al. 2006, "Within-class covariance normalization for SVM-based speaker
recognition"), which tells pictures of the same kind but another class. Each class is granted half
of what its own examples fall short by.

This was chosen on training photos: of 100 sports with 10 of them left out, of 5 sports, and eggs
against sports. Mahalanobis' distance itself, the one relative to all classes together (Ren et al.
2021) and the nearest neighbours tell a class that was left out less well, and the whitened angle
alone fails where classes are few.
"""

from typing import Any, NamedTuple

import numpy as np

_GRANTED = 0.5  # share of a class's own mean cosine that is taken from the cosine to it


class Angles(NamedTuple):
    """The classes' means as unit vectors.

    Attributes:
      means: (C, F) float32, of classes with examples.
      offsets: (C,) float32, what is taken from the cosine to each.
      scale: () float32, by which known examples differ.
    """

    means: np.ndarray
    offsets: np.ndarray
    scale: np.ndarray


class Statistics(NamedTuple):
    """What the features of known examples are like.

    Attributes:
      centre: (F,) float32, their mean.
      whiten: (F, F) float32: features times it have unit covariance within each class.
      plain_means, plain_offsets, plain_scale: `Angles` of features as they are.
      means, offsets, scale: `Angles` of centred and whitened features.
    """

    centre: np.ndarray
    whiten: np.ndarray
    plain_means: np.ndarray
    plain_offsets: np.ndarray
    plain_scale: np.ndarray
    means: np.ndarray
    offsets: np.ndarray
    scale: np.ndarray


class Features(NamedTuple):
    """Features of training and of held-out examples.

    Attributes:
      known: (M, F) of examples that statistics may be taken of.
      labels: (M,) of those.
      held: (N, F) of others; None where every fold is held out in turn.
      folds: (M,) the fold of each known example, where there are no others.
    """

    known: np.ndarray
    labels: np.ndarray
    held: np.ndarray | None = None
    folds: np.ndarray | None = None

    def statistics(self) -> Statistics:
        """Returns the statistics of all known examples."""
        return fit(self.known, self.labels)

    def held_out_distances(self) -> np.ndarray:
        """Returns distances, by statistics that do not know them, of the held-out examples."""
        if self.folds is None:
            return np.asarray(distances(self.statistics(), self.held))
        found = np.empty(len(self.known))
        for fold in np.unique(self.folds):
            out = self.folds == fold
            found[out] = distances(fit(self.known[~out], self.labels[~out]), self.known[out])
        return found


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
    both = (*_angles(features, which), *_angles(centred @ whiten, which))
    return Statistics(*(np.asarray(array, np.float32) for array in (centre, whiten, *both)))


def _class_means(features: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Returns the means (C, F) of classes of numbers `which` (M,)."""
    sums = np.zeros((which.max() + 1, features.shape[1]))
    np.add.at(sums, which, features)
    return sums / np.bincount(which)[:, None]


def _angles(features: np.ndarray, which: np.ndarray) -> Angles:
    """Returns the classes' directions, and offsets by the cosine of each example to the others."""
    means, counts = _class_means(features, which), np.bincount(which)
    others = (counts[:, None] * means)[which] - features  # a multiple of the others' mean
    cosines = (_unit(features) * _unit(others)).sum(1)
    own, several = np.bincount(which, cosines) / counts, counts > 1
    own[~several] = own[several].mean() if several.any() else 0.0
    offsets = _GRANTED * own
    spread = (cosines - offsets[which])[several[which]]
    return Angles(_unit(means), offsets, max(float(spread.std()) if spread.size else 1.0, 1e-6))


def distances(statistics: Statistics, features: Any) -> Any:
    """Returns the distance (B,) of features (B, F) to the known classes.

    It computes with NumPy or JAX, whichever the features are of.
    """
    found, features = statistics, scaled(features)
    plain = Angles(found.plain_means, found.plain_offsets, found.plain_scale)
    whitened = Angles(found.means, found.offsets, found.scale)
    white = (features - found.centre) @ found.whiten
    return _apart(plain, features) + _apart(whitened, white)


def _apart(angles: Angles, features: Any) -> Any:
    """Returns how far features (B, F) are from the nearest mean, in spreads of known examples."""
    cosines = _unit(features) @ angles.means.T - angles.offsets
    return (1 - cosines.max(1)) / angles.scale


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
