"""A finished run's network, read back from its folder alone: no data, no weights it started from.

Training keeps for it `network.json`, the record of everything around the parameters, and the
checkpoint `evaluated`, the very variables that met the test set: averaged ones where a run
averages.
"""

import os
from typing import Any, NamedTuple

import jax
import numpy as np

from imgcls_jax import steps
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.errors import UserError
from imgcls_jax.models import freezing
from imgcls_jax.train.setup import Network, make_network
from imgcls_jax.workdir import Workdir


class Restored(NamedTuple):
    """A network ready for new images.

    Attributes:
      network: the model and its evaluation chain, as in training.
      variables: what they take.
      record: the content of `network.json`.
    """

    network: Network
    variables: dict[str, Any]
    record: dict[str, Any]

    def logits(self, images: jax.Array) -> jax.Array:
        """Computes logits (B, C) of images (B, H, W, C) uint8, or float in [0, 1]."""
        return self.network.evaluate_fn(self.variables, steps.to_unit_interval(images), train=False)

    def features(self, images: jax.Array) -> jax.Array:
        """Computes the head's inputs (B, F) of such images, without views to average."""
        compute = freezing.features_of(self.network.plain_fn)
        return compute(self.variables, steps.to_unit_interval(images))

    def seen(self, images: jax.Array) -> jax.Array:
        """Returns such images as the model itself is given them."""
        return self.network.seen_fn(steps.to_unit_interval(images))


def restore(path: str | os.PathLike) -> Restored:
    """Reads a finished run's network from its workdir.

    Raises:
      UserError: if the folder holds no finished run, or one over seeds, or is damaged.
    """
    workdir = Workdir(path)
    if not workdir.path.is_dir():
        raise UserError(f"{workdir.path} does not exist; give the folder of a finished run.")
    if one := workdir.one_of_several():
        raise UserError(
            f"{workdir.path} holds a run over seeds or folds; give one of its folders, such as "
            f"{one}."
        )
    config, record = workdir.config(), workdir.network_record()
    if config is None or record is None:
        raise UserError(
            f"{workdir.path} holds no run with a network; give the folder of a training run."
        )
    network = make_network(
        config,
        num_classes=len(record["class_names"]),
        image_shape=record["image_shape"],
        constants=record["normalise"]["constants"],
    )
    inputs = jax.ShapeDtypeStruct((1, *network.image_shape), np.float32)
    like = jax.eval_shape(network.model.init, jax.random.key(0), inputs)
    like = {"params": like["params"], "batch_stats": like.get("batch_stats", {})}
    again = (
        f"bring it back from a copy, or remove {workdir.path / 'summary.json'} and run the command "
        "of the run again, which makes it anew from the last checkpoint"
    )
    with Checkpoints(workdir.checkpoints) as checkpoints:
        if checkpoints.step("evaluated") is None:
            raise UserError(
                f"the run in {workdir.path} is not finished; run its command again with "
                f"`workdir={workdir.path}` to finish it."
            )
        variables = checkpoints.restore("evaluated", like, otherwise=again)
    return Restored(network, variables, record)
