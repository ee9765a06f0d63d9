"""Weights of Keras models in HDF5: the legacy layout and that of `.weights.h5`."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.tensors import TensorFile

_VARIABLES = {  # of a layer by the snake-case name of its class, in the order `.weights.h5` has
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "normalization": ("mean", "variance", "count"),
}


def open_hdf5(path: Path) -> TensorFile:
    """Reads the names and shapes in an HDF5 file of Keras.

    Names are "layer/variable", such as "bn_Conv1/gamma". Early releases of Keras 3 kept no names
    in the layout `.weights.h5`: there layers are called by class and number, "conv2d_3".

    Raises:
      UserError: if the file is damaged, not HDF5, or not written by Keras.
    """
    with _opened(path) as file:
        entries = _entries(path, file)
        shapes = {name: tuple(file[where].shape) for name, where in entries.items()}

    def read(names: Iterable[str]) -> dict[str, np.ndarray]:
        with _opened(path) as file:
            return {name: file[entries[name]][()] for name in names}

    return TensorFile(path, "keras", shapes, read)


def _entries(path: Path, file: Any) -> dict[str, str]:
    """From a tensor's name to where it is in the file."""
    top = file.get("model_weights", file)  # the former in a whole saved model
    if "layer_names" in top.attrs:
        return _legacy(path, top)
    if "layers" in top:
        return _by_class(path, top["layers"])
    raise UserError(
        f"{path} is an HDF5 file but holds no weights of a Keras model; save them there with "
        "model.save_weights(...)."
    )


def _legacy(path: Path, top: Any) -> dict[str, str]:
    entries = {}
    for layer in map(_text, top.attrs["layer_names"]):
        for weight in map(_text, top[layer].attrs["weight_names"]):
            variable = weight.split("/")[-1].removesuffix(":0").replace("depthwise_", "")
            name = f"{layer.replace('/', '_')}/{variable}"
            if name in entries:
                raise _nested(path, layer)
            entries[name] = f"{top[layer].name}/{weight}"
    return entries


def _by_class(path: Path, layers: Any) -> dict[str, str]:
    entries = {}
    for group in sorted(layers, key=_number):
        if "layers" in layers[group]:
            raise _nested(path, group)
        if not (variables := layers[group].get("vars")):
            continue
        layer = _text(variables.attrs.get("name", group))
        names = _VARIABLES.get(re.sub(r"_\d+$", "", group), ("kernel", "bias"))
        for index in sorted(variables, key=int):
            name = names[int(index)] if int(index) < len(names) else index
            entries[f"{layer}/{name}"] = f"{variables.name}/{index}"
    return entries


def _nested(path: Path, layer: str) -> UserError:
    return UserError(
        f"{path} holds a model whose layer {layer!r} is a network of its own; save that one alone "
        "in Keras with model.get_layer(...).save_weights(...)."
    )


def _number(group: str) -> tuple[str, int]:
    """Sorts conv2d before conv2d_1 before conv2d_10."""
    found = re.fullmatch(r"(.*?)(?:_(\d+))?", group)
    return found[1], int(found[2] or 0)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:  # h5py's for damage in different places
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{path} cannot be read as an HDF5 file of Keras ({reason}): it is damaged, incomplete "
            "or something else; fetch or save it again."
        ) from error
