"""The flags that name the services a run is shown by."""

from absl import flags

from imgcls_jax.train import trackers

TRACKERS = flags.DEFINE_list(
    "trackers", [], f"services that show the run, separated by commas: {', '.join(trackers.NAMES)}"
)
TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "short for --trackers=tensorboard")


def asked_trackers() -> list[str]:
    """Returns the names of the trackers that are asked for.

    Raises:
      UserError: for one that is unknown, or whose package is missing.
    """
    names = [*TRACKERS.value, *(["tensorboard"] if TENSORBOARD.value else [])]
    trackers.require(names)
    return names
