"""Presets of `experiments.fmnist`."""

from typing import Any

# What the document planned, "try a CNN or augmentation": both.
CNN: dict[str, Any] = {
    "dataset": "fashion_mnist",
    "model": "cnn",
    "optimizer": "adamw",
    "lr": 0.003,
    "weight_decay": 0.05,
    "decay": "kernels",
    "schedule": "cosine",
    "warmup_epochs": 1.0,
    "label_smoothing": 0.1,
    "augment": ("flip", "shift"),
    "epochs": 10,
}
PRESETS = {"cnn": CNN}
