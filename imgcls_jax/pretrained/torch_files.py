"""State dicts of PyTorch, in safetensors files."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.tensors import TensorFile

# The DenseNets that torchvision published in 2017 say norm.1 where its modules say norm1.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")


def open_safetensors(path: Path) -> TensorFile:
    """Reads the header of a safetensors file.

    Raises:
      UserError: if the file is damaged or not a safetensors file.
    """

    with _opened(path) as file:
        keys = {_name(key): key for key in file.keys()}  # noqa: SIM118, it is no mapping
        shapes = {name: tuple(file.get_slice(key).get_shape()) for name, key in keys.items()}

    def read(names: Iterable[str]) -> dict[str, np.ndarray]:
        with _opened(path) as file:
            return {name: file.get_tensor(keys[name]) for name in names}

    return TensorFile(path, "torch", shapes, read)


def _name(key: str) -> str:
    return _OLD_DENSENET.sub(r"\1\2", key.removeprefix("module."))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
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
