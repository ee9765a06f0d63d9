"""The presets' docstrings: every figure in them is a result file's, every command says how."""

import json
import re
import shlex
from pathlib import Path

import pytest

from experiments.presets import choose, cifar10, fmnist, train, transfer

ROOT = Path(__file__).parents[2]
MODULES = {"train": train, "fmnist": fmnist, "cifar10": cifar10, "transfer": transfer}
# These follow from the file that --weights names.
FROM_WEIGHTS = {"convention", "normalise", "interpolation", "crop_fraction", "resize"}
NO_SETTINGS = {"preset", "data_dir", "seeds"}


def entries(docstring: str) -> dict[str, list[dict[str, str]]]:
    """Returns the records of every preset, a record as its lines by their first word."""
    found = {}
    for block in re.split(r"\n(?=\w+: )", docstring)[1:]:
        name, records = block.partition(":")[0], re.split(r"\n(?=  command )", block)[1:]
        assert name not in found
        found[name] = []
        for record in records:
            lines = re.split(r"\n  (?! )", "\n" + re.sub(r"\n {5,}", " ", record).strip("\n"))
            fields = (line.strip().partition(" ") for line in lines if line.strip())
            found[name].append({first: rest.strip() for first, _, rest in fields})
    return found


RECORDS = [
    pytest.param(experiment, name, record, id=f"{name}-{number}")
    for experiment, module in MODULES.items()
    for name, records in entries(module.__doc__).items()
    for number, record in enumerate(records)
]


@pytest.mark.parametrize("experiment", MODULES)
def test_every_preset_says_whether_it_was_measured(experiment):
    found = entries(MODULES[experiment].__doc__)
    assert found.keys() == choose.NAMED[experiment].keys()
    assert all(found.values())


@pytest.mark.parametrize(("experiment", "name", "record"), RECORDS)
def test_a_record_is_what_its_result_file_holds(experiment, name, record):
    python, m, module, *arguments = shlex.split(record["command"])
    assert (python, m, module) == ("python", "-m", f"experiments.{experiment}")
    flags = dict(argument.removeprefix("--").split("=") for argument in arguments)
    assert flags["preset"] == name
    if "not" in record:
        assert record.keys() == {"command", "not"}
        assert record["not"] == "measured"
        return
    assert record.keys() == {"command", "machine", "seeds", "accuracy", "seconds", "file"}
    assert record["file"].startswith("experiments/results/")
    result = json.loads((ROOT / record["file"]).read_text())
    assert record["machine"] == f"{result['device']}; jax {result['versions']['jax']}"
    assert _settings(experiment, name, flags, result)
    if "spread" not in result and "accuracies" not in result:
        assert record["accuracy"] == f"{100 * result['test_accuracy']:.2f} % (one seed)"
        assert record["seconds"] == f"{result['train_seconds']:.1f}"
        assert record["seeds"] == str(result["seed"]) == flags.get("seed", "0")
        return
    seconds = result["train_seconds"]
    if "accuracies" in result:  # a race's file
        accuracy = result["accuracies_summary"] | {"values": result["accuracies"]}
    else:
        accuracy = result["spread"]["test_accuracy"]
    mean, std = 100 * accuracy["mean"], 100 * accuracy["std"]
    assert record["accuracy"] == f"{mean:.2f} % (std {std:.2f} %)"
    assert record["seconds"] == f"{min(seconds):.1f} to {max(seconds):.1f}"
    seeds = result["seeds"]
    every, span = ", ".join(map(str, seeds)), f"{seeds[0]} to {seeds[-1]}"
    assert record["seeds"] == (span if len(seeds) > 5 else every)
    assert seeds == list(range(seeds[0], seeds[0] + len(seeds)))
    assert len(accuracy["values"]) == len(result["seeds"]) == int(flags["seeds"])


def _settings(experiment: str, name: str, flags: dict[str, str], result: dict) -> bool:
    """Says whether a result was made with the preset's settings and those of the flags."""
    settings = dict(choose.NAMED[experiment][name])
    settings |= {flag: value for flag, value in flags.items() if flag not in NO_SETTINGS}
    measured = {field: result["config"][field] for field in settings.keys() - FROM_WEIGHTS}
    return measured == json.loads(json.dumps({field: settings[field] for field in measured}))
