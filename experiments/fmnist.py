"""Fashion-MNIST: the documented runs 1-9, and the CNN they planned.

python -m experiments.fmnist --lr=0.0008 --epochs=15
python -m experiments.fmnist --run=9 --seeds=5
python -m experiments.fmnist --model=cnn
python -m experiments.fmnist --dataset=digits --epochs=20      # offline, seconds
"""

import time

from absl import flags

from experiments import cli, logistic, presets
from imgcls_jax import console, data, run
from imgcls_jax.errors import UserError
from imgcls_jax.workdir import Workdir

cli.define_config_flags()
_RUN = flags.DEFINE_integer("run", None, "documented run to reproduce, see --list_runs")
_LIST_RUNS = flags.DEFINE_bool("list_runs", False, "print the documented runs and exit")
_SEEDS = flags.DEFINE_integer("seeds", None, "repeat with this many seeds, starting at --seed")
_WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run; an old one is continued")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of prepared TFDS data sets")
_RAW_DIR = flags.DEFINE_string("raw_dir", None, "folder with the four IDX files, gzipped or not")
_FIGURES = flags.DEFINE_bool("figures", True, "draw figures at the end")
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "write TensorBoard event files")


def main() -> None:
    if _LIST_RUNS.value:
        presets.list_runs()
        return
    if _SEEDS.value is not None and _SEEDS.value < 1:
        raise UserError(f"--seeds={_SEEDS.value} cannot be used; it must be at least 1.")
    preset = presets.choose(_RUN.value, cli.given_settings())
    started = time.strftime("%Y%m%d-%H%M%S")
    workdir = Workdir(_WORKDIR.value or f"runs/fmnist/{preset.name}-{started}")
    if preset.settings["model"] == "logistic_sgd":
        logistic.main(
            preset,
            cli.given_settings(),
            workdir=workdir,
            data_dir=_DATA_DIR.value,
            raw_dir=_RAW_DIR.value,
        )
        return
    config, evaluate_only = cli.resolve(
        preset.settings,
        workdir if _WORKDIR.value else None,
        preset_given=_RUN.value is not None,
    )
    documented = presets.documented(preset, config)
    name = f"run {documented['run']}" if documented else f"{config.dataset} {config.model}"
    console.heading(f"Documented {name}" if documented else f"{name}: no documented run's settings")
    console.pairs(config.to_json() | {"workdir": workdir.path})
    dataset = data.load(config.dataset, data_dir=_DATA_DIR.value, raw_dir=_RAW_DIR.value)
    console.dataset(dataset)
    console.heading("Evaluation" if evaluate_only else "Training")
    common = {"name": name, "dataset": dataset, "workdir": workdir}
    if evaluate_only:
        run.evaluate_only(config, **common)
        return
    common |= {"documented": documented, "tensorboard": _TENSORBOARD.value}
    if _SEEDS.value is None:
        run.train(config, **common)
        run.report(workdir, dataset, figures=_FIGURES.value)
    else:
        result = run.repeat(config, seeds=_SEEDS.value, **common)
        for seed in result["seeds"] if _FIGURES.value else ():
            run.draw(Workdir(workdir.path / f"seed-{seed}"), dataset)
    print(f"\nEverything is in {workdir.path}")


if __name__ == "__main__":
    cli.run(main)
