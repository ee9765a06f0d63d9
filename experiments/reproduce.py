"""Measures every reading of the documented runs over many seeds, into result files.

python -m experiments.reproduce                  # runs 1-9, 10 seeds: half an hour, 2 cores
python -m experiments.reproduce --runs=10 --seeds=5
python -m experiments.reproduce --runs=5,9 --seeds=3
python -m experiments.reproduce --table          # writes the page of tables, results/README.md
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli import huge_pages

    huge_pages.ask()

import tempfile
from pathlib import Path

from absl import flags

from experiments import logistic, tables
from experiments.cli import flags as cli
from experiments.cli import out_flag
from experiments.cli.out_flag import OUT
from experiments.documented import RUNS, DocumentedRun, Reading
from experiments.presets import choose
from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.report import console
from imgcls_jax.train import run
from imgcls_jax.workdir import Workdir

flags.adopt_module_key_flags(cli)
flags.adopt_module_key_flags(out_flag)
_RUNS = flags.DEFINE_list(
    "runs", [str(number) for number in range(1, 10)], "documented runs to measure"
)
_SEEDS = flags.DEFINE_integer("seeds", 10, "seeds of each reading", lower_bound=2)
_TABLE = flags.DEFINE_bool("table", False, "write the result files as tables, README.md, and exit")


def main() -> None:
    """Measures the chosen runs into result files, or writes the files' tables."""
    out = Workdir(OUT.value or results_folder())
    if _TABLE.value:
        out.write_text("README.md", tables.page(out.path))
        print(f"The tables are in {out.path / 'README.md'}")
        return
    try:
        chosen = [RUNS[int(number)] for number in _RUNS.value]
    except (KeyError, ValueError):
        raise UserError(
            f"--runs={','.join(_RUNS.value)} must be numbers of documented runs: "
            f"{','.join(map(str, RUNS))}."
        ) from None
    datasets = {}
    for found in chosen:
        name, folder = found.settings["dataset"], found.settings["dataset"] == "folder"
        if name not in datasets:
            datasets[name] = (
                cli.load_dataset(Config.of(**found.settings)) if folder else cli.load_data(name)
            )
        dataset = datasets[name]
        for reading in found.readings:
            if reading.settings["model"] == "logistic_sgd":
                result = logistic.measure(found, dataset, orders=_SEEDS.value)
            else:
                result = measure(found, reading, dataset)
            out.write_json(f"{tables.slug(found, reading)}.json", result)


def results_folder(package: Path = Path(__file__).parent) -> Path:
    """Returns the folder of the result files: a checkout's own; an installed copy has none."""
    return package / "results" if (package / "results").is_dir() else Path("results")


def measure(found: DocumentedRun, reading: Reading, dataset: data.Dataset) -> dict:
    """Returns the spread over the seeds of one reading, run in a folder that is thrown away."""
    settings = reading.settings
    if settings["dataset"] == "folder":
        settings = {**settings, **choose.following_weights(settings)}
    config = Config.of(**settings)
    with tempfile.TemporaryDirectory() as folder:
        result = run.repeat(
            config,
            seeds=_SEEDS.value,
            name=f"run {found.number}, {reading.label}",
            dataset=dataset,
            workdir=Workdir(folder),
            documented=choose.report(found, reading),
        )
    console.heading(f"{result['run']}: {_SEEDS.value} seeds")
    console.spread(result["spread"])
    return result


if __name__ == "__main__":
    cli.run(main)
