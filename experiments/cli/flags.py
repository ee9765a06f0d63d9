"""Command-line flags made from the settings, and the one place where errors are printed."""

import dataclasses
import re
import signal
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from experiments.cli import pipes, surroundings
from experiments.cli.beginning import STATUS, say_stopped
from experiments.cli.origins import SETTING
from experiments.cli.signals import answered
from imgcls_jax import data, pretrained
from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.errors import Interrupted, UserError, printable
from imgcls_jax.workdir import Workdir

_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "folder of prepared TFDS data sets, of photos, one folder per class or with --label_file, or "
    "of a copy of the Hub's Parquet files",
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "processes that decode streamed photos; 0: threads of this one", lower_bound=0
)
_VERIFY = flags.DEFINE_bool(
    "verify", False, "compare all photos decoded earlier with their checksums; some always are"
)
_RAW_DIR = flags.DEFINE_string(
    "raw_dir",
    None,
    "folder of the raw files: the four IDX files or Kaggle's CSV pair, CIFAR-10's batches or their "
    "archive",
)
_OFFLINE = flags.DEFINE_bool(
    "offline", False, "fetch no data set that is not on this machine; say so instead"
)

_DEFINE = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    float | None: flags.DEFINE_float,
    int | None: flags.DEFINE_integer,
    str | None: flags.DEFINE_string,
    str: flags.DEFINE_string,
    bool: flags.DEFINE_bool,
    tuple[int, ...]: flags.DEFINE_list,
    tuple[str, ...]: flags.DEFINE_list,
}
_DESCRIBED: dict[tuple[str, ...], data.Description] = {}  # each costs a second
_HELP = {"--help", "-help", "--h", "-h", "-?"}


def define_config_flags(names: Collection[str] | None = None) -> None:
    """Defines one flag per setting. Unset flags leave a preset's value.

    Args:
      names: the settings to define flags of where there are none yet; None defines all.
    """
    for name, (_, field) in settings_by_name().items():
        if names is None or (name in names and name not in flags.FLAGS):
            _DEFINE[field.type](name, None, field.metadata["help"])


def given_settings() -> dict[str, Any]:
    """Returns the settings given on the command line, as `Config.of` takes them.

    Raises:
      UserError: if a list flag for sizes holds something else than whole numbers.
    """
    settings = {}
    for name, (_, field) in settings_by_name().items():
        if name not in flags.FLAGS or not flags.FLAGS[name].present:
            continue
        value = flags.FLAGS[name].value
        if field.type == tuple[int, ...]:
            try:
                value = tuple(int(item) for item in value)
            except ValueError:
                raise UserError(
                    f"`{name}={','.join(value)}` must be whole numbers separated by commas, such "
                    "as 256,128."
                ) from None
        elif field.type == tuple[str, ...]:
            value = tuple(value)
        settings[name] = value
    return settings


def load_data(name: str, **options: Any) -> data.Dataset:
    """Loads a data set from where --data_dir, --raw_dir and --offline say."""
    loaded = data.load(
        name,
        data_dir=_DATA_DIR.value,
        raw_dir=_RAW_DIR.value,
        offline=_OFFLINE.value,
        **options,
    )
    return dataclasses.replace(loaded, notes=tuple(map(with_dashes, loaded.notes)))


def describe(name: str) -> data.Description:
    """Describes a data set, which may lie prepared where --data_dir says; see `data.describe`."""
    key = (name, *data_arguments())
    if key not in _DESCRIBED:
        _DESCRIBED[key] = data.describe(name, data_dir=_DATA_DIR.value, offline=_OFFLINE.value)
    return _DESCRIBED[key]


def count(name: str, **options: Any) -> data.Description:
    """Describes a data set with its numbers of examples: it is prepared if they are not known yet.

    Args:
      options: those that `data.load` takes of it.

    Raises:
      UserError: as `data.describe` and `data.load`.
    """
    if not describe(name).counts:
        load_data(name, **options)
        _DESCRIBED.clear()
    return describe(name)


def load_dataset(config: Config, *, begun: bool = False) -> data.Dataset:
    """Loads the data of a configuration.

    Args:
      begun: whether a checkpoint has the network already; weights that a training begins with are
        looked for before photos are read or fetched, which takes minutes.
    """
    there = _DATA_DIR.value is not None and Path(_DATA_DIR.value).expanduser().exists()
    there = there or config.data.dataset != "folder"
    if config.model.weights != "none" and there and not begun:
        pretrained.fetch(config.model.weights, config.model.model)
    options = config.data.options()
    if config.data.of_photos:
        options |= {"workers": _WORKERS.value, "verify": _VERIFY.value}
    if config.data.label_file:
        options["several_labels"] = config.model.head == "multi_label"
    return load_data(config.data.dataset, **options)


def photos_dir() -> str | None:
    """Returns the folder of photos that --data_dir names."""
    return _DATA_DIR.value


def data_arguments() -> list[str]:
    """Returns --data_dir, --raw_dir and --offline as given here, for another process."""
    given = (_DATA_DIR, _RAW_DIR, _OFFLINE)
    return [f"--{flag.name}={flag.value}" for flag in given if flag.value]


def only_evaluates(given: Mapping[str, Any], held: Config | None) -> bool:
    """Returns whether a run is only evaluated, which changes nothing in its folder.

    Args:
      given: the settings on the command line.
      held: those of the run that the folder holds; None without one.
    """
    return held is not None and given.get("epochs") == 0 != held.train.epochs


def resolve(
    preset: Mapping[str, Any], workdir: Workdir, *, preset_given: bool, several: bool
) -> tuple[Config, bool]:
    """Returns the configuration to run, and whether only to evaluate what `workdir` holds.

    The command line wins over the preset. A workdir that holds a run supplies the settings that
    neither the command line nor an explicitly chosen preset gives, so that `--workdir=...` alone
    continues it; what is given must then agree with it. `--epochs=0` on such a workdir evaluates
    its checkpoint. The workdir is claimed for the configuration.

    Args:
      several: whether for a repetition over seeds or folds.

    Raises:
      UserError: if a setting is invalid or contradicts the run that `workdir` holds.
    """
    given = given_settings()
    held = workdir.config(several=several)
    if held is None:
        config = Config.of(**{**preset, **given})
        workdir.claim(config, several=several)
        return config, False
    evaluate_only = only_evaluates(given, held)
    if evaluate_only and several:
        raise UserError(
            "`epochs=0` evaluates one run; give --workdir=.../seed-0, without --seeds or --folds."
        )
    if evaluate_only:
        del given["epochs"]
    config = held.replace(**({**preset, **given} if preset_given else given))
    workdir.claim(config, several=several)
    return config, evaluate_only


def help_text(description: str, groups: Mapping[str, Iterable[str]]) -> str:
    """Returns the help of a command: its description, then the flags of each group.

    Args:
      groups: heading -> names of flags.
    """
    lines = [description.strip()]
    for heading, names in groups.items():
        lines += ["", heading, "-" * len(heading)]
        for name in names:
            flag = flags.FLAGS[name]
            # What a setting is by default depends on the preset.
            known = "" if flag.default in (None, "") else f" (default: {flag.default})"
            spelled = f"--[no]{name}" if flag.boolean else f"--{name}"
            lines.append(f"  {spelled}:")
            text = f"{flag.help}{known}"
            lines += textwrap.wrap(text, 92, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def with_dashes(text: str) -> str:
    """Returns an error of the library with settings as the flags they are set by."""

    def spelled(match: re.Match) -> str:
        known = match[1] in flags.FLAGS or match[1] in settings_by_name()
        return f"--{match[1]}{match[2]}" if known else match[0]

    return SETTING.sub(spelled, text)


def run(
    main: Callable[..., None],
    *,
    takes_arguments: bool = False,
    help_of: Callable[[], str] | None = None,
    argv: list[str] | None = None,
) -> None:
    """Parses the flags and calls `main`; a `UserError` becomes one line and exit status 1.

    Args:
      main: called without arguments or, if it takes them, with those that are no flags.
      takes_arguments: whether the command line may hold anything but flags.
      help_of: gives the text that --help prints; absl's own if None.
      argv: the command line, `sys.argv` if None.
    """
    if argv is None:
        surroundings.settle()
    argv = sys.argv if argv is None else argv
    if help_of is not None and _HELP & set(argv[1:]):
        with pipes.reader_may_leave():
            print(help_of())
        return

    def guarded(arguments: list[str]) -> None:
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # app.run sets INFO, at which Orbax is loud
        try:
            surroundings.require_paths()
            if takes_arguments:
                main(arguments[1:])
            elif arguments[1:]:
                raise UserError(
                    f"unexpected argument {arguments[1]!r}; settings are given as --name=value, "
                    "see --help."
                )
            else:
                main()
        except Interrupted as stop:
            if pipes.reader_has_left():  # what stopped it: an end like any other
                raise BrokenPipeError from stop
            pipes.say(with_dashes(str(stop)))
            sys.exit(STATUS)
        except UserError as error:
            pipes.say(f"error: {with_dashes(str(error))}")
            sys.exit(1)
        except KeyboardInterrupt as stop:
            say_stopped(getattr(stop, "number", signal.SIGINT))
            sys.exit(STATUS)
        except Exception:
            if (trouble := surroundings.platform_trouble()) is None:
                raise
            pipes.say(f"error: {trouble}")
            sys.exit(1)

    with pipes.reader_may_leave(), answered():
        app.run(guarded, argv=argv, flags_parser=_parsed)


def _parsed(argv: list[str]) -> list[str]:
    """Returns the arguments that are no flags; one line and status 1 where a flag is wrong."""
    try:
        return flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        near = re.search(r"Did you mean: (.+?) \?", str(error))
        meant = f"; did you mean --{near[1].replace(', ', ' or --')}?" if near else "."
        pipes.say(f"error: unknown flag --{printable(error.flagname)}{meant} See --help.")
    except (flags.Error, ValueError) as error:  # the latter for --noNAME=VALUE
        pipes.say(f"error: {' '.join(printable(str(error)).split())}; see --help.")
    sys.exit(1)
