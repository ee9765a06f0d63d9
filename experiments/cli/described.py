"""Descriptions of data sets by name, from where --data_dir, --raw_dir and --offline say."""

from experiments.cli import flags as cli
from imgcls_jax.data import NAMES, Description
from imgcls_jax.report import console, described

_KNOWN: dict[tuple[str, ...], Description] = {}  # each costs a second


def describe(name: str) -> Description:
    """Returns the description of a data set; raises UserError as `data.describe` does."""
    key = (name, *cli.data_arguments())
    if key not in _KNOWN:
        _KNOWN[key] = cli.describe_data(name)
    return _KNOWN[key]


def counted(name: str) -> Description:
    """Returns the description with the numbers of examples, for which it is prepared if need be.

    Raises:
      UserError: as `data.describe` and `data.load`.
    """
    found = describe(name)
    if not found.counts:
        cli.load_data(name)
        _KNOWN.clear()
        found = describe(name)
    return found


def show(name: str) -> None:
    """Prints what a data set is, before anything is prepared."""
    console.heading("Data set")
    console.pairs(described.lines(describe(name)))


def show_unless_known(name: str) -> None:
    """Prints what a data set of TFDS or of a hub is, as `show` does."""
    if name not in NAMES:
        show(name)


def in_one_size(name: str) -> bool:
    """Says whether a data set's images are small and of one size: a folder's are photos."""
    return name != "folder" and not describe(name).photos
