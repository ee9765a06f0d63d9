"""Figures and numbers for binary and unbalanced sets: precision-recall, ROC, class counts.

Files are written, returned and refused as in :mod:`imgcls_jax.plots`. Every class is held against
the rest. Of two classes only the rarer one is drawn, as the one that is looked for: the other's ROC
curve is its mirror image.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.drawing import FAINT, INK, new_figure, save, shorten

_COLORS = ("#1f5a94", "#d9661f", "#2e7d4f", "#b3302a", "#7b4fa3", "#8c6d1f", "#1f8a94", "#c2558e")
_NAMED = len(_COLORS)  # curves with a name and a colour; of more classes the worst ones


def scores(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Average precision and the area under the ROC curve, which need no threshold.

    Args:
      labels: (N,) true classes.
      probabilities: (N, C).
      class_names: C names.

    Returns:
      `average_precision` and `roc_auc`, means over the classes that are drawn; `classes`, these two
      by class name, without classes of which none or all examples are. None where no class is left.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    classes = {
        class_names[c]: {
            "average_precision": float(average_precision_score(labels == c, probabilities[:, c])),
            "roc_auc": float(roc_auc_score(labels == c, probabilities[:, c])),
        }
        for c in _drawn(labels, len(class_names))
    }
    means = {
        key: float(np.mean([entry[key] for entry in classes.values()])) if classes else None
        for key in ("average_precision", "roc_auc")
    }
    return {**means, "classes": classes}


def _drawn(labels: np.ndarray, classes: int) -> list[int]:
    """Classes that some but not all examples are of; of two the rarer, the first if even."""
    counts = np.bincount(labels, minlength=classes)
    held = [c for c in range(classes) if 0 < counts[c] < len(labels)]
    return [min(held, key=lambda c: counts[c])] if classes == 2 and held else held


def precision_recall(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
) -> Path:
    """Precision against recall at every threshold, and the average precision of each class.

    Arguments are those of :func:`scores`, and the PNG file to write.
    """
    from sklearn.metrics import precision_recall_curve

    def curve(positive, score):
        precision, recall, _ = precision_recall_curve(positive, score)
        return recall, precision

    chances = {c: float((labels == c).mean()) for c in _drawn(labels, len(class_names))}
    return _draw(
        labels, probabilities, class_names, path,
        curve=curve, score="average_precision", short="AP", steps="steps-post",
        title="Precision and recall", axes_names=("Recall", "Precision"),
        chance=[[0, 1], [next(iter(chances.values()))] * 2] if len(chances) == 1 else None,
    )  # fmt: skip


def roc(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
) -> Path:
    """True against false positive rate at every threshold, and the area under the curves.

    Arguments are those of :func:`scores`, and the PNG file to write.
    """
    from sklearn.metrics import roc_curve

    def curve(positive, score):
        false, true, _ = roc_curve(positive, score)
        return false, true

    return _draw(
        labels, probabilities, class_names, path,
        curve=curve, score="roc_auc", short="AUC", steps="default",
        title="ROC curves" if len(class_names) > 2 else "ROC curve",
        axes_names=("False positive rate", "True positive rate"), chance=[[0, 1], [0, 1]],
    )  # fmt: skip


def class_counts(
    counts: Mapping[str, Sequence[int]], class_names: Sequence[str], path: str | os.PathLike
) -> Path:
    """Bars of the examples of each class, largest class first, one colour a split.

    Up to 60 classes every bar has its name; of more the axis counts the classes.

    Args:
      counts: by name of the split, C counts.
      class_names: C names.
      path: the PNG file to write.
    """
    table = np.array(list(counts.values()))
    order = np.argsort(-table.sum(axis=0), kind="stable")
    totals, classes = table.sum(axis=0)[order], len(order)
    named = classes <= 60
    figure = new_figure(7.0, max(2.4, 1.3 + 0.22 * classes) if named else 6.0)
    axes = figure.add_subplot()
    left = np.zeros(classes)
    for (name, row), color in zip(counts.items(), _COLORS, strict=False):
        row = np.asarray(row)[order]
        label = f"{name} ({row.sum():,})"
        height = 0.78 if named else 1.0
        axes.barh(range(classes), row, height, left=left, color=color, label=label)
        left += row
    if named:
        axes.set_yticks(range(classes), [shorten(class_names[c], 28) for c in order])
        for position, total in enumerate(totals):
            axes.annotate(
                f"{total:,}", (total, position), (4, 0), textcoords="offset points",
                va="center", fontsize=8, color=INK,
            )  # fmt: skip
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.tick_params(axis="y", length=0, labelsize=9)
    else:
        axes.set_ylabel(f"{classes} classes, largest first", fontsize=11)
        axes.set_yticks([])
    axes.set(ylim=(classes - 0.4, -0.6), xlim=(0, 1.08 * max(totals.max(), 1)))
    axes.set_xlabel("Examples", fontsize=11)
    ratio = totals.max() / max(totals.min(), 1)
    axes.set_title(
        f"Examples a class (largest to smallest {ratio:.1f} : 1)", fontsize=12, loc="left"
    )
    axes.spines[["top", "right"]].set_visible(False)
    if len(counts) > 1:
        figure.legend(frameon=False, fontsize=10, loc="outside lower center", ncols=len(counts))
    return save(figure, path)


def _draw(
    labels, probabilities, class_names, path, *,
    curve, score, short, steps, title, axes_names, chance,
):  # fmt: skip
    """One curve a class. Of many classes the worst are named, the others faint behind them."""
    figures = scores(labels, probabilities, class_names)
    ranked = sorted(
        _drawn(labels, len(class_names)), key=lambda c: figures["classes"][class_names[c]][score]
    )
    figure = new_figure(6.8, 4.6)
    axes = figure.add_subplot(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    if chance is not None:
        axes.plot(*chance, color=FAINT, linestyle=":", linewidth=1.2, label="chance")
    for place, c in enumerate(ranked):
        x, y = curve(labels == c, probabilities[:, c])
        style = {"color": "#d5d9de", "linewidth": 0.8, "zorder": 1}
        if place < _NAMED:
            value = figures["classes"][class_names[c]][score]
            label = f"{shorten(class_names[c], 24)}  {short} {value:.3f}"
            style = {"color": _COLORS[place], "linewidth": 1.6, "zorder": 3, "label": label}
        axes.plot(x, y, drawstyle=steps, **style)
    if not ranked:
        message = "needs examples of at least two classes"
        axes.text(0.5, 0.5, message, ha="center", color=FAINT, fontsize=12)
    axes.set_xlabel(axes_names[0], fontsize=11)
    axes.set_ylabel(axes_names[1], fontsize=11)
    mean = f"  (mean {short} {figures[score]:.3f})" if len(ranked) > 1 else ""
    axes.set_title(title + mean, fontsize=12, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if ranked or chance:
        heading = f"worst {_NAMED} of {len(ranked)} classes" if len(ranked) > _NAMED else None
        legend = figure.legend(
            loc="outside right upper", frameon=False, fontsize=8.5, title=heading, title_fontsize=9
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return save(figure, path)
