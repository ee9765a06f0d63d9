"""Opens files of weights: PyTorch's state dicts, as safetensors or not, and Keras' HDF5 layouts."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained import torch_files

_TORCH = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt", ".tar")
_HDF5 = (".h5", ".hdf5")
_VARIABLES = {  # of a layer in `.weights.h5`, in its order, by the snake-case name of its class
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "normalization": ("mean", "variance", "count"),
}


@dataclass(frozen=True)
class TensorFile:
    """A file of weights.

    Attributes:
      path: where it is.
      layout: "torch" (a state dict: "layer1.0.conv1.weight", OIHW) or "keras" ("Conv1/kernel",
        HWIO).
      shapes: of all tensors, by name and in the file's order.
      read: returns tensors by name as they are in the file.
    """

    path: Path
    layout: str
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[Iterable[str]], dict[str, np.ndarray]]


def open_weights(source: str | Path) -> TensorFile:
    """Reads the names and shapes in a safetensors or HDF5 file or one of PyTorch.

    Raises:
      UserError: if there is no such file, or it is of another kind or damaged.
    """
    path = Path(source).expanduser()
    suffix = path.suffix.lower()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(
            f"the weights {str(source)!r} cannot be used: {path} {what}; give 'imagenet', 'none' "
            "or the path of a .safetensors, .pth or .h5 file."
        )
    if suffix in _TORCH:
        return open_torch(path)
    if suffix == ".keras":
        raise UserError(
            f"{path} is a whole Keras model; open it with Keras and save what is needed with "
            f"model.save_weights('{path.with_suffix('.weights.h5')}')."
        )
    if suffix == ".safetensors":
        return open_safetensors(path)
    if suffix in _HDF5:
        return open_hdf5(path)
    raise UserError(
        f"{path} is not a kind of file that weights are read from; give a .safetensors, .pth or "
        ".h5 file."
    )


def open_safetensors(path: Path) -> TensorFile:
    """Reads the header of a safetensors file.

    Raises:
      UserError: if the file is damaged or not a safetensors file.
    """
    with _safetensors(path) as file:
        keys = _unwrapped(file.keys())
        shapes = {name: tuple(file.get_slice(key).get_shape()) for name, key in keys.items()}

    def read(names: Iterable[str]) -> dict[str, np.ndarray]:
        with _safetensors(path) as file:
            return {name: file.get_tensor(keys[name]) for name in names}

    return TensorFile(path, "torch", shapes, read)


def open_torch(path: Path) -> TensorFile:
    """Reads the names and shapes in a file that PyTorch's `torch.save` wrote; nothing in it is run.

    Raises:
      UserError: as `torch_files.open_state_dict`.
    """
    content = torch_files.open_state_dict(path)
    keys = _unwrapped(content.tensors)
    shapes = {name: content.tensors[key].shape for name, key in keys.items()}

    def read(names: Iterable[str]) -> dict[str, np.ndarray]:
        names = list(names)
        found = content.read(keys[name] for name in names)
        return {name: found[keys[name]] for name in names}

    return TensorFile(path, "torch", shapes, read)


def _unwrapped(keys: Iterable[str]) -> dict[str, str]:
    """Returns a state dict's keys by tensor: PyTorch's DataParallel puts a word before each."""
    return {key.removeprefix("module."): key for key in keys}


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    import safetensors

    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            yield file
    except (safetensors.SafetensorError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{path} cannot be read as a safetensors file ({reason}): it is damaged, incomplete or "
            "something else; fetch or convert it again."
        ) from error


def open_hdf5(path: Path) -> TensorFile:
    """Reads the names and shapes in an HDF5 file of Keras.

    Names are "layer/variable", such as "bn_Conv1/gamma". Early releases of Keras 3 kept no names
    in the layout `.weights.h5`: there a layer's name is its class and a number, "conv2d_3".

    Raises:
      UserError: if the file is damaged, not HDF5, or not written by Keras.
    """
    with _hdf5(path) as file:
        entries = _entries(path, file)
        shapes = {name: tuple(file[where].shape) for name, where in entries.items()}

    def read(names: Iterable[str]) -> dict[str, np.ndarray]:
        with _hdf5(path) as file:
            return {name: file[entries[name]][()] for name in names}

    return TensorFile(path, "keras", shapes, read)


def _entries(path: Path, file: Any) -> dict[str, str]:
    """Returns the place of each tensor in the file by its name."""
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
    """Returns a key that sorts conv2d before conv2d_1 before conv2d_10."""
    found = re.fullmatch(r"(.*?)(?:_(\d+))?", group)
    return found[1], int(found[2] or 0)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
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
