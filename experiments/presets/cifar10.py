"""Presets of `experiments.cifar10`.

resnet: SGD with momentum as He et al. 2016 and Zagoruyko and Komodakis 2016 train on CIFAR, but for
the cosine schedule; for a GPU.
  command   python -m experiments.cifar10 --preset=resnet
  not measured

  command   python -m experiments.cifar10 --preset=resnet --model=resnet18 --stem=cifar
            --precision=bfloat16
  machine   gpu: NVIDIA H100 80GB HBM3 x1; jax 0.11.2
  seeds     0
  accuracy  95.00 % (one seed)
  seconds   102.3
  file      experiments/results/resnet18.json

fast: the speed run's network at a quarter of the width, for a CPU. The settings were chosen by the
last 5,000 training images.
  command   python -m experiments.cifar10 --preset=fast --seeds=3
  machine   cpu: AMD EPYC, 2 cores; jax 0.10.2
  seeds     0, 1, 2
  accuracy  86.42 % (std 0.04 %)
  seconds   298.3 to 526.5
  file      experiments/results/fast.json

speedrun: after airbench94_muon (Jordan 2024), for a GPU; BUILD_NOTES.md says what is different.
  command   python -m experiments.cifar10 --preset=speedrun --seeds=20
  machine   gpu: NVIDIA H100 80GB HBM3 x1; jax 0.11.2
  seeds     0 to 19
  accuracy  94.06 % (std 0.11 %)
  seconds   1.2 to 1.2
  file      experiments/results/speedrun.json

best: a wide ResNet (Zagoruyko and Komodakis 2016) with CutMix (Yun et al. 2019) in minutes of a
GPU. It was meant to be the most accurate and is not more so than ResNet-18 above: so few epochs
seem too few for CutMix of every batch.
  command   python -m experiments.cifar10 --preset=best --seeds=2
  machine   gpu: NVIDIA H100 80GB HBM3 x1; jax 0.11.2
  seeds     0, 1
  accuracy  94.69 % (std 0.08 %)
  seconds   156.4 to 156.7
  file      experiments/results/best.json
"""

from typing import Any

RESNET: dict[str, Any] = {
    "dataset": "cifar10",
    "model": "resnet20",
    "optimizer": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "warmup_epochs": 1.0,
    "normalise": "standard",
    "augment": ("crop", "flip"),
    "batch_size": 128,
    "epochs": 100,
}

SPEEDRUN: dict[str, Any] = {
    "dataset": "cifar10",
    "model": "speednet",
    "precision": "bfloat16",
    "normalise": "whiten",
    "optimizer": "airbench",
    "lr": 0.24,
    "schedule": "linear",
    "label_smoothing": 0.2,
    "augment": ("alternate_flip", "crop_reflect:2"),
    "batch_size": 2000,
    "epochs": 8,
    "tta": "flip_shift",
}

# A CPU is faster with small batches, and spends a third of the step on the whitening's bias, which
# needs the first convolution's gradient by its inputs.
FAST: dict[str, Any] = SPEEDRUN | {
    "widths": (16, 64, 64),
    "precision": "float32",
    "lr": 0.1,
    # Head and biases keep the rates that go with 0.24.
    "lr_scale": ("^whitened_bias$=0", "^head/=2.4", "bias$=2.4"),
    "batch_size": 125,
    "epochs": 4,
    "tta": "flip",
}

BEST: dict[str, Any] = RESNET | {
    "model": "wrn28_10",
    "precision": "bfloat16",
    "batch_size": 512,
    "lr": 0.2,
    "augment": ("crop", "flip", "cutmix"),
    "epochs": 40,
    "ema": 0.999,
    "tta": "flip",
}

PRESETS = {"resnet": RESNET, "fast": FAST, "speedrun": SPEEDRUN, "best": BEST}
