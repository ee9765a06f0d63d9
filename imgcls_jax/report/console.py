"""The output of a run: plain text for logs, a progress bar on a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from imgcls_jax import errors
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.report import lettering

_GROUP = 68  # columns of name=value beside the title of a group


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def pairs(items: Mapping[str, Any]) -> None:
    """Prints names and values in two aligned columns."""
    width = max(map(len, items))
    for name, value in items.items():
        print(f"  {name:<{width}}  {_text(value)}")


def _text(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        value = ",".join(map(str, value))
    return "-" if value in (None, "") else value


def groups(items: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints names and values, as name=value, in a line or two for each group that has any.

    A value whose name is empty stands alone.
    """
    width = max(map(len, items))
    for title, values in items.items():
        lines = [""]
        for name, value in values.items():
            pair = f"{name}={_text(value)}" if name else str(value)
            if lines[-1] and len(lines[-1]) + len(pair) > _GROUP:
                lines.append("")
            lines[-1] += f"  {pair}"
        for number, line in enumerate(lines if values else ()):
            print(f"  {'' if number else title:<{width}}{line}")


def paths(title: str, written: Iterable[str]) -> None:
    """Prints a heading, then one path per line."""
    heading(title)
    for path in written:
        print(f"  {path}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints columns as wide as their widest cells: the first to the left, the others right."""
    rows = [header, *rows]
    rows = [[errors.printable(row[0]), *row[1:]] for row in rows]
    first = max(lettering.width(row[0]) for row in rows)
    widths = [max(len(row[i]) for row in rows) for i in range(1, len(header))]
    for row in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths, strict=True)]
        print("  ".join(["", lettering.pad(row[0], first), *cells]).rstrip())


def dataset(loaded: Dataset) -> None:
    """Prints what the data is and where it came from."""
    heading("Data")
    pairs(of_data(loaded))
    for note in loaded.notes:
        print(f"  {note}")


def of_data(loaded: Dataset) -> dict[str, str]:
    """Returns the lines of what the data is and where it came from."""
    height, width, channels = loaded.image_shape
    kinds = "labels" if loaded.several_labels else "classes"
    return {
        "name": loaded.name,
        "examples": ", ".join(f"{len(s):,} {name}" for name, s in loaded.splits.items()),
        "images": f"{height}x{width}x{channels} uint8, {loaded.num_classes} {kinds}",
        "first labels": " ".join(map(_numbers, loaded.train.labels[:10])),
        "source": loaded.source,
    } | _VERIFIED[loaded.verified]


def _numbers(label: np.ndarray) -> str:
    """Returns a class as its number, labels as theirs with bars between them."""
    return str(label) if label.ndim == 0 else "|".join(map(str, np.flatnonzero(label))) or "-"


_VERIFIED = {
    True: {"verified": "yes"},
    False: {"verified": "NO: the digest is not the published one"},
    None: {},  # one's own photos have no published digest
}


def closing(summary: Mapping[str, Any]) -> None:
    """Prints the table at the end of a run, from its summary."""
    heading("Result")
    lines = {"data": summary["data"]["source"]}
    if summary["data"]["verified"] is False:
        lines["data"] += "   NOT VERIFIED: the digest is not the published one"
    pairs(results(summary) | seconds(summary) | lines)
    print()
    if summary.get("thresholds") is not None:
        per_label(summary["per_class"], summary["ranking"]["classes"])
    else:
        per_class(summary["per_class"])


def label_figures(figures: Mapping[str, Any]) -> dict[str, str]:
    """Returns the lines of a network that gives examples any number of labels."""
    low, high = figures["test_accuracy_interval"]
    precision, found = figures["test_mean_average_precision"], figures["thresholds"]
    where = (
        f"of each label by its F1 on {chosen['examples']:,} {chosen['of']}"
        if (chosen := found["chosen_on"])
        else f"0.5 for every label: {found['why_not']}"
    )
    if few := len(found.get("undecided", ())):
        where += f", 0.5 for {few} that none or all of those have"
    return {
        "mean average precision": "-" if precision is None else f"{precision:.4f}",
        "exact matches": f"{figures['test_subset_accuracy']:.4f}   (every label of a photo right, "
        "by the thresholds)",
        "hamming loss": f"{figures['test_hamming_loss']:.4f}   (share of wrong labels)",
        "thresholds": where,
        "test accuracy": f"{figures['test_accuracy']:.4f}   95 % interval [{low:.4f}, {high:.4f}] "
        "(exact matches if every threshold were 0.5)",
    }


def results(summary: Mapping[str, Any]) -> dict[str, str]:
    """Returns the lines of a run's figures, a document's beside them, and of its size."""
    several = summary.get("thresholds") is not None
    lines = (label_figures if several else accuracies)(summary)
    lines |= {"test loss": f"{summary['test_loss']:.4f}"}
    if summary.get("validation_accuracy") is not None:
        lines["validation accuracy"] = f"{summary['validation_accuracy']:.4f}"
        lines["validation loss"] = f"{summary['validation_loss']:.4f}"
    if summary.get("train_accuracy") is not None:
        lines["train accuracy"] = (
            f"{summary['train_accuracy']:.4f}   (over epoch {summary['evaluated_epoch']})"
        )
    lines |= temperature(summary.get("temperature"))
    lines |= _documented(summary)
    lines["parameters"] = f"{summary['parameters']:,}"
    if "parameters_mb" in summary:
        lines["parameters"] += f"   {_megabytes(summary['parameters_mb'])} in float32"
    if summary.get("checkpoint_mb"):
        lines["parameters"] += f", {_megabytes(summary['checkpoint_mb'])} as saved"
    return lines


def seconds(summary: Mapping[str, Any]) -> dict[str, str]:
    """Returns the lines of what took how long in a run."""
    lines = {}
    if summary.get("train_seconds"):
        lines["training"] = (
            f"{summary['train_seconds']:.2f} s   {summary['examples_per_second']:,.0f} examples/s, "
            "without compilation and evaluation"
        )
    lines |= documented_seconds(summary.get("documented"))
    if summary["feature_seconds"]:
        lines["fixed features"] = f"{summary['feature_seconds']:.2f} s, once"
    if summary.get("head_seconds"):
        lines["fitting the head"] = (
            f"{summary['head_seconds']:.2f} s before training, without compilation"
        )
    lines["compilation"] = f"{summary['compile_seconds']:.2f} s"
    lines["evaluation"] = f"{summary['eval_seconds']:.2f} s"
    return lines


def accuracies(figures: Mapping[str, Any], *, of: str = "") -> dict[str, str]:
    """Returns the lines of the test set's accuracies with their intervals.

    Args:
      of: what follows their names, such as " over all".
    """
    lines, known = {}, {"test accuracy": "accuracy", "balanced accuracy": "balanced_accuracy"}
    if k := figures.get("top_k"):
        known[f"top-{k} accuracy"] = f"top{k}_accuracy"
    for name, key in known.items():
        line = f"{figures[f'test_{key}']:.4f}"
        if f"test_{key}_interval" in figures:  # summaries of version 0.1 have not all of them
            low, high = figures[f"test_{key}_interval"]
            line += f"   95 % interval [{low:.4f}, {high:.4f}]"
        lines[name + of] = line
    lines[f"balanced accuracy{of}"] += "   (mean recall of classes)"
    return lines


def temperature(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Returns the line of the temperature and what it changes; none for older summaries."""
    if found is None:
        return {}
    if found["value"] is None:
        return {"temperature": f"none: {found['why_not']}"}
    before, after = (found["test_ece"][when] for when in ("before", "after"))
    line = f"{found['value']:.3f}   calibration error {before:.4f} without, {after:.4f} with it"
    return {"temperature": line}


def times(result: Mapping[str, Any]) -> None:
    """Prints the seconds of training of several runs, from their summary, and the document's."""
    seconds = result["train_seconds"]
    mean = sum(seconds) / len(seconds)
    line = f"{mean:.2f} s on average, {min(seconds):.2f} to {max(seconds):.2f} s"
    if "together" in result:
        line += ", shares of a program of several seeds"
    pairs({"training": line} | documented_seconds(result["documented"]))


def documented_seconds(documented: Mapping[str, Any] | None) -> dict[str, str]:
    """Returns the line of the training time that a document gives, and on what; none without."""
    if not documented or not documented.get("seconds"):
        return {}
    machine = documented.get("hardware") or "not named"
    return {"documented training": f"{documented['seconds']:,g} s   machine: {machine}"}


def _megabytes(size: float) -> str:
    return f"{size:,.2f} MB"


def per_class(figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints precision, recall, F1 and support of each class."""
    table(
        ("class", "precision", "recall", "f1", "support"),
        [
            (
                name,
                f"{m['precision']:.3f}",
                f"{m['recall']:.3f}",
                f"{m['f1']:.3f}",
                str(m["support"]),
            )
            for name, m in figures.items()
        ],
    )


def per_label(
    figures: Mapping[str, Mapping[str, Any]], ranking: Mapping[str, Mapping[str, float]]
) -> None:
    """Prints the average precision of each label, and its figures from its threshold on."""
    rows = []
    for name, m in figures.items():
        precision = ranking.get(name, {}).get("average_precision")
        cells = ["-" if precision is None else f"{precision:.3f}"]
        cells += [f"{m[key]:.3f}" for key in ("threshold", "precision", "recall", "f1")]
        rows.append((name, *cells, str(m["support"])))
    header = ("label", "average precision", "threshold", "precision", "recall", "f1", "support")
    table(header, rows)


def _documented(summary: Mapping[str, Any]) -> dict[str, str]:
    lines = {}
    for name, difference in summary.get("difference", {}).items():
        figure, ours = documented_figure(summary, name, difference)
        lines[f"documented {name.replace('_', ' ')}"] = f"{figure}   {ours}"
    if summary.get("documented", {}).get("disagreement"):
        lines["note"] = summary["documented"]["disagreement"]
    return lines


def documented_figure(summary: Mapping[str, Any], name: str, difference: float) -> tuple[str, str]:
    """Returns a documented figure, and how ours lies to it, both in words."""
    figure = summary["documented"]["figures"][name]
    ours = f"ours {difference:+.4f}" if difference or np.isscalar(figure) else "ours within"
    return _figure(figure), ours


def spread(figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints mean and standard deviation over seeds, and where a documented figure falls."""
    rows = []
    for name, entry in figures.items():
        documented, mean, std, _, *judged = compared(entry)
        extremes = (f"{min(entry['values']):.4f}", f"{max(entry['values']):.4f}")
        rows.append((name.replace("_", " "), mean, std, *extremes, documented, *judged))
    header = ("figure", "mean", "std", "min", "max", "documented", "p", "a further seed")
    shown = len(header) if any("documented" in entry for entry in figures.values()) else 5
    table(header[:shown], [row[:shown] for row in rows])


def compared(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns a figure over seeds as words: documented, mean, std, seeds, p and the verdict."""
    return (
        _figure(entry["documented"]) if "documented" in entry else "-",
        f"{entry['mean']:.4f}",
        f"{entry['std']:.4f}" if entry["std"] is not None else "-",
        str(len(entry["values"])),
        f"{entry['p']:.2g}" if "p" in entry else "-",
        entry.get("verdict", "-"),
    )


def _figure(figure: float | Sequence[float]) -> str:
    """Returns a documented figure or a range of them."""
    return " to ".join(f"{end:.4f}" for end in ([figure] if np.isscalar(figure) else figure))
