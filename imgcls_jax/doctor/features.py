"""Features of photos, by a published network as it is."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import pretrained
from imgcls_jax.config import Config
from imgcls_jax.data.batching import eval_batch_size
from imgcls_jax.data.dataset import Split
from imgcls_jax.errors import UserError
from imgcls_jax.models import TRANSFERABLE, normalisation
from imgcls_jax.train.features import make_extract, merge
from imgcls_jax.train.setup import Network, make_network

Embed = Callable[[np.ndarray, str], np.ndarray]


def make_embed(config: Config, images: np.ndarray, *, num_classes: int) -> tuple[Embed, Network]:
    """Builds `embed(images, doing)`: features (N, F) float32 of images (N, H, W, 3) uint8.

    Nothing is drawn at random: the weights come from their file, and the head, which no feature
    depends on, is zeros.

    Args:
      config: names the network, its weights and how pixels are normalised.
      images: those that a normalisation takes its constants from, where it has any to take.
      num_classes: outputs of the network's head.

    Returns:
      `embed`, whose bar says what is being done, and the network.

    Raises:
      UserError: the network has no published weights, or none are named, or they cannot be used.
    """
    name, weights = config.model.model, config.model.weights
    if name not in TRANSFERABLE or weights == "none":
        raise UserError(
            "photos are compared by the features of a network with `weights`; give "
            "`model=mobilenet_v2` and a file of its weights, say."
        )
    constants = normalisation.constants(config.model.normalise, images)
    shape = images.shape[1:]
    of = {"num_classes": num_classes, "image_shape": shape, "constants": constants}
    network = make_network(config, **of)
    loaded = pretrained.load(
        weights, model_name=name, model=network.model, image_shape=network.image_shape
    )
    unit = jax.ShapeDtypeStruct((1, *network.image_shape), jnp.float32)
    shapes = dict(jax.eval_shape(network.model.init, jax.random.key(0), unit))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    variables = {part: merge(zeros[part], loaded.variables.get(part, {})) for part in zeros}
    extract = make_extract(apply_fn=network.apply_fn, batch_size=eval_batch_size(shape))

    def embed(images: np.ndarray, doing: str) -> np.ndarray:
        split = Split(images, np.zeros(len(images), np.int32))
        return extract(variables, split, doing).rows()

    return embed, network
