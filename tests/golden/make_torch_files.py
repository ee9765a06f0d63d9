"""Writes torch_files.npz by PyTorch. Run this file."""

import io
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden import torch_files


def written(content, **options) -> np.ndarray:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return np.frombuffer(file.getvalue(), np.uint8)


if __name__ == "__main__":
    tensors = {k: torch.from_numpy(np.array(v)) for k, v in torch_files.tensors().items()}
    tensors["transposed"] = tensors["whole"][0].T
    tensors["part"] = tensors["whole"][:, 1:, ::2]
    tensors["bfloat16"] = tensors["bfloat16"].bfloat16()
    state = OrderedDict(tensors)
    state._metadata = OrderedDict({"": {"version": 1}})  # as that of a network's `state_dict()`
    older = {"_use_new_zipfile_serialization": False}
    arrays = {
        "archive": written(state),
        "older": written({"epoch": 3, "lr": 0.1, "state_dict": state}, **older),
        "protocol 5": written({"model": dict(tensors)}, pickle_protocol=5),
        "version": np.array(torch.__version__),
    }
    np.savez_compressed(torch_files.GOLDEN, **arrays)
