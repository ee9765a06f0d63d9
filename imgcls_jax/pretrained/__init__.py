"""Published weights in our parameter trees.

    about = pretrained.describe("weights.h5", "mobilenet_v2")
    model = models.create("mobilenet_v2", num_classes=5, convention=about.convention)
    loaded = pretrained.load(
        "weights.h5", model_name="mobilenet_v2", model=model, image_shape=(224, 224, 3)
    )

Weights come from safetensors files and from PyTorch's own with the names of torchvision, timm or ML
Illustrated, from HDF5 files of keras.applications in the legacy and the `.weights.h5` layout, and
for "imagenet" from a publisher's own file. A family of networks has one file here, which declares a
`family.Family`, and stands in `families.FAMILIES`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax
import flax.linen as nn

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained import families, hub, matching, packages
from imgcls_jax.pretrained.family import Packaged, Pixels
from imgcls_jax.pretrained.matching import Report
from imgcls_jax.pretrained.positions import by_position
from imgcls_jax.pretrained.skeleton import trace

__all__ = ["Description", "Loaded", "Pixels", "Report", "describe", "fetch", "load"]


@dataclass(frozen=True)
class Description:
    """The facts about weights that a network for them is built by.

    Attributes:
      convention: "torch" or "tensorflow", the network's attribute.
      pixels: the preprocessing of photos.
    """

    convention: str
    pixels: Pixels

    @property
    def normalise(self) -> str:
        """Returns the normalisation of pixels, see `imgcls_jax.models.normalisation`."""
        return self.pixels.normalise


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


def describe(source: str, model_name: str, *, given: Collection[str] = ()) -> Description:
    """Returns the facts about a file of weights by its names and shapes; "imagenet" reads nothing.

    Args:
      source: "imagenet" or a path, see `load`.
      model_name: the network that the weights are meant for.
      given: settings that are chosen already: whatever the file says about them, or does not, will
        do.

    Raises:
      UserError: as `load`, or if the file does not tell the preprocessing of photos, or asks for
        one that is not known here.
    """
    if source == "imagenet":
        of = families.published_origin(model_name)
    else:
        of = families.origin(families.open_for(source, model_name), model_name, given=given)
    return Description(of.convention, of.pixels)


def fetch(source: str, model_name: str) -> str | Path:
    """Returns the path of the file of weights that `load` reads, downloaded if need be.

    Raises:
      UserError: for "imagenet", if a download fails or a package is not installed, or has another
        file than the published one.
    """
    if source != "imagenet":
        return source
    published = families.published(model_name)
    return packages.find(published) if isinstance(published, Packaged) else hub.fetch(published)


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
      source: "imagenet", which downloads a publisher's file once or finds the package that has it,
        or the path of a file: safetensors, PyTorch's, or Keras' HDF5.
      model_name: the network's name in `imgcls_jax.models`.
      model: the network itself; its convention must be the weights'.
      image_shape: (H, W, 3) of the images it will see.

    Raises:
      UserError: if there is no such file, or it is damaged, a pickle of more than tensors or of
        another network or convention, or a tensor is missing, unexpected or of another shape, or a
        download fails or a package is not installed.
    """
    if image_shape[2] != 3:
        raise UserError(
            f"published weights are for images of three channels, not {image_shape[2]}; use "
            "`weights=none` or repeat the channel."
        )
    file = families.open_for(fetch(source, model_name), model_name)
    if source == "imagenet":
        where = families.published(model_name).where
        publisher = families.published_origin(model_name).publisher
    else:
        publisher = families.publisher(file, model_name)
        where = f"{file.path} ({publisher}'s layout)"
    _require_convention(publisher, model, where)
    skeleton = trace(model, image_shape)
    family = families.family(model_name)
    names = family.names[publisher](skeleton)
    if file.layout == "keras":
        names = by_position(names, file, skeleton, dense=family.keras_dense)
    report, kept = matching.match(file, skeleton, names)
    matching.require_complete(report, file, model_name)
    values = matching.assemble(file, skeleton, kept)
    if file.layout == "torch":
        values = matching.with_epsilon(
            values, skeleton, families.epsilon(publisher, model.convention, model_name)
        )
    source = f"{len(report.loaded)} tensors from {where}"
    if report.replaced_head:
        source += f"; the classifier is a new one, for {report.replaced_head}"
    return Loaded(flax.traverse_util.unflatten_dict(values), report, f"{source}.")


def _require_convention(publisher: str, model: nn.Module, where: str) -> None:
    # timm's names are the same in both conventions, and its file may have lost the mark of one.
    convention = families.convention(publisher)
    if convention not in (None, model.convention):
        raise UserError(
            f"{where} is for networks in the convention {convention!r}, and this one is in "
            f"{model.convention!r}; build it with `convention={convention!r}`."
        )
