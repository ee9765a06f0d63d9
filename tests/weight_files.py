"""Writes files of weights in the layouts that publishers use, from tensors by name."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import safetensors.numpy

Tensors = dict[str, np.ndarray]


def by_layer(tensors: Tensors) -> dict[str, Tensors]:
    """Turns {"Conv1/kernel": ...} into {"Conv1": {"kernel": ...}}."""
    layers = {}
    for name, value in tensors.items():
        layer, _, variable = name.rpartition("/")
        layers.setdefault(layer, {})[variable] = value
    return layers


def write_safetensors(path: Path, tensors: Tensors) -> Path:
    safetensors.numpy.save_file(tensors, path)
    return path


def write_timm_config(folder: Path, architecture: str, **asked) -> Path:
    """Writes the file that timm publishes with weights; `asked` replaces its preprocessing."""
    pixels = {
        "input_size": [3, 224, 224],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    path = folder / "config.json"
    path.write_text(
        json.dumps(
            {"architecture": architecture, "num_classes": 7, "pretrained_cfg": pixels | asked}
        )
    )
    return path


def write_legacy(path: Path, tensors: Tensors, *, keras2: bool = True, within: str = "/") -> Path:
    """Writes the layout of Keras 1 and 2; Keras 3 writes it too, with other names of variables."""
    layers = {"input_1": {}, **by_layer(tensors)}
    with h5py.File(path, "w") as file:
        top = file.require_group(within)
        top.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, variables in layers.items():
            group, names = top.require_group(layer), []
            for variable, value in variables.items():
                if keras2 and variable == "kernel" and is_depthwise(layer):
                    variable = "depthwise_kernel"
                names.append(f"{layer}/{variable}{':0' if keras2 else ''}")
                group[names[-1]] = value
            group.attrs["weight_names"] = [name.encode() for name in names]
    return path


def write_weights_h5(path: Path, tensors: Tensors, *, named: bool = True) -> Path:
    """Writes the layout of Keras 3: numbered classes and variables; later releases add names."""
    counts: dict[str, int] = {}
    with h5py.File(path, "w") as file:
        for layer, variables in by_layer(tensors).items():
            kind = class_of(layer, variables)
            number = counts[kind] = counts.get(kind, -1) + 1
            group = file.create_group(f"layers/{kind}{f'_{number}' if number else ''}/vars")
            if named:
                group.attrs["name"] = layer
            for index, value in enumerate(variables.values()):
                group[str(index)] = value
        file.create_group("layers/activation/vars")
    return path


def is_depthwise(layer: str) -> bool:
    return re.search("depthwise|dwconv", layer) is not None


def class_of(layer: str, variables: Tensors) -> str:
    if "kernel" not in variables:
        if "gamma" in variables:
            return f"{'batch' if 'moving_mean' in variables else 'layer'}_normalization"
        return "normalization"
    if variables["kernel"].ndim == 2:
        return "dense"
    return "depthwise_conv2d" if is_depthwise(layer) else "conv2d"
