"""Presets of `experiments.transfer`, for one's own photos.

The presets' own network is EfficientNet-B0, which was not measured; the records are MobileNetV2's,
with the weights that Keras publishes. The settings were chosen by accuracy on the sports photos, so
the figures on those are a little flattered (BUILD_NOTES.md, "Transfer").

frozen: only the head is trained, on features that are computed once.
  command   python -m experiments.transfer --preset=frozen --data_dir=sports100 --seeds=3
            --model=mobilenet_v2 --weights=mobilenet_v2_imagenet_keras.h5
  machine   cpu: AMD EPYC, 2 cores; jax 0.12.0.1
  seeds     0, 1, 2
  accuracy  88.98 % (std 0.23 %)
  seconds   1.7 to 2.6
  file      experiments/results/sports100_frozen.json

  command   python -m experiments.transfer --preset=frozen --data_dir=anime --seeds=3
            --model=mobilenet_v2 --weights=mobilenet_v2_imagenet_keras.h5
  machine   cpu: AMD EPYC, 2 cores; jax 0.12.0.1
  seeds     0, 1, 2
  accuracy  100.00 % (std 0.00 %)
  seconds   0.5 to 1.0
  file      experiments/results/anime_frozen.json

fine_tuned: the head first, then everything, the lower the more slowly.
  command   python -m experiments.transfer --preset=fine_tuned --data_dir=sports100 --seeds=3
            --model=mobilenet_v2 --weights=mobilenet_v2_imagenet_keras.h5 --trainable=stage4
  machine   cpu: AMD EPYC, 2 cores; jax 0.12.0.1
  seeds     0, 1, 2
  accuracy  92.34 % (std 0.40 %)
  seconds   1081.6 to 1306.9
  file      experiments/results/sports100_fine_tuned.json
"""

from typing import Any

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

# Random crops enlarge, so the network is evaluated at more pixels; the documented runs are not.
PRESETS = {"frozen": FROZEN, "fine_tuned": FINE_TUNED | {"eval_size": 256}}
