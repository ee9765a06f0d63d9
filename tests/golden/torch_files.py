"""Tensors of every kind in PyTorch's files; make_torch_files.py wrote them by PyTorch.

`torch_files.npz` has the content of a file in the zip format, of an older one whose tensors are in
a checkpoint, and of one of pickle protocol 5, as uint8.
"""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_suffix(".npz")
KINDS = ("archive", "older", "protocol 5")


def tensors() -> dict[str, np.ndarray]:
    """The tensors in all files, by name; "bfloat16" as float32."""
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    return {
        "whole": values,
        "transposed": values[0].T,
        "part": values[:, 1:, ::2],  # of the same storage as the first
        "float64": np.float64([0.1, -1e300]),
        "float16": np.float16([0.5, 65504]),
        "bfloat16": np.float32([1.5, -(2.0**100)]),
        "int64": np.array(3, np.int64),
        "int32": np.int32([-(2**31)]),
        "int16": np.int16([-5]),
        "int8": np.int8([-128]),
        "uint8": np.uint8([255]),
        "bool": np.array([True, False]),
        "empty": np.zeros((0, 3), np.float32),
    }


def content(kind: str) -> bytes:
    """What a file holds."""
    return np.load(GOLDEN)[kind].tobytes()


def before(rest: bytes) -> bytes:
    """The first three pickles of a file in the older format, and then `rest`."""
    written = content("older")
    return written[: written.index(b"uu.") + 3] + rest  # two dicts end there
