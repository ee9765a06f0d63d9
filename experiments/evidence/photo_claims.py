"""Two claims of the page on photos: freezing saves time at no loss, real images are all right."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np
from scipy.stats import beta, hypergeom

from experiments.documented import RUNS
from experiments.evidence.computed import Computed, Need, Table, environments, per_cent
from imgcls_jax import statistics
from imgcls_jax.errors import UserError

_NETWORK = "mobilenet_v2"  # whose weights were at hand


def _command(run: int) -> str:
    return (
        f"python -m experiments.reproduce --runs={run} --seeds=3 --data_dir=PHOTOS "
        f"--model={_NETWORK} --weights=FILE"
    )


def _freezing(need: Need) -> dict[str, Any]:
    files = {
        "trained whole": need(f"run14_{_NETWORK}_trained", _command(14)),
        "frozen": need(f"run15_{_NETWORK}_frozen", _command(15)),
    }
    if len({found["data"] for found in files.values()}) > 1:
        raise UserError("the files of runs 14 and 15 are of other photos; measure both on the same")
    by_seed = {
        name: {entry["seed"]: entry for entry in found["seeds"]} for name, found in files.items()
    }
    seeds = sorted(set.intersection(*map(set, by_seed.values())))
    result: dict[str, Any] = {"seeds": seeds, "figures": {}, "paired": {}}
    for figure, of in (("test_accuracy", itemgetter("test_accuracy")), ("seconds", _seconds)):
        values = {name: [of(found[seed]) for seed in seeds] for name, found in by_seed.items()}
        result["figures"][figure] = values
        result["paired"][figure] = statistics.paired(values["frozen"], values["trained whole"])
    return result | {"environments": environments(files.values())}


def _seconds(entry: Mapping[str, Any]) -> float:
    """Returns the seconds of everything that is trained or computed for it, without compilation."""
    names = ("train_seconds", "feature_seconds", "head_seconds")
    return sum(entry.get(name, 0.0) for name in names)


def _freezing_table(content: Mapping[str, Any]) -> Table:
    rows = []
    for name in content["figures"]["seconds"]:
        accuracy, seconds = (
            content["figures"][figure][name] for figure in ("test_accuracy", "seconds")
        )
        rows.append([name, per_cent(accuracy), f"{np.mean(seconds):,.0f} s", str(len(seconds))])
    return ["", "test accuracy", "seconds", "n"], rows


def _freezing_sentence(content: Mapping[str, Any]) -> str:
    accuracy, seconds = (content["paired"][figure] for figure in ("test_accuracy", "seconds"))
    low, high = (100 * end for end in accuracy["interval"])
    less, most = (-end for end in reversed(seconds["interval"]))
    return (
        f"Frozen, less trained whole: {100 * accuracy['difference']:+.2f} points [{low:+.2f}, "
        f"{high:+.2f}] of test accuracy; it saves {-seconds['difference']:,.0f} s "
        f"[{less:,.0f}, {most:,.0f}], feature pass included."
    )


_SHOWN = (5, 10, 20)  # photos
_PHOTOS = {12: "100 sports", 13: "anime, cartoon or human", 15: "damaged eggs"}


def _real_images(need: Need) -> dict[str, Any]:
    files = {run: need(f"run{run}_{_NETWORK}_frozen", _command(run)) for run in _PHOTOS}
    chances = {}
    for run, found in files.items():
        total = int(np.sum(found["seeds"][0]["confusion_matrix"]))
        right = [round(entry["test_accuracy"] * total) for entry in found["seeds"]]
        chances[f"run {run}"] = {
            "title": f"{_PHOTOS[run]}, {_NETWORK} frozen",
            "photos": total,
            "right": right,
            "all_right": {
                str(n): float(np.mean([hypergeom.pmf(n, total, of, n) for of in right]))
                for n in _SHOWN
            },
        }
    # One-sided 95 % (Clopper and Pearson 1934): all of n right leave an accuracy of at least this.
    least = {str(n): float(beta.ppf(0.05, n, 1)) for n in _SHOWN}
    return {"runs": chances, "least": least, "environments": environments(files.values())}


def _real_images_table(content: Mapping[str, Any]) -> Table:
    rows = []
    for name, of in content["runs"].items():
        accuracy = 100 * np.mean(of["right"]) / of["photos"]
        chances = [f"{100 * of['all_right'][str(n)]:.0f} %" for n in _SHOWN]
        rows.append([f"{name}, {of['title']}", f"{accuracy:.2f} %", str(of["photos"]), *chances])
    least = [f"{100 * content['least'][str(n)]:.0f} %" for n in _SHOWN]
    rows.append(["lowest accuracy that so many right leave", "-", "-", *least])
    header = ["", "accuracy", "photos", *(f"all {n} right" for n in _SHOWN)]
    return header, rows


def _real_images_sentence(content: Mapping[str, Any]) -> str:
    chances = "; ".join(
        f"{name}: {100 * of['all_right']['10']:.0f} %" for name, of in content["runs"].items()
    )
    return (
        f"Ten unseen photos drawn by chance are all right with {chances}. Ten right ones in a row "
        f"only say that the accuracy is above {100 * content['least']['10']:.0f} % (one-sided "
        "95 %): the sentence fits the documented accuracies, and cannot tell them from lower ones."
    )


FREEZING = Computed(
    "freezing",
    "Freezing the convolutions saves training time at no loss of accuracy.",
    f"{RUNS[15].source}, runs 14 and 15",
    _freezing,
    _freezing_table,
    _freezing_sentence,
)
REAL_IMAGES = Computed(
    "real_images",
    "Predictions on real images are mostly 100 % right.",
    f"{RUNS[12].source}, runs 12, 13 and 15",
    _real_images,
    _real_images_table,
    _real_images_sentence,
)
