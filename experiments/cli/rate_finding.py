"""--find_lr: a figure of the loss at growing learning rates, and a rate to try, before a run."""

from collections.abc import Callable

from absl import flags

from experiments.cli import flags as cli
from experiments.cli import out_flag
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.errors import UserError
from imgcls_jax.machines import group
from imgcls_jax.report import console
from imgcls_jax.report.rate_chart import losses_by_rate
from imgcls_jax.train import rate_finder
from imgcls_jax.train.build import without_evaluation
from imgcls_jax.train.trainer import Trainer

FIND_LR = flags.DEFINE_string(
    "find_lr",
    None,
    "PNG file to draw the loss at growing learning rates into, by the run's settings, and a "
    "suggestion; then exit, leaving the run's folder as it is",
)


def find(
    config: Config,
    *,
    fitted: Callable[[Config, Dataset], Config],
    make_trainer: Callable[[Config, Dataset], Trainer],
) -> None:
    """Looks for a learning rate, draws the losses into --find_lr and prints the suggestion.

    Args:
      fitted: gives settings with a batch size that the training set has, see `batches.fitted`.
      make_trainer: as `run.make_trainer`.

    Raises:
      UserError: for settings that do not fit the data, or where no rate can be suggested; for
        several processes.
    """
    if group.count() > 1:
        raise UserError("--find_lr is for one process; give --processes=1, or leave it out.")
    path = out_flag.require_writable(FIND_LR)
    dataset = cli.load_dataset(config)
    console.dataset(dataset)
    config = fitted(config, dataset)
    console.heading("Learning rate")
    config, dataset = without_evaluation(config, dataset)
    found = rate_finder.find(make_trainer(config, dataset), seed=config.train.seed)
    suggestions = {"steepest descent": found.steepest, "lowest loss / 10": found.tenth}
    written = losses_by_rate(found.rates, found.losses, found.smoothed, suggestions, path)
    ended = "the loss diverged" if found.diverged else "the ramp's end"
    console.pairs(
        {name: f"{rate:.2g}" for name, rate in suggestions.items()}
        | {
            "tried": f"{found.rates[0]:.2g} to {found.rates[-1]:.2g} in {len(found.rates)} steps, "
            f"to {ended}",
            "this run's": f"{config.optim.lr:g}",
            "figure": written,
            "suggestion": f"--lr={found.steepest:.2g}",
        }
    )
