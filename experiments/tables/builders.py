"""Which builders of TFDS prepare without TensorFlow."""

from collections import Counter

from experiments.tables.files import Files, table

_STEM = "tfds_builders"
_COMMAND = "python -m experiments.benchmark tfds --out=experiments/results/tfds_builders.json"
NOTE = """\
Every builder whose supervised keys are an image and a label, or that has one of each. *Prepared*:
the stock builder prepared a small drawn archive in the published layout (counts that its code
fixes are set to the archive's), and `tests/data/preparing` holds that each example equals what
TensorFlow prepared of the same archive: labels, order of keys, decoded pixels, and the encoded
bytes but where TensorFlow encodes arrays as PNG files. No published archive could be fetched here.
One configuration is tried of each; the others of a builder may need more. Of the rest the source
was read, in all configurations: *needs TensorFlow* names what it uses that is not supplied, *needs
a package* what is not installed."""
_ORDER = ("prepared", "not tried", "needs a package", "needs TensorFlow", "failed")


def builders(files: Files) -> list[str]:
    """Returns the table of the survey's file, if there is one, and its command."""
    results = files.take([_STEM])
    if not results:
        return []
    machine, link = files.made(results)
    found = results[_STEM]["builders"]
    counts = Counter(one["outcome"] for one in found.values())
    ordered = sorted(found.items(), key=lambda item: (_ORDER.index(item[1]["outcome"]), item[0]))
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _ORDER if counts[outcome])
    rows = [
        (
            one.get("tried", name),
            one["outcome"],
            _cell(one.get("why") or _uses(one)),
            _cell(one.get("by_hand", "-")),
        )
        for name, one in ordered
    ]
    return [
        f"Of {len(found)} builders: {said}. tensorflow-datasets "
        f"{results[_STEM]['tensorflow_datasets']}, machine {machine}; {link}.",
        "",
        f"    {_COMMAND}",
        "",
        *table(("data set", "without TensorFlow", "because", "by hand"), rows),
    ]


def _uses(one: dict) -> str:
    """Returns what a builder that was only read uses of TensorFlow."""
    if one["outcome"] == "prepared":
        return "-"
    return f"uses {', '.join(one['tensorflow']) or 'nothing of TensorFlow'}"


def _cell(text: str) -> str:
    """Returns a text on one line of a table; what is long ends in three dots."""
    short = text if len(text) <= 240 else f"{text[:237].rstrip()}..."
    return short.replace("|", "\\|").replace("<", "&lt;")
