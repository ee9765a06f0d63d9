"""Fashion-MNIST: the documented runs 1-9, and the CNN they planned.

python -m experiments.fmnist --lr=0.0008 --epochs=15
python -m experiments.fmnist --run=9 --seeds=5
python -m experiments.fmnist --model=cnn
python -m experiments.fmnist --dataset=digits --epochs=20      # offline, seconds
"""

from absl import flags

from experiments import cli, logistic, presets
from imgcls_jax import console, run
from imgcls_jax.errors import UserError
from imgcls_jax.figures import draw
from imgcls_jax.workdir import Workdir

cli.define_config_flags()
flags.adopt_module_key_flags(cli)  # so that --help shows them
_RUN = flags.DEFINE_integer("run", None, "documented run to reproduce, see --list_runs")
_LIST_RUNS = flags.DEFINE_bool("list_runs", False, "print the documented runs and exit")
_SEEDS = flags.DEFINE_integer("seeds", None, "repeat with this many seeds, starting at --seed")
_WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run; an old one is continued")
_FIGURES = flags.DEFINE_bool("figures", True, "draw figures at the end")
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "write TensorBoard event files")


def main() -> None:
    if _LIST_RUNS.value:
        presets.list_runs()
        return
    if _SEEDS.value is not None and _SEEDS.value < 1:
        raise UserError(f"--seeds={_SEEDS.value} cannot be used; it must be at least 1.")
    given = cli.given_settings()
    preset = presets.choose(_RUN.value, given)
    workdir = Workdir(_WORKDIR.value) if _WORKDIR.value else cli.new_workdir("fmnist", preset.name)
    if preset.settings["model"] == "logistic_sgd":
        for flag, value in (("seeds", _SEEDS.value), ("tensorboard", _TENSORBOARD.value)):
            if value:
                raise UserError(f"run 8 takes no --{flag}; leave it out.")
        logistic.main(preset, given, workdir=workdir, figures=_FIGURES.value)
        return
    config, evaluate_only = cli.resolve(
        preset.settings,
        workdir,
        preset_given=_RUN.value is not None,
        seeds=_SEEDS.value is not None,
    )
    documented = presets.documented(preset, config)
    name = f"run {documented['run']}" if documented else f"{config.dataset} {config.model}"
    console.heading(f"Documented {name}" if documented else f"{name}: no documented run's settings")
    console.pairs(config.to_json() | {"workdir": workdir.path})
    dataset = cli.load_data(config.dataset)
    console.dataset(dataset)
    console.heading("Evaluation" if evaluate_only else "Training")
    common = {"name": name, "dataset": dataset, "workdir": workdir}
    if evaluate_only:
        run.evaluate_only(config, **common)
        return
    common |= {"documented": documented, "with_tensorboard": _TENSORBOARD.value}
    if _SEEDS.value is None:
        run.train(config, **common)
        run.report(workdir, dataset, figures=_FIGURES.value)
    else:
        result = run.repeat(config, seeds=_SEEDS.value, **common)
        for seed in result["seeds"] if _FIGURES.value else ():
            paths = draw(Workdir(workdir.path / f"seed-{seed}"), dataset)
            console.paths(f"Figures of seed {seed}", paths)
    print(f"\nEverything is in {workdir.path}")


if __name__ == "__main__":
    cli.run(main)
