"""The documented transfer-learning runs 12-15, each as a Korean project page has it.

The page names data, networks and ranges of accuracy. It prints no program: optimiser, epochs, sizes
of networks and of images are this project's choice.
"""

from experiments.documented.run import DocumentedRun, Reading
from experiments.presets.transfer import FINE_TUNED, FROZEN

PROJECT = "[2024] 딥러닝 이미지 분류 - CNN 프로젝트 ([2024] deep-learning image classification)"

# Run 14 names rotation, horizontal flip and zoom.
_AS_DOCUMENTED = ("rotate:10", "flip", "zoom")

_EGGS = ("damaged", "not damaged")


def _on_all_splits(low: float, high: float) -> dict[str, tuple[float, float]]:
    """Returns a range that the page gives for the accuracy on all three splits at once."""
    return {f"{split}_accuracy": (low, high) for split in ("test", "train", "validation")}


RUNS = (
    DocumentedRun(
        number=12,
        title="100 sports, pretrained, no augmentation",
        source=PROJECT,
        framework="keras",
        figures={"test_accuracy": (0.97, 0.98)},
        readings=(
            Reading("EfficientNet, frozen", "the section on sports", FROZEN),
            Reading("ResNet, frozen", "the section on sports", {**FROZEN, "model": "resnet50"}, {}),
            Reading(
                "EfficientNet, trained whole",
                "the section on sports",
                {**FINE_TUNED, "augment": ()},
            ),
        ),
        disagreement="The document says 0.97 to 0.98 of an 'EfficientNet50', which does not exist,"
        " and gives no figure for ResNet; it does not say whether the network was frozen.",
        classes=100,
    ),
    DocumentedRun(
        number=13,
        title="anime, cartoon or human, fine-tuned",
        source=PROJECT,
        framework="keras",
        figures={"test_accuracy": 0.99},
        readings=(
            Reading("fine-tuned", "after fine-tuning", {**FINE_TUNED, "augment": ()}),
            Reading("frozen", "before fine-tuning", FROZEN, _on_all_splits(0.98, 1.0)),
        ),
        disagreement="The document says 0.98 to 1.00 before fine-tuning and about 0.99 after it:"
        " fine-tuning gained nothing that its own range does not hold.",
        classes=("anime", "cartoon", "human"),
    ),
    DocumentedRun(
        number=14,
        title="damaged eggs, trained whole, augmented",
        source=PROJECT,
        framework="keras",
        figures=_on_all_splits(0.96, 0.98),
        readings=(
            Reading(
                "as written",
                "rotation, horizontal flip, zoom",
                {**FINE_TUNED, "model": "resnet50", "head": "binary", "augment": _AS_DOCUMENTED},
            ),
        ),
        disagreement="The document says 0.96 to 0.98; its heading calls the project a logistic"
        " regression, its text a ResNet.",
        classes=_EGGS,
    ),
    DocumentedRun(
        number=15,
        title="damaged eggs, convolutions frozen",
        source=PROJECT,
        framework="keras",
        figures={"test_accuracy": 0.98},
        readings=(
            Reading(
                "as written",
                "only the classifier is trained",
                {**FROZEN, "model": "resnet50", "head": "binary"},
            ),
            Reading(
                "with run 14's augmentation",
                "the section names it before",
                {**FROZEN, "model": "resnet50", "head": "binary", "augment": _AS_DOCUMENTED},
            ),
        ),
        disagreement="The document calls freezing the convolutions 'fine-tuning', and gives the"
        " time saved, 90 s, but not the time of either run.",
        classes=_EGGS,
    ),
)
