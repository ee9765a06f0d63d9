"""Presets of `experiments.transfer`."""

from typing import Any

# A frozen network: only the head is trained, on features computed once.
FROZEN: dict[str, Any] = {
    "dataset": "folder",
    "image_size": 224,
    "model": "efficientnet_b0",
    "convention": "torch",
    "weights": "imagenet",
    "normalise": "imagenet",
    "trainable": "head",
    "optimizer": "adamw",
    "lr": 0.001,
    "weight_decay": 3.0,
    "decay": "kernels",
    "schedule": "cosine",
    "label_smoothing": 0.1,
    "batch_size": 32,
    "epochs": 40,
}


# The whole network: the head first, then everything, the lower the more slowly.
FINE_TUNED: dict[str, Any] = FROZEN | {
    "trainable": "all",
    "head_epochs": 10,
    "frozen_norms": True,
    "lr": 0.0004,
    "weight_decay": 0.5,
    "layer_decay": 0.9,
    "warmup_epochs": 0.5,
    "augment": ("flip", "resized_crop:0.4", "colour:0.2", "mixup:0.4"),
    "ema": 0.99,
    "tta": "flip",
    "epochs": 20,
}


# For one's own photos: settings that were chosen on real folders, see BUILD_NOTES.md.
PRESETS = {"frozen": FROZEN, "fine_tuned": FINE_TUNED | {"eval_size": 256}}
