"""The one reader of JSON that a person or a rotten disk may have touched: strict, in one sentence.

Python's own reader takes what is no JSON (NaN, Infinity) and lets the last of two equal keys win.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError
from imgcls_jax.schema.fit import misfit

_DEEPEST = 50  # of lists and objects within each other; the library's own files have ten at most


def parse(content: str | bytes, wanted: Any = Any) -> Any:
    """Returns the value that JSON holds.

    Args:
      content: text, or bytes in UTF-8.
      wanted: its type, see `imgcls_jax.schema.fit`.

    Raises:
      ValueError: it is no JSON, has a key twice in an object, a number that is infinite or none, or
        is nested too deeply; or its value is not of that type. The text is a clause that says so.
    """
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _require_shallow(value)
    if said := misfit(value, wanted):
        raise ValueError(said)
    return value


def read(path: Path, wanted: Any = Any, *, advice: str) -> Any:
    """Returns the value of a JSON file; None where there is no such file.

    Args:
      wanted: its type, see `imgcls_jax.schema.fit`.
      advice: what to do about a file that cannot be used, the end of the error's sentence.

    Raises:
      UserError: it cannot be read, or does not hold what it must.
    """
    try:
        return parse(path.read_bytes(), wanted)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {advice}.") from error
    except ValueError as error:
        raise UserError(f"{path} cannot be used ({error}); {advice}.") from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has `{twice}` twice in one object")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is no number")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"it holds {digits[:20]}, which is too large a number")
    return value


def _require_shallow(value: Any) -> None:
    level: list[Any] = [[value]]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (list, dict))
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")
