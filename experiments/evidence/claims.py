"""What the documents claim in passing, as experiments: variants of one setting, seed by seed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from experiments.documented import RUNS
from experiments.evidence.computed import Table, per_cent
from experiments.evidence.model_size import MODEL_SIZE
from experiments.evidence.photo_claims import FREEZING, REAL_IMAGES
from experiments.evidence.plan import Target, config_of
from imgcls_jax.statistics import holm

_MLP = RUNS[2].settings  # three layers, 5 epochs
_LOGISTIC = RUNS[8].settings
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
      figure: the one that variants are compared by, as summaries name it.
    """

    name: str
    says: str
    source: str
    variants: Mapping[str, Mapping[str, Any]]
    base: str
    seeds: int = 5
    figure: str = "test_accuracy"

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
        if self.figure != "test_accuracy":
            header["figure"] = self.figure
        return [Target(self.stem, of, header, name) for name, of in self.variants.items()]


SHORT = {"test_accuracy": "test", "cross_validation_accuracy": "cross-validation"}


def table(result: Mapping[str, Any]) -> Table:
    """Returns header and rows of a claim's table, in per cent and points, with 95 % intervals."""
    figure = result.get("figure", "test_accuracy")
    rows = []
    for name in result["variants"]:
        if not result["spread"][name]:
            continue
        spread, cells = result["spread"][name], ["-", "-", "-"]
        compared, train = spread[figure], spread.get("train_accuracy")
        if paired := result["paired"].get(name):
            low, high = (100 * end for end in paired["interval"])
            cells = [f"{100 * paired['difference']:+.2f}", f"{low:+.2f} to {high:+.2f}"]
            cells.append(f"{paired['p']:.2g}")
        gap = f"{100 * (train['mean'] - compared['mean']):+.2f}" if train else "-"
        of_train = per_cent(train["values"]) if train else "-"
        of_n = str(len(compared["values"]))
        rows.append([name, per_cent(compared["values"]), of_train, gap, of_n, *cells])
    short = SHORT[figure]
    less = f"{short}, less {result['base']}"
    return ["", short, "train", "train less test", "n", less, "95 %", "p"], rows


def answer(result: Mapping[str, Any]) -> str:
    """Returns what a claim's file says, in a sentence: which variants differ from the base.

    They do where the paired test's p, corrected for the number of variants (Holm), is below 0.05.
    """
    paired = result["paired"]
    lacking = [of for of in result["variants"] if of != result["base"] and of not in paired]
    if lacking:
        return f"Not answered: {', '.join(lacking)} and {result['base']} share too few seeds."
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
    where = "In cross-validation" if "figure" in result else "On test"
    return f"{where}: {'; '.join(said)}."


_REPORT = "the report on Fashion-MNIST"
_RATES = (0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)
_EPOCHS = (5, 10, 15, 20, 30, 60)
_PASSES = (5, 10, 20, 50)
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
            "max_iter",
            "A larger max_iter than 5 helps logistic regression by SGD a little.",
            "the report on Fashion-MNIST with TensorFlow, below run 8's program",
            {f"max_iter {n}": _LOGISTIC | {"epochs": n} for n in _PASSES},
            "max_iter 5",
            figure="cross_validation_accuracy",
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

# Answered from files of other claims and runs, and so in this order after them.
COMPUTED = {claim.name: claim for claim in (MODEL_SIZE, FREEZING, REAL_IMAGES)}


def shown(result: Mapping[str, Any]) -> tuple[Table, str]:
    """Returns the table of any claim's file, and the answer in a sentence."""
    if "variants" in result:
        return table(result), answer(result)
    claim = COMPUTED[result["claim"]]
    return claim.table(result), claim.sentence(result)
