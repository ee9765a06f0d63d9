"""A finished run's network, read back from its folder alone: no data, no weights it started from.

Training keeps for it `network.json`, what is around the parameters, and the checkpoint
`evaluated`, the very variables that met the test set: averaged ones where a run averages.
"""

import hashlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from imgcls_jax import steps, tta
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.data import Dataset
from imgcls_jax.errors import UserError
from imgcls_jax.parts import make_network
from imgcls_jax.program import Program
from imgcls_jax.workdir import Workdir


class Restored(NamedTuple):
    """A network ready for new images.

    Attributes:
      apply_fn: images (B, H, W, C) uint8, or float in [0, 1] -> logits (B, number of classes).
      model, variables: the Linen module and what its `apply` takes.
      eval_size: pixels a side that `apply_fn` enlarges images to, before they are normalised.
      network: the content of `network.json`.
    """

    apply_fn: Callable[[jax.Array], jax.Array]
    model: Any
    variables: dict[str, Any]
    eval_size: int | None
    network: dict[str, Any]


def network(program: Program, dataset: Dataset) -> dict[str, Any]:
    """What `network.json` holds: all a prediction needs beside configuration and parameters."""
    return {
        "class_names": list(dataset.class_names),
        "image_shape": list(dataset.image_shape),
        "data": identity(dataset),
        "resize": program.config.resize,
        "normalise": {
            "name": program.config.normalise,
            "constants": {name: np.asarray(v).tolist() for name, v in program.normalise.items()},
        },
    }


def identity(dataset: Dataset) -> str:
    """Tells data sets apart whose classes, splits or labels differ."""
    digest = hashlib.sha256("\0".join(dataset.class_names).encode(errors="surrogateescape"))
    for split in (dataset.train, dataset.validation, dataset.test):
        digest.update(b"-" if split is None else split.labels.tobytes())
    return digest.hexdigest()[:16]


def require_same_data(workdir: Workdir, dataset: Dataset) -> None:
    """Raises UserError if the run in a folder was made of other data."""
    found = workdir.network()
    if found is not None and found.get("data") != identity(dataset):
        raise UserError(
            f"the run in {workdir.path} was made of other data than {dataset.name} as it is now "
            f"({len(dataset.class_names)} classes, {len(dataset.train):,} training examples); give "
            "the data it began with, or a new --workdir."
        )


def keep_evaluated(checkpoints: Checkpoints, state: steps.TrainState) -> None:
    """Writes the variables that a run is evaluated with."""
    checkpoints.save("evaluated", int(state.step), state.variables)
    checkpoints.wait()


def restore(path: str | os.PathLike) -> Restored:
    """Reads a finished run's network from its workdir.

    Raises:
      UserError: if the folder holds no finished run, or one over seeds, or is damaged.
    """
    workdir = Workdir(path)
    if not workdir.path.is_dir():
        raise UserError(f"{workdir.path} does not exist; give the --workdir of a finished run.")
    if (workdir.path / "seeds.json").exists():
        one = next(iter(sorted(workdir.path.glob("*-*/config.json"))), workdir.path / "seed-0" / "")
        raise UserError(
            f"{workdir.path} holds a run over seeds or folds; give one of its folders, such as "
            f"{one.parent}."
        )
    config, found = workdir.config(), workdir.network()
    if config is None or found is None:
        raise UserError(
            f"{workdir.path} holds no run with a network; give the --workdir of a training run."
        )
    model, normalised, apply_fn = make_network(
        config,
        num_classes=len(found["class_names"]),
        normalise=found["normalise"]["constants"],
    )
    apply_fn = tta.wrap(apply_fn, config.tta, size=config.eval_size)
    shape = jax.ShapeDtypeStruct((1, *found["image_shape"]), np.float32)
    like = jax.eval_shape(
        lambda key, images: model.init(key, normalised(images)), jax.random.key(0), shape
    )
    like = {"params": like["params"], "batch_stats": like.get("batch_stats", {})}
    with Checkpoints(workdir.checkpoints) as checkpoints:
        if checkpoints.step("evaluated") is None:
            raise UserError(
                f"the run in {workdir.path} is not finished; run its command again with "
                f"--workdir={workdir.path} to finish it."
            )
        variables = checkpoints.restore("evaluated", like)

    def logits(images):
        return apply_fn(variables, steps.to_unit_interval(images), train=False)

    return Restored(logits, model, variables, config.eval_size, found)
