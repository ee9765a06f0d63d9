"""The limits of a network's predictions, learned from held-out examples and kept beside it.

`calibration.json` says what they were learned from and what it changed; `limits.npz` holds what
predictions need, and the held-out examples' logits, of which an ensemble learns its own.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax import metrics
from imgcls_jax.errors import UserError
from imgcls_jax.files import typed
from imgcls_jax.files.reading import read_arrays
from imgcls_jax.files.run_files import Facts
from imgcls_jax.limits import conformal, temperature, unknown

_WITHOUT = "remove calibration.json beside it to predict without a temperature"
FACTS, ARRAYS = "calibration.json", "limits.npz"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What was learned from held-out examples.

    Attributes:
      temperature: of the logits, see `temperature.fit`.
      labels, logits: (N,) and (N, C) of the held-out examples.
      facts: what the examples are and what the temperature changed on them, for JSON.
      statistics: of the training examples' features; None where a network hands out none.
      distances: (M,) of held-out examples by those statistics and their logits; empty without.
    """

    temperature: float
    labels: np.ndarray
    logits: np.ndarray
    facts: dict[str, Any]
    statistics: unknown.Statistics | None = None
    distances: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    def scores(self) -> np.ndarray:
        """Returns the conformal scores (N,) of the held-out examples."""
        return conformal.scores(
            temperature.probabilities(self.logits, self.temperature), self.labels
        )


def learn(
    labels: np.ndarray,
    logits: np.ndarray,
    *,
    of: str,
    identity: str,
    features: unknown.Features | None = None,
) -> Limits:
    """Learns the limits from held-out examples.

    Args:
      labels, logits: (N,) and (N, C), of a network that was not trained on these.
      of: what the examples are, in words.
      identity: tells these examples from any others.
      features: of training and held-out examples; None where the network hands out none.
    """
    fitted = temperature.fit(logits, labels)
    facts = {
        "temperature": fitted,
        "held_out": {"of": of, "examples": len(labels), "identity": identity},
        **changes(logits, labels, fitted),
    }
    found = Limits(fitted, labels, logits, facts)
    if features is None:
        return found
    statistics, distances = unknown.learn(features, logits)
    return dataclasses.replace(found, statistics=statistics, distances=distances)


def changes(logits: Any, labels: Any, fitted: float) -> dict[str, dict[str, float]]:
    """Returns `loss` (nats per example) and `ece` of examples `before` and `after` a temperature.

    Args:
      logits: (N, C), or the logarithms of probabilities.
      labels: (N,).
    """
    found: dict[str, dict[str, float]] = {"loss": {}, "ece": {}}
    for when, value in (("before", 1.0), ("after", fitted)):
        found["loss"][when] = temperature.mean_loss(logits, labels, value)
        probabilities = temperature.probabilities(logits, value)
        found["ece"][when] = metrics.calibration(probabilities, labels)["ece"]
    return found


def write(workdir: Any, limits: Limits | None, *, why_not: str = "") -> None:
    """Keeps the limits in a run's folder, or why there are none.

    Args:
      workdir: the folder, a `Workdir`, whose code an exported network does without.
    """
    if limits is None:
        workdir.write_json(FACTS, {"temperature": None, "why_not": why_not})
        return
    arrays = {"labels": limits.labels, "logits": limits.logits.astype(np.float32)}
    if limits.statistics is not None:
        arrays["distances"] = limits.distances.astype(np.float32)
        arrays |= {f"statistics_{k}": v for k, v in limits.statistics._asdict().items()}
    workdir.write_arrays(ARRAYS, **arrays)
    workdir.write_json(FACTS, limits.facts)  # last: it vouches for the arrays


def facts(path: str | Path) -> dict[str, Any] | None:
    """Reads what `calibration.json` in a folder says; None where there is none.

    Raises:
      UserError: if it is damaged.
    """
    file, advice = Path(path) / FACTS, "remove it to predict without a temperature"
    found = typed.read(file, Facts, advice=advice)
    needed = "why_not" if found and found["temperature"] is None else "held_out"
    if found and needed not in found:
        raise UserError(f"{file} cannot be used (`{needed}` is missing); {advice}.")
    return found


def read(path: str | Path) -> Limits | None:
    """Reads the limits from a run's folder; None where none were learned.

    Raises:
      UserError: if a file is damaged or missing.
    """
    found = facts(path)
    if found is None or found["temperature"] is None:
        return None
    file = Path(path) / ARRAYS
    try:
        arrays = read_arrays(file)
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing; bring it back, or {_WITHOUT}.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is damaged; bring back a good one, or {_WITHOUT}.") from error
    if not _fit_together(arrays):
        raise UserError(f"{file} is damaged; bring back a good one, or {_WITHOUT}.")
    try:
        statistics = None
        if "distances" in arrays:
            kept = {k: arrays[f"statistics_{k}"] for k in unknown.Statistics._fields}
            statistics = unknown.Statistics(**kept)
        return Limits(
            float(found["temperature"]),
            arrays["labels"],
            arrays["logits"],
            found,
            statistics,
            arrays.get("distances", np.zeros(0)),
        )
    except KeyError as error:
        raise UserError(
            f"{file} is of another version of this program; train again, or {_WITHOUT}."
        ) from error


def _fit_together(arrays: dict[str, np.ndarray]) -> bool:
    """Tells if arrays have the shapes that `write` gave them, and finite numbers."""
    of = {name: array.shape for name, array in arrays.items()}
    known = all(array.dtype.kind in "iuf" and np.isfinite(array).all() for array in arrays.values())
    labels, logits = of.get("labels"), of.get("logits")
    if known and labels and logits:
        known = len(logits) == 2 and labels == logits[:1] and arrays["labels"].dtype.kind in "iu"
        known = known and bool(((arrays["labels"] >= 0) & (arrays["labels"] < logits[1])).all())
    if known and "distances" in of and "statistics_centre" in of:
        features, classes = of["statistics_centre"], of.get("statistics_offsets", ())
        wanted = {
            "whiten": (*features, *features), "scales": of.get("statistics_scales"),
            **dict.fromkeys(("means", "plain_means"), (*classes, *features)),
            **dict.fromkeys(("offsets", "plain_offsets"), classes),
        }  # fmt: skip
        known = len(of["distances"]) == len(features) == len(classes) == 1
        known = known and wanted["scales"] in ((2,), (3,), None)
        shapes = {name: of.get(f"statistics_{name}", shape) for name, shape in wanted.items()}
        known = known and shapes == wanted
    return known
