"""What a command prints before it trains: its settings, and what the data is."""

from typing import Any

from experiments.cli import flags as cli
from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.data import NAMES, Dataset
from imgcls_jax.report import console, described, lettering
from imgcls_jax.workdir import Workdir

# By section of the configuration.
HEADINGS = {
    "data": "Data", "model": "Network", "optim": "Optimiser", "train": "Training",
    "evaluation": "Evaluation",
}  # fmt: skip


def settings(config: Config, workdir: Workdir, *, everything: bool) -> None:
    """Shows the settings that are no defaults or always matter, in their groups, or all."""
    shown = config.shown(everything=everything)
    if everything:
        console.pairs(shown | {"workdir": workdir.path})
        return
    groups: dict[str, dict[str, Any]] = {title: {} for title in HEADINGS.values()}
    for name, value in shown.items():
        groups[HEADINGS[settings_by_name()[name][0]]][name] = value
    console.groups(groups | {"Workdir": {"": workdir.path}})
    print("  all other settings have their defaults; --show_config prints them")


def description(name: str, *, unless_published: bool = False) -> None:
    """Shows what a data set is, before anything is fetched.

    Args:
      unless_published: whether to leave out those that this repository has readers of its own for.
    """
    if name != "folder" and not (unless_published and name in NAMES):
        console.heading("Data set")
        console.pairs(described.lines(cli.describe(name)))


def data(dataset: Dataset, *, drawn: bool) -> None:
    """Shows what the data is, and says if figures will lack letters of its classes' names."""
    console.dataset(dataset)
    if drawn and (notice := lettering.lacking(dataset.class_names)):
        print(f"  {notice}")
