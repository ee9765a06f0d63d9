"""The flag of commands that write a file or a folder of one's choice."""

from absl import flags

OUT = flags.DEFINE_string(
    "out",
    None,
    "file to write (predict: instead of the terminal; export: the exported network; benchmark: the "
    "result as JSON; ensemble, tune: what it came to), or reproduce: the results' folder",
)
