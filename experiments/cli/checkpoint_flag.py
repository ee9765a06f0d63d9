"""The flag of commands that work with a finished run's network."""

from absl import flags

CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "folder of a run or an ensemble; predict also takes a file that experiments.export wrote",
)
