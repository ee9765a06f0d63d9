"""Published weights in our parameter trees.

    about = pretrained.describe("weights.h5", "mobilenet_v2")
    model = models.create("mobilenet_v2", num_classes=5, convention=about.convention)
    loaded = pretrained.load(
        "weights.h5", model_name="mobilenet_v2", model=model, image_shape=(224, 224, 3)
    )

Weights come from safetensors files with torchvision's or timm's names, from HDF5 files of
keras.applications in the legacy and the `.weights.h5` layout, and for "imagenet" from a publisher's
own file. A family of networks has one file here, which declares a `family.Family`, and stands in
`families.FAMILIES`.
"""

from dataclasses import dataclass
from typing import Any

import flax
import flax.linen as nn

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained import families, hub, matching
from imgcls_jax.pretrained.family import Origin
from imgcls_jax.pretrained.matching import Report
from imgcls_jax.pretrained.positions import by_position
from imgcls_jax.pretrained.skeleton import trace

__all__ = ["Description", "Loaded", "Report", "describe", "load"]


@dataclass(frozen=True)
class Description:
    """The facts about weights that a network for them is built by.

    Attributes:
      convention: "torch" or "tensorflow", the network's attribute.
      normalise: the preprocessing of images, see `imgcls_jax.models.normalisation`.
    """

    convention: str
    normalise: str


@dataclass(frozen=True)
class Loaded:
    """Weights, ready to take the place of those that `init` made.

    Attributes:
      variables: {"params": ..., "batch_stats": ...} of float32 arrays; without the classifier if
        that is replaced.
      report: the fate of every tensor.
      source: a sentence that names the weights' source and says which part is new.
    """

    variables: dict[str, Any]
    report: Report
    source: str


def describe(source: str, model_name: str) -> Description:
    """Returns the facts about a file of weights by its names and shapes; "imagenet" reads nothing.

    Args:
      source: "imagenet" or a path, see `load`.
      model_name: the network that the weights are meant for.

    Raises:
      UserError: as `load`.
    """
    if source == "imagenet":
        of = families.published(model_name).origin
    else:
        of = families.origin(families.open_for(source, model_name), model_name)
    return Description(of.convention, of.normalise)


def load(
    source: str,
    *,
    model_name: str,
    model: nn.Module,
    image_shape: tuple[int, int, int],
) -> Loaded:
    """Loads weights for a network.

    A classifier that is absent or for another number of classes is left out, so that the network's
    own remains.

    Args:
      source: "imagenet", which downloads a publisher's file once, or the path of a safetensors file
        or of an HDF5 file of Keras.
      model_name: the network's name in `imgcls_jax.models`.
      model: the network itself; its convention must be the weights'.
      image_shape: (H, W, 3) of the images it will see.

    Raises:
      UserError: if there is no such file, or it is damaged, a pickle or of another network or
        convention, or a tensor is missing, unexpected or of another shape, or a download fails.
    """
    if image_shape[2] != 3:
        raise UserError(
            f"published weights are for images of three channels, not {image_shape[2]}; use "
            "`weights=none` or repeat the channel."
        )
    if source == "imagenet":
        published = families.published(model_name)
        file = families.open_for(hub.fetch(published), model_name)
        of, where = published.origin, f"{published.repository} (ImageNet)"
    else:
        file = families.open_for(source, model_name)
        of = families.origin(file, model_name)
        where = f"{file.path} ({of.publisher}'s layout)"
    _require_convention(of, model, where)
    skeleton = trace(model, image_shape)
    family = families.family(model_name)
    names = family.names[of.publisher](skeleton)
    if file.layout == "keras":
        names = by_position(names, file, skeleton, dense=family.keras_dense)
    report, kept = matching.match(file, skeleton, names)
    matching.require_complete(report, file, model_name)
    values = matching.assemble(file, skeleton, kept)
    if file.layout == "torch":
        values = matching.with_epsilon(
            values, skeleton, families.epsilon(of.publisher, model.convention, model_name)
        )
    source = f"{len(report.loaded)} tensors from {where}"
    if report.replaced_head:
        source += f"; the classifier is a new one, for {report.replaced_head}"
    return Loaded(flax.traverse_util.unflatten_dict(values), report, f"{source}.")


def _require_convention(of: Origin, model: nn.Module, where: str) -> None:
    # timm's names are the same in both conventions, and its file may have lost the mark of one.
    if of.publisher != "timm" and of.convention != model.convention:
        raise UserError(
            f"{where} is for networks in the convention {of.convention!r}, and this one is in "
            f"{model.convention!r}; build it with `convention={of.convention!r}`."
        )
