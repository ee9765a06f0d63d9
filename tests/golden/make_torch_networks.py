"""Writes torch_networks.npz: the step of `networks` by PyTorch, in float64. Run this file."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden import networks, torch_networks

if __name__ == "__main__":
    arrays = {"version": np.array(f"torch {torch.__version__}"), "inputs": networks.checksums()}
    for case, shape in networks.CASES.items():
        module = torch_networks.MODELS[case](networks.CLASSES)
        record = torch_networks.step(module, shape)
        samples = [networks.sample(record[key]) for key in sorted(record)]
        arrays[case] = np.concatenate(samples).astype(np.float32)
    np.savez_compressed(Path(__file__).parent / "torch_networks.npz", **arrays)
