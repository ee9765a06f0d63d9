"""What was measured, at the terminal."""

import textwrap
from collections.abc import Mapping
from typing import Any

from experiments.evidence import claims
from experiments.evidence.readings import KINDS
from imgcls_jax.report import console


def measured(found: Mapping[str, dict[str, Any]]) -> None:
    """Prints one line per documented figure, and a table per claim.

    Args:
      found: contents of result files by name.
    """
    rows = []
    for stem, result in found.items():
        if "variants" in result:
            claim(result)
            continue
        for name, entry in result["spread"].items():
            if "documented" in entry or name == "test_accuracy":
                rows.append((f"{stem}  {name.replace('_', ' ')}", *console.compared(entry)))
    if rows:
        console.heading("Documented and measured")
        header = ("file and figure", "documented", "mean", "std", "seeds", "p", "a further seed")
        console.table(header, rows)


def claim(result: Mapping[str, Any]) -> None:
    """Prints a claim, its table and what it comes to."""
    table, answer = claims.shown(result)
    console.heading(result["says"])
    console.table(*table)
    print("\n" + textwrap.fill(answer, initial_indent="  ", subsequent_indent="  ", width=100))


def readings(content: dict[str, Any]) -> None:
    """Prints what the author most probably ran, and how far the evidence can be trusted."""
    console.heading("What the author most probably ran")
    rows = []
    for number, found in content["runs"].items():
        for stem, of in found["readings"].items():
            chances = [f"{of[kind]:.3f}" for kind in KINDS]
            mean = f"{of['mean']:.4f} ± {of['std']:.4f}"
            rows.append((f"run {number}: {stem}", mean, f"{of['p']:.2g}", *chances))
    console.table(("reading", "accuracy", "p", *KINDS), rows)
    print("\n  the last three: probability by kind of evidence, all readings equally likely before")
    console.heading("Seeds that are given back to their own reading")
    rows = [("all readings", *_shares(content["assigned"]))]
    for number, found in content["runs"].items():
        if len(found["readings"]) > 1:
            rows.append((f"run {number}'s own", *_shares(found["assigned"])))
    console.table(("", *KINDS), rows)
    console.heading("Verdict")
    console.pairs({f"run {number}": found["verdict"] for number, found in content["runs"].items()})


def _shares(assigned: Mapping[str, tuple[int, int]]) -> list[str]:
    return ["{} of {}".format(*assigned[kind]) for kind in KINDS]
