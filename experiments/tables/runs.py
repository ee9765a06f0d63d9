"""Runs over seeds: the documented ones, and those beyond the documents with their commands."""

import dataclasses
import statistics
from collections.abc import Iterable, Iterator

from experiments.documented import RUNS, DocumentedRun
from experiments.evidence.plan import slug
from experiments.tables.files import Files, number, table

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
)
TRANSFER = (
    Claim("100 sports, frozen", ("sports100_frozen",), f"{_SPORTS} --seeds=3"),
    Claim(
        "100 sports, fine-tuned",
        ("sports100_fine_tuned",),
        f"{_SPORTS} --preset=fine_tuned --trainable=stage4 --seeds=3",
    ),
    Claim(
        "the same, evaluated at 224 pixels",
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

_BEST_EPOCH = "validation_accuracy_best_epoch"


def _values(result: dict, figure: str) -> list[float]:
    """Returns a figure's values by seed; none where the file does not have it."""
    if "keras" in result:  # what it watches each epoch is the test set
        named = {_BEST_EPOCH: "best_epoch_accuracy"}.get(figure, figure)
        named = named.replace("validation", "test")
        return [seed[named] for seed in result["seeds"] if named in seed]
    if "pooled" in result:
        return [result["pooled"][figure]]
    if "spread" in result:
        return result["spread"].get(figure, {}).get("values", [])
    if figure == _BEST_EPOCH:
        return [max(result["validation_accuracy_by_epoch"])]
    return [result[figure]] if figure in result else []


def _measured(values: list[float], figure: str) -> str:
    scale, digits, unit = (100, 2, " %") if "accuracy" in figure else (1, 4, "")
    shown = f"{scale * statistics.mean(values):.{digits}f}"
    if len(values) > 1:
        shown += f" ± {scale * statistics.stdev(values):.{digits}f}"
    return shown + unit


def documented(files: Files) -> list[str]:
    """Returns the table of the documented runs that have files, and of Keras where it ran them."""
    rows = []
    for found in RUNS.values():
        for reading in found.readings:
            stem = slug(found, reading)
            alone = sorted(name for name in files.every if name.startswith(f"{stem}_seed"))
            for label, stems in (
                (reading.label, [stem, *alone]),
                ("Keras itself", [f"keras_run{found.number}"]),
            ):
                if results := files.take(stems):
                    rows += _rows_of_run(files, found, label, results)
    header = ("run", "reading", "figure", "documented", "measured", "n", "distance")
    return table((*header, "machine", "file"), rows) if rows else []


def _rows_of_run(
    files: Files, found: DocumentedRun, label: str, results: dict[str, dict]
) -> Iterator[tuple[str, ...]]:
    figures: dict[str, float | None] = dict(found.figures) or {found.headline[0]: None}
    if found.number == 11:  # even the best epoch does not reach what the document says
        figures[_BEST_EPOCH] = found.headline[1]
    for figure, documented in figures.items():
        values = [value for result in results.values() for value in _values(result, figure)]
        if not values:
            continue
        std = statistics.stdev(values) if len(values) > 1 else 0.0
        distance = "-"
        if documented is not None and std:
            distance = f"{(documented - statistics.mean(values)) / std:+.1f}"
        yield (
            str(found.number),
            label,
            figure.replace("_", " ").replace("accuracy best", "accuracy, best"),
            "-" if documented is None else _measured([documented], figure),
            _measured(values, figure),
            str(len(values)),
            distance,
            *files.made(results),
        )


def _seconds(result: dict) -> list[float]:
    """Returns the seconds of each training the file tells of."""
    seconds = result["train_seconds"]
    return seconds if isinstance(seconds, list) else [seconds]


TRANSFER_NOTE = """\
MobileNetV2 with the ImageNet weights that Keras publishes. 100 sports: 25 photos per class to train
on, measured on the 496 of its `valid` folder, on which the settings were chosen as well (sampling
error 1.2 to 1.4 points). Eggs: every photo is measured once, by the fold that had not seen it."""


def claimed(files: Files, claims: Iterable[Claim]) -> list[str]:
    """Returns the table of the claims that have files, and the commands that made them."""
    rows, commands = [], []
    for claim in claims:
        results = files.take(claim.stems)
        if not results:
            continue
        cells = []
        for figure in ("test_accuracy", "test_balanced_accuracy"):
            values = [value for result in results.values() for value in _values(result, figure)]
            cells.append(_measured(values, figure) if values else "-")
        n = str(sum(len(_values(result, "test_accuracy")) for result in results.values()))
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
