"""A setting is declared once: its default, what it is, what it may be."""

import dataclasses
from collections.abc import Callable
from typing import Any

from imgcls_jax.errors import UserError


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    holds: Callable[[Any], bool] | None = None,
    wanted: str = "",
    of: str = "",
    binding: bool = True,
) -> Any:
    """Returns the dataclass field of a setting.

    Args:
      default: its value where none is given; None means that something else decides.
      help: what it is, for the help of the flag that sets it; the choices are added.
      choices: the names it may be.
      holds: whether a value can be used; None is never asked about where it is the default.
      wanted: what a value must be, the end of the sentence that refuses one.
      of: "photos" or "transfer" where it means something for folders of photos, or for networks
        with published weights, alone.
      binding: whether a run that goes on must keep it; False where it changes nothing but how the
        work is spread, and so at most the rounding.
    """
    if choices:
        help = f"{help}: {', '.join(choices)}"
    metadata = {
        "help": help, "choices": choices, "holds": holds, "wanted": wanted, "of": of,
        "binding": binding,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


def check(section: Any) -> None:
    """Raises UserError for the first setting of a section that is wrong by itself."""
    for field in dataclasses.fields(section):
        value, of = getattr(section, field.name), field.metadata
        if value is None and field.default is None:
            continue
        if of["choices"] and value not in of["choices"]:
            raise UserError(
                f"unknown `{field.name}={value}`; choose one of: {', '.join(of['choices'])}."
            )
        if of["holds"] is not None and not of["holds"](value):
            raise UserError(f"`{field.name}={value}` cannot be used; it must be {of['wanted']}.")
