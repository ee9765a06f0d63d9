"""The flag of commands that write a file or a folder of one's choice."""

import json
import tempfile
from pathlib import Path
from typing import Any

from absl import flags

from imgcls_jax.errors import UserError
from imgcls_jax.files import replacing

OUT = flags.DEFINE_string(
    "out",
    None,
    "file to write (predict: instead of the terminal; export: the exported network; benchmark: the "
    "result as JSON; ensemble, tune: what it came to), or reproduce: the results' folder",
)


def require_writable(
    flag: flags.FlagHolder[str | None] = OUT, *, usual: Path | None = None
) -> Path | None:
    """Returns the file that a flag names; called before the work that it is of.

    Args:
      flag: of this name or another.
      usual: the file where the flag is not given.

    Raises:
      UserError: if no file can be written there.
    """
    if flag.value is None and usual is None:
        return None
    path, reason = usual if flag.value is None else Path(flag.value).expanduser(), ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):  # permissions say nothing to root
            pass
    except OSError as error:
        reason = error.strerror
    if path.is_dir():
        reason = "it is a folder"
    if reason:
        raise UserError(f"cannot write {path} ({reason}); give another --{flag.name}.")
    return path


def write_json(result: Any) -> None:
    """Writes a result to the file that --out names, if it names one; raises as above."""
    if path := require_writable():
        with replacing(path, advice="give another --out") as partial:
            partial.write_text(json.dumps(result, indent=2) + "\n")
