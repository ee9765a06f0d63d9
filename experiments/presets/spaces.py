"""The spaces that `experiments.tune` searches, by experiment and network.

A space is spelled as --space spells it (`train.tuning.search_space`). `fixed` is what its
trials start from beside the preset; only the first trial, the preset itself, is without it. The
batch sizes divide both the usual sets and what a tenth held out leaves of them: a smaller last
batch would be compiled for each trial too.

mlp: wide enough for 90 % on Fashion-MNIST, and small enough for a trial in half a minute on a core.
speednet: the preset `fast` at widths that leave a core some two minutes per trial. Its optimiser's
weight decay is per example, about 2e-6.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.presets.cifar10 import FAST


class Searched(NamedTuple):
    """A space, and the settings that its trials have beside the preset's."""

    space: tuple[str, ...]
    fixed: Mapping[str, Any] = {}


_ADAMW = {"optimizer": "adamw", "decay": "kernels"}
_GENERAL = (
    "lr=1e-4..1e-2:log",
    "weight_decay=1e-3..1:log",
    "label_smoothing=0..0.2",
    "schedule=cosine|one_cycle|linear",
)
_FROM_SCRATCH = (
    "batch_size=100|250|500",
    "weight_decay=1e-3..1:log",
    "dropout=0..0.5",
    "label_smoothing=0..0.2",
    "augment=none|flip|flip+shift",
    "schedule=cosine|one_cycle|linear",
)

MLP = Searched(
    (
        "hidden=256+128|512+128|512+256|1024|1024+256",
        "lr=5e-4..1e-2:log",
        *_FROM_SCRATCH,
        "ema=0|0.99|0.998",
    ),
    _ADAMW | {"model": "mlp", "normalise": "standard", "epochs": 30},
)

CNN = Searched(
    (
        "widths=16+32+64|32+64|32+64+128",
        "lr=5e-4..2e-2:log",
        *_FROM_SCRATCH,
    ),
    _ADAMW | {"model": "cnn", "epochs": 5},
)

SPEEDNET = Searched(
    (
        "widths=16+32+32|16+32+64|16+64+64",
        "lr=0.03..0.3:log",
        "batch_size=125|250|500",
        "weight_decay=3e-7..2e-5:log",
        "label_smoothing=0..0.3",
        "augment=alternate_flip|alternate_flip+crop_reflect:2|alternate_flip+crop_reflect:4",
        "schedule=linear|cosine|one_cycle",
    ),
    FAST | {"epochs": 3},
)

DOCUMENTED_CNN = Searched(
    (
        "lr=3e-4..1e-2:log",
        "batch_size=100|250|500",
        "weight_decay=1e-3..1:log",
        "dropout=0..0.6",
        "label_smoothing=0..0.2",
        "augment=none|flip|flip+crop",
        "schedule=cosine|one_cycle|linear",
        "normalise=unit|standard",
    ),
    _ADAMW | {"epochs": 10},
)

# Networks that have no space of their own.
CONVOLUTIONS = Searched(
    (*_GENERAL, "batch_size=100|250|500", "augment=none|flip|flip+crop"), _ADAMW
)

HEAD = Searched(
    (
        "lr=1e-4..1e-2:log",
        "weight_decay=1e-2..10:log",
        "label_smoothing=0..0.2",
        "batch_size=16|32|64",
        "schedule=cosine|one_cycle|linear",
    )
)

FINE_TUNED = Searched(
    (
        "lr=5e-5..3e-3:log",
        "weight_decay=1e-2..3:log",
        "layer_decay=0.6..1",
        "label_smoothing=0..0.2",
        "augment=flip|flip+resized_crop:0.4|flip+resized_crop:0.4+colour:0.2+mixup:0.4",
        "ema=0|0.98|0.99",
    )
)

SPACES: dict[str, dict[str, Searched]] = {
    "train": {"cnn": CNN, "mlp": MLP},
    "fmnist": {"mlp": MLP, "cnn": CNN},
    "cifar10": {"speednet": SPEEDNET, "documented_cnn": DOCUMENTED_CNN, "cnn": CNN, "mlp": MLP},
    "transfer": {"head": HEAD, "fine_tuned": FINE_TUNED},
}
# What is searched where no network is chosen.
USUAL = {"train": "cnn", "fmnist": "mlp", "cifar10": "speednet"}


def space_of(
    experiment: str, model: str | None, trainable: str, *, weights: str = "none"
) -> Searched:
    """Returns the space of an experiment's network.

    Args:
      model: the network that was chosen; None for the usual one.
      trainable: the setting, which decides for photos.
      weights: the setting, by which `train` takes a data set for photos.
    """
    if experiment == "transfer" or (experiment == "train" and weights != "none"):
        return SPACES["transfer"]["head" if trainable == "head" else "fine_tuned"]
    return SPACES[experiment].get(model or USUAL[experiment], CONVOLUTIONS)
