"""What a run keeps for predictions: the network's record and the variables that were evaluated."""

from typing import Any

import numpy as np

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.data.dataset import Dataset, identity
from imgcls_jax.errors import UserError
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.workdir import Workdir


def network_record(trainer: Trainer, dataset: Dataset) -> dict[str, Any]:
    """Returns what `network.json` holds: all that a prediction needs beside the parameters."""
    constants = {name: np.asarray(v).tolist() for name, v in trainer.setup.constants.items()}
    return {
        "class_names": list(dataset.class_names),
        "image_shape": list(dataset.image_shape),
        "data": identity(dataset),
        "resize": trainer.config.data.resize,
        "normalise": {"name": trainer.config.model.normalise, "constants": constants},
    }


def require_same_data(workdir: Workdir, dataset: Dataset) -> None:
    """Raises UserError if the run in a folder was made of other data."""
    found = workdir.network()
    if found is not None and found.get("data") != identity(dataset):
        raise UserError(
            f"the run in {workdir.path} was made of other data than {dataset.name} as it is now "
            f"({len(dataset.class_names)} classes, {len(dataset.train):,} training examples); give "
            "the data it began with, or a new `workdir`."
        )


def keep_evaluated(checkpoints: Checkpoints, state: steps.TrainState) -> None:
    """Writes the variables that a run is evaluated with."""
    checkpoints.save("evaluated", int(state.step), state.variables)
    checkpoints.wait()
