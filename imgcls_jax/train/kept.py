"""The files a run keeps for predictions: the network's record and the evaluated variables."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from imgcls_jax import files, steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset, identity, labels_identity
from imgcls_jax.errors import UnreadablePhoto, UserError
from imgcls_jax.machines import group
from imgcls_jax.train.trainer import Trainer
from imgcls_jax.train.waiting import stage
from imgcls_jax.workdir import Workdir


def network_record(trainer: Trainer, dataset: Dataset) -> dict[str, Any]:
    """Returns the content of `network.json`: all that a prediction needs beside the parameters."""
    constants = {name: np.asarray(v).tolist() for name, v in trainer.setup.constants.items()}
    taught = {} if trainer.teacher is None else {"teacher": trainer.teacher}
    several = {"several_labels": True} if dataset.several_labels else {}
    return (
        taught
        | several
        | {
            "class_names": list(dataset.class_names),
            "image_shape": list(dataset.image_shape),
            "data": identity(dataset),
            "resize": trainer.config.data.square,
            "features_once": trainer.config.features_once,
            "normalise": {"name": trainer.config.model.normalise, "constants": constants},
        }
    )


def as_begun(config: Config, workdir: Workdir) -> Config:
    """Returns the settings by which a folder's run goes on.

    Up to version 0.1 a stream went through a frozen network in every epoch, and where the stream
    stands is in the checkpoint: such a run ends as it began, without features computed once.
    """
    record = workdir.network_record()
    begun_before = record is not None and "features_once" not in record
    if begun_before and config.data.feed == "streamed" and config.features_once:
        return config.replace(cache_features=False)
    return config


def require_same_data(workdir: Workdir, dataset: Dataset) -> None:
    """Raises UserError if the run in a folder was made of other data.

    A folder of version 0.1 knows the labels alone.
    """
    record = workdir.network_record()
    with stage("reading through the data"):  # the digest of all pixels
        here, labels = identity(dataset), labels_identity(dataset)
    group.require_same("data set", here)
    if record is None or record.get("data") in (here, labels):
        return
    same_labels = str(record.get("data")).startswith(f"{labels}-")
    raise UserError(
        f"the run in {workdir.path} was made of other {'images' if same_labels else 'data'} than "
        f"{dataset.name} as it is now ({len(dataset.class_names)} classes, "
        f"{len(dataset.train):,} training examples); give the data it began with, or a new "
        "`workdir`."
    )


@contextlib.contextmanager
def photos_replaceable(workdir: Workdir, dataset: Dataset) -> Iterator[None]:
    """Lets a run that meets an unreadable photo go on once an intact one is in its place.

    The labels have to be the same, and the names, by which a stream knows its photos.
    """
    try:
        yield
    except UnreadablePhoto:
        record = workdir.network_record()
        if record is not None:
            path, record = (
                workdir.path / "network.json",
                record | {"data": labels_identity(dataset)},
            )
            with files.whole(path) as partial:  # by whichever process met it
                partial.write_text(json.dumps(record, indent=2) + "\n")
        raise


def require_same_teacher(workdir: Workdir, teacher: Mapping[str, Any] | None) -> None:
    """Raises UserError if the run in a folder learns from another teacher, or from none.

    Args:
      teacher: what is kept of a teacher, see `distil.Teacher.facts`; None for none.
    """
    record = workdir.network_record()
    if record is None or record.get("teacher") == teacher:
        return
    if teacher is None:
        raise UserError(
            f"the run in {workdir.path} learns from other networks; go on with the command that "
            "began it, or choose another `workdir`."
        )
    found = record.get("teacher") or {}
    held = ", ".join(f"{n} {v}" for n, v in found.items() if v != teacher.get(n)) or "the labels"
    raise UserError(
        f"the run in {workdir.path} learns from something else ({held}); choose another `workdir`."
    )


def keep_network(workdir: Workdir, trainer: Trainer, dataset: Dataset) -> None:
    """Writes what the network is, unless the folder's learns from somebody else."""
    require_same_teacher(workdir, trainer.teacher)
    workdir.write_json("network.json", network_record(trainer, dataset))


def keep_evaluated(checkpoints: Checkpoints, state: steps.TrainState) -> None:
    """Writes the variables that a run is evaluated with."""
    with stage("keeping the network"):
        checkpoints.save("evaluated", int(state.step), state.variables)
        checkpoints.wait()


@group.by_first
def sweep(workdir: Workdir, checkpoints: Checkpoints) -> None:
    """Removes what killed writers left in the folder of a run, for the process that holds it."""
    checkpoints.sweep()
    for folder in (workdir.path, workdir.figures):
        files.sweep(folder)
