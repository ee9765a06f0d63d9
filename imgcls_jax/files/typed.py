"""The one reader of JSON of a known type, that a person or a rotten disk may have touched."""

from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError
from imgcls_jax.files.fit import misfit
from imgcls_jax.files.reading import content, parse_json


def parse(text: str | bytes, wanted: Any = Any) -> Any:
    """Returns the value that JSON holds.

    Args:
      text: text, or bytes in UTF-8.
      wanted: its type, see `imgcls_jax.files.fit`.

    Raises:
      ValueError: as `files.reading.parse_json`, or it is not of that type; a clause that says so.
    """
    value = parse_json(text)
    if said := misfit(value, wanted):
        raise ValueError(said)
    return value


def load(path: Path, wanted: Any = Any) -> Any:
    """Returns the value of a JSON file, for those who can do without.

    Raises:
      OSError: there is no such file, or it cannot be read.
      ValueError: as `parse`.
    """
    return parse(content(path), wanted)


def read(path: Path, wanted: Any = Any, *, advice: str) -> Any:
    """Returns the value of a JSON file; None where there is no such file.

    Args:
      wanted: its type, see `imgcls_jax.files.fit`.
      advice: what to do about a file that cannot be used, the end of the error's sentence.

    Raises:
      UserError: it cannot be read, or does not hold what it must.
    """
    try:
        return load(path, wanted)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {advice}.") from error
    except ValueError as error:
        raise UserError(f"{path} cannot be used ({error}); {advice}.") from error
