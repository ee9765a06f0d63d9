"""Charts of an ensemble: what each member more gains, how sure it is, where its members differ.

Files are written, returned and refused as in `imgcls_jax.report.charts`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imgcls_jax.report.figure import INK, Drawn, Target, finish, new_figure, shorten
from imgcls_jax.report.reliability import reliability_diagram
from imgcls_jax.workdir import Workdir

_LINE, _SINGLE, _OTHER = "#1f5a94", "#d9661f", "#2e7d4f"
_PANELS = {
    "accuracy": "Accuracy",
    "loss": "Negative log-likelihood",
    "ece": "Calibration error",
}
_STYLES = {"distilled": ("D", _SINGLE), "soup": ("s", _OTHER)}


def draw_ensemble(workdir: Workdir, summary: Mapping[str, Any]) -> list[str]:
    """Draws the figures of an ensemble's summary into its folder; returns their paths."""
    folder = workdir.make_figures()
    singles = {name: summary[name] for name in _STYLES if summary.get(name, {}).get("accuracy")}
    paths = [
        by_size(summary["by_size"], folder / "members.png", singles=singles),
        reliability_diagram(
            {"the ensemble": summary["calibration"], "a member, all pooled": _of_members(summary)},
            folder / "calibration.png",
        ),
        disagreement(
            np.asarray(summary["disagreement"]["pairs"]),
            [member["name"] for member in summary["members"]],
            folder / "disagreement.png",
        ),
    ]
    return [str(path) for path in paths]


def _of_members(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the bins of all members' predictions together, and the mean of their errors."""
    return {"bins": summary["of_members"]["bins"], "ece": summary["of_members"]["ece"]["mean"]}


def by_size(
    records: Sequence[Mapping[str, Any]],
    path: Target = None,
    *,
    singles: Mapping[str, Mapping[str, float]],
) -> Drawn:
    """Draws accuracy, negative log-likelihood and calibration error against the members.

    The line is the mean over combinations of members, the band from the least to the largest.

    Args:
      records: of `predict.gains.by_size`.
      path: the PNG file to write.
      singles: by name, `accuracy`, `loss` and `ece` of single networks made of the members, such as
        a distilled one; they are drawn at one network.
    """
    figure = new_figure(12.6, 4.0)
    sizes = [record["members"] for record in records]
    all_axes = figure.subplots(1, len(_PANELS))
    for axes, (key, title) in zip(all_axes, _PANELS.items(), strict=True):
        low, mean, high = (
            [record[key][what] for record in records] for what in ("min", "mean", "max")
        )
        label = "least to largest of the combinations"
        axes.fill_between(sizes, low, high, color=_LINE, alpha=0.16, linewidth=0, label=label)
        axes.plot(sizes, mean, color=_LINE, marker="o", markersize=4.5, label="mean")
        for name, found in singles.items():
            marker, color = _STYLES[name]
            style = {"color": color, "zorder": 4, "edgecolor": "white", "linewidth": 0.8}
            label = f"one network: {name}"
            axes.scatter([1], [found[key]], 70, marker=marker, label=label, **style)
        axes.set_title(title, fontsize=12, loc="left")
        axes.set_xlabel("Members", fontsize=11)
        axes.set_xlim(sizes[0] - 0.25, sizes[-1] + 0.25)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(axis="y", color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = all_axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=10
    )
    return finish(figure, path)


def disagreement(shares: np.ndarray, names: Sequence[str], path: Target = None) -> Drawn:
    """Draws the share of examples on which two members predict different classes, as a heat map.

    Args:
      shares: (K, K), 0 on the diagonal.
      names: K names.
      path: the PNG file to write.
    """
    members = len(shares)
    side = float(np.clip(0.75 * members, 2.6, 10.0))
    font = float(np.clip(0.3 * 72 * side / members, 5.0, 10.5))
    names = [shorten(name, 24, keep_end=True) for name in names]
    name_inches = max(map(len, names)) * 0.6 * font / 72
    figure = new_figure(max(side + name_inches + 1.4, 5.0), side + 0.75 * name_inches + 0.9)
    axes = figure.add_subplot()
    apart = shares[~np.eye(members, dtype=bool)]
    shown = np.ma.masked_where(np.eye(members, dtype=bool), shares)
    # From 0, so that colours of two ensembles mean the same kind of thing.
    image = axes.imshow(shown, cmap="Blues", vmin=0, vmax=max(1e-3, 1.15 * apart.max()))
    if members <= 20:
        for (row, column), share in np.ndenumerate(shares):
            if row != column:
                color = "white" if share > 0.6 * 1.15 * apart.max() else INK
                text = axes.text(column, row, f"{100 * share:.1f}", fontsize=font, color=color)
                text.set(ha="center", va="center", in_layout=False)
    style = {"rotation": 45, "rotation_mode": "anchor", "ha": "right", "va": "center"}
    axes.set_xticks(range(members), names, **style)
    axes.set_yticks(range(members), names)
    axes.tick_params(length=0, labelsize=font)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
    mean = f"{100 * apart.mean():.1f} %"
    figure.suptitle(f"Members disagree on {mean} of the examples", x=0.02, ha="left", fontsize=12)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, pad=0.03)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    bar.set_label("Examples of different predictions", fontsize=10)
    bar.outline.set_visible(False)
    return finish(figure, path)
