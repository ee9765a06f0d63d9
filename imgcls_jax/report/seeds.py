"""Charts of several seeds: intervals beside reported figures, mean matrices, curves with bands."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from imgcls_jax.report.figure import INK, Drawn, Target, finish, new_figure, shorten, shorten_names

_OURS, _THEIRS = "#1f5a94", "#d9661f"
_SPLITS = {"train": "#1f5a94", "validation": "#d9661f", "test": "#2e7d4f"}


class Row(NamedTuple):
    """A line of `intervals`.

    Attributes:
      label: what was measured.
      values: one figure per seed.
      reported: the figure to compare with, or (low, high); None where there is none.
      expected: where one more seed falls, (low, high); None where there is one seed alone.
    """

    label: str
    values: Sequence[float]
    reported: float | Sequence[float] | None
    expected: Sequence[float] | None = None


def intervals(rows: Sequence[Row], path: Target = None, *, title: str, unit: str) -> Drawn:
    """Draws every seed, their mean, where one more seed falls, and the reported figure.

    Args:
      rows: from top to bottom.
      path: the PNG file to write.
      unit: of the values, under the axis.
    """
    figure = new_figure(8.2, 1.3 + 0.36 * len(rows))
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        values = np.asarray(row.values)
        if row.expected is not None:
            axes.plot(row.expected, [place, place], color=_OURS, linewidth=5, alpha=0.22)
        axes.scatter(values, np.full(len(values), place), 9, color=_OURS, alpha=0.55, linewidths=0)
        axes.plot(values.mean(), place, marker="|", color=_OURS, markersize=13, markeredgewidth=2)
        if row.reported is not None:
            ends = np.atleast_1d(row.reported)
            style = {"color": _THEIRS, "linewidth": 2.5, "zorder": 3, "marker": "D"}
            axes.plot(ends, np.full(len(ends), place), markersize=5.5, **style)
    handles = [
        axes.plot([], [], color=_OURS, marker="o", linestyle="", markersize=3, label="a seed")[0],
        axes.plot([], [], color=_OURS, marker="|", linestyle="", markersize=12, label="mean")[0],
        axes.plot([], [], color=_OURS, linewidth=5, alpha=0.22, label="a further seed (95 %)")[0],
    ]
    if any(row.reported is not None for row in rows):
        style = {"color": _THEIRS, "marker": "D", "linestyle": ""}
        handles += axes.plot([], [], label="documented", **style)
    axes.set_yticks(range(len(rows)), [shorten(row.label, 44) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(unit, fontsize=11)
    axes.grid(color="#e9ebee")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(title, x=0.02, ha="left", fontsize=12)
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return finish(figure, path)


def matrices(
    documented: np.ndarray,
    measured: np.ndarray,
    class_names: Sequence[str],
    path: Target = None,
    *,
    title: str,
) -> Drawn:
    """Draws a documented confusion matrix, our mean one, and ours less the documented.

    Args:
      documented, measured: (C, C), true classes in rows; counts of equal rows.
    """
    documented, measured = np.asarray(documented), np.asarray(measured)
    panels = (("Documented", documented), ("Measured, mean", measured))
    figure = new_figure(15.6, 5.6)
    all_axes = figure.subplots(1, 3)
    names = shorten_names(class_names, 12)
    most = max(documented.max(), measured.max())
    for axes, (words, matrix) in zip(all_axes, panels, strict=False):
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=most)
        _cells(axes, matrix, words, names, dark=0.55 * most)
    gap = measured - documented
    reach = max(1.0, float(np.abs(gap).max()))
    all_axes[2].imshow(gap, cmap="RdBu_r", vmin=-reach, vmax=reach)
    _cells(all_axes[2], gap, "Measured less documented", names, dark=0.6 * reach, signed=True)
    all_axes[0].set_ylabel("True", fontsize=11)
    figure.suptitle(title, x=0.02, ha="left", fontsize=13)
    return finish(figure, path)


def _cells(axes: Any, matrix: np.ndarray, title: str, names, *, dark: float, signed=False) -> None:
    """Writes the numbers of a heat map into its cells, and the names beside it."""
    for (row, column), value in np.ndenumerate(matrix):
        faint = abs(value) < 0.5
        color = "white" if abs(value) > dark else "#c4c8cc" if faint else INK
        text = f"{value:+.0f}" if signed and not faint else f"{abs(value):.0f}"
        style = {"ha": "center", "va": "center", "fontsize": 7.5, "in_layout": False}
        axes.text(column, row, text, color=color, **style)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel("Predicted", fontsize=11)
    axes.spines[:].set_visible(False)


def curves(
    seeds: Sequence[Mapping[str, Sequence[float]]], path: Target = None, *, title: str
) -> Drawn:
    """Draws loss and accuracy by epoch: the mean over seeds, and a band from least to most.

    Args:
      seeds: for each seed the series `train_loss`, `train_accuracy` and, of a split that was
        watched, `validation_loss`, `test_accuracy` and so on, one value per epoch.
    """
    figure = new_figure(10.4, 4.2)
    all_axes = figure.subplots(1, 2)
    for axes, what in zip(all_axes, ("loss", "accuracy"), strict=True):
        for split, color in _SPLITS.items():
            if f"{split}_{what}" in seeds[0]:
                series = np.array([seed[f"{split}_{what}"] for seed in seeds])
                _band(axes, np.arange(1, series.shape[1] + 1), series, color, split)
        _framed(axes, "Epoch", what.capitalize())
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    handles, names = all_axes[0].get_legend_handles_labels()
    figure.suptitle(f"{title}: {len(seeds)} seeds", x=0.02, ha="left", fontsize=12)
    figure.legend(handles, names, loc="outside upper right", ncols=3, frameon=False, fontsize=10)
    return finish(figure, path)


def against(
    x: Sequence[float],
    series: Mapping[str, np.ndarray],
    path: Target = None,
    *,
    labels: tuple[str, str],
    title: str,
    log: bool = False,
) -> Drawn:
    """Draws figures over seeds against a setting: the mean, and a band from least to most.

    Args:
      x: (n,) values of the setting.
      series: (seeds, n) figures by name of the split; any other name has the test set's colour.
      labels: of the two axes.
      log: whether the setting is drawn by its logarithm.
    """
    figure = new_figure(max(7.4, 0.096 * len(title) + 0.4), 4.4)
    axes = figure.add_subplot()
    for name, values in series.items():
        color = _SPLITS.get(name, _SPLITS["test"])
        _band(axes, np.asarray(x), np.asarray(values), color, name, marker="o")
    if log:
        axes.set_xscale("log")
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.minorticks_off()
    _framed(axes, labels[0], title)
    axes.set_ylabel(labels[1], fontsize=11)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return finish(figure, path)


def _band(axes: Any, x: np.ndarray, series: np.ndarray, color: str, label: str, **style) -> None:
    axes.fill_between(x, series.min(0), series.max(0), color=color, alpha=0.18, linewidth=0)
    axes.plot(x, series.mean(0), color=color, label=label, markersize=4, **style)


def _framed(axes: Any, x: str, title: str) -> None:
    axes.set_xlabel(x, fontsize=11)
    axes.set_title(title, fontsize=12, loc="left")
    axes.grid(axis="y", color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
