"""Presets of `experiments.train`, for data sets that no preset was made for.

Without --preset the kind of data and the network choose: photos have the presets of
`experiments.transfer`, small images one of those that train from scratch. What depends on the data
set is left to it (`experiments.presets.general`): no mirror images where classes are characters,
smaller batches and more epochs for fewer examples.

cnn: the settings of Fashion-MNIST's preset of that name.
  command   python -m experiments.train --preset=cnn --dataset=cifar100
  not measured

mlp: for `mlp` and `linear`.
  command   python -m experiments.train --preset=mlp --dataset=mnist
  not measured

residual: as He et al. 2016 train on CIFAR, but for the cosine schedule; for any other network, on a
GPU.
  command   python -m experiments.train --preset=residual --dataset=cifar100 --model=resnet20
  not measured

  command   python -m experiments.train --preset=residual --dataset=svhn_cropped --model=resnet20
  not measured

fast: that of CIFAR-10, for colour images of about 32 pixels.
  command   python -m experiments.train --preset=fast --dataset=cifar100
  not measured

frozen: that of photos.
  command   python -m experiments.train --preset=frozen --dataset=oxford_flowers102
  not measured

fine_tuned: that of photos.
  command   python -m experiments.train --preset=fine_tuned --dataset=oxford_flowers102
  not measured
"""

from typing import Any

from experiments.presets import cifar10, fmnist, transfer


def _for_any(preset: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings less the data set, which the command line names."""
    return {name: value for name, value in preset.items() if name != "dataset"}


MLP: dict[str, Any] = {
    "model": "mlp",
    "hidden": (256, 128),
    "normalise": "standard",
    "optimizer": "adamw",
    "lr": 0.001,
    "weight_decay": 0.05,
    "decay": "kernels",
    "schedule": "cosine",
    "epochs": 15,
}

PRESETS = {
    "cnn": _for_any(fmnist.CNN),
    "mlp": MLP,
    "residual": _for_any(cifar10.RESNET),
    "fast": _for_any(cifar10.FAST),
    "frozen": _for_any(transfer.PRESETS["frozen"]),
    "fine_tuned": _for_any(transfer.PRESETS["fine_tuned"]),
}
