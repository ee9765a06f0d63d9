"""Labels that are probably wrong: confident learning on features that stay as they are.

A head is fitted to all photos but those of a fold, and judges these. As many labels are suspected
as there are photos of which it is surer that they are of another class than it usually is of photos
of that class; they are those whose label it thinks least of (Northcutt, Jiang and Chuang 2021,
"Confident Learning: Estimating Uncertainty in Dataset Labels"). Heads that were fitted without the
suspects then judge once more.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.data.dataset import k_fold
from imgcls_jax.data.resident import Resident
from imgcls_jax.errors import UserError
from imgcls_jax.losses import cross_entropy
from imgcls_jax.models.freezing import head_of
from imgcls_jax.steps import TrainState
from imgcls_jax.train.features import HeadFit, make_fit_head

FOLDS = 5
_EPOCHS, _LEARNING_RATE, _BATCH = 10, 0.001, 32


class Head(NamedTuple):
    """A head fitted to features.

    Attributes:
      model: the network whose head it is.
      variables: of the head alone.
    """

    model: object
    variables: dict

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Returns the classes' probabilities (N, K) for features (N, F)."""
        return np.asarray(jax.nn.softmax(head_of(self.model)(self.variables, features)))


class Suspects(NamedTuple):
    """Photos whose label is probably wrong, the most probable first.

    Attributes:
      indices: (S,) of the photos.
      likely: (S,) the classes that they are probably of.
      confidence: (S,) the probability of the label as it is.
    """

    indices: np.ndarray
    likely: np.ndarray
    confidence: np.ndarray


def make_fit(model: object, *, count: int, length: int, num_classes: int) -> Callable[..., Head]:
    """Builds `fit(features (N, F), labels (N,), seed)`, which fits a network's head, from zeros.

    It is compiled here, once for all that it is called with.

    Args:
      model: the network.
      count: most examples N. All batches are full and each call has as many, so that one program
        trains: a few examples come twice in an epoch.
      length: F.
      num_classes: classes of the labels.
    """
    (name,) = model.stages()["head"]
    size = min(_BATCH, count)
    whole = -(-count // size) * size

    def begin(seed: int) -> TrainState:
        params = {"kernel": jnp.zeros((length, num_classes)), "bias": jnp.zeros(num_classes)}
        return TrainState(jnp.zeros((), jnp.int32), {name: params}, {}, (), jax.random.key(seed))

    fit_head = make_fit_head(
        model=model,
        binary=False,
        loss_fn=cross_entropy,
        of=HeadFit(_EPOCHS, _LEARNING_RATE, size),
        found=Resident(jnp.zeros((whole, length)), jnp.zeros(whole, jnp.int32), (length,)),
        state=begin(0),
    )

    def fit(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> Head:
        order = np.resize(np.random.default_rng(seed).permutation(len(labels)), whole)
        found = Resident(jnp.asarray(features[order]), jnp.asarray(labels[order]), (length,))
        return Head(model, fit_head(begin(seed), found).variables)

    return fit


def folds_of(labels: np.ndarray) -> int:
    """Returns how many folds labels (N,) are judged by: FOLDS, or fewer for a small class.

    Raises:
      UserError: a class has one photo only.
    """
    counts = np.bincount(labels)
    if (least := counts[counts > 0].min()) < 2:
        raise UserError("a class has one photo, too few to judge labels by; add photos of it.")
    return min(FOLDS, int(least))


def out_of_fold(
    model: object,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    groups: np.ndarray | None = None,
    doubted: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Returns the probabilities (N, K) of every photo by a head that was fitted without it.

    Where all other photos of its class are in its fold too, nothing can be said against its label:
    the label's probability is 1.

    Args:
      model: the network whose head is fitted.
      features: (N, F).
      labels: (N,) of `num_classes` classes.
      groups: (N,) numbers of photos to keep in one fold, such as near copies; None for none.
      doubted: indices of photos that no head is fitted to; None for none.
      seed: of the folds and of the fits.

    Raises:
      UserError: a class has one photo only.
    """
    folds = folds_of(labels)
    found = np.zeros((len(labels), num_classes), np.float32)
    left_out = [] if doubted is None else doubted
    parts = [
        (np.setdiff1d(train, left_out), judged)
        for train, judged in k_fold(labels, folds=folds, seed=seed, groups=groups)
    ]
    most = max(len(train) for train, _ in parts)
    fit = make_fit(model, count=most, length=features.shape[1], num_classes=num_classes)
    for train, judged in parts:
        found[judged] = fit(features[train], labels[train], seed).probabilities(features[judged])
        alone = judged[np.isin(labels[judged], labels[train], invert=True)]
        found[alone] = np.eye(num_classes)[labels[alone]]
    return found


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> Suspects:
    """Finds the labels that are probably wrong.

    A photo is confidently of a class if the class's probability is at least the mean of what photos
    with that label have; of several such classes it is the most probable. There are as many
    suspects as photos that are confidently of another class than their label. They are the photos
    whose label is not the most probable class, in the order of its probability, the lowest first.

    Args:
      probabilities: (N, K) by heads that have not seen the photo, see `out_of_fold`.
      labels: (N,).
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    sums = np.bincount(labels, own, minlength=probabilities.shape[1])
    members = np.bincount(labels, minlength=probabilities.shape[1])
    thresholds = np.where(members > 0, sums / np.maximum(members, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    sure = (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != labels)
    likely = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(likely != labels)
    order = wrong[np.argsort(own[wrong], kind="stable")][: int(sure.sum())]
    return Suspects(order, likely[order], own[order])


def doubt(
    model: object,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    groups: np.ndarray | None = None,
) -> tuple[Suspects, np.ndarray]:
    """Finds the labels that are probably wrong, and again by heads that had none of those.

    Arguments are those of `out_of_fold`.

    Returns:
      The suspects, and the probabilities (N, K) by the first heads, fitted to all labels.
    """
    of = {"num_classes": num_classes, "groups": groups}
    first = out_of_fold(model, features, labels, **of)
    doubted = suspects(first, labels).indices
    if not len(doubted):
        return suspects(first, labels), first
    return suspects(out_of_fold(model, features, labels, doubted=doubted, **of), labels), first
