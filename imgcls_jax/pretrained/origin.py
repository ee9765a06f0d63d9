"""Whose names a file of weights has, and what follows from that: convention and preprocessing."""

import json
from dataclasses import dataclass

import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained import keras_names, torch_names
from imgcls_jax.pretrained.families import family
from imgcls_jax.pretrained.skeleton import Path, Skeleton
from imgcls_jax.pretrained.tensors import TensorFile, network_in

_OF_KERAS = {  # what keras.applications' `preprocess_input`, or the model itself, does to images
    "resnet": "caffe",
    "densenet": "imagenet",
    "mobilenet_v2": "symmetric",
    "mobilenet_v3": "symmetric",
    "efficientnet": "imagenet",
}

# Families of which timm has ports from TensorFlow, the same tensors, and a name in each.
_PORTED = {"efficientnet": "efficientnet_b0", "mobilenet_v3": "mobilenetv3_large_100"}


@dataclass(frozen=True)
class Origin:
    """Where weights come from.

    Attributes:
      publisher: whose names they have: "torchvision", "timm" or "Keras".
      convention: "torch" or "tensorflow", whose padding the network was trained with.
      normalise: what was done to the images, see `imgcls_jax.models.normalisation`.
    """

    publisher: str
    convention: str
    normalise: str


def origin(file: TensorFile, model_name: str) -> Origin:
    """Where a file's weights come from.

    Raises:
      UserError: if they are those of another network than `model_name`.
    """
    of_family, found = family(model_name), network_in(file)
    if found not in (None, model_name):
        raise UserError(
            f"{file.path} holds the weights of {found}, not of {model_name}; choose "
            f"--model={found} or another file."
        )
    if file.layout == "keras":
        return Origin("Keras", "tensorflow", _of_keras(file, of_family))
    if "conv_stem.weight" not in file.shapes:
        return Origin("torchvision", "torch", "imagenet")
    return _of_timm(file, of_family)


def _of_keras(file: TensorFile, of_family: str) -> str:
    """EfficientNets carry what they do to images; before they are trained it is x / 255 alone."""
    kept = "normalization/mean"
    if kept in file.shapes and not np.any(file.read([kept])[kept]):
        return "unit"
    return _OF_KERAS[of_family]


def _of_timm(file: TensorFile, of_family: str) -> Origin:
    """timm tells weights ported from TensorFlow by their name, in config.json or the file's own."""
    config = file.path.with_name("config.json")
    try:
        about = json.loads(config.read_text())
        name, mean = about["architecture"], about["pretrained_cfg"]["mean"]
    except (OSError, ValueError, KeyError, TypeError):
        name, mean = file.path.name, None
        example = _PORTED.get(of_family)
        if example and example.split("_")[0] not in name:
            raise UserError(
                f"{file.path} may be for TensorFlow's padding or PyTorch's, and only timm's name "
                "of the network tells: put the config.json that was published with it beside it, "
                f"or name the file by the network, tf_{example}.safetensors or "
                f"{example}.safetensors."
            ) from None
        if name.startswith("tf_mobilenetv3"):
            mean = [0.5] * 3
    return Origin(
        publisher="timm",
        convention="tensorflow" if name.startswith("tf_") else "torch",
        normalise="symmetric" if mean == [0.5] * 3 else "imagenet",
    )


def names(file: TensorFile, publisher: str, model_name: str, skeleton: Skeleton) -> dict[Path, str]:
    """From the path of each layer of the network to its name in the file."""
    if publisher == "Keras":
        return keras_names.by_position(keras_names.names(model_name, skeleton), file, skeleton)
    return torch_names.names(model_name, skeleton, publisher)


def epsilon(publisher: str, convention: str, model_name: str) -> float:
    """What the norms of weights with PyTorch's names add to the variance."""
    if publisher == "timm":
        return 1e-3 if convention == "tensorflow" else 1e-5
    large = model_name in ("efficientnet_b5", "efficientnet_b6", "efficientnet_b7")
    return 1e-3 if large or family(model_name) == "mobilenet_v3" else 1e-5
