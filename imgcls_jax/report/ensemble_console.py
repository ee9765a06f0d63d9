"""The tables at the end of an ensemble, from its summary."""

from collections.abc import Mapping
from typing import Any

from imgcls_jax.report import console

_HEADER = ("", "accuracy", "loss", "calibration error")


def closing(summary: Mapping[str, Any]) -> None:
    """Prints members, weights, what the ensemble gains, and what one network keeps of it."""
    console.heading(f"{summary['run'].capitalize()}")
    console.table(
        ("member", "weight", "seed", "validation"),
        [
            (member["name"], f"{member['weight']:.3f}", str(member["seed"]), _figure(member))
            for member in summary["members"]
        ],
    )
    print(f"\n  {summary['weighting']['why']}\n")
    if "out_of_fold" in summary:
        found = summary["out_of_fold"]
        low, high = found["interval"]
        console.pairs(
            {"out of fold": f"{found['accuracy']:.4f}   95 % interval [{low:.4f}, {high:.4f}]"}
        )
        return
    of_members = summary["of_members"]
    rows = [("members' mean", *(of_members[key]["mean"] for key in ("accuracy", "loss", "ece")))]
    ensemble = (summary["test_accuracy"], summary["test_loss"], summary["calibration"]["ece"])
    rows.append((f"ensemble, {summary['weighting']['by']} weights", *ensemble))
    for name, found in summary["weighting"]["candidates"].items():
        if name != summary["weighting"]["by"]:
            rows.append((f"with {name} weights", *_of(found["test"])))
    for name in ("soup", "distilled"):
        if summary.get(name, {}).get("accuracy") is not None:
            rows.append((f"one network: {name}", *_of(summary[name])))
    console.table(_HEADER, [(row[0], *(f"{value:.4f}" for value in row[1:])) for row in rows])
    low, high = summary["gain"]["interval"]
    apart = summary["disagreement"]
    print()
    console.pairs(
        {
            "gain": f"{summary['gain']['accuracy']:+.4f}   95 % interval [{low:+.4f}, {high:+.4f}]",
            "disagreement": f"{apart['mean']:.4f} of the examples, {apart['min']:.4f} to "
            f"{apart['max']:.4f} by pair",
            "soup": summary["soup"].get("why_not", summary["soup"].get("kind")),
        }
        | console.temperature(summary.get("temperature"))
        | _kept(summary)
    )


def _of(figures: Mapping[str, float]) -> tuple[float, ...]:
    return figures["accuracy"], figures["loss"], figures["ece"]


def _figure(member: Mapping[str, Any]) -> str:
    accuracy = member["validation_accuracy"]
    return "-" if accuracy is None else f"{accuracy:.4f}"


def _kept(summary: Mapping[str, Any]) -> dict[str, str]:
    kept = summary.get("distilled", {}).get("kept")
    return {} if kept is None else {"the student keeps": f"{100 * kept:.0f} % of the gain"}
