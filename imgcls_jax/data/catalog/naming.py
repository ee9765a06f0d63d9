"""The syntax of a data set's name, which says nothing about whether there is such a data set."""

import re
from typing import NamedTuple

from imgcls_jax.errors import UserError, printable

_TFDS = re.compile(r"([a-z][a-z0-9_]*)(?:/([\w.+-]+))?(?::(\d+\.\d+\.\d+))?")
_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:/([\w.+-]+))?(?:@([\w./-]+))?")


class Name(NamedTuple):
    """The parts of NAME[/CONFIG][:VERSION], None where one is left out."""

    name: str
    config: str | None
    version: str | None


class HubName(NamedTuple):
    """The parts of hf:OWNER/NAME[/CONFIG][@REVISION], None where one is left out."""

    repository: str
    config: str | None
    revision: str | None


def parse_hub(dataset: str) -> HubName | None:
    """Returns the parts of a name on the Hugging Face Hub, None for a name that is none."""
    found = _HUB.fullmatch(dataset)
    return None if found is None else HubName(*found.groups())


def parse(dataset: str) -> Name | None:
    """Returns the parts of a name as TFDS writes it, None for a name that is none of those."""
    found = _TFDS.fullmatch(dataset)
    return None if found is None else Name(*found.groups())


def check(dataset: str) -> None:
    """Raises UserError for what can be the name of no data set."""
    if dataset.startswith("hf:") and parse_hub(dataset) is None:
        raise UserError(
            f"`dataset={printable(dataset)}` is no name of a data set on the Hugging Face Hub; "
            "write hf:OWNER/NAME, hf:OWNER/NAME/CONFIG or hf:OWNER/NAME@REVISION."
        )
    if parse(dataset) is None and parse_hub(dataset) is None:
        raise UserError(
            f"`dataset={printable(dataset)}` is no name of a data set; write NAME, NAME/CONFIG or "
            "NAME:VERSION as TFDS does, such as mnist, emnist/letters or cifar100:3.0.2."
        )
