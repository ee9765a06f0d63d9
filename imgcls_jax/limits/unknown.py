"""How far a picture's features are from those of the classes that a network knows."""

from typing import Any, NamedTuple

import numpy as np


class Statistics(NamedTuple):
    """What the features of known examples are like.

    Attributes:
      whiten: (F, F) float32: features times it have unit covariance within each class.
      means: (C, F) float32, the classes' means so whitened, of classes that have examples.
    """

    whiten: np.ndarray
    means: np.ndarray


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
    """Returns the statistics of known examples.

    The covariance is one for all classes (Lee et al. 2018, "A Simple Unified Framework for
    Detecting Out-of-Distribution Samples"), shrunk as `shrinkage` says.

    Args:
      features: (M, F).
      labels: (M,).
    """
    features, labels = _scaled(np.asarray(features, np.float64)), np.asarray(labels)
    classes, which = np.unique(labels, return_inverse=True)
    means = np.zeros((len(classes), features.shape[1]))
    np.add.at(means, which, features)
    means /= np.bincount(which)[:, None]
    residuals = features - means[which]
    covariance = residuals.T @ residuals / len(residuals)
    size = len(covariance)
    share, mean = shrinkage(residuals, covariance), np.trace(covariance) / size
    # A floor, lest features that never vary have no covariance at all.
    covariance = (1 - share) * covariance + (share * mean + 1e-12) * np.eye(size)
    values, vectors = np.linalg.eigh(covariance)
    whiten = vectors / np.sqrt(values)
    return Statistics(whiten.astype(np.float32), (means @ whiten).astype(np.float32))


def distances(statistics: Statistics, features: Any) -> Any:
    """Returns the squared Mahalanobis distance (B,) of features (B, F) to the nearest class.

    It computes with NumPy or JAX, whichever the features are of.
    """
    white = _scaled(features) @ statistics.whiten
    means = statistics.means
    found = (white**2).sum(1)[:, None] - 2 * white @ means.T + (means**2).sum(1)
    return found.min(1)


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


def _scaled(features: Any) -> Any:
    """Returns features (B, F) of equal length: how bright or sharp a photo is tells less."""
    return features / ((features**2).mean(1)[:, None] + 1e-12) ** 0.5
