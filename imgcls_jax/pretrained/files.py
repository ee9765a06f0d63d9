"""Opens files of weights: PyTorch's state dicts, as safetensors or not, and Keras' HDF5 layouts."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.errors import UserError, printable
from imgcls_jax.files.reading import require_regular
from imgcls_jax.pretrained import keras_files, torch_files

_TORCH = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt", ".tar")
_HDF5 = (".h5", ".hdf5")


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
    try:
        require_regular(path)
    except OSError as error:
        known = {FileNotFoundError: "does not exist", IsADirectoryError: "is a folder"}
        what = known.get(type(error), f"cannot be read ({error.strerror})")
        raise UserError(
            f"the weights {str(source)!r} cannot be used: {path} {what}; give 'imagenet', 'none' "
            "or the path of a .safetensors, .pth or .h5 file."
        ) from error
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
        require_regular(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            yield file
    except (safetensors.SafetensorError, OSError) as error:
        reason = printable(str(error).strip().split("\n")[0][:200])
        raise UserError(
            f"{path} cannot be read as a safetensors file ({reason}): it is damaged, incomplete or "
            "something else; fetch or convert it again."
        ) from error


def open_hdf5(path: Path) -> TensorFile:
    """Reads the names and shapes in an HDF5 file of Keras.

    Raises:
      UserError: as `keras_files.open_layers`.
    """
    content = keras_files.open_layers(path)
    return TensorFile(path, "keras", content.shapes, content.read)
