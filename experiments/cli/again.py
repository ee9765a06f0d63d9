"""The command that runs a training again, from its settings rather than from how it was typed."""

import shlex
from collections.abc import Mapping
from typing import Any

from experiments.cli import flags as cli
from experiments.cli.origins import spelled
from experiments.presets import choose
from experiments.presets.general import PICK
from imgcls_jax.config import Config

_ROUNDS = 3  # a flag may choose another preset, which asks for further flags


def command(
    experiment: str,
    config: Config,
    *,
    preset: choose.Preset,
    run: int | None,
    name: str | None,
    given: Mapping[str, Any],
) -> str:
    """Returns the command line of a configuration, for a new folder.

    Its flags are those given, and those in which the configuration differs from what these come to:
    a folder that was continued by its name alone knows settings that no flag gave.

    Args:
      experiment: as in `python -m experiments.EXPERIMENT`.
      config: the settings of one training.
      preset: what the run started from.
      run, name: what --run and --preset gave, if anything.
      given: the settings that other flags gave.
    """
    wanted, start = config.flat(), preset
    flags = {n: wanted[n] for n in given}
    if experiment == "train":  # which picks by it
        flags = {"dataset": wanted["dataset"]} | flags
    if config.data.folds:
        flags["fold"] = config.data.fold  # else all folds are run
    for _ in range(_ROUNDS):
        begun = Config().flat() | dict(start.settings) | flags
        missing = {n: v for n, v in wanted.items() if v != begun[n]}
        if not missing:
            break
        flags |= missing
        start = PICK[experiment](run, name, flags)
    words = ["python", "-m", f"experiments.{experiment}"]
    words += [f"--run={run}"] if run is not None else []
    words += [f"--preset={name}"] if name else []
    words += [f"--{n}={spelled(v)}" for n, v in flags.items() if v is not None]
    return shlex.join(words + cli.data_arguments())
