"""Decisions behind probabilities: one class or "unknown", sets with the true class, labels."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.limits import conformal

UNKNOWN = "unknown"
_OUT_OF_RANGE = "`{}={:g}` cannot be used; it must lie between 0 and 1."


class Judgement(NamedTuple):
    """What is said of a picture beside its probabilities.

    Attributes:
      decision: the class, or None for unknown.
      chosen: classes of the set that holds the true one, or the labels from their thresholds on,
        most probable first; None if not asked.
    """

    decision: int | None
    chosen: tuple[int, ...] | None


@dataclasses.dataclass(frozen=True)
class Asked:
    """What to judge by; None leaves it out.

    Attributes:
      unknown: share of known pictures that may be called unknown, within (0, 1).
      coverage: share of pictures whose set is to hold the true class, within (0, 1).
      positive: the class of two that is decided for from `threshold` on.
      threshold: its least probability, within [0, 1]; 0.5 if None.
      labels: whether the network gives a picture any number of labels, which are then listed.

    Raises:
      UserError: a value is out of its range.
    """

    unknown: float | None = None
    coverage: float | None = None
    positive: str | None = None
    threshold: float | None = None
    labels: bool = False

    def __post_init__(self):
        for name in ("unknown", "coverage"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise UserError(_OUT_OF_RANGE.format(name, value))
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UserError(_OUT_OF_RANGE.format("threshold", self.threshold))

    @property
    def listed(self) -> str | None:
        """Returns what the classes that are listed of a picture are called, if any are."""
        if self.labels:
            return "labels"
        return None if self.coverage is None else "set"

    @property
    def decides(self) -> bool:
        """Tells if a decision may be another than the most probable class."""
        return self.unknown is not None or self.positive is not None


NOTHING = Asked()


def make_judge(network: Any, asked: Asked) -> Callable[[Any], Judgement]:
    """Builds a function that judges a `Prediction`, which for `unknown` has a `distance`.

    Args:
      network: the `Predictor` that it is of.
      asked: what to judge by.

    Raises:
      UserError: if the network has not learned what it needs, or is not of two classes where
        `positive` or `threshold` is asked for.
    """
    if network.thresholds is not None:
        return _by_thresholds(network.thresholds, asked)
    limits, farthest, level = network.limits, math.inf, None
    if asked.unknown is not None:
        if network.with_distances is None:
            raise UserError(f"`unknown` cannot be used here: {network.missing['unknown']}.")
        farthest = conformal.quantile(limits.distances, 1 - asked.unknown, name="unknown")
    if asked.coverage is not None:
        if limits is None:
            raise UserError(f"`coverage` cannot be used here: {network.missing['coverage']}.")
        level = conformal.quantile(limits.scores(), asked.coverage)
    decide = _decide(network.class_names, asked)

    def judge(prediction: Any) -> Judgement:
        chosen = None
        if level is not None:
            inside = conformal.sets(prediction.probabilities[None], level)[0]
            order = np.argsort(-prediction.probabilities, kind="stable")
            chosen = tuple(int(c) for c in order if inside[c])
        if prediction.distance is not None and prediction.distance > farthest:
            return Judgement(None, chosen)
        return Judgement(decide(prediction.probabilities), chosen)

    return judge


def _by_thresholds(thresholds: np.ndarray, asked: Asked) -> Callable[[Any], Judgement]:
    """Builds a function that names the labels of a `Prediction` from their thresholds on."""
    for name in ("unknown", "coverage", "positive", "threshold"):
        if getattr(asked, name) is not None:
            raise UserError(
                f"`{name}` is for networks that give a picture one class, and this one gives any "
                "number of labels; leave it out."
            )

    def judge(prediction: Any) -> Judgement:
        order = np.argsort(-prediction.probabilities, kind="stable")
        has = prediction.probabilities >= thresholds
        return Judgement(None, tuple(int(c) for c in order if has[c]))

    return judge


def _decide(names: tuple[str, ...], asked: Asked) -> Callable[[np.ndarray], int]:
    """Builds probabilities (C,) -> class."""
    if asked.positive is None and asked.threshold is None:
        return lambda probabilities: int(probabilities.argmax())
    given = "positive" if asked.positive is not None else "threshold"
    if len(names) != 2:
        raise UserError(
            f"`{given}` is for networks of two classes, and this one tells {len(names)} apart; "
            "leave it out."
        )
    if asked.positive is None:
        raise UserError(
            f"`threshold` needs `positive`, the class that it is for: {names[0]} or {names[1]}."
        )
    if asked.positive not in names:
        raise UserError(
            f"there is no class `positive={asked.positive}`; choose {names[0]} or {names[1]}."
        )
    threshold = 0.5 if asked.threshold is None else asked.threshold
    positive = names.index(asked.positive)
    return lambda probabilities: positive if probabilities[positive] >= threshold else 1 - positive
