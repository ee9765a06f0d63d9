"""What was measured, at the terminal."""

from collections.abc import Mapping
from typing import Any

from experiments.evidence.claims import answer
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
            _claim(result)
            continue
        for name, entry in result["spread"].items():
            if "documented" in entry or name == "test_accuracy":
                rows.append((f"{stem}  {name.replace('_', ' ')}", *console.compared(entry)))
    if rows:
        console.heading("Documented and measured")
        header = ("file and figure", "documented", "mean", "std", "seeds", "p", "a further seed")
        console.table(header, rows)


def _claim(result: dict[str, Any]) -> None:
    """Prints a claim's variants: accuracy, and the difference to the base with its interval."""
    console.heading(result["says"])
    rows = []
    for name in result["variants"]:
        if not result["spread"][name]:
            continue
        test, train = (result["spread"][name][f"{of}_accuracy"] for of in ("test", "train"))
        paired = result["paired"].get(name)
        cells = ["-", "-", "-"]
        if paired:
            low, high = paired["interval"]
            cells = [f"{paired['difference']:+.4f}", f"[{low:+.4f}, {high:+.4f}]"]
            cells.append(f"{paired['p']:.2g}")
        gap = train["mean"] - test["mean"]
        shown = (f"{test['mean']:.4f}", f"{test['std']:.4f}", f"{train['mean']:.4f}", f"{gap:+.4f}")
        rows.append((name, *shown, str(len(test["values"])), *cells))
    less = f"less {result['base']}"
    console.table(("", "test", "std", "train", "gap", "seeds", less, "95 %", "p"), rows)
    print(f"\n  {answer(result)}")


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
