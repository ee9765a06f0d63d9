"""The preprocessing of photos that weights were trained with, by the config.json beside them.

timm publishes it with its weights: the architecture and, as `pretrained_cfg`, the preprocessing
(https://huggingface.co/docs/timm, "resolve_data_config"). Without one the name of the file tells,
which is timm's of network and training, as in "resnet34.ra4_e3600_r224_in1k".
"""

import dataclasses
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.errors import UserError, printable
from imgcls_jax.files.reading import read_json
from imgcls_jax.pretrained.family import Pixels
from imgcls_jax.pretrained.timm_trainings import PUBLISHED

INTERPOLATIONS = ("bilinear", "bicubic")
_LARGEST = 10_000_000  # bytes of a config.json; the largest of timm's list 21,000 classes
_NORMALISATIONS = {  # mean and deviation of pixels in [0, 1], by name in `models.normalisation`
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "symmetric": ((0.5,) * 3, (0.5,) * 3),
    "unit": ((0.0,) * 3, (1.0,) * 3),
    "lite": ((127 / 255,) * 3, (128 / 255,) * 3),
}
_NAME = re.compile(r"(?:tf_)?(?:resnet|densenet|mobilenetv|efficientnet_)[a-z0-9_]*(?:\.\w+)?")
_SUFFIXES = re.compile(r"(\.(safetensors|pth|pt|bin|tar|ckpt))+$")
_RESIZES = {"center": "crop", "squash": "stretch"}  # by timm's `crop_mode`


@dataclass(frozen=True)
class Told:
    """What timm tells of a file: its name of the network, and the preprocessing if it is known."""

    architecture: str
    pixels: Pixels | None

    @property
    def convention(self) -> str:
        """Returns "tensorflow" for ports of TensorFlow's weights, which timm calls "tf_..."."""
        return "tensorflow" if self.architecture.startswith("tf_") else "torch"


def of_config(file: Path, *, given: Collection[str] = ()) -> Told | None:
    """Reads the `config.json` beside a file; None where there is none of timm's.

    Args:
      file: of weights.
      given: settings that are chosen already: whatever the file says about them will do.

    Raises:
      UserError: if it asks for preprocessing that is not known here.
    """
    path = file.with_name("config.json")
    try:
        if path.stat().st_size > _LARGEST:
            return None
        about = read_json(path)
        architecture, asked = about["architecture"], about["pretrained_cfg"]
        if not (isinstance(architecture, str) and isinstance(asked, dict)):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    found = {}
    for name, (key, read) in _READERS.items():
        value = read(asked)
        if value is None and name not in given:
            wanted = ", ".join(f"{part} {json.dumps(asked.get(part))[:60]}" for part in key)
            raise UserError(
                f"{printable(path)} asks for {wanted}, which is not known here; give `{name}`, or "
                "other weights."
            )
        found[name] = value
    unknown = Pixels("imagenet")  # replaced by what is given
    known = {name: value for name, value in found.items() if value is not None}
    return Told(architecture, dataclasses.replace(unknown, **known))


def _normalise(asked: dict[str, Any]) -> str | None:
    try:
        values = np.array([asked["mean"], asked["std"]], np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    for name, known in _NORMALISATIONS.items():
        if values.shape == (2, 3) and np.allclose(values, known, rtol=0, atol=5e-4):
            return name
    return None


def _interpolation(asked: dict[str, Any]) -> str | None:
    value = asked.get("interpolation")
    return value if value in INTERPOLATIONS else None


def _crop_fraction(asked: dict[str, Any]) -> float | None:
    value = asked.get("crop_pct")
    return float(value) if type(value) in (int, float) and 0.1 <= value <= 1 else None


def _image_size(asked: dict[str, Any]) -> int | None:
    value = asked.get("input_size")
    if not (isinstance(value, list) and len(value) == 3 and value[1] == value[2]):
        return None
    return value[1] if type(value[1]) is int and 8 <= value[1] <= 4096 else None


def _resize(asked: dict[str, Any]) -> str | None:
    value = asked.get("crop_mode") or "center"
    return _RESIZES.get(value) if isinstance(value, str) else None


_READERS = {
    "normalise": (("mean", "std"), _normalise),
    "interpolation": (("interpolation",), _interpolation),
    "crop_fraction": (("crop_pct",), _crop_fraction),
    "image_size": (("input_size",), _image_size),
    "resize": (("crop_mode",), _resize),
}
SETTINGS = tuple(_READERS)


def of_name(name: str) -> Told | None:
    """Returns what timm's name of a file or repository tells; None where it is no such name.

    A name without the part that tells the training, "resnet34", is enough where all trainings of
    that network have the same normalisation; then the commonest of them is taken.
    """
    found = _NAME.search(_SUFFIXES.sub("", name))
    if found is None:
        return None
    architecture, tagged, training = found[0].partition(".")
    trainings = PUBLISHED.get(architecture, {})
    if not tagged:
        return Told(architecture, _common(trainings))
    return Told(architecture, Pixels(*trainings[training]) if training in trainings else None)


def is_tagged(name: str) -> bool:
    """Says whether a file has timm's name of a network and a training."""
    found = _NAME.search(_SUFFIXES.sub("", name))
    return found is not None and "." in found[0]


def of_network(architecture: str) -> Told | None:
    """Returns what holds for all of timm's weights of a network, or None where they differ."""
    pixels = _common(PUBLISHED.get(architecture, {}))
    if pixels is None or f"tf_{architecture}" in PUBLISHED:
        return None
    return Told(architecture, pixels)


def _common(trainings: Mapping[str, tuple]) -> Pixels | None:
    """Returns the commonest preprocessing if the normalisation of all trainings is the same."""
    if len({normalise for normalise, *_ in trainings.values()}) != 1:
        return None
    values = list(trainings.values())
    return Pixels(*max(values, key=values.count))
