"""Writes keras_applications.npz: logits of `keras_applications` by Keras. Run this file."""

import os
import sys
from pathlib import Path

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(Path(__file__).parents[1]))
from golden import keras_applications as cases
from golden import networks

if __name__ == "__main__":
    import keras

    arrays = {"version": np.array(f"keras {keras.__version__}"), "inputs": networks.checksums()}
    arrays |= {case: cases.logits(case) for case in cases.CASES}
    np.savez_compressed(Path(__file__).parent / "keras_applications.npz", **arrays)
