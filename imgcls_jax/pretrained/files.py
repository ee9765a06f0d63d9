"""Opens a file of weights, whatever its layout."""

from pathlib import Path

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.keras_files import open_hdf5
from imgcls_jax.pretrained.tensors import TensorFile
from imgcls_jax.pretrained.torch_files import open_safetensors

_PICKLES = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt", ".tar")
_HDF5 = (".h5", ".hdf5")


def open_weights(source: str | Path) -> TensorFile:
    """Reads the names and shapes in a safetensors or HDF5 file.

    Raises:
      UserError: if there is no such file, or it is of another kind or damaged.
    """
    path = Path(source).expanduser()
    suffix = path.suffix.lower()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(
            f"the weights {str(source)!r} cannot be used: {path} {what}; give 'imagenet', 'none' "
            "or the path of a .safetensors or .h5 file."
        )
    if suffix in _PICKLES:
        raise UserError(
            f"{path} is a pickle, which can run any program when it is opened, and is not read; "
            'convert it once where you trust it: python -c "import torch, safetensors.torch as s; '
            f"s.save_file(torch.load('{path}', map_location='cpu', weights_only=True), "
            f"'{path.with_suffix('.safetensors')}')\"."
        )
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
        f"{path} is not a kind of file that weights are read from; give a .safetensors or .h5 file."
    )
