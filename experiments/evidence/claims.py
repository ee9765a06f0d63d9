"""What the documents claim in passing, as experiments: variants of one setting, seed by seed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from experiments.documented import RUNS
from experiments.evidence.plan import Target, config_of
from imgcls_jax.statistics import holm

_MLP = RUNS[2].settings  # three layers, 5 epochs
_CNN = RUNS[10].settings


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence of a document, and the settings that answer it.

    Attributes:
      name: of the claim, and after `claim_` of its file.
      says: the claim in a sentence.
      source: where it stands.
      variants: settings by a few words each, in the order of the answer's table.
      base: the variant that the others are paired with, seed by seed.
      seeds: how many are enough.
    """

    name: str
    says: str
    source: str
    variants: Mapping[str, Mapping[str, Any]]
    base: str
    seeds: int = 5

    @property
    def stem(self) -> str:
        return f"claim_{self.name}"

    def targets(self) -> list[Target]:
        """Returns what there is to measure."""
        header = {
            "claim": self.name,
            "says": self.says,
            "source": self.source,
            "base": self.base,
            "config": {name: config_of(of) for name, of in self.variants.items()},
            "variants": list(self.variants),
        }
        return [Target(self.stem, of, header, name) for name, of in self.variants.items()]


def answer(result: Mapping[str, Any]) -> str:
    """Returns what a claim's file says, in a sentence: which variants differ from the base.

    They do where the paired test's p, corrected for the number of variants (Holm), is below 0.05.
    """
    paired = result["paired"]
    corrected = dict(zip(paired, holm([of["p"] for of in paired.values()]), strict=True))
    better, worse, alike = [], [], []
    for name, of in paired.items():
        kinds = alike if corrected[name] >= 0.05 else better if of["difference"] > 0 else worse
        kinds.append(name)
    said = [
        f"{', '.join(names)} {words}"
        for names, words in (
            (better, f"better than {result['base']}"),
            (worse, f"worse than {result['base']}"),
            (alike, f"not told apart from {result['base']}"),
        )
        if names
    ]
    return f"On test: {'; '.join(said)}."


_REPORT = "the report on Fashion-MNIST"
_RATES = (0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)
_EPOCHS = (5, 10, 15, 20, 30, 60)
_AUGMENT = ("flip", "crop")

CLAIMS = {
    claim.name: claim
    for claim in (
        Claim(
            "learning_rate",
            "A learning rate of 0.01 overshoots and one of 0.0001 underfits, after 5 epochs.",
            f"{_REPORT}, experiments 3 and 4",
            {f"lr {lr:g}": _MLP | {"lr": lr} for lr in _RATES},
            "lr 0.001",
        ),
        Claim(
            "epochs",
            "More epochs do not help: 15, 20 and 30 epochs are alike, at learning rate 0.0008.",
            f"{_REPORT}, experiments 5 to 7",
            {f"{n} epochs": _MLP | {"lr": 0.0008, "epochs": n} for n in _EPOCHS},
            "15 epochs",
        ),
        Claim(
            "third_layer",
            "A third layer helps, at learning rate 0.001 and 5 epochs.",
            f"{_REPORT}, experiment 2",
            {"two layers": RUNS[1].settings, "three layers": _MLP},
            "two layers",
            seeds=10,
        ),
        Claim(
            "overfitting",
            "Dropout and augmentation are the cure for overfitting on CIFAR-10.",
            "the post on CIFAR-10 in Keras of run 11, which prints no augmentation",
            {
                "neither": _CNN | {"epochs": 20},
                "dropout": _CNN | {"epochs": 20, "dropout": 0.5},
                "augmentation": _CNN | {"epochs": 20, "augment": _AUGMENT},
                "both": _CNN | {"epochs": 20, "dropout": 0.5, "augment": _AUGMENT},
            },
            "neither",
            seeds=2,
        ),
    )
}
