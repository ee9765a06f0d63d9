"""The documented runs beside what was measured of them, and beside Keras where it ran them."""

from collections.abc import Iterator

from experiments.documented import RUNS, DocumentedRun, Reading
from experiments.evidence.plan import slug
from experiments.tables.files import BEST_EPOCH, Files, measured, table, values_of
from imgcls_jax import statistics

_KERAS = "Keras itself"


def documented(files: Files) -> list[str]:
    """Returns the table of the documented runs that have files, and of Keras where it ran them."""
    rows = []
    for found in RUNS.values():
        known = {slug(found, reading) for reading in found.readings}
        for reading in found.readings:
            stem = slug(found, reading)
            if results := files.take([stem]):
                rows += _rows_of(files, found, reading.label, reading, results)
        for stem in sorted(files.every):  # of other networks than the document's
            if stem.startswith(f"run{found.number}_") and stem not in known:
                label = files.every[stem]["documented"]["reading"]
                reading = Reading(label, "", {}, {})
                rows += _rows_of(files, found, label, reading, files.take([stem]))
        if results := files.take([f"keras_run{found.number}"]):
            rows += _rows_of(files, found, _KERAS, found.readings[0], results)
    header = ("run", "reading", "figure", "documented", "measured", "n", "t", "p", "a further seed")
    return table((*header, "machine", "file"), rows) if rows else []


def _rows_of(
    files: Files, found: DocumentedRun, label: str, reading: Reading, results: dict[str, dict]
) -> Iterator[tuple[str, ...]]:
    figures: dict = found.figures_of(reading) or {found.headline[0]: None}
    if found.number == 11:  # even the best epoch does not reach what the document says
        figures[BEST_EPOCH] = found.headline[1]
    for figure, reported in figures.items():
        values = [value for result in results.values() for value in values_of(result, figure)]
        if not values:
            continue
        judged = ("-", "-", "-")
        if reported is not None and len(values) > 1:
            told = statistics.prediction(values, reported)
            t = "-" if told["rule"] == "ranks" else f"{told['t']:+.1f}"
            judged = (t, _probability(told["p"]), told["verdict"])
        yield (
            str(found.number),
            label,
            figure.replace("_", " ").replace("accuracy best", "accuracy, best"),
            "-" if reported is None else _reported(reported, figure),
            measured(values, figure),
            str(len(values)),
            *judged,
            *files.made(results),
        )


def _reported(figure: float | tuple[float, float], name: str) -> str:
    if isinstance(figure, tuple):
        return " to ".join(measured([end], name) for end in figure)
    return measured([figure], name)


def _probability(p: float) -> str:
    return f"{p:.2f}" if p >= 0.01 else f"{p:.1g}"


def against_keras(files: Files) -> list[str]:
    """Returns the table of our runs 10 and 11 less Keras' own, whose seeds share nothing."""
    rows = []
    for number in (10, 11):
        ours, theirs = files.every.get(f"run{number}"), files.every.get(f"keras_run{number}")
        if ours is None or theirs is None:
            continue
        for figure in ("test_accuracy", "train_accuracy"):
            a, b = values_of(ours, figure), values_of(theirs, figure)
            if min(len(a), len(b)) < 2:
                continue
            found = statistics.unpaired(a, b)
            low, high = (100 * end for end in found["interval"])
            rows.append(
                (
                    str(number),
                    figure.replace("_", " "),
                    f"{measured(a, figure)} ({len(a)})",
                    f"{measured(b, figure)} ({len(b)})",
                    f"{100 * found['difference']:+.2f} points",
                    f"{low:+.2f} to {high:+.2f}",
                    _probability(found["p"]),
                )
            )
    header = ("run", "figure", "ours (seeds)", "Keras (seeds)", "difference", "95 %", "p")
    return table(header, rows) if rows else []
