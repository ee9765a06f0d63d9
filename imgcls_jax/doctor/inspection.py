"""All that is found about the photos of an album, as figures."""

import dataclasses
import os
from typing import Any

import numpy as np

from imgcls_jax.doctor import copies, labels, outliers, quality
from imgcls_jax.doctor.album import Album
from imgcls_jax.doctor.copies import Pairs
from imgcls_jax.doctor.labels import Suspects
from imgcls_jax.doctor.quality import Quality
from imgcls_jax.metrics import wilson_interval


@dataclasses.dataclass(frozen=True, eq=False)
class Inspection:
    """The result of looking at N photos.

    Attributes:
      suspects: labels that are probably wrong.
      compared: pairs that were compared, copies of each other or not.
      groups: (N,) numbers, near copies of each other have one.
      far: indices of the photos that are like no other, the farthest first.
      distances: (N,) how far from the nearest others, in robust deviations above the median.
      quality: sharpness, brightness and size.
      accuracies: what a head on the features comes to, with and without near copies on both sides.
    """

    suspects: Suspects
    compared: Pairs
    groups: np.ndarray
    far: np.ndarray
    distances: np.ndarray
    quality: Quality
    accuracies: dict[str, Any]


def inspect(album: Album, features: np.ndarray, model: Any) -> Inspection:
    """Looks at every photo.

    Args:
      features: (N, F) of the album's images, see `doctor.features`.
      model: the network, whose head is fitted to them.

    Raises:
      UserError: a class has one photo only.
    """
    compared = copies.compare(features, album.images)
    groups = copies.groups(len(album), compared.copies())
    of = {"num_classes": len(album.class_names)}
    suspects, probabilities = labels.doubt(model, features, album.labels, groups=groups, **of)
    far, distances = outliers.unusual(outliers.distances(features))
    files = [os.path.join(album.root, path) for path in album.paths]
    if album.has_splits:
        accuracies = _over_splits(album, features, model, groups)
    else:
        plain = labels.out_of_fold(model, features, album.labels, **of)
        accuracies = {"by": f"{labels.folds_of(album.labels)} folds"} | {
            name: _accuracy(found.argmax(axis=1) == album.labels)
            for name, found in (("with_copies", plain), ("without_copies", probabilities))
        }
    return Inspection(
        suspects=suspects,
        compared=compared,
        groups=groups,
        far=far,
        distances=distances,
        quality=quality.measure(album.images, files),
        accuracies=accuracies,
    )


def _over_splits(
    album: Album, features: np.ndarray, model: Any, groups: np.ndarray
) -> dict[str, Any]:
    """Returns accuracies on the folder's own evaluation photos by a head fitted to the others."""
    trained = album.splits == "train"
    if trained.all():
        return {}
    fit = labels.make_fit(
        model,
        count=int(trained.sum()),
        length=features.shape[1],
        num_classes=len(album.class_names),
    )
    head = fit(features[trained], album.labels[trained])
    right = head.probabilities(features[~trained]).argmax(axis=1) == album.labels[~trained]
    shared = np.isin(groups[~trained], groups[trained])
    found = {"by": "the photos outside train", "with_copies": _accuracy(right)}
    if not shared.all():
        found["without_copies"] = _accuracy(right[~shared])
    return found


def _accuracy(right: np.ndarray) -> dict[str, Any]:
    correct, count = int(right.sum()), len(right)
    interval = list(wilson_interval(correct, count))
    return {"photos": count, "accuracy": correct / count, "interval": interval}
