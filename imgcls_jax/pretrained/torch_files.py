"""Opens PyTorch's files of weights, in the zip format and the older one, without PyTorch.

The zip format (since PyTorch 1.6) is an archive of a pickle and of a file for each storage; the
older one holds five pickles, one after the other, and then the storages
(https://docs.pytorch.org/docs/stable/notes/serialization.html).
"""

import io
import math
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.errors import UserError, printable
from imgcls_jax.files.reading import opened
from imgcls_jax.pretrained import torch_pickle
from imgcls_jax.pretrained.torch_pickle import ForbiddenError, Storage, Tensor

_LARGEST = 2**26  # bytes of the pickles; those of a network of a thousand layers take 2**18
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the older format
_WITHIN = ("state_dict", "model", "model_state_dict")  # where checkpoints keep their weights


@dataclass(frozen=True)
class StateDict:
    """The tensors of a file.

    Attributes:
      path: of the file.
      tensors: by name, in the file's order.
      places: of the storages, by key: the first byte and the number of bytes; None in an archive.
      folder: in an archive, the folder in it.
      order: of the bytes in a number, "<" or ">".
    """

    path: Path
    tensors: dict[str, Tensor]
    places: dict[str, tuple[int, int]] | None = None
    folder: str = ""
    order: str = "<"

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Returns tensors by name; numbers of type bfloat16 become float32.

        Raises:
          UserError: if the file is damaged.
        """
        with _readable(self.path), opened(self.path) as file:
            archive = None if self.places is not None else zipfile.ZipFile(file)
            found, storages = {}, {}
            for name in names:
                storage = self.tensors[name].storage
                if storage.key not in storages:  # some networks share them
                    content = self._content(storage, file, archive)
                    storages[storage.key] = _numbers(content, storage, self.order)
                found[name] = _view(storages[storage.key], self.tensors[name])
            return found

    def _content(self, storage: Storage, file: Any, archive: zipfile.ZipFile | None) -> bytes:
        if archive is not None:
            return archive.read(f"{self.folder}/data/{storage.key}")
        start, size = self.places[storage.key]
        file.seek(start)
        return file.read(size)


def open_state_dict(path: Path) -> StateDict:
    """Reads the names and places of the tensors in a file that `torch.save` wrote.

    Raises:
      UserError: if its pickle asks for anything but tensors, or the file is damaged, holds no
        tensors or is not PyTorch's.
    """
    with _readable(path), opened(path) as file:
        found = (_archive if file.read(2) == b"PK" else _older)(path, file)
    if not found.tensors:
        raise UserError(
            f"{printable(path)} holds no tensors by name; save a network's weights there with "
            "torch.save(model.state_dict(), PATH)."
        )
    return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (UserError, MemoryError):
        raise
    except ForbiddenError as error:
        raise UserError(
            f"{printable(path)} is not read, since its pickle asks for {printable(str(error))}, "
            "which can run code and no weights need: open it with PyTorch where you trust it, and "
            "save the weights alone with torch.save(model.state_dict(), PATH)."
        ) from error
    except Exception as error:  # damage raises anything
        reason = printable(" ".join(str(error).split())[:100]) or type(error).__name__
        raise UserError(
            f"{printable(path)} cannot be read as a file of PyTorch ({reason}): it is damaged, "
            "incomplete or something else; fetch or save it again."
        ) from error


def _archive(path: Path, file: Any) -> StateDict:
    with zipfile.ZipFile(file) as archive:
        (pickle,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = pickle.removesuffix("/data.pkl")
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{entry.filename} is compressed")
        if archive.getinfo(pickle).file_size > _LARGEST:
            raise ValueError("its pickle is too large")
        order = "<"
        if f"{folder}/byteorder" in archive.NameToInfo:
            order = {b"little": "<", b"big": ">"}[archive.read(f"{folder}/byteorder")]
        tensors = _tensors(torch_pickle.read(io.BytesIO(archive.read(pickle))))
        for tensor in tensors.values():
            size = archive.getinfo(f"{folder}/data/{tensor.storage.key}").file_size
            if size != _bytes(tensor.storage):
                raise ValueError(f"the storage {tensor.storage.key} has another size")
    return StateDict(path, tensors, folder=folder, order=order)


def _older(path: Path, file: Any) -> StateDict:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    pickles = io.BytesIO(file.read(_LARGEST))
    if (torch_pickle.read(pickles), torch_pickle.read(pickles)) != (_MAGIC, _VERSION):
        raise ValueError("it does not begin as PyTorch's files do")
    if torch_pickle.read(pickles)["little_endian"] is not True:
        raise ValueError("its numbers begin with their highest byte")
    tensors = _tensors(torch_pickle.read(pickles))
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    places, at = {}, None
    for key in torch_pickle.read(pickles):
        if type(key) is not str or key not in storages:
            raise ValueError("a storage that belongs to no tensor")
        at = pickles.tell() if at is None else at
        file.seek(at)
        (count,) = struct.unpack("<q", file.read(8))
        storage = storages[key]
        if count != storage.count or at + 8 + _bytes(storage) > size:
            raise ValueError(f"the storage {key} has another size")
        places[key] = at + 8, _bytes(storage)
        at += 8 + _bytes(storage)
    if missing := set(storages) - set(places):
        raise ValueError(f"the storage {min(missing)} is missing")
    return StateDict(path, tensors, places)


def _tensors(content: Any) -> dict[str, Tensor]:
    """Returns the tensors of a state dict, or of that in a checkpoint."""
    if not isinstance(content, dict):
        return {}
    within = (content.get(key) for key in _WITHIN)
    content = next((inner for inner in within if isinstance(inner, dict)), content)
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _bytes(storage: Storage) -> int:
    size = 2 if storage.kind == "bfloat16" else np.dtype(storage.kind).itemsize
    return storage.count * size


def _numbers(content: bytes, storage: Storage, order: str) -> np.ndarray:
    """Returns the numbers of a storage, (count,)."""
    if storage.kind != "bfloat16":
        numbers = np.frombuffer(content, np.dtype(storage.kind).newbyteorder(order))
    else:  # the higher half of a float32
        halves = np.frombuffer(content, np.dtype("u2").newbyteorder(order))
        numbers = (halves.astype(np.uint32) << 16).view(np.float32)
    if len(numbers) != storage.count:
        raise ValueError(f"the storage {storage.key} has another size")
    return numbers


def _view(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Returns a tensor as an array of its own, whatever the order of its axes in the storage."""
    if not math.prod(tensor.shape):
        return np.zeros(tensor.shape, numbers.dtype)
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides)
    return view.copy()
