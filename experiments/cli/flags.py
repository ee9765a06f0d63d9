"""Command-line flags made from the configuration's fields, and the one place errors are printed."""

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from experiments.cli.pipes import reader_may_leave
from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.train.loop import Interrupted
from imgcls_jax.workdir import Workdir

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "folder of prepared TFDS data sets, or of photos, one folder a class"
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "processes that decode streamed photos; 0: threads of this one", lower_bound=0
)
_RAW_DIR = flags.DEFINE_string(
    "raw_dir", None, "folder of the raw files: the four IDX files, CIFAR-10's batches or archive"
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


def define_config_flags() -> None:
    """One flag a field of `Config`. Unset flags leave a preset's value."""
    for field in dataclasses.fields(Config):
        _DEFINE[field.type](field.name, None, field.metadata["help"])


def given_settings() -> dict[str, Any]:
    """The configuration fields set on the command line, as Config takes them.

    Raises:
      UserError: if a list flag for sizes holds something else than whole numbers.
    """
    settings = {}
    for field in dataclasses.fields(Config):
        value = flags.FLAGS[field.name].value
        if not flags.FLAGS[field.name].present:
            continue
        if field.type == tuple[int, ...]:
            try:
                value = tuple(int(item) for item in value)
            except ValueError:
                raise UserError(
                    f"--{field.name}={','.join(value)} must be whole numbers separated by commas, "
                    "such as 256,128."
                ) from None
        elif field.type == tuple[str, ...]:
            value = tuple(value)
        settings[field.name] = value
    return settings


def load_data(name: str) -> data.Dataset:
    """The data set `name` from where --data_dir and --raw_dir say."""
    return data.load(name, data_dir=_DATA_DIR.value, raw_dir=_RAW_DIR.value, offline=_OFFLINE.value)


def load_dataset(config: Config) -> data.Dataset:
    """The data of a configuration: by its name, or the photos in --data_dir, files or records."""
    if config.dataset != "folder":
        return load_data(config.dataset)
    if not _DATA_DIR.value:
        raise UserError(
            "--dataset=folder needs --data_dir, a folder with one folder of photos a class."
        )
    common = {
        "size": config.image_size,
        "how": config.resize,
        "test_fraction": config.test_fraction,
        "validation_fraction": config.hold_out,
        "streamed": config.feed == "streamed",
        "crop_scale": config.random_crop and (config.random_crop, 1.0),
        "workers": _WORKERS.value,
    }
    from imgcls_jax.data.catalog import records

    if records.is_record_folder(_DATA_DIR.value):
        if config.folds or config.duplicates == "drop" or config.corrupt == "skip":
            raise UserError("--folds, --duplicates and --corrupt are for photos in class folders.")
        return records.load(_DATA_DIR.value, **common)
    from imgcls_jax.data.photos import load

    return load.load(
        _DATA_DIR.value,
        **common,
        corrupt=config.corrupt,
        duplicates=config.duplicates,
        split_seed=config.split_seed,
        folds=config.folds,
        fold=config.fold,
    )


def photos_dir() -> str | None:
    """The folder of photos that --data_dir names."""
    return _DATA_DIR.value


def data_arguments() -> list[str]:
    """--data_dir, --raw_dir and --offline as given here, for another process."""
    given = (_DATA_DIR, _RAW_DIR, _OFFLINE)
    return [f"--{flag.name}={flag.value}" for flag in given if flag.value]


def new_workdir(experiment: str, name: str) -> Workdir:
    """A folder under `runs/` that does not exist yet, named by the time."""
    path = Path("runs") / experiment / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    while path.exists():
        path = path.with_name(path.name + "x")
    return Workdir(path)


def resolve(
    preset: Mapping[str, Any], workdir: Workdir, *, preset_given: bool, several: bool
) -> tuple[Config, bool]:
    """The configuration to run, and whether only to evaluate what `workdir` holds.

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
    held = workdir.config(seeds=several)
    if held is None:
        config = Config(**{**preset, **given})
        workdir.claim(config, seeds=several)
        return config, False
    evaluate_only = given.get("epochs") == 0 != held.epochs
    if evaluate_only and several:
        raise UserError(
            "--epochs=0 evaluates one run; give --workdir=.../seed-0, without --seeds or --folds."
        )
    if evaluate_only:
        del given["epochs"]
    config = dataclasses.replace(held, **({**preset, **given} if preset_given else given))
    workdir.claim(config, seeds=several)
    return config, evaluate_only


def run(
    main: Callable[..., None], *, takes_arguments: bool = False, argv: list[str] | None = None
) -> None:
    """Parses the flags and calls `main`; a `UserError` becomes one line and exit status 1.

    Args:
      main: called without arguments or, if it takes them, with what is no flag.
      takes_arguments: whether the command line may hold anything but flags.
      argv: the command line, `sys.argv` if None.
    """

    def guarded(arguments: list[str]) -> None:
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # app.run sets INFO, at which Orbax is loud
        try:
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
            print(stop, file=sys.stderr)
            sys.exit(130)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)

    with reader_may_leave():
        app.run(guarded, argv=argv)


CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "folder of a run; predict also takes a file that experiments.export wrote"
)
OUT = flags.DEFINE_string(
    "out", None, "file to write; predict: instead of the terminal, export: the exported network"
)
