"""Inputs of the cross-entropy that PyTorch, Keras and this library all compute."""

import numpy as np

SMOOTHINGS = (0.0, 0.1, 0.3)


def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """logits (8, 5) float32, up to +-30; integer labels (8,); soft labels (8, 5), rows sum to 1."""
    rng = np.random.default_rng(1)
    logits = rng.uniform(-30, 30, (8, 5)).astype(np.float32)
    integers = np.arange(8) % 5
    soft = rng.uniform(0, 1, (8, 5)).astype(np.float32)
    return logits, integers, soft / soft.sum(axis=1, keepdims=True)
