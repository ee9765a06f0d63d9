"""The families of networks with published weights, and the source of a file by its names."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained import densenet, efficientnet, mobilenet, resnet
from imgcls_jax.pretrained.family import Family, Origin, Published
from imgcls_jax.pretrained.files import TensorFile, open_weights

FAMILIES = (resnet.FAMILY, densenet.FAMILY, mobilenet.V2, mobilenet.V3, efficientnet.FAMILY)
NETWORKS = {network: family for family in FAMILIES for network in family.networks}


def family(model_name: str) -> Family:
    """Returns the family of a network.

    Raises:
      UserError: if there are no published weights for the network.
    """
    if model_name not in NETWORKS:
        raise UserError(
            f"no published weights fit the model {model_name!r}; use `weights=none` or one of the "
            f"models {', '.join(NETWORKS)}."
        )
    return NETWORKS[model_name]


def published(model_name: str) -> Published:
    """Returns the file of ImageNet weights for a network.

    Raises:
      UserError: if there is none.
    """
    return family(model_name).networks[model_name].published


def open_for(source: str | Path, model_name: str) -> TensorFile:
    """Opens a file of weights for a network; old names of tensors become the present ones.

    Raises:
      UserError: as `files.open_weights` and `family`.
    """
    file, present = open_weights(source), family(model_name).present_name
    named = {present(name): name for name in file.shapes}

    def read(names: Iterable[str]) -> dict[str, np.ndarray]:
        tensors = file.read(named[name] for name in names)
        return {present(name): tensor for name, tensor in tensors.items()}

    shapes = {name: file.shapes[old] for name, old in named.items()}
    return dataclasses.replace(file, shapes=shapes, read=read)


def networks_in(file: TensorFile) -> tuple[str, ...]:
    """Returns the names of the networks whose norms a file has; () if there is none here."""
    scale = ".weight" if file.layout == "torch" else "/gamma"
    channels = [
        shape[0]
        for name, shape in file.shapes.items()
        if name.endswith(scale) and len(shape) == 1  # of a convolution or a dense layer it is more
    ]
    norms = len(channels), sum(channels)
    return tuple(name for name, of in NETWORKS.items() if of.networks[name].norms == norms)


def origin(file: TensorFile, model_name: str) -> Origin:
    """Returns the source of a file's weights.

    Raises:
      UserError: if they are those of another network than `model_name`, or their publisher's names
        for it are not known here.
    """
    expected, found = family(model_name), networks_in(file)
    if found and model_name not in found:
        raise UserError(
            f"{file.path} holds the weights of {' or '.join(found)}, not of {model_name}; choose "
            f"`model={found[0]}` or another file."
        )
    if file.layout == "keras":
        publisher = "Keras"
    else:
        publisher = "timm" if expected.only_timm in file.shapes else "torchvision"
    if publisher not in expected.names:
        raise UserError(
            f"{file.path} is laid out as {publisher}'s files, and that publisher's names for the "
            f"layers of {model_name} are not known; give a file of {' or '.join(expected.names)}."
        )
    if publisher == "Keras":
        return _of_keras(file, expected)
    if publisher == "timm":
        return _of_timm(file, expected)
    return Origin("torchvision", "torch", "imagenet")


def _of_keras(file: TensorFile, expected: Family) -> Origin:
    """Reads the mean in the first layer of EfficientNets, which normalises images.

    It is zero until the layer has seen images: then the network only divides them by 255.
    """
    mean, normalise = "normalization/mean", expected.keras_normalise
    if mean in file.shapes and not np.any(file.read([mean])[mean]):
        normalise = "unit"
    return Origin("Keras", "tensorflow", normalise)


def _of_timm(file: TensorFile, expected: Family) -> Origin:
    """Reads timm's name of the network, which tells ports from TensorFlow: "tf_...".

    The name is in the config.json beside the file, or is the file's own.
    """
    try:
        about = json.loads(file.path.with_name("config.json").read_text())
        name, mean = about["architecture"], about["pretrained_cfg"]["mean"]
        normalise = "symmetric" if mean == [0.5] * 3 else "imagenet"
    except (OSError, ValueError, KeyError, TypeError):
        name, example = file.path.name, expected.ported
        if example and example.split("_")[0] not in name:
            raise UserError(
                f"{file.path} may be for TensorFlow's padding or PyTorch's, and only timm's name "
                "of the network tells: put the config.json that was published with it beside it, "
                f"or name the file by the network, tf_{example}.safetensors or "
                f"{example}.safetensors."
            ) from None
        normalise = expected.ported_normalise if name.startswith("tf_") else "imagenet"
    return Origin("timm", "tensorflow" if name.startswith("tf_") else "torch", normalise)


def epsilon(publisher: str, convention: str, model_name: str) -> float:
    """Returns the number that the batch norms of weights with PyTorch's names add to variances."""
    if publisher == "timm":
        return 1e-3 if convention == "tensorflow" else 1e-5
    return family(model_name).networks[model_name].epsilon
