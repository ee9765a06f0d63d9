"""Which reading of a document its author most probably ran: likelihoods, and how far to trust them.

A reading's seeds give two predictions for the documented run: of its accuracy, Student's density of
one more draw (`imgcls_jax.statistics.prediction`), and of its errors, row by row of the confusion
matrix. Given how many examples of a class are wrong, where they went is Dirichlet-multinomial
around the seeds' mean errors, with a concentration fitted to each reading (Minka 2000, "Estimating
a Dirichlet distribution"). The two overlap in nothing: the first knows only how many are right,
the second only where the wrong ones went.

Rows are not independent given a seed, so the sum of their log-likelihoods is too sure of itself. It
is divided by a temperature that makes leave-one-out predictions of known seeds as good as possible.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_CONCENTRATIONS = np.geomspace(3, 30_000, 60)
_TEMPERATURES = np.geomspace(1, 100, 60)
_SMOOTHING = 0.5  # errors added to every pair of classes, so that none is impossible
KINDS = ("accuracy", "errors", "both")


class Seeds(NamedTuple):
    """The seeds of one reading.

    Attributes:
      accuracies: (n,).
      matrices: (n, C, C) counts, true classes in rows.
    """

    accuracies: np.ndarray
    matrices: np.ndarray

    def without(self, number: int) -> "Seeds":
        """Returns the seeds but one; all where there is none of that number."""
        if number >= len(self.accuracies):
            return self
        return Seeds(*(np.delete(values, number, axis=0) for values in self))


def log_likelihoods(seeds: Seeds, accuracy: float, matrix: np.ndarray) -> np.ndarray:
    """Returns the log-density of an accuracy and the log-probability of errors, by a reading (2,).

    Args:
      matrix: (C, C) counts.
    """
    errors = _errors(seeds.matrices)
    expected = errors.sum(axis=0) + _SMOOTHING
    shares = expected / expected.sum(axis=1, keepdims=True)
    concentration = _fitted(errors)
    return np.array(
        [
            _log_student(accuracy, seeds.accuracies),
            float(_log_rows(_errors(matrix), concentration * shares).sum()),
        ]
    )


def _errors(matrices: np.ndarray) -> np.ndarray:
    """Returns (..., C, C - 1): the counts of wrong classes, row by row."""
    matrices = np.asarray(matrices, np.float64)
    classes = matrices.shape[-1]
    off = ~np.eye(classes, dtype=bool)
    return matrices[..., off].reshape(*matrices.shape[:-2], classes, classes - 1)


def _fitted(errors: np.ndarray) -> float:
    """Returns the concentration under which each seed is likeliest, given the other seeds' mean."""
    total = errors.sum(axis=0)
    scores = np.zeros(len(_CONCENTRATIONS))
    for one in errors:
        rest = total - one + _SMOOTHING
        shares = rest / rest.sum(axis=1, keepdims=True)
        alphas = _CONCENTRATIONS[:, None, None] * shares
        scores += _log_rows(one, alphas).sum(axis=-1)
    return float(_CONCENTRATIONS[scores.argmax()])


def _log_rows(counts: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Returns log Dirichlet-multinomial probabilities of rows: (C, K), (..., C, K) -> (..., C)."""
    from scipy.special import gammaln

    n, a = counts.sum(axis=-1), alphas.sum(axis=-1)
    ways = gammaln(n + 1) - gammaln(counts + 1).sum(axis=-1)
    drawn = (gammaln(counts + alphas) - gammaln(alphas)).sum(axis=-1)
    return ways + drawn + gammaln(a) - gammaln(n + a)


def _log_student(value: float, values: np.ndarray) -> float:
    """Returns Student's log-density of one more draw at `value`."""
    from scipy.special import gammaln

    n = len(values)
    scale = max(float(values.std(ddof=1)), 1e-4) * math.sqrt(1 + 1 / n)
    freedom, t = n - 1, (value - values.mean()) / scale
    constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2)
    constant -= math.log(math.sqrt(freedom * math.pi) * scale)
    return float(constant - (freedom + 1) / 2 * math.log1p(t**2 / freedom))


class Judge:
    """Weighs readings against each other, as sure of itself as known seeds allow.

    Args:
      seeds: by name of the reading, of all runs. Only accuracies and errors of these are compared.
    """

    def __init__(self, seeds: Mapping[str, Seeds]):
        self._seeds = dict(seeds)
        self._held_out = {
            name: [self._scores(name, k) for k in range(len(of.accuracies))]
            for name, of in self._seeds.items()
        }
        self.temperature = {
            kind: min(_TEMPERATURES, key=functools.partial(self._surprise, kind)) for kind in KINDS
        }

    def _scores(self, name: str, number: int) -> dict[str, np.ndarray]:
        """Returns the log-likelihoods (2,) of one seed by all readings, each without that seed.

        Readings that differ in epochs are one training: its seed would be known to the others.
        """
        one = self._seeds[name]
        accuracy, matrix = one.accuracies[number], one.matrices[number]
        return {
            other: log_likelihoods(of.without(number), accuracy, matrix)
            for other, of in self._seeds.items()
        }

    def _surprise(self, kind: str, temperature: float) -> float:
        """Returns the mean negative log-probability that known seeds give to their own reading."""
        return -float(
            np.mean(
                [
                    math.log(max(posterior(scores, kind, temperature)[name], 1e-300))
                    for name, each in self._held_out.items()
                    for scores in each
                ]
            )
        )

    def assigned(self, kind: str, among: Sequence[str] | None = None) -> tuple[int, int]:
        """Counts the known seeds that are assigned to their own reading, and all of them.

        Args:
          among: the readings that are told apart, all if None.
        """
        among = list(self._seeds) if among is None else among
        temperature, right = self.temperature[kind], []
        for name in among:
            for scores in self._held_out[name]:
                chances = posterior({other: scores[other] for other in among}, kind, temperature)
                right.append(name == max(chances, key=chances.__getitem__))
        return sum(right), len(right)

    def weigh(self, accuracy: float, matrix: np.ndarray, among: Sequence[str]) -> dict[str, Any]:
        """Returns, by kind of evidence, each reading's probability if all were equally likely."""
        scores = {name: log_likelihoods(self._seeds[name], accuracy, matrix) for name in among}
        return {kind: posterior(scores, kind, self.temperature[kind]) for kind in KINDS}


def posterior(scores: Mapping[str, np.ndarray], kind: str, temperature: float) -> dict[str, float]:
    """Returns probabilities from log-likelihoods (2,) by name, all names equally likely before."""
    totals = {name: _total(of, kind, temperature) for name, of in scores.items()}
    most = max(totals.values())
    weights = {name: math.exp(total - most) for name, total in totals.items()}
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def _total(scores: np.ndarray, kind: str, temperature: float) -> float:
    """Returns the log-likelihood of a kind of evidence; the errors' is what is too sure."""
    accuracy, errors = scores
    parts = {"accuracy": accuracy, "errors": errors / temperature}
    return float(parts[kind] if kind in parts else parts["accuracy"] + parts["errors"])
