"""The syntax of a data set's name, which says nothing about whether there is such a data set."""

import re
from typing import NamedTuple

from imgcls_jax.errors import UserError, printable

_TFDS = re.compile(r"([a-z][a-z0-9_]*)(?:/([\w.+-]+))?(?::(\d+\.\d+\.\d+))?")
_HUB = re.compile(r"hf:[\w.-]+/[\w.-]+")


class Name(NamedTuple):
    """The parts of NAME[/CONFIG][:VERSION], None where one is left out."""

    name: str
    config: str | None
    version: str | None


def parse(dataset: str) -> Name | None:
    """Returns the parts of a name as TFDS writes it, None for a name that is none of those."""
    found = _TFDS.fullmatch(dataset)
    return None if found is None else Name(*found.groups())


def check(dataset: str) -> None:
    """Raises UserError for what can be the name of no data set."""
    if parse(dataset) is None and not _HUB.fullmatch(dataset):
        raise UserError(
            f"`dataset={printable(dataset)}` is no name of a data set; write NAME, NAME/CONFIG or "
            "NAME:VERSION as TFDS does, such as mnist, emnist/letters or cifar100:3.0.2."
        )
