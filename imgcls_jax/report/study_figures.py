"""The figures of a study, from its summary: how it went, what mattered, what was tried.

Every function draws one PNG file and returns its path; it raises UserError where the file cannot
be written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.report.figure import FAINT, INK, new_figure, save, shorten

_BLUE, _ORANGE, _RED = "#1f5a94", "#d9661f", "#b3302a"
_LINES = 200  # of intermediate values and parallel coordinates; the best ones, if there are more

Record = Mapping[str, Any]


def draw(
    folder: Path, summary: Mapping[str, Any], axes: Mapping[str, Mapping[str, Any]]
) -> list[Path]:
    """Draws the four figures of a study into a folder.

    Args:
      summary: has `trials`, each with `number`, `state`, `value`, `params`, `by_epoch` and `first`,
        and `winner` and `importances`.
      axes: by setting, its `choices`, or `low`, `high` and `log`.
    """
    trials, best = summary["trials"], summary["winner"]["trial"]
    return [
        history(trials, best, folder / "history.png"),
        importances(summary["importances"], folder / "importances.png"),
        parallel_coordinates(trials, best, axes, folder / "parallel_coordinates.png"),
        intermediate_values(trials, best, folder / "intermediate_values.png"),
    ]


def history(trials: Sequence[Record], best: int, path: Path) -> Path:
    """Draws the validation accuracy of each trial against its number, and the best so far.

    Trials that were given up stand where they were then.
    """
    figure = new_figure(7.4, 4.2)
    axes = figure.add_subplot()
    finished = _points(trials, "complete")
    pruned = _points(trials, "pruned")
    style = {"zorder": 3, "linewidths": 0}
    axes.scatter(*pruned.T, s=18, color="#c4c8cc", label="pruned, accuracy then", **style)
    axes.scatter(*finished.T, s=26, color=_BLUE, label="finished", **style)
    if len(finished):
        so_far = np.maximum.accumulate(finished[:, 1])
        axes.plot(
            finished[:, 0], so_far, color=_ORANGE, drawstyle="steps-post", label="best so far"
        )
        axes.set_ylim(*_limits(np.concatenate([finished[:, 1], pruned[:, 1]])))
    _mark_first(axes, trials)
    winner = finished[finished[:, 0] == best]
    axes.scatter(*winner.T, s=90, facecolors="none", edgecolors=_RED, label="winner", zorder=4)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    return _finish(figure, axes, "Trials", "Trial", "Validation accuracy", path)


def importances(shares: Mapping[str, float], path: Path) -> Path:
    """Draws each setting's share in the variance of the results as bars."""
    names = sorted(shares, key=lambda name: shares[name])
    figure = new_figure(6.4, max(2.2, 1.2 + 0.34 * len(names)))
    axes = figure.add_subplot()
    if names:
        values = [shares[name] for name in names]
        axes.barh(names, values, 0.7, color=_BLUE)
        for place, value in enumerate(values):
            style = {"textcoords": "offset points", "va": "center", "fontsize": 9, "color": INK}
            axes.annotate(f"{value:.0%}", (value, place), (4, 0), **style)
        axes.set_xlim(0, 1.12 * max(values))
        axes.tick_params(axis="y", length=0, labelsize=10)
    else:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5,
            0.5,
            "needs at least four finished trials whose results differ",
            ha="center",
            color=FAINT,
        )
    title = "Importance of the settings"
    return _finish(figure, axes, title, "Share of the variance (PED-ANOVA)", "", path, grid="")


def parallel_coordinates(
    trials: Sequence[Record], best: int, axes: Mapping[str, Mapping[str, Any]], path: Path
) -> Path:
    """Draws each finished trial as a line through its settings, coloured by accuracy.

    A line breaks where a trial has a setting that the space does not hold.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    finished = sorted((t for t in trials if t["value"] is not None), key=lambda t: t["value"])
    finished = finished[-_LINES:]
    figure = new_figure(max(6.0, 1.35 * len(axes) + 1.6), 5.0)
    drawn = figure.add_subplot(xlim=(-0.25, len(axes) - 0.75), ylim=(-0.06, 1.06))
    values = [trial["value"] for trial in finished] or [0.0]
    # The best half has the colours; a trial that never learned would take them all.
    norm = Normalize(min(np.median(values), max(values) - 2e-3), max(values))
    colours = colormaps["viridis_r"]
    rng = np.random.RandomState(0)  # lines of one choice lie beside each other
    for trial in finished:
        heights = [_height(of, trial["params"].get(name), rng) for name, of in axes.items()]
        wins = trial["number"] == best
        style = {"color": colours(norm(trial["value"])), "linewidth": 0.9, "alpha": 0.75}
        if wins:
            style = {"color": _RED, "linewidth": 2.4, "label": f"winner: trial {best}"}
        drawn.plot(range(len(axes)), heights, zorder=4 if wins else 2, marker=".", **style)
    for place, of in enumerate(axes.values()):
        drawn.axvline(place, color=INK, linewidth=0.8, zorder=1)
        for height, text in _ticks(of):
            style = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
            drawn.annotate(text, (place, height), fontsize=7.5, bbox=box, zorder=5, **style)
    drawn.set_xticks(range(len(axes)), [name.replace("_", "\n") for name in axes], fontsize=10)
    drawn.tick_params(length=0)
    drawn.set_yticks([])
    drawn.spines[:].set_visible(False)
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=drawn, aspect=35, pad=0.04, extend="min"
    )
    bar.set_label("Validation accuracy", fontsize=10)
    bar.outline.set_visible(False)
    drawn.set_title("Settings of the finished trials", fontsize=12, loc="left")
    if drawn.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper right", frameon=False, fontsize=10)
    return save(figure, path)


def intermediate_values(trials: Sequence[Record], best: int, path: Path) -> Path:
    """Draws each trial's validation accuracy against the epoch; pruned ones end early."""
    figure = new_figure(7.4, 4.4)
    axes = figure.add_subplot()
    begun = [trial for trial in trials if trial["by_epoch"]]
    begun = sorted(begun, key=lambda trial: max(trial["by_epoch"]))[-_LINES:]
    named = set()
    for trial in begun:
        kind = trial["state"] if trial["state"] in ("complete", "pruned") else "not finished"
        colour, label = {
            "complete": (_BLUE, "finished"), "pruned": ("#b4b9be", "pruned")
        }.get(kind, (FAINT, kind))  # fmt: skip
        style = {"color": colour, "linewidth": 0.8, "alpha": 0.6, "zorder": 2}
        if trial["number"] == best:
            label, style = "winner", {"color": _RED, "linewidth": 2.2, "zorder": 4}
        elif trial["first"]:
            label, style = "settings to beat", {"color": INK, "linewidth": 1.8, "zorder": 3}
        epochs = range(1, len(trial["by_epoch"]) + 1)
        marker = {"marker": "."} if len(epochs) == 1 else {}
        label = None if label in named else label
        named.add(label)
        axes.plot(epochs, trial["by_epoch"], label=label, **style, **marker)
    if begun:
        axes.set_ylim(*_limits(np.concatenate([trial["by_epoch"] for trial in begun])))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    return _finish(figure, axes, "Trials by epoch", "Epoch", "Validation accuracy", path)


def _points(trials: Sequence[Record], state: str) -> np.ndarray:
    """Returns number and last accuracy (n, 2) of the trials in a state."""
    found = [
        (trial["number"], trial["value"] if trial["value"] is not None else trial["by_epoch"][-1])
        for trial in trials
        if trial["state"] == state and (trial["value"] is not None or trial["by_epoch"])
    ]
    return np.array(found, np.float64).reshape(-1, 2)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Returns limits that show the better three quarters and leave out what never learned."""
    low, high = float(np.quantile(values, 0.25)), float(values.max())
    room = max(0.06 * (high - low), 0.002)
    return max(low - 0.5 * (high - low), float(values.min())) - room, high + room


def _mark_first(axes: Any, trials: Sequence[Record]) -> None:
    for trial in trials:
        if trial["first"] and trial["value"] is not None:
            label = "settings to beat"
            axes.axhline(trial["value"], color=INK, linestyle=":", linewidth=1.2, label=label)


def _height(of: Mapping[str, Any], value: Any, rng: np.random.RandomState) -> float:
    """Returns the place of a value on its axis, from 0 to 1; NaN of none."""
    if value is None:
        return np.nan
    if "choices" in of:
        count = len(of["choices"])
        aside = 0.3 * (rng.random_sample() - 0.5) / count
        return float(np.clip((of["choices"].index(value) + 0.5) / count + aside, 0, 1))
    scale = np.log if of["log"] else float
    low, high = scale(of["low"]), scale(of["high"])
    return float((scale(value) - low) / (high - low))


def _ticks(of: Mapping[str, Any]) -> list[tuple[float, str]]:
    if "choices" in of:
        count = len(of["choices"])
        return [((k + 0.5) / count, shorten(text, 18)) for k, text in enumerate(of["choices"])]
    places = np.linspace(0, 1, 4)
    if of["log"]:
        values = of["low"] * (of["high"] / of["low"]) ** places
    else:
        values = of["low"] + (of["high"] - of["low"]) * places
    return [(place, f"{value:.2g}") for place, value in zip(places, values, strict=True)]


def _finish(
    figure: Any, axes: Any, title: str, x: str, y: str, path: Path, *, grid: str = "y"
) -> Path:
    """Letters a figure and writes it."""
    axes.set_title(title, fontsize=12, loc="left")
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    if grid:
        axes.grid(axis=grid, color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9.5)
    return save(figure, path)
