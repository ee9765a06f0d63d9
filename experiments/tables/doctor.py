"""What the doctor for photos found of what was spoilt on purpose."""

import statistics
from collections.abc import Sequence

from experiments.tables.files import Files, table

_STEM = "doctor_sports100"
_COMMAND = """\
python -m experiments.benchmark doctor --data_dir=SPORTS --model=mobilenet_v2
  --weights=mobilenet_v2_imagenet_keras.h5 --rounds=3 --out=doctor_sports100.json"""
NOTE = """\
5 % of the training labels become another class at random; *among the first* counts as many suspects
as there are such labels. Copies of 400 photos are mixed with all photos; a pair with another photo
than the original counts as wrong, also where that is a near copy in truth. The thresholds were
chosen on pictures of anime, cartoons and humans and on eggs; that suspects are ordered by the
probability of their label, and that copies are compared at more scales, after a look at these
photos (seed 0), so that the figures are a little flattered."""


def found(files: Files) -> list[str]:
    """Returns the table of the benchmark's file, if there is one, and its command."""
    results = files.take([_STEM])
    if not results:
        return []
    result = results[_STEM]
    machine, link = files.made(results)
    labels, copies, quality = result["labels"], result["copies"], result["quality"]
    seeds = f"{len(labels)} seeds"
    first = [of["recall_of_first"] for of in labels]
    flipped = f"{labels[0]['flipped']} labels flipped"
    rows = [
        (f"{flipped}: found among the first {labels[0]['flipped']}", seeds, _share(first)),
        (f"{flipped}: found at all", seeds, _share([of["recall_of_all"] for of in labels])),
        (
            f"suspects that are such labels, of {_range([of['suspects'] for of in labels])}",
            seeds,
            _share([of["precision_of_all"] for of in labels]),
        ),
        (
            "their likely class is the true one",
            seeds,
            _share([of["likely_class_right"] for of in labels]),
        ),
        (f"{copies['planted']} near copies: found", "-", _share([copies["recall"]])),
        ("pairs found that are such copies", "-", _share([copies["precision"]])),
        *((f"found: {k}", "-", _share([v])) for k, v in copies["recall_by_kind"].items()),
        *((f"poor: {k}", "-", _share([v])) for k, v in quality.items() if k != "photos"),
    ]
    return [
        *table(("", "n", "share"), rows),
        "",
        f"{result['photos']:,} photos of {result['data']}, machine {machine}; {link}.",
        "",
        "```",
        *_COMMAND.splitlines(),
        "```",
    ]


def _share(values: Sequence[float]) -> str:
    shown = f"{100 * statistics.mean(values):.1f}"
    if len(values) > 1:
        shown += f" ± {100 * statistics.stdev(values):.1f}"
    return f"{shown} %"


def _range(values: Sequence[int]) -> str:
    return " to ".join(f"{value}" for value in dict.fromkeys((min(values), max(values))))
