"""A finished run's network, read back from its folder alone: no data, no weights it started from.

Training keeps for it `network.json`, what is around the parameters, and the checkpoint
`evaluated`, the very variables that met the test set: averaged ones where a run averages.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.errors import UserError
from imgcls_jax.models import tta
from imgcls_jax.train.setup import make_network
from imgcls_jax.workdir import Workdir

# Pixels of a batch: 32 images of 224x224, so that large inputs do not need a large memory.


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
