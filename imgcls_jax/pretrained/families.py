"""The families of networks with published weights, and the source of a file by its names."""

import dataclasses
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from imgcls_jax import models
from imgcls_jax.errors import UserError, printable
from imgcls_jax.pretrained import (
    densenet,
    efficientnet,
    efficientnet_lite,
    mobilenet,
    pixels,
    resnet,
)
from imgcls_jax.pretrained.family import Family, Origin, Packaged, Pixels, Published
from imgcls_jax.pretrained.files import TensorFile, open_weights

FAMILIES = (
    resnet.FAMILY,
    densenet.FAMILY,
    mobilenet.V2,
    mobilenet.V3,
    efficientnet.FAMILY,
    efficientnet_lite.FAMILY,
)
_OF_THE_HUB = ("model.safetensors", "pytorch_model.bin")  # the names of all timm's files there
NETWORKS = {network: family for family in FAMILIES for network in family.networks}


def family(model_name: str) -> Family:
    """Returns the family of a network.

    Raises:
      UserError: if there are no published weights for the network, or no network of that name.
    """
    if model_name not in NETWORKS:
        models.require_known(model_name)
        raise UserError(
            f"no published weights fit the model {model_name!r}; use `weights=none` or one of the "
            f"models {', '.join(NETWORKS)}."
        )
    return NETWORKS[model_name]


def published(model_name: str) -> Published | Packaged:
    """Returns the file of ImageNet weights for a network.

    Raises:
      UserError: if there is none.
    """
    return family(model_name).networks[model_name].published


def published_origin(model_name: str) -> Origin:
    """Returns the source of the published ImageNet weights for a network.

    Raises:
      UserError: if there are none.
    """
    file = published(model_name)
    if isinstance(file, Packaged):
        return Origin("ML Illustrated", "tensorflow", file.pixels)
    return Origin("timm", file.convention, pixels.of_name(file.repository).pixels)


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
    windows = sum(len(shape) == 4 for shape in file.shapes.values())
    return tuple(
        name
        for name, network in ((name, of.networks[name]) for name, of in NETWORKS.items())
        if network.norms == norms and network.convolutions in (None, windows)
    )


def publisher(file: TensorFile, model_name: str) -> str:
    """Returns whose names the tensors of a file have.

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
    name = "Keras" if file.layout == "keras" else "torchvision"
    name = next((of for of, mark in expected.marks.items() if mark in file.shapes), name)
    if name not in expected.names:
        raise UserError(
            f"{file.path} is laid out as {name}'s files, and that publisher's names for the "
            f"layers of {model_name} are not known; give a file of {' or '.join(expected.names)}."
        )
    return name


def origin(file: TensorFile, model_name: str, *, given: Collection[str] = ()) -> Origin:
    """Returns the source of a file's weights.

    Args:
      given: settings that are chosen already: whatever the file says about them will do.

    Raises:
      UserError: as `publisher`, or if the preprocessing of photos is not told or not known.
    """
    of, expected = publisher(file, model_name), family(model_name)
    if of == "Keras":
        return _of_keras(file, expected)
    shared = of == "torchvision" and "timm" in expected.names and "timm" not in expected.marks
    if of == "timm" or (shared and _is_timms(file.path)):
        return _of_timm(file, model_name, given)
    return Origin(of, convention(of), expected.networks[model_name].pixels)


def convention(of: str) -> str | None:
    """Returns a publisher's convention; None for timm, which has networks in both."""
    return {"timm": None, "torchvision": "torch"}.get(of, "tensorflow")


def _is_timms(path: Path) -> bool:
    """Says whether a file with names that timm shares with torchvision was published by timm."""
    return (
        path.name in _OF_THE_HUB
        or pixels.is_tagged(path.name)
        or pixels.of_config(path, given=pixels.SETTINGS) is not None
    )


def _of_keras(file: TensorFile, expected: Family) -> Origin:
    """Reads the mean in the first layer of EfficientNets, which normalises images.

    It is zero until the layer has seen images: then the network only divides them by 255.
    """
    mean, normalise = "normalization/mean", expected.keras_normalise
    if mean in file.shapes and not np.any(file.read([mean])[mean]):
        normalise = "unit"
    return Origin("Keras", "tensorflow", Pixels(normalise))


def _of_timm(file: TensorFile, model_name: str, given: Collection[str]) -> Origin:
    """Reads timm's name of the network, which tells ports from TensorFlow, and its preprocessing.

    Both are in the config.json beside the file, or follow from the file's own name.
    """
    architecture = family(model_name).networks[model_name].timm or model_name
    told = pixels.of_config(file.path, given=given)
    if told is None:
        told = pixels.of_name(file.path.name) or pixels.of_network(architecture)
    elif told.architecture.removeprefix("tf_") != architecture:
        config = file.path.with_name("config.json")
        raise UserError(
            f"{config} is of timm's {printable(told.architecture)}, not of {model_name}, whose "
            f"weights {file.path.name} holds: keep each with its own file in a folder of its own."
        )
    if told is not None and told.pixels is not None:
        return Origin("timm", told.convention, told.pixels)
    if {"convention", "normalise"} <= set(given):
        return Origin("timm", "torch", Pixels("imagenet"))  # both are replaced by what is given
    known = [name for name in (architecture, f"tf_{architecture}") if name in pixels.PUBLISHED]
    examples = " or ".join(f"{name}.{next(iter(pixels.PUBLISHED[name]))}" for name in known)
    raise UserError(
        f"{file.path} does not tell which of timm's weights of {model_name} it holds, and these "
        "differ in padding or in how they see pixels: put the config.json that was published with "
        f"it beside it, name it as timm does, such as {examples}, or give `convention` and "
        "`normalise`."
    )


def epsilon(of: str, model_convention: str, model_name: str) -> float:
    """Returns the number that the batch norms of weights with PyTorch's names add to variances.

    Args:
      of: the publisher.
      model_convention: the network's.
    """
    if of != "torchvision":
        return 1e-3 if model_convention == "tensorflow" else 1e-5
    return family(model_name).networks[model_name].epsilon
