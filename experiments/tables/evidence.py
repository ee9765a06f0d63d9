"""What the documents claim in passing, and what their author most probably ran."""

from typing import Any

from experiments.evidence.claims import CLAIMS, COMPUTED, shown
from experiments.evidence.readings import KINDS
from experiments.evidence.verdicts import STEM
from experiments.tables.files import Files, table

READINGS_NOTE = """\
Probabilities of the readings of a run, all equally likely before: by the test accuracy alone, by
where the wrong ones went alone (`experiments/evidence/readings.py`), and by both. How far they can
be trusted: the second table takes each seed out, and asks which reading it is of."""


def claims(files: Files) -> list[str]:
    """Returns a section for each claim that has a file."""
    lines: list[str] = []
    for claim in (*CLAIMS.values(), *COMPUTED.values()):
        for stem, result in files.take([claim.stem]).items():
            machine, link = files.made({stem: result})
            command = f"`python -m experiments.reproduce --claims={claim.name}`"
            lines += [f"### {result['says']}", ""]
            lines += [f"From {result['source']}. {command}, machine {machine}, {link}.", ""]
            cells, answer = shown(result)
            lines += [*table(*cells), "", answer, ""]
    return lines[:-1]


def readings(files: Files) -> list[str]:
    """Returns the tables of what the author of runs with several readings most probably ran."""
    lines: list[str] = []
    for stem, content in files.take([STEM]).items():
        machine, link = files.made({stem: content})
        lines += [f"`python -m experiments.reproduce --readings`, machine {machine}, {link}.", ""]
        rows = []
        for number, found in content["runs"].items():
            for reading, of in found["readings"].items():
                chances = [f"{of[kind]:.3f}" for kind in KINDS]
                accuracy = f"{100 * of['mean']:.2f} ± {100 * of['std']:.2f} %"
                rows.append((number, reading, accuracy, *chances, _words(found, reading)))
        lines += table(
            ("run", "reading", "accuracy", *(f"by {kind}" for kind in KINDS), "verdict"), rows
        )
        shares = [("all readings", *_shares(content["assigned"]))]
        for number, found in content["runs"].items():
            if len(found["readings"]) > 1:
                shares.append((f"run {number}'s own", *_shares(found["assigned"])))
        lines += ["", *table(("seeds given back to their own reading", *KINDS), shares)]
    return lines


def _words(found: dict[str, Any], stem: str) -> str:
    """Returns the verdict beside the likeliest reading of a run."""
    likeliest = max(found["readings"], key=lambda name: found["readings"][name]["both"])
    return found["verdict"] if stem == likeliest else ""


def _shares(assigned: dict[str, list[int]]) -> list[str]:
    return ["{} of {}".format(*assigned[kind]) for kind in KINDS]
