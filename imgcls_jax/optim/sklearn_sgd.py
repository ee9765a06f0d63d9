"""Logistic regression by plain SGD with scikit-learn's semantics, many problems in one scan.

`SGDClassifier(loss="log_loss")` of scikit-learn 1.9 fits one binary problem per class (that class
against all others) and visits one example per update:

    eta_t = 1 / (alpha (t0 + t - 1)),  t = 1, 2, ...   t0 = 1 / (alpha eta0),  eta0 = alpha^(-1/4)
    w <- (1 - eta_t alpha) w - eta_t g x,   b <- b - eta_t g,   g = sigmoid(w.x + b) - [y = class]

("optimal" schedule of Bottou, *Stochastic Gradient Descent Tricks*, 2012; the intercept is not
penalised). The shrinking factors telescope: their product after t updates is (t0 - 1)/(t0 + t - 1),
so with w = product * v every update of v has the *same* length, 1 / (alpha (t0 - 1)), and one
update touches the weights once. Folds and classes are independent problems: they are rows of v,
and one `lax.scan` walks through the examples for all of them.

The arithmetic is scikit-learn's up to rounding, and where the iteration is stable (larger alpha,
shorter inputs, few updates) float64 gives its coefficients to 1e-6 or better.
With inputs in [0, 1] and alpha = 1e-4, however, the first steps are so long (eta0 = 10) that the
iteration is chaotic: on Fashion-MNIST any change in the order of a sum, even in float64, grows to
order one within 10,000 updates. scikit-learn itself gives other coefficients and other scores
(standard deviation 4e-4 for the mean of five folds) when the pixels are merely permuted. There,
agreement can only be in distribution, and float32 serves as well as float64. Where several cores
share the work one machine rounds otherwise from call to call, by 1e-7, and so scores differently.
"""

import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.optim.sklearn_orders import permutations
from imgcls_jax.optim.sklearn_passes import Shared, solve


class LinearModel(NamedTuple):
    """Holds one linear score per class: coef (..., C, D) for x * scale, intercept (..., C).

    passes (..., C) is how often each class' problem went through the examples before it stopped.
    """

    coef: np.ndarray
    intercept: np.ndarray
    passes: np.ndarray


class CrossValidation(NamedTuple):
    """Holds the results of all folds.

    Attributes:
      scores: (F,), the held-out accuracy of each fold.
      model: coef (F, C, D), intercept and passes (F, C).
      confusion_matrix: (C, C) counts summed over the held-out folds, true classes in rows.
    """

    scores: np.ndarray
    model: LinearModel
    confusion_matrix: np.ndarray


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a fit.

    Attributes:
      num_classes: C.
      epochs: most passes over the training examples; after the sixth a class stops as soon as five
        passes in a row have not improved its objective by 1e-3 (`max_iter`, `tol=1e-3`,
        `n_iter_no_change=5`).
      alpha: strength of the penalty, in (0, 1); also gives the learning rate.
      shuffle: False visits the examples in their order.
      seed: of the shuffles.
      scale: the features are x * scale.
      dtype: float32 or float64, of the computation and of the model.
    """

    num_classes: int
    epochs: int = 5
    alpha: float = 1e-4
    shuffle: bool = True
    seed: int = 42
    scale: float = 1.0
    dtype: Any = np.float32

    def __post_init__(self):
        """Raises UserError for the first setting out of its range."""
        if self.epochs < 1:
            raise UserError(f"`epochs={self.epochs}` is not at least 1: choose for example 5.")
        if not 0 < self.alpha < 1:
            raise UserError(f"alpha={self.alpha} is not between 0 and 1: choose for example 1e-4.")
        if self.num_classes < 3:
            raise UserError(
                f"num_classes={self.num_classes} is too few for one-against-all regression: "
                "use data of at least 3 classes."
            )


def _fit_folds(x, labels, train, settings: Settings) -> LinearModel:
    """Returns a model with coef (F, C, D) for folds of equal size, train (F, n)."""
    alpha, scale, dtype = settings.alpha, settings.scale, np.dtype(settings.dtype)
    classes = settings.num_classes
    order = permutations(
        train.shape[1], num_classes=classes, shuffle=settings.shuffle, seed=settings.seed
    )
    step = np.asarray(scale / (alpha * (alpha**-0.75 - 1)), dtype)
    fold, cls = np.divmod(np.arange(len(train) * classes, dtype=np.int32), classes)

    num_groups = 1
    if jax.default_backend() == "cpu":  # a scan of its own for each core beats XLA's own threads
        num_groups = min(os.cpu_count() or 1, len(fold))
    # The 64-bit mode is per thread and scoped: the caller's setting stays as it is.
    with jax.enable_x64(dtype == np.float64):
        shared = jax.device_put(Shared(x, labels, train, step))

    def fitted(group):
        with jax.enable_x64(dtype == np.float64):
            return solve(shared, order, *group, epochs=settings.epochs, alpha=alpha, scale=scale)

    groups = zip(np.array_split(fold, num_groups), np.array_split(cls, num_groups), strict=True)
    with ThreadPoolExecutor(num_groups) as pool:
        parts = zip(*pool.map(fitted, groups), strict=True)
        coef, intercept, passes = (np.concatenate(part) for part in parts)
    shape = (len(train), classes)
    return LinearModel(coef.reshape(*shape, -1), intercept.reshape(shape), passes.reshape(shape))


def _check(x, labels, train_indices, num_classes: int) -> None:
    """Raises UserError for labels that do not fit the images, or a fold that lacks a class."""
    if len(x) != len(labels):
        raise UserError(f"There are {len(x)} images but {len(labels)} labels: give one per image.")
    for indices in train_indices:
        present = np.unique(labels[indices])
        if not np.array_equal(present, np.arange(num_classes)):
            raise UserError(
                f"A training set holds the labels {present.tolist()} rather than each of "
                f"0..{num_classes - 1}: use more examples or fewer folds."
            )


def _fit_all(x, labels, train_indices, settings: Settings) -> LinearModel:
    """Fits every fold; folds of equal size (and hence equal orders) are solved together."""
    x = np.asarray(x).reshape(len(x), -1)
    labels = np.asarray(labels).astype(np.int32)
    _check(x, labels, train_indices, settings.num_classes)
    shape = (len(train_indices), settings.num_classes)
    dtype = np.dtype(settings.dtype)
    model = LinearModel(
        np.empty((*shape, x.shape[1]), dtype), np.empty(shape, dtype), np.empty(shape, int)
    )
    sizes = np.array([len(indices) for indices in train_indices])
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        train = np.stack([train_indices[m] for m in members]).astype(np.int32)
        for part, fitted in zip(model, _fit_folds(x, labels, train, settings), strict=True):
            part[members] = fitted
    if not all(np.isfinite(part).all() for part in model):
        raise UserError(
            "Logistic regression by SGD diverged to weights that are not finite: "
            "scale the images to [0, 1] or raise alpha."
        )
    return model


def fit(x: np.ndarray, labels: np.ndarray, **settings: Any) -> LinearModel:
    """Fits `SGDClassifier(loss="log_loss", alpha=alpha, max_iter=epochs, random_state=seed)`.

    Args:
      x: (N, D) or (N, ...), of any number type.
      labels: (N,) integers in 0..C-1.
      **settings: the fields of `Settings`; num_classes is needed, the others have defaults.

    Returns:
      coef (C, D) and intercept (C,) in the settings' dtype, passes (C,).

    Raises:
      UserError: for settings outside the supported range, missing classes and divergence.
    """
    model = _fit_all(x, labels, [np.arange(len(x))], Settings(**settings))
    return LinearModel(*(part[0] for part in model))


def predict(model: LinearModel, x: np.ndarray, *, scale: float = 1.0) -> np.ndarray:
    """Returns the class of the highest score for each of x (N, ...), int (N,)."""
    features = np.asarray(x).reshape(len(x), -1).astype(model.coef.dtype)
    coef = model.coef * model.coef.dtype.type(scale)
    return np.argmax(features @ coef.T + model.intercept, axis=1)


def cross_validate(
    x: np.ndarray,
    labels: np.ndarray,
    *,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    **settings: Any,
) -> CrossValidation:
    """Fits on each fold's training indices and scores on its held-out ones, all folds at once.

    `folds` is a sequence of (train indices, held-out indices); the other arguments, and the
    errors raised, are those of `fit`.
    """
    chosen = Settings(**settings)
    model = _fit_all(x, labels, [train for train, _ in folds], chosen)
    scores = []
    confusion_matrix = np.zeros((chosen.num_classes,) * 2, np.int64)
    for *parts, (_, held_out) in zip(*model, folds, strict=True):
        predicted = predict(LinearModel(*parts), x[held_out], scale=chosen.scale)
        scores.append(np.mean(predicted == labels[held_out]))
        np.add.at(confusion_matrix, (labels[held_out], predicted), 1)
    return CrossValidation(np.array(scores), model, confusion_matrix)
