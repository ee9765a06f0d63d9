"""A study from the command line: its flags, and what they come to as objects of the library."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from experiments.cli import flags as cli
from experiments.cli import folders, origins
from experiments.presets import choose, spaces
from experiments.presets.general import PICK
from imgcls_jax import files
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset, identity
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import typed
from imgcls_jax.files.run_files import StudyRecord
from imgcls_jax.train.tuning import search_space
from imgcls_jax.train.tuning.search import Search
from imgcls_jax.train.tuning.storage import connect, import_optuna, without_password
from imgcls_jax.train.tuning.study import PRUNERS, require_same
from imgcls_jax.train.workers import default_jobs
from imgcls_jax.workdir import Workdir

EXPERIMENTS = tuple(choose.NAMED)
TRIALS = flags.DEFINE_integer(
    "trials", None, "trials of the study in all; 20 without --minutes, else as many as fit in"
)
MINUTES = flags.DEFINE_float("minutes", None, "time for the trials of this call")
SPACE = flags.DEFINE_string(
    "space",
    "",
    "dimensions that replace or join those of the experiment, such as "
    "lr=1e-4..1e-2:log,batch_size=64|128,hidden=256+128|512",
)
PRUNER = flags.DEFINE_enum("pruner", "hyperband", PRUNERS, "how hopeless trials are given up")
STORAGE = flags.DEFINE_string(
    "storage",
    None,
    "where the trials are kept, for several machines: postgresql://USER@HOST/NAME, "
    "mysql://USER@HOST/NAME, or journal:///FILE on a file system that they share; by default "
    "sqlite:///WORKDIR/study.db",
)
STUDY_NAME = flags.DEFINE_string(
    "study_name", None, "name of the study in its storage; by default experiment and data set"
)
JOBS = flags.DEFINE_integer(
    "jobs", None, "processes, each on cores of its own; by default a CPU's cores, else 1"
)
HOLD_OUT = 0.1  # of the training set, where neither the data nor a flag has a validation split

_STUDY, _DATABASE = "study.json", "study.db"
_PATIENCE = 10.0  # seconds for another command to begin the study
_OWN = ("trials", "minutes", "space", "pruner", "storage", "study_name", "jobs", "out")
_USELESS = (
    "list_runs", "show_config", "augmentations", "find_lr", "trackers", "tensorboard",
    "checkpoint_every",
)  # fmt: skip
_MEANINGLESS = {  # settings that a study cannot have, and why
    "join_validation": "its trials choose by that split, and the winner is trained on it",
    "patience": "the winner is trained without a validation split to stop by",
    "evaluate": "the winner is trained without a validation split to choose by",
    "watch_test": "a study meets the test set at its end",
    "folds": "a study has one split",
    "fold": "a study has one split",
}


class Plan(NamedTuple):
    """What the command line comes to.

    Attributes:
      dataset: the data that trials are given.
      identified: the data by which the study is known, with nothing held out.
      jobs: how many processes share the work.
    """

    search: Search
    dataset: Dataset
    identified: Dataset
    workdir: Workdir
    jobs: int


def plan(experiment: str, *, number: int | None, name: str | None, folder: str | None) -> Plan:
    """Reads the command line, loads the data and claims the study's folder.

    Args:
      number, name, folder: what --run, --preset and --workdir give.

    Raises:
      UserError: for anything that no study can be made of.
    """
    _check_numbers()
    import_optuna()
    if STORAGE.value:
        connect(STORAGE.value)  # before a folder is claimed for it
    configure = functools.partial(configured, experiment, number, name)
    given = _given()
    if configure(given).evaluation.watch_test:  # as run 10's document does
        given["watch_test"] = False
    chosen = "model" in given or number is not None or name is not None
    searched, space = _space(experiment, configure(given), given, chosen=chosen)
    fixed = {k: v for k, v in searched.fixed.items() if k not in given and k not in space}
    search_space.check(space, configure({**fixed, **given}))
    whole = cli.load_dataset(configure({**given, "hold_out": 0.0}))
    if whole.validation is None:
        given.setdefault("hold_out", HOLD_OUT)
    config = configure(given)
    again = config.data.of_photos and config.data.hold_out
    with _place(experiment, folder) as workdir:
        found = Search(
            configure=configure,
            given=given,
            fixed=fixed,
            space=space,
            data=identity(whole),
            url=STORAGE.value or f"sqlite:///{workdir.path / _DATABASE}",
            name=STUDY_NAME.value
            or _held(workdir, "name")
            or f"{experiment} {printable(whole.name)}",
            folder=workdir.path,
            pruner=PRUNER.value,
            trials=TRIALS.value or (None if MINUTES.value else 20),
            whole={} if whole.validation is None else {"join_validation": True},
        )
        claim(workdir, experiment, found)
    return Plan(
        search=found,
        dataset=cli.load_dataset(config) if again else whole,
        identified=whole,
        workdir=workdir,
        jobs=JOBS.value or default_jobs(),
    )


@contextlib.contextmanager
def _place(experiment: str, folder: str | None) -> Iterator[Workdir]:
    """Gives the study's folder; a new one goes again if nothing is put into it."""
    workdir = Workdir(folder or folders.new("tune", experiment))
    try:
        yield workdir
    finally:
        if not folder:
            with contextlib.suppress(OSError):  # there is something in it
                workdir.path.rmdir()


def configured(
    experiment: str, number: int | None, name: str | None, given: Mapping[str, Any]
) -> Config:
    """Returns the configuration that a training command makes of its flags.

    Args:
      number, name: what --run and --preset give.
      given: the settings on the command line.
    """
    preset = PICK[experiment](number, name, given)
    if preset.name == "speedrun" or preset.settings.get("model") == "logistic_sgd":
        raise UserError(
            f"{preset.name} trains by a program of its own, which no study can try; choose other "
            "settings to start from."
        )
    with origins.named(preset.settings, preset.title):
        return Config.of(**{**preset.settings, **given})


def command(experiment: str, arguments: Sequence[str]) -> list[str]:
    """Returns the training command of a trial.

    Args:
      arguments: those of `setting_flags`.
    """
    start = [f"--{n}={flags.FLAGS[n].value}" for n in ("run", "preset") if flags.FLAGS[n].present]
    module = ["python", "-m", f"experiments.{experiment}"]
    return [*module, *start, *arguments, *cli.data_arguments()]


def load_whole(found: Plan) -> Dataset:
    """Loads the data as a run on train and validation together has it."""
    of = found.search
    if not of.whole:
        return found.identified
    return cli.load_dataset(of.configure({**of.given, **of.whole}))


def setting_flags(settings: Mapping[str, Any]) -> list[str]:
    """Returns settings as flags of a training command."""
    found = []
    for name, value in settings.items():
        if isinstance(value, bool):
            found.append(f"--{'' if value else 'no'}{name}")
        else:
            found.append(f"--{name}={origins.spelled(value).removesuffix('.0')}")
    return found


def help_of(description: str) -> str:
    """Returns the text that --help prints, after the command's description."""
    own = [*_OWN, "seeds", "workdir", "figures", "run", "preset"]
    text = cli.help_text(description, {"The study": own})
    return text + (
        "\n\nEvery setting of the training command is a flag too, see its --help; one that is "
        "given\nis the same in all trials."
    )


def claim(workdir: Workdir, experiment: str, search: Search) -> None:
    """Makes the folder that of the study, or checks that it is.

    Raises:
      UserError: if it holds anything else, or a study of something else.
    """
    path = workdir.path / _STUDY
    wanted = {
        "experiment": experiment,
        "name": search.name,
        "storage": without_password(search.url),
        **search.definition(),
    }
    if not path.exists():
        with files.held(workdir.path, wait=_PATIENCE):
            if not path.exists():  # another command may just have begun it
                workdir.make_empty()
                workdir.write_json(_STUDY, wanted)
    held = typed.read(path, StudyRecord, advice="bring it back or choose another `workdir`")
    about = {key: held[key] for key in wanted}
    own = (workdir.path / _DATABASE).exists() and about["storage"].endswith(f"/{_DATABASE}")
    moved = own and not STORAGE.value  # with the folder
    for key in ("experiment", "name", "storage")[: 2 if moved else 3]:
        if about[key] != wanted[key]:
            raise UserError(
                f"{workdir.path} holds a study whose {key} is {about[key]}, here {wanted[key]}; "
                "give its own, or choose another `workdir`."
            )
    require_same(about, wanted, f"the study in {workdir.path}")


def _held(workdir: Workdir, key: str) -> str | None:
    """Returns what the study that a folder holds says of itself; None without one."""
    with contextlib.suppress(OSError, ValueError):  # whoever claims the folder says so
        return typed.load(workdir.path / _STUDY, StudyRecord)[key]
    return None


def experiment_of(arguments: Sequence[str]) -> str:
    """Returns the experiment that the arguments name; raises UserError where they do not."""
    if len(arguments) != 1 or arguments[0] not in EXPERIMENTS:
        found = " ".join(arguments) or "nothing"
        raise UserError(
            f"name the experiment to tune, one of {', '.join(EXPERIMENTS)}, and give all else as "
            f"--name=value; there is {found!r}."
        )
    return arguments[0]


def _check_numbers() -> None:
    """Raises UserError for flags that make no study."""
    for name in ("trials", "seeds", "jobs"):
        value = flags.FLAGS[name].value
        if value is not None and value < 1:
            raise UserError(f"--{name}={value} cannot be used; it must be at least 1.")
    if MINUTES.value is not None and not 0 < MINUTES.value < float("inf"):
        raise UserError(f"--minutes={MINUTES.value:g} cannot be used; it must be above 0.")
    for name in _USELESS:
        if flags.FLAGS[name].value:
            raise UserError(f"a study takes no --{name}; leave it out.")


def _given() -> dict[str, Any]:
    given, defaults = cli.given_settings(), Config().flat()
    for name, reason in _MEANINGLESS.items():
        if given.get(name, defaults[name]) != defaults[name]:
            raise UserError(f"a study takes no --{name}: {reason}; leave it out.")
    if given.get("epochs") == 0:
        raise UserError("--epochs=0 trains nothing; give the epochs of a trial.")
    if given.get("hold_out") == 0:
        raise UserError("--hold_out=0 leaves no validation split to choose by; leave it out.")
    return given


def _space(
    experiment: str, config: Config, given: Mapping[str, Any], *, chosen: bool
) -> tuple[spaces.Searched, dict[str, search_space.Dimension]]:
    """Returns the experiment's space and what remains to be searched of it and of --space.

    Args:
      chosen: whether the command line says which network.
    """
    model = config.model.model if chosen else None
    searched = spaces.space_of(
        experiment, model, config.train.trainable, weights=config.model.weights
    )
    wanted = search_space.parse(SPACE.value)
    if both := sorted(set(wanted) & set(given)):
        raise UserError(
            f"--space searches {', '.join(both)}, which a flag fixes for all trials; give one."
        )
    space = search_space.parse(",".join(searched.space)) | wanted
    return searched, {key: found for key, found in space.items() if key not in given}
