"""Where the settings come from that an error names, if the command line does not give them."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from absl import flags

from imgcls_jax.errors import Interrupted, UserError

SETTING = re.compile(r"`([a-z_]+)((?:=[^`]*)?)`")  # in an error of the library: `lr`, `lr=0.1`


@contextlib.contextmanager
def named(settings: Mapping[str, Any], source: str, *, replaceable: bool = True) -> Iterator[None]:
    """Adds to an error of the block which of the settings it names come from `source`.

    Args:
      settings: by name, as far as they come from there.
      source: what to call it, such as "the preset frozen".
      replaceable: whether the command line wins over it.
    """
    try:
        yield
    except Interrupted:
        raise
    except UserError as error:
        named = dict.fromkeys(
            f"`{name}={spelled(settings[name])}`"
            for name, value in SETTING.findall(str(error))
            if name in settings
            and name != "dataset"  # the command itself says it
            and not flags.FLAGS[name].present
            and _is(settings[name], value.removeprefix("="))
        )
        if not named:
            raise
        verb, them = ("comes", "it") if len(named) == 1 else ("come", "them")
        raise UserError(
            f"{str(error).removesuffix('.')}; {' and '.join(named)} {verb} from {source}"
            f"{': give your own to replace ' + them if replaceable else ''}."
        ) from error


def _is(value: Any, named: str) -> bool:
    """Says whether an error that names a setting, perhaps with a value, means this value of it."""
    if named in ("", spelled(value)):
        return True
    try:
        return float(named) == value
    except ValueError:
        return False


def spelled(value: Any) -> str:
    """Returns a setting's value as its flag takes it."""
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
