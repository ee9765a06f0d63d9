"""Command-line flags made from the configuration's fields, and the one place errors are printed."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

from absl import app, flags, logging

from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.workdir import Workdir

_DEFINE = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    float | None: flags.DEFINE_float,
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


def resolve(
    preset: Mapping[str, Any], workdir: Workdir | None, *, preset_given: bool
) -> tuple[Config, bool]:
    """The configuration to run, and whether only to evaluate what `workdir` holds.

    The command line wins over the preset. A workdir that holds a run supplies the settings that
    neither the command line nor an explicitly chosen preset gives, so that `--workdir=...` alone
    continues it; what is given must then agree with it. `--epochs=0` on such a workdir evaluates
    its checkpoint.

    Raises:
      UserError: if a setting is invalid or contradicts the run that `workdir` holds.
    """
    given = given_settings()
    held = workdir.config() if workdir else None
    if held is None:
        return Config(**{**preset, **given}), False
    evaluate_only = given.get("epochs") == 0 != held.epochs
    if evaluate_only:
        del given["epochs"]
    wanted = {**preset, **given} if preset_given else given
    config = dataclasses.replace(held, **wanted)
    workdir.claim(config)
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
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)

    app.run(guarded, argv=argv)
