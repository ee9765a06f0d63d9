"""A figure that a document of the repository gives as measured is in a result file.

Figures that were measured by hand carry the mark † in their paragraph: leads, not claims.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.documented import RUNS

ROOT = Path(__file__).parents[1]
MARK = "†"
# A number with a unit that is measured, a ratio of speeds, or a fraction of three digits and more,
# as an accuracy is.
FIGURE = re.compile(
    r"(?<![\w.,])(\d[\d,]*(?:\.\d+)?)"
    r"(?:\s(%|s|ms|us|MB|GB|GFLOP/s|points?|times(?=\s(?:as|slower|faster|longer))|"
    r"(?:images|photos|pictures)\sper\ssecond)(?![\w/^])|(?<=\.\d{3})(?!\d)|(?<=\.\d{4})(?!\d))"
)
# What a file's number is multiplied by: it has shares as fractions, seconds and bytes.
SCALES = {"%": (1, 100), "points": (1, 100), "point": (1, 100), "ms": (1, 1e3), "us": (1, 1e6)}
SCALES |= {"MB": (1, 1e-6), "GB": (1, 1e-9)}
MANY = {"by_epoch", "confusion_matrix", "mean_confusion_matrix", "curves"}  # of which any fits one


def _paragraphs(text: str) -> Iterator[str]:
    """Yields bullets and paragraphs of a Markdown text, without its blocks of code."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from re.split(r"\n\s*\n|\n(?=\* )", text)


def _numbers(value) -> Iterator[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
    elif isinstance(value, dict):
        kept = (item for name, item in value.items() if name not in MANY)
        yield from (number for item in kept for number in _numbers(item))
    elif isinstance(value, list | tuple):
        yield from (number for item in value for number in _numbers(item))


def _documented() -> list[float]:
    """Returns the documents' shares, losses and settings: claims of theirs, not of ours."""
    readings = [reading for run in RUNS.values() for reading in run.readings]
    said = [run.figures for run in RUNS.values()], [reading.figures for reading in readings]
    rates = [reading.settings.get("lr") for reading in readings]
    return list(_numbers([*said, rates]))


DOCUMENTED = _documented()
DOCUMENTED_SECONDS = list(_numbers([run.seconds for run in RUNS.values()]))


def _linked(paragraph: str) -> list[float]:
    """Returns all numbers of the result files that a paragraph links to."""
    stems = re.findall(r"\(experiments/results/([\w.]+)\.json\)", paragraph)
    files = [ROOT / "experiments" / "results" / f"{stem}.json" for stem in stems]
    return list(_numbers([json.loads(path.read_text()) for path in files]))


def _is_among(written: str, unit: str | None, known: list[float]) -> bool:
    """Returns whether a number rounds to what is written, in that unit."""
    digits = len(written.partition(".")[2])
    value = float(written.replace(",", ""))
    near = 0.5 * 10**-digits + 1e-9
    scales = SCALES.get(unit, (1,))
    return any(abs(scale * number - value) <= near for number in known for scale in scales)


def unfounded(text: str) -> list[str]:
    """Returns the figures of a text that no linked file holds, with the paragraph's beginning."""
    return [
        f"{figure[0].strip()!r} in {paragraph.strip()[:60]!r}"
        for paragraph in _paragraphs(text)
        if MARK not in paragraph
        for figure in FIGURE.finditer(paragraph)
        for said in [DOCUMENTED_SECONDS if figure[2] == "s" else DOCUMENTED]
        if not _is_among(figure[1], figure[2], [*said, *_linked(paragraph)])
    ]


@pytest.mark.parametrize("name", ["README.md", "BUILD_NOTES.md"])
def test_every_figure_has_a_file_or_a_mark(name):
    assert unfounded((ROOT / name).read_text()) == []


def test_a_figure_without_a_file_is_found():
    assert unfounded("It takes 123.456 s.") == ["'123.456 s' in 'It takes 123.456 s.'"]
    assert len(unfounded("* It has 0.1357 of them.\n* It takes 123.456 s. †")) == 1
    assert unfounded("It is 88.94 % in the document, on 3 cores.") == []
    median = json.loads((ROOT / "experiments/results/benchmark_start.json").read_text())["median"]
    linked = "[whole](experiments/results/benchmark_start.json)"
    assert unfounded(f"It takes {median['whole']:.1f} s, {linked}.") == []
    assert unfounded("It is 60, not 9, photos per second, and 1.7 times as fast.") != []
    assert unfounded("It is 0.8 of it and 0.8667 at best, in 0.9 s.") != []
    assert unfounded(f"It takes {2 * median['whole']:.1f} s, {linked}.") != []
