"""What the author of a run with several readings most probably ran, as a result file."""

from typing import Any

import numpy as np

from experiments.documented import RUNS
from experiments.evidence.computed import environments
from experiments.evidence.plan import slug
from experiments.evidence.readings import KINDS, Judge, Seeds
from experiments.evidence.store import Store
from imgcls_jax import statistics
from imgcls_jax.errors import UserError

STEM = "readings"
_SURE = 0.95  # the probability from which a reading is called the one


def judge(store: Store) -> dict[str, Any]:
    """Weighs the readings of every run whose document gives a confusion matrix.

    Returns:
      The content of the result file: `temperature` and `assigned` by kind of evidence (how many
      known seeds are given back to their own reading, of all readings' seeds), and `runs`: by
      number, `assigned` among the run's own readings, `readings` with their probabilities and
      prediction t, and `verdict`.

    Raises:
      UserError: if a reading has fewer than three seeds.
    """
    runs = [found for found in RUNS.values() if found.confusion_matrix is not None]
    stems = {found.number: [slug(found, reading) for reading in found.readings] for found in runs}
    files = {stem: store.read(stem) for each in stems.values() for stem in each}
    if few := [stem for stem, held in files.items() if held is None or len(held["seeds"]) < 3]:
        raise UserError(
            f"{few[0]}.json has fewer than three seeds; measure runs 1-7 first, without --readings."
        )
    same = _first_of_equals(files)
    judged = Judge({stem: _seeds(files[stem]) for stem in dict.fromkeys(same.values())})
    result: dict[str, Any] = {
        "temperature": judged.temperature,
        "assigned": {kind: judged.assigned(kind) for kind in KINDS},
        "seeds": {stem: len(held["seeds"]) for stem, held in files.items()},
        "runs": {},
    }
    for found in runs:
        names = {stem: same[stem] for stem in stems[found.number]}
        among = list(names.values())
        accuracy = found.figures["test_accuracy"]
        chances = judged.weigh(accuracy, np.array(found.confusion_matrix), among)
        result["runs"][str(found.number)] = {
            "assigned": {kind: judged.assigned(kind, among) for kind in KINDS},
            "readings": {
                stem: {
                    **{kind: chances[kind][name] for kind in KINDS},
                    **_prediction(files[stem], accuracy),
                }
                for stem, name in names.items()
            },
            "verdict": _verdict({stem: chances["both"][name] for stem, name in names.items()}),
        }
    return result | {"environments": environments(files.values())}


def _first_of_equals(files: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Returns for each file the first one with its settings: one training is one reading."""
    first: dict[str, str] = {}
    return {stem: first.setdefault(str(held["config"]), stem) for stem, held in files.items()}


def _seeds(held: dict[str, Any]) -> Seeds:
    return Seeds(
        np.array([entry["test_accuracy"] for entry in held["seeds"]]),
        np.array([entry["confusion_matrix"] for entry in held["seeds"]]),
    )


def _prediction(held: dict[str, Any], accuracy: float) -> dict[str, Any]:
    """Returns how the accuracy of the run's test cell compares with a reading's seeds."""
    values = [entry["test_accuracy"] for entry in held["seeds"]]
    found = statistics.prediction(values, accuracy)
    return {name: found[name] for name in ("n", "mean", "std", "rule", "t", "p", "verdict")}


def _verdict(chances: dict[str, float]) -> str:
    """Returns the one reading that is likely enough, or those that cannot be told apart."""
    if len(chances) == 1:
        return "one reading"
    ranked = sorted(chances, key=chances.get, reverse=True)
    if chances[ranked[0]] >= _SURE:
        return ranked[0]
    kept, total = [], 0.0
    for stem in ranked:
        kept.append(stem)
        total += chances[stem]
        if total >= _SURE:
            break
    return "undecided: " + " or ".join(kept)
