"""The course every training experiment takes: preset, configuration, data, training, report."""

import numpy as np
from absl import flags

from experiments.cli import flags as cli
from experiments.presets import choose
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.report import console
from imgcls_jax.report.augmentation_sheet import augmentation_sheet
from imgcls_jax.report.run_figures import draw
from imgcls_jax.train import repeat, run
from imgcls_jax.workdir import Workdir

cli.define_config_flags()
flags.adopt_module_key_flags(cli)  # so that --help shows them
RUN = flags.DEFINE_integer("run", None, "documented run to reproduce, see --list_runs")
PRESET = flags.DEFINE_string(
    "preset",
    None,
    "settings to start from in place of a documented run: "
    + "; ".join(f"{of}: {', '.join(named)}" for of, named in choose.NAMED.items()),
)
LIST_RUNS = flags.DEFINE_bool("list_runs", False, "print the documented runs and exit")
SEEDS = flags.DEFINE_integer("seeds", None, "repeat with this many seeds, starting at --seed")
WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run; an old one is continued")
FIGURES = flags.DEFINE_bool("figures", True, "draw figures at the end")
AUGMENTATIONS = flags.DEFINE_string(
    "augmentations", None, "PNG file to draw what every augmentation does to the data; then exit"
)
TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "write TensorBoard event files")


def listed_or_drawn(dataset: str) -> bool:
    """Does what --list_runs or --augmentations ask for, and says whether that was all.

    Args:
      dataset: whose documented runs are listed, and whose images are drawn unless --dataset says
        otherwise.
    """
    if LIST_RUNS.value:
        choose.list_runs(dataset)
    elif AUGMENTATIONS.value:
        settings = {"dataset": dataset} | cli.given_settings()
        if settings["dataset"] == "folder":
            settings.setdefault("image_size", 224)
        images = cli.load_dataset(Config(**settings)).train.images
        some = np.linspace(0, len(images) - 1, min(32, len(images))).astype(int)
        print(augmentation_sheet(images[some], AUGMENTATIONS.value))
    return bool(LIST_RUNS.value or AUGMENTATIONS.value)


def preset_name(experiment: str) -> str | None:
    """What --preset names, if anything.

    Raises:
      UserError: for a name that the experiment does not have, or one beside --run.
    """
    name, known = PRESET.value, choose.NAMED[experiment]
    if name is not None and name not in known:
        raise UserError(f"unknown --preset={name}; choose one of: {', '.join(known)}.")
    if name and RUN.value is not None:
        raise UserError("--run and --preset both name the settings to start from; give one.")
    return name


def workdir_of(experiment: str, preset: choose.Preset) -> Workdir:
    """What --workdir names, or a new folder."""
    if SEEDS.value is not None and SEEDS.value < 1:
        raise UserError(f"--seeds={SEEDS.value} cannot be used; it must be at least 1.")
    return Workdir(WORKDIR.value) if WORKDIR.value else cli.new_workdir(experiment, preset.name)


def train(preset: choose.Preset, *, experiment: str) -> None:
    """Trains, resumes or evaluates what preset, command line and workdir come to.

    Args:
      preset: the settings to start from.
      experiment: what folders under runs/ are called by.
    """
    chosen = PRESET.value is not None or RUN.value is not None
    workdir = workdir_of(experiment, preset)
    seeds, given = SEEDS.value, cli.given_settings()
    over_folds = bool(given.get("folds")) and "fold" not in given
    if over_folds and seeds is not None:
        raise UserError("--folds and --seeds are not for one command; give --seed with --folds.")
    config, evaluate_only = cli.resolve(
        preset.settings, workdir, preset_given=chosen, several=over_folds or seeds is not None
    )
    documented = choose.documented(preset, config)
    name = _name(preset, config, documented)
    console.heading(f"Documented {name}" if documented else f"{name}: no documented run's settings")
    console.pairs(config.shown() | {"workdir": workdir.path})
    if over_folds:
        repeat.cross_validate(
            config,
            name=name,
            load=cli.load_dataset,
            workdir=workdir,
            documented=documented,
            with_tensorboard=TENSORBOARD.value,
            figures=FIGURES.value,
        )
        print(f"\nEverything is in {workdir.path}")
        return
    dataset = cli.load_dataset(config)
    console.dataset(dataset)
    console.heading("Evaluation" if evaluate_only else "Training")
    common = {"name": name, "dataset": dataset, "workdir": workdir}
    if evaluate_only:
        run.evaluate_only(config, **common)
        return
    common |= {"documented": documented, "with_tensorboard": TENSORBOARD.value}
    if seeds is None:
        run.train(config, **common)
        run.report(workdir, dataset, figures=FIGURES.value)
    else:
        result = repeat.repeat(config, seeds=seeds, **common)
        for seed in result["seeds"] if FIGURES.value else ():
            paths = draw(Workdir(workdir.path / f"seed-{seed}"), dataset)
            console.paths(f"Figures of seed {seed}", paths)
    print(f"\nEverything is in {workdir.path}")


def _name(preset: choose.Preset, config: Config, documented: dict | None) -> str:
    """What the run is called in its summary."""
    if documented:
        return f"run {documented['run']}"
    if preset.run is None and preset.settings == {
        name: getattr(config, name) for name in preset.settings
    }:
        return f"{config.dataset} {preset.name}"
    return f"{config.dataset} {config.model}"
