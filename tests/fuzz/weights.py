"""Readers of weights: HDF5, safetensors, PyTorch's two formats, the config.json beside them."""

import functools
import io
import json
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import safetensors.numpy
from fuzz.reader import Inside, Reader
from weight_files import write_legacy, write_timm_config, write_weights_h5

from imgcls_jax.pretrained import pixels
from imgcls_jax.pretrained.files import open_weights

_TENSORS = {
    "conv1/kernel": np.arange(8, dtype=np.float32).reshape(2, 2, 1, 2),
    "conv1/bias": np.zeros(2, np.float32),
    "bn1/gamma": np.ones(2, np.float32),
}
_SECRET = bytes(range(100, 132))


def _keras(write, folder: Path) -> None:
    write(folder / "weights.h5", _TENSORS)


def _later_format(folder: Path) -> None:
    """Writes the format of HDF5 1.10 and later, in which tables have checksums."""
    with h5py.File(folder / "weights.h5", "w", libver="latest") as file:
        file.attrs["layer_names"] = ["conv1", "bn1"]
        for layer in ("conv1", "bn1"):
            of = [name for name in _TENSORS if name.startswith(layer)]
            file.create_group(layer).attrs["weight_names"] = of
            for name in of:
                file[layer][name] = _TENSORS[name]


def _read_weights(folder: Path) -> None:
    (path,) = (one for one in folder.iterdir() if one.name.startswith("weights."))
    file = open_weights(path)
    for name, tensor in file.read(file.shapes).items():
        assert tensor.shape == file.shapes[name]
        assert tensor.tobytes()[:32] != _SECRET


def _safetensors(folder: Path) -> None:
    tensors = {name.replace("/", "."): value for name, value in _TENSORS.items()}
    safetensors.numpy.save_file(tensors, folder / "weights.safetensors")


def _torch_pickle() -> bytes:
    """Returns the pickle of a state dict of two views of one storage, as PyTorch writes it."""
    file = io.BytesIO()
    pickler = _Pickler(file, 2)
    pickler.dump({"a.weight": _View((2, 3), (3, 1), 0), "a.bias": _View((2,), (1,), 6)})
    return file.getvalue()


class _View:
    def __init__(self, shape, strides, offset):
        self.of = _Storage(), offset, shape, strides, False, {}

    def __reduce__(self):
        return _named("torch._utils", "_rebuild_tensor_v2"), self.of


class _Storage:
    """Eight floats."""


def _named(module: str, name: str):
    def function():
        raise AssertionError("only its name is used")

    function.__module__, function.__qualname__, function.__name__ = module, name, name
    return function


class _Pickler(pickle._Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            return "storage", _named("torch", "FloatStorage"), "0", "cpu", 8
        return None

    def save_global(self, obj, name=None):
        self.write(b"c" + f"{obj.__module__}\n{obj.__qualname__}\n".encode())
        self.memoize(obj)

    dispatch = pickle._Pickler.dispatch | {type(_named("", "")): save_global}


_NUMBERS = np.arange(8, dtype="<f4").tobytes()


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, of in (("data.pkl", content), ("byteorder", b"little"), ("data/0", _NUMBERS)):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), of)
    return file.getvalue()


def _torch_zip(folder: Path) -> Inside:
    (folder / "weights.pth").write_bytes(_zipped(_torch_pickle()))
    return {"weights.pth": (_torch_pickle(), _zipped)}


def _torch_older(folder: Path) -> None:
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    before = (0x1950A86A20F9469CFC6C, 1001, about)
    parts = [pickle.dumps(value, 2) for value in before]
    parts += [_torch_pickle(), pickle.dumps(["0"], 2), (8).to_bytes(8, "little"), _NUMBERS]
    (folder / "weights.pth").write_bytes(b"".join(parts))


def _config(folder: Path) -> None:
    (folder / "a.safetensors").write_bytes(b"")
    write_timm_config(folder, "resnet18")


def _read_config(folder: Path) -> None:
    told = pixels.of_config(folder / "a.safetensors")
    assert told is None or isinstance(told.architecture, str)
    json.dumps(told and told.architecture)


READERS = (
    Reader(
        "hdf5",
        (
            functools.partial(_keras, write_legacy),
            functools.partial(_keras, write_weights_h5),
            _later_format,
        ),
        _read_weights,
    ),
    Reader("safetensors", (_safetensors,), _read_weights),
    Reader("pth", (_torch_zip, _torch_older), _read_weights),
    Reader("timm_config", (_config,), _read_config, files=("config.json",)),
)
