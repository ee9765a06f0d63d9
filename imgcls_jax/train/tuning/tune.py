"""The end of a search for settings: its winner, the test set, and what the search was worth.

    trials.run_trials(of, dataset, jobs=2, deadline=None)
    records = of.open().records()
    tests = tune.finals(of, records, whole, seeds=5, jobs=2, workdir=workdir)
    tune.outcome(records, tests)

All trials choose by one validation split. The winner's figure on it is flattering, the more so the
more trials there were; the test set, which the winner and the settings to beat meet once per seed
after training on all examples that are no test, says by how much.
"""

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.metrics import wilson_interval
from imgcls_jax.statistics import mean_interval
from imgcls_jax.train import run
from imgcls_jax.train.tuning.search import Search
from imgcls_jax.train.tuning.search_space import Choices
from imgcls_jax.train.workers import Stop, spread
from imgcls_jax.workdir import Workdir

Record = Mapping[str, Any]


def winner(records: Sequence[Record]) -> Record:
    """Returns the trial of the highest validation accuracy, the first of equals.

    Raises:
      UserError: no trial was finished.
    """
    finished = [record for record in records if record["value"] is not None]
    failed = [record for record in records if record["state"] in ("fail", "pruned")]
    reasons = [record["reason"] for record in failed if "reason" in record]
    if not finished and records and len(reasons) == len(records):
        raise UserError(
            f"no trial has a result, the last one since: {reasons[-1]}; change the `space` or the "
            "fixed settings, in a new `workdir`."
        )
    if not finished:
        raise UserError("no trial was finished; run the same command again, with more `minutes`.")
    return max(finished, key=lambda record: (record["value"], -record["number"]))


def first(records: Sequence[Record]) -> Record | None:
    """Returns the trial of the settings to beat; None where it has no result, as if diverged."""
    found = [r for r in records if r["first"] and r["value"] is not None]
    return found[0] if found else None


def final_config(of: Search, record: Record) -> Config:
    """Returns the settings that a trial is trained with on train and validation together."""
    return of.configure(final_settings(of, record))


def final_settings(of: Search, record: Record) -> dict[str, Any]:
    """Returns the same as settings beside those that the trial starts from."""
    return {**of.settings(record), **(of.whole or {"hold_out": 0.0})}


def finals(
    of: Search,
    records: Sequence[Record],
    dataset: Dataset,
    *,
    seeds: int,
    jobs: int,
    workdir: Workdir,
) -> dict[int, dict[str, Any]]:
    """Trains the winner and the settings to beat on train and validation, and meets the test set.

    Each trains in a folder `trial-N` of the study's, with a folder per seed; what is finished is
    not run again.

    Args:
      dataset: all examples, split as a run of `final_config` has them.

    Returns:
      by trial number, what `run.repeat` returns.

    Raises:
      Interrupted: a signal asked to stop; the same command continues.
    """
    chosen = {r["number"]: r for r in (winner(records), first(records)) if r is not None}
    configs = {number: final_config(of, record) for number, record in chosen.items()}
    items = []
    for number, config in configs.items():
        folder = Workdir(workdir.path / f"trial-{number}")
        folder.claim(config, several=True)
        for one in config.seeds(seeds):
            items.append((number, one.train.seed, one, folder))
    best, *base = configs
    beaten = f" and the settings to beat, trial {base[0]}," if base else ""
    print(
        f"  the winner, trial {best},{beaten} with {seeds} seed{'s' * (seeds != 1)} each",
        flush=True,
    )
    jobs = min(jobs, len(items))
    name = f"{of.name}: trial"
    if spread(_train_finals, [(items[k::jobs], dataset, name) for k in range(jobs)]):
        raise Interrupted(
            f"stopped before every seed met the test set; the study in {of.folder} is intact, run "
            "the same command to go on."
        )
    results = {}
    for number, config in configs.items():
        with contextlib.redirect_stdout(io.StringIO()):  # "nothing to train", for every seed
            results[number] = run.repeat(
                config,
                seeds=seeds,
                name=f"{name} {number}",
                dataset=dataset,
                workdir=Workdir(workdir.path / f"trial-{number}"),
            )
    return results


def _train_finals(
    items: Sequence[tuple[int, int, Config, Workdir]], dataset: Dataset, name: str, *, stop: Stop
) -> None:
    """Trains the items, one after the other: trial, seed, settings, folder of the trial."""
    for number, seed, config, folder in items:
        if stop:
            return
        finished = Workdir(folder.path / f"seed-{seed}").summary() is not None
        if not finished:
            print(f"  trial {number}, seed {seed}: begins", flush=True)
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            try:
                summary = run.train(
                    config,
                    name=f"{name} {number}",
                    dataset=dataset,
                    workdir=Workdir(folder.path / f"seed-{seed}"),
                    stop=stop,
                )
            except Interrupted:
                return
        accuracy = summary["test_accuracy"]
        print(f"  trial {number}, seed {seed}: test accuracy {accuracy:.4f}", flush=True)


def outcome(records: Sequence[Record], tests: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the winner's figures beside those of the settings to beat, and what was selection.

    The share of selection is 1 - (gain on the test set) / (gain on validation): the part of the
    gain that choosing the best of many by one split made. `selection` is None where the settings to
    beat won or have no result.

    Intervals are of 95 %: Wilson's of validation accuracies, Student's over seeds of test
    accuracies and of the gain on the test set, whose seeds are paired. The gain on validation has
    the normal one of two independent figures: too wide a one, for both are of the same examples.

    Args:
      tests: by trial number, what `run.repeat` returned.
    """
    best, base = winner(records), first(records)
    found = {"winner": _figures(best, tests[best["number"]]), "first": None, "selection": None}
    if base is None:
        return found
    found["first"] = _figures(base, tests[base["number"]])
    if best["value"] <= base["value"]:
        return found
    mine, theirs = found["winner"], found["first"]
    gain = mine["validation_accuracy"] - theirs["validation_accuracy"]
    pairs = np.subtract(mine["test_accuracies"], theirs["test_accuracies"])
    error = math.hypot(*(_error(part) for part in (mine, theirs)))
    found["selection"] = {
        "validation_gain": gain,
        "validation_gain_interval": [gain - 1.96 * error, gain + 1.96 * error],
        "test_gain": float(pairs.mean()),
        "test_gain_interval": interval(pairs),
        "share": 1 - float(pairs.mean()) / gain,
    }
    return found


def _figures(record: Record, tests: Mapping[str, Any]) -> dict[str, Any]:
    values, count = tests["spread"]["test_accuracy"]["values"], record["examples"]
    correct = round(record["value"] * count)
    return {
        "trial": record["number"],
        "validation_accuracy": record["value"],
        "validation_examples": count,
        "validation_interval": list(wilson_interval(correct, count)),
        "test_accuracies": values,
        "test_accuracy": float(np.mean(values)),
        "test_interval": interval(values),
    }


def _error(figures: Mapping[str, Any]) -> float:
    accuracy = figures["validation_accuracy"]
    return math.sqrt(accuracy * (1 - accuracy) / figures["validation_examples"])


def interval(values: Sequence[float]) -> list[float] | None:
    """Returns Student's 95 % interval of a mean; None of fewer than two values."""
    return list(mean_interval(values)) if len(values) > 1 else None


def axes(of: Search) -> dict[str, dict[str, Any]]:
    """Returns the searched settings as a figure draws them: `low`, `high`, `log`, or `choices`."""
    return {
        name: {"choices": list(found.by_text())}
        if isinstance(found, Choices)
        else {"low": found.low, "high": found.high, "log": found.log}
        for name, found in of.space.items()
    }
