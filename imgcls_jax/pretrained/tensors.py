"""What a file of weights holds, by its publisher's names, before any of it is read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Of the networks in ImageNet's shape: how many batch norms they have and their channels in all,
# which no two share and which every layout of every publisher keeps, with or without a classifier.
_NORMS = {
    (20, 4800): "resnet18",
    (36, 8512): "resnet34",
    (53, 26560): "resnet50",
    (104, 52672): "resnet101",
    (121, 41824): "densenet121",
    (169, 79200): "densenet169",
    (52, 17056): "mobilenet_v2",
    (34, 6056): "mobilenet_v3_small",
    (46, 12200): "mobilenet_v3_large",
    (49, 21008): "efficientnet_b0",
    (69, 31024): "efficientnet_b1",
    (69, 33784): "efficientnet_b2",
    (78, 43648): "efficientnet_b3",
    (96, 62600): "efficientnet_b4",
    (116, 86368): "efficientnet_b5",
    (134, 112216): "efficientnet_b6",
    (163, 155360): "efficientnet_b7",
}


@dataclass(frozen=True)
class TensorFile:
    """A file of weights.

    Attributes:
      path: where it is.
      layout: "torch" (a state dict: "layer1.0.conv1.weight", OIHW) or "keras" ("Conv1/kernel",
        HWIO).
      shapes: of all tensors, by name and in the file's order.
      read: returns tensors by name as they are in the file.
    """

    path: Path
    layout: str
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[Iterable[str]], dict[str, np.ndarray]]


def network_in(file: TensorFile) -> str | None:
    """The name of the network whose weights a file holds, None if it is none known here."""
    variance = "running_var" if file.layout == "torch" else "/moving_variance"
    channels = [shape[0] for name, shape in file.shapes.items() if name.endswith(variance)]
    return _NORMS.get((len(channels), sum(channels)))
