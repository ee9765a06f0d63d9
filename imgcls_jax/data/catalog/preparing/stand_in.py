"""A stand-in for the name `tensorflow` inside TFDS, for as long as a builder is at work.

All of TFDS and its builders reach TensorFlow through one lazy module of
`tensorflow_datasets.core.utils.lazy_imports_utils`. While `supplied` is open, that module answers
with what stands in NAMES, whether TensorFlow is installed or not; nothing else in the process sees
a difference, and at the end the lazy module is as it was.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from imgcls_jax.data.catalog.preparing import encoding, gfile
from imgcls_jax.data.catalog.preparing.tensors import NotSupplied, Tensor


class _Marker:
    """A class that nothing is an instance of, for questions by isinstance."""


class _NeverRaised(Exception):
    """An error of TensorFlow's kernels that no supplied function raises."""


def _shape(image: Any) -> Tensor:
    return Tensor(np.shape(image))


def _as_text(text: str | bytes) -> str:
    return text.decode("utf-8") if isinstance(text, bytes) else text


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text


_KINDS = (
    *("bool", "float16", "float32", "float64"),
    *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
)
_IMAGE_FUNCTIONS = ("encode_png", "encode_jpeg", "decode_png", "decode_jpeg", "decode_image")
_FILE_FUNCTIONS = (
    *("GFile", "exists", "isdir", "listdir", "glob", "walk"),
    *("makedirs", "copy", "remove", "rename", "rmtree"),
)

# Full name, without the leading "tf." -> what stands for it.
NAMES: Mapping[str, Any] = {
    **{kind: getattr(np, kind) for kind in _KINDS},
    "string": np.object_,  # as TFDS has it without TensorFlow
    **{
        f"{of}.{name}": getattr(encoding, name)
        for of in ("io", "image")
        for name in _IMAGE_FUNCTIONS
    },
    **{f"io.gfile.{name}": getattr(gfile, name) for name in _FILE_FUNCTIONS},
    "shape": _shape,
    "executing_eagerly": lambda: True,
    "compat.as_text": _as_text,
    "compat.as_str": _as_text,
    "compat.as_str_any": lambda value: _as_text(value) if isinstance(value, bytes) else str(value),
    "compat.as_bytes": _as_bytes,
    "errors.NotFoundError": FileNotFoundError,
    "errors.UnimplementedError": gfile.Unimplemented,
    **{
        f"errors.{name}": _NeverRaised
        for name in (
            "AbortedError",
            "FailedPreconditionError",
            "PermissionDeniedError",
            "ResourceExhaustedError",
        )
    },
    "dtypes.DType": _Marker,
    "RaggedTensor": _Marker,
    "Tensor": Tensor,
    "TensorShape": _Marker,
}
_PREFIXES = {
    ".".join(parts[:count])
    for parts in (name.split(".") for name in NAMES)
    for count in range(1, len(parts))
}


def is_supplied(name: str) -> bool:
    """Returns whether a dotted name such as "io.gfile.glob" is one of NAMES or within one."""
    parts = name.split(".")
    return any(".".join(parts[: count + 1]) in NAMES for count in range(len(parts)))


class Namespace:
    """The names below a prefix, `""` for all; any other name raises NotSupplied."""

    def __init__(self, prefix: str):
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        full = f"{self._prefix}{name}"
        if full in NAMES:
            return NAMES[full]
        if full in _PREFIXES:
            return Namespace(f"{full}.")
        raise NotSupplied(f"tf.{full}")


_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def supplied() -> Iterator[None]:
    """Stands in for TensorFlow inside TFDS while it is open, in one thread at a time."""
    from tensorflow_datasets.core.utils import lazy_imports_utils

    with _ONE_AT_A_TIME:
        # The lazy module keeps the module that it imported there.
        place = vars(lazy_imports_utils.tensorflow)
        before = {"_module": place["_module"]} if "_module" in place else {}
        place["_module"] = Namespace("")
        try:
            yield
        finally:
            del place["_module"]
            place.update(before)
