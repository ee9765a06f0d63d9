"""The course every training experiment takes: preset, configuration, data, training, report."""

import functools
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from absl import flags

from experiments.cli import again, batches, folders, instead, machines, origins, rate_finding, shown
from experiments.cli import flags as cli
from experiments.cli.rate_finding import FIND_LR
from experiments.cli.trackers_flag import asked_trackers
from experiments.cli.vectorize_flag import VECTORIZE
from experiments.documented import RUNS
from experiments.presets import choose
from imgcls_jax import models
from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.data import Dataset
from imgcls_jax.errors import UserError
from imgcls_jax.machines import group
from imgcls_jax.predict import predictor
from imgcls_jax.report import console, run_page
from imgcls_jax.report.run_figures import draw
from imgcls_jax.train import run
from imgcls_jax.train.waiting import stage
from imgcls_jax.workdir import Workdir

flags.adopt_module_key_flags(instead)
flags.adopt_module_key_flags(folders)
cli.define_config_flags()
RUN = flags.DEFINE_integer("run", None, "documented run to reproduce, see --list_runs")
PRESET = flags.DEFINE_string(
    "preset",
    None,
    "settings to start from in place of a documented run: "
    + "; ".join(f"{of}: {', '.join(named)}" for of, named in choose.NAMED.items()),
)
SEEDS = flags.DEFINE_integer("seeds", None, "repeat with this many seeds, starting at --seed")
FIGURES = flags.DEFINE_bool("figures", True, "draw figures at the end")
SHOW_CONFIG = flags.DEFINE_bool(
    "show_config", False, "print every setting before the run, not only those that are no defaults"
)
_OF_THE_RUN = (
    "run", "preset", "list_runs", "seeds", "vectorize", "workdir", "checkpoint_every", "figures",
    "show_config", "augmentations", "find_lr", "trackers", "tensorboard",
)  # fmt: skip
_OF_DOCUMENTS = ("run", "list_runs")


def command(
    main: Callable[[], None], *, without: Collection[str] = (), argv: list[str] | None = None
) -> None:
    """Runs a training command.

    Args:
      main: what it does.
      without: what --help leaves out: the settings of "photos" or "transfer", documented "runs".
      argv: the command line, `sys.argv` if None.
    """

    def help_of() -> str:
        places = ("data_dir", "raw_dir", "offline")
        if "photos" not in without:
            of_photos = ("workers", "verify")
            places = (*places, *of_photos) if "runs" in without else ("data_dir", *of_photos)
        run_flags = [n for n in _OF_THE_RUN if "runs" not in without or n not in _OF_DOCUMENTS]
        groups = {"The run": run_flags} | {title: [] for title in shown.HEADINGS.values()}
        groups["Data"] += places
        for name, (section, field) in settings_by_name().items():
            if field.metadata["of"] not in without:
                groups[shown.HEADINGS[section]].append(name)
        groups["Several machines"] = list(machines.NAMES)
        return cli.help_text(sys.modules[main.__module__].__doc__, groups)

    cli.run(machines.joining(main), help_of=help_of, argv=argv)


def preset_name(experiment: str) -> str | None:
    """Returns the name that --preset gives, if any.

    Raises:
      UserError: for a name that the experiment does not have, or one beside --run.
    """
    name, known = PRESET.value, choose.NAMED[experiment]
    if name is not None and name not in known:
        raise UserError(f"unknown --preset={name}; choose one of: {', '.join(known)}.")
    if name and RUN.value is not None:
        raise UserError("--run and --preset both name the settings to start from; give one.")
    return name


def check_seeds() -> None:
    """Raises UserError for numbers of seeds that cannot be trained."""
    if SEEDS.value is not None and SEEDS.value < 1:
        raise UserError(f"--seeds={SEEDS.value} cannot be used; it must be at least 1.")
    if VECTORIZE.value == "on" and (SEEDS.value or 1) < 2:
        raise UserError(
            "--vectorize=on trains several seeds in one program; give --seeds=2 or more, or leave "
            "it out."
        )


def held_dataset(given: Mapping[str, Any]) -> str | None:
    """Returns the data set of the run that --workdir holds; None without one.

    Args:
      given: the settings on the command line.
    """
    held = folders.config(several=_several(given))
    return None if held is None else held.data.dataset


def _several(given: Mapping[str, Any]) -> bool:
    """Says whether the command line asks for several seeds or for all folds."""
    return SEEDS.value is not None or _over_folds(given)


def _over_folds(given: Mapping[str, Any]) -> bool:
    return bool(given.get("folds")) and "fold" not in given


def train(preset: choose.Preset, *, experiment: str) -> None:
    """Trains, resumes or evaluates what preset, command line and workdir come to.

    Args:
      preset: the settings to start from.
      experiment: what folders under runs/ are called by.
    """
    chosen = PRESET.value is not None or RUN.value is not None
    check_seeds()
    given = cli.given_settings()
    if folders.CHECKPOINT_EVERY.value and (FIND_LR.value or given.get("epochs") == 0):
        raise UserError("--checkpoint_every is not for --find_lr nor --epochs=0; leave it out.")
    over_folds = _over_folds(given)
    if over_folds and SEEDS.value is not None:
        raise UserError("--folds and --seeds are not for one command; give --seed with --folds.")
    several = _several(given)
    found = folders.config(several=several)
    held = None if chosen else found
    settings = preset.settings if held is None else held.flat()
    source = preset.title if held is None else f"the run in {Workdir(folders.WORKDIR.value).path}"
    fitted = functools.partial(batches.fitted, preset=preset, held=found)
    with origins.named(settings, source, replaceable=held is None):
        if experiment != "train":  # which has shown it
            shown.description({**settings, **given}["dataset"], unless_published=True)
        if FIND_LR.value:
            config = Config.of(**{**settings, **given})
            rate_finding.find(config, fitted=fitted, make_trainer=run.make_trainer)
            return
        reads = cli.only_evaluates(given, found)
        with folders.own(experiment, preset.name, reads=reads) as workdir:
            start = batches.as_held(preset, held=found)
            config, evaluate_only = cli.resolve(
                start, workdir, preset_given=chosen, several=several
            )
            asked = {"run": RUN.value, "name": PRESET.value, "given": given}
            command = functools.partial(again.command, experiment, preset=preset, **asked)
            ended = functools.partial(_draw, command=command)
            only = {"evaluate_only": evaluate_only, "over_folds": over_folds, "fitted": fitted}
            _train(preset, config, workdir, ended=ended, begun=held is not None, **only)
            print(f"\nEverything is in {workdir.path}")


def _train(
    preset: choose.Preset,
    config: Config,
    workdir: Workdir,
    *,
    ended: Callable[..., None],
    begun: bool,
    evaluate_only: bool,
    over_folds: bool,
    fitted: Callable[..., Config],
) -> None:
    """Shows the settings and does what they say; `ended` shows what a finished training left."""
    trackers = asked_trackers()  # before anything is loaded
    config.seeds(SEEDS.value or 1)
    documented = choose.documented(preset, config)
    name = choose.name_of(preset, config, documented)
    photos = config.data.of_photos
    title = f"Settings of {name}" if photos else f"Documented {name}"
    console.heading(title if documented else f"{name}: no documented run's settings")
    shown.settings(config, workdir, everything=SHOW_CONFIG.value)
    if over_folds:
        _cross_validate(
            preset, config, workdir=workdir, documented=documented, trackers=trackers, ended=ended,
            begun=begun, fitted=fitted,
        )  # fmt: skip
        return
    dataset = cli.load_dataset(config, begun=begun)
    shown.data(dataset, drawn=FIGURES.value)
    config = fitted(config, dataset)
    documented = _if_of_these(documented, dataset)
    name = choose.name_of(preset, config, documented)
    console.heading("Evaluation" if evaluate_only else "Training")
    common = {"name": name, "dataset": dataset, "workdir": workdir}
    if evaluate_only:
        console.closing(run.evaluate_only(config, **common))
        return
    common |= {"documented": documented, "trackers": trackers}
    if SEEDS.value is None:
        console.closing(run.train(config, **common))
        ended("Figures", config, dataset, workdir)
    else:
        _repeat(config, SEEDS.value, ended=ended, **common)


def _repeat(
    config: Config,
    seeds: int,
    *,
    ended: Callable[..., None],
    name: str,
    dataset: Dataset,
    workdir: Workdir,
    **more,
) -> None:
    """Runs all seeds and shows what they come to."""
    of = {"name": name, "seeds": seeds, "dataset": dataset, "workdir": workdir}
    of["trackers"] = more.pop("trackers")
    trainer = run.begin_together(config, vectorize=VECTORIZE.value, **of)
    result = run.repeat(config, shared_trainer=trainer, **of, **more)
    console.heading(f"{name}: {seeds} seeds")
    console.spread(result["spread"])
    console.times(result)
    for seed in result["seeds"]:
        folder = Workdir(workdir.path / f"seed-{seed}")
        ended(f"Figures of seed {seed}", config.replace(seed=seed), dataset, folder)


def _if_of_these(documented: dict[str, Any] | None, dataset: Dataset) -> dict[str, Any] | None:
    """Returns the document's report, or None for photos whose classes are others than its own."""
    if documented and not RUNS[documented["run"]].has_classes(dataset.class_names):
        print(
            f"  The classes are not those of run {documented['run']}: its document's figures are "
            "not compared."
        )
        return None
    return documented


def _cross_validate(
    preset: choose.Preset,
    config: Config,
    *,
    workdir: Workdir,
    documented: dict[str, Any] | None,
    trackers: list[str],
    ended: Callable[..., None],
    begun: bool,
    fitted: Callable[..., Config],
) -> None:
    """Runs all folds and shows what they come to."""
    first = cli.load_dataset(config.replace(fold=0), begun=begun)
    config = fitted(config, first, spare=1)
    documented = _if_of_these(documented, first)
    name = choose.name_of(preset, config, documented)

    def load(one: Config) -> Dataset:
        return first if one.data.fold == 0 else cli.load_dataset(one, begun=True)

    def watch(event: str, one: Config, dataset: Dataset, folder: Workdir) -> None:
        if event == "finished":
            ended(f"Figures of fold {one.data.fold}", one, dataset, folder)
        elif one.data.fold == 0:
            shown.data(dataset, drawn=FIGURES.value)

    result = run.cross_validate(
        config, name=name, load=load, workdir=workdir, documented=documented, trackers=trackers,
        watch=watch,
    )  # fmt: skip
    console.heading(f"{name}: {config.data.folds} folds")
    console.spread(result["spread"])
    console.pairs(console.accuracies(result["pooled"], of=" over all"))
    console.times(result)


@group.by_first
def _draw(
    title: str,
    config: Config,
    dataset: Dataset,
    workdir: Workdir,
    *,
    command: Callable[[Config], str],
) -> None:
    """Draws a finished run's figures if they are wanted and writes its report, a line for each."""

    def grad_cam(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        with stage("computing where the network looks"):
            return np.asarray(predictor.load(workdir.path).grad_cam(images, classes))

    def written() -> Iterator[str]:
        drawn = []
        if FIGURES.value:
            looked_into = config.data.of_photos and config.model.model in models.TRANSFERABLE
            for path in draw(workdir, dataset, grad_cam=grad_cam if looked_into else None):
                drawn.append(path)
                yield path
        yield str(run_page.write(workdir, dataset, figures=drawn, command=command(config)))

    console.paths(title if FIGURES.value else title.replace("Figures", "Report"), written())
