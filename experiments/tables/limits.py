"""Limits of predictions: what a temperature, "unknown" and sets of classes come to."""

import statistics

from experiments.tables.files import Files, number, table

NOTE = """\
Frozen networks; the limits are learned from training photos alone, by heads trained on others of
them, and measured on test photos. *Error* and *loss* (nats) are without and with the temperature.
*Refused*: known photos that are called unknown, of the 5 % asked for; *covered*: photos whose set
holds the true class, of the 90 % asked for; *AUROC* of calling ten classes that were left out
unknown. As split: seeds of the head; split anew: each seed draws other test photos too."""
_NETWORKS = {
    "": ("mobilenet_v2", "mobilenet_v2_imagenet_keras.h5"),
    "_lite0": ("efficientnet_lite0", "imagenet"),
    "_lite2": ("efficientnet_lite2", "imagenet"),
}
_PHOTOS = {"limits_sports100": ("100 sports", "sports100"), "limits_eggs": ("634 eggs", "eggs")}
# Result files by stem: a title, the folder of photos, the network and its weights.
LIMITS = {
    f"{stem}{ending}": (f"{title}, {network[0]}", folder, *network)
    for stem, (title, folder) in _PHOTOS.items()
    for ending, network in _NETWORKS.items()
}
_WAYS = {"as_split": "as split", "split_anew": "split anew"}


def limits(files: Files) -> list[str]:
    """Returns the table of the limits that have files, and the commands that made them."""
    rows, commands = [], []
    for stem, (title, folder, model, weights) in LIMITS.items():
        for name, result in files.take([stem]).items():
            seeds = len(result["seeds"])
            commands.append(
                f"python -m experiments.benchmark limits --data_dir={folder} --model={model} "
                f"--weights={weights} --rounds={seeds} --out=experiments/results/{stem}.json"
            )
            made = files.made({name: result})
            rows += [
                (title, words, str(seeds), *_cells(result[way]), *made)
                for way, words in _WAYS.items()
            ]
    if not rows:
        return []
    header = ("", "photos", "n", "accuracy", "error", "loss", "refused", "covered", "classes")
    lines = table((*header, "AUROC", "machine", "file"), rows)
    return [*lines, "", "```", *commands, "```"]


def _cells(found: dict[str, list[float]]) -> tuple[str, ...]:
    def pair(figure: str) -> str:
        return " to ".join(
            number(statistics.mean(found[f"{figure}_{when}"])) for when in ("before", "after")
        )

    return (
        *(_per_cent(found["accuracy"]), pair("ece"), pair("loss")),
        *(_per_cent(found[figure]) for figure in ("refused", "covered")),
        number(statistics.mean(found["classes_in_set"])),
        _plain(found.get("unknown_auroc")),
    )


def _per_cent(values: list[float]) -> str:
    return _plain([100 * value for value in values], digits=2) + " %"


def _plain(values: list[float] | None, *, digits: int = 3) -> str:
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"
